"""The adoption of builders that were made by hand, with a fake engine."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.buildkit.builders.apply import reconcile, stop
from mpbake.buildkit.builders.removal import remove
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.model.marks import VOLUME_LABEL
from mpbake.model.plan import Builder, Driver, Node
from mpbake.report.plan.builder_text import changes_text
from tests.unit.dockers import done, failed
from tests.unit.plans import text
from tests.unit.workspaces import CI, LOCAL, Engine, two_plans, workspace_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.buildkit.process.completed import Completed

VOLUME = "buildx_buildkit_ci-local_state"
HAND = replace(CI, nodes=(replace(LOCAL, options=(("network", "host"),)),))
"""A builder as `Handmade` has made it."""


class Handmade(Engine):
    """An engine with a container and a volume that were made by hand."""

    def __init__(self, folder: Path, **answers: Any) -> None:
        super().__init__(**answers)
        self.foreign = True
        self.volumes: dict[str, dict[str, str]] = {VOLUME: {}}
        self.files: dict[str, bytes] = {}
        self._write_entry(folder / ".docker/buildx/instances/ci")

    def _write_entry(self, path: Path, **more: Any) -> None:
        node = {"Name": "ci-local", "Endpoint": "ssh://far", "DriverOpts": {"network": "host"}, "Flags": []}
        platforms = [{"architecture": "arm64", "os": "linux"}]
        entry = {"Name": "ci", "Driver": "docker-container", "Nodes": [{**node, "Platforms": platforms, **more}]}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entry))

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Answer like docker about the files of the container, and about volumes by name."""
        match list(arguments):
            case ["container", "cp", "-", "c0ffee:/etc"]:
                self.commands.append("container cp -")
                with tarfile.open(fileobj=io.BytesIO(settings["given"])) as tar:
                    self.files |= {name: tar.extractfile(name).read() for name in tar.getnames()}  # type: ignore[union-attr]
                return done()
            case ["container", "cp", source, target]:
                name = Path(source).name
                if name not in self.files:
                    return failed("Could not find the file")
                Path(target, name).write_bytes(self.files[name])
                return done()
            case ["container", "rm", *_]:
                self.foreign = False
            case ["volume", "create", "--label", label, name]:
                self.volumes[name] = dict([label.split("=", 1)])
                return done()
            case ["volume", "inspect", *_, name]:
                return done(json.dumps(self.volumes[name])) if name in self.volumes else failed("no such volume")
            case ["volume", "remove", name]:
                del self.volumes[name]
                return done()
        return super().run(arguments, **settings)


def adopted(folder: Path, engine: Engine, builder: Builder = HAND) -> tuple[str, list[str], list[str]]:
    """Return the planned changes, the messages, and the errors of an adoption."""
    workspace, messages = workspace_with(folder, engine)
    plans: list[str] = []
    state = reconcile(
        workspace,
        builder,
        lambda state: plans.append(changes_text(state.builder, state.changes, state.unclear)),
        adopt=True,
    )
    return "".join(plans), messages, [str(error) for error in state.errors]


def test_a_builder_as_declared_is_adopted_without_a_change(tmp_path: Path) -> None:
    engine = Handmade(tmp_path)
    assert adopted(tmp_path, engine) == (
        text("""
            ci (docker-container)
              = adopt container buildx_buildkit_ci-local: it was made by hand; its cache stays
              = adopt builder ci: buildx's store has it, made by hand
            """)
        + "\n",
        ["ci/local: adopted, and answers", "ci: in buildx's store, for docker buildx build --builder ci"],
        [],
    )
    assert engine.volumes == {VOLUME: {}, f"{VOLUME}_adopted": {VOLUME_LABEL: "ci/local"}}
    assert not [command for command in engine.commands if command.startswith(("container rm", "container stop"))]
    workspace, _ = workspace_with(tmp_path, engine)
    assert survey_builder(workspace.services, HAND, workspace.plan).changes == ()
    assert adopted(tmp_path, engine) == ("ci (docker-container)\n  as declared\n", [], [])


def test_without_the_option_nothing_is_taken_over(tmp_path: Path) -> None:
    engine = Handmade(tmp_path)
    workspace, _ = workspace_with(tmp_path, engine)
    state = reconcile(workspace, HAND, lambda _: None)
    assert [error.message for error in state.errors] == [
        "ci/local: mpbake did not make the container buildx_buildkit_ci-local, and leaves it unchanged",
        "ci: mpbake did not make the builder ci in buildx's store, and leaves it unchanged",
    ]
    assert all("mpbake builders up --adopt ci" in error.hint for error in state.errors)
    assert engine.files == {}
    assert engine.volumes == {VOLUME: {}}


def test_what_differs_is_shown_and_replaced_with_its_cache(tmp_path: Path) -> None:
    engine = Handmade(tmp_path)
    declared = replace(HAND, nodes=(replace(HAND.nodes[0], options=(("memory", "2g"), ("network", "host"))),))
    plan, messages, errors = adopted(tmp_path, engine, declared)
    assert (
        plan
        == text("""
        ci (docker-container)
          = adopt container buildx_buildkit_ci-local: it was made by hand; its cache stays
          ± replace container buildx_buildkit_ci-local: it was made with other options; its cache stays
              memory: (none) -> 2g
          = adopt builder ci: buildx's store has it, made by hand
              ci-local: memory: (none) -> 2g
        """)
        + "\n"
    )
    assert messages[0] == "ci/local: adopted, recreated with its cache, and answers"
    assert errors == []
    assert VOLUME in engine.volumes


def test_an_adopted_builder_is_removed_with_its_cache(tmp_path: Path) -> None:
    engine = Handmade(tmp_path)
    adopted(tmp_path, engine)
    workspace, messages = workspace_with(tmp_path, engine)
    assert stop(workspace, HAND) == []
    assert remove(workspace, HAND, keep_state=True) == []
    assert engine.volumes.keys() == {VOLUME, f"{VOLUME}_adopted"}
    engine.foreign = True
    assert remove(workspace, HAND, keep_state=False) == []
    assert messages[-1:] == ["ci/local: container removed, and its cache"]
    assert engine.volumes == {}


def test_a_container_that_was_made_again_by_hand_is_foreign_again(tmp_path: Path) -> None:
    engine = Handmade(tmp_path)
    adopted(tmp_path, engine)
    engine.files = {}
    workspace, _ = workspace_with(tmp_path, engine)
    (error,) = survey_builder(workspace.services, HAND, workspace.plan).errors
    assert "mpbake did not make the container" in error.message


def test_a_cache_whose_container_is_gone_is_adopted(tmp_path: Path) -> None:
    engine = Handmade(tmp_path)
    engine.foreign = False
    plan, messages, errors = adopted(tmp_path, engine)
    assert plan.splitlines()[1:3] == [
        f"  = adopt volume {VOLUME}: it was made by hand; the cache in it stays",
        "  + create container buildx_buildkit_ci-local: it does not exist",
    ]
    assert messages[0] == "ci/local: adopted, created, and answers"
    assert errors == []


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"Name": "ci0"}, "the plan does not declare its node ci0"),
        (None, "your buildx store has no builder ci"),
    ],
)
def test_only_a_builder_of_the_store_with_the_declared_nodes_is_adopted(
    tmp_path: Path, entry: dict[str, str] | None, reason: str
) -> None:
    engine = Handmade(tmp_path)
    path = tmp_path / ".docker/buildx/instances/ci"
    if entry is None:
        path.unlink()
    else:
        engine._write_entry(path, **entry)
    _, _, errors = adopted(tmp_path, engine)
    assert (
        f"ci/local: mpbake did not make the container buildx_buildkit_ci-local, and leaves it unchanged\n"
        f"  = --adopt cannot take it over: {reason}; rename the builder or the node"
    ) in errors
    assert engine.files == {}
    assert engine.volumes == {VOLUME: {}}


def test_a_builder_with_another_driver_is_not_adopted(tmp_path: Path) -> None:
    remote = Node(builder="ci", name="local", driver=Driver.REMOTE, endpoint="unix:///x")
    _, _, errors = adopted(tmp_path, Handmade(tmp_path), Builder(name="ci", driver=Driver.REMOTE, nodes=(remote,)))
    _, error = errors  # the first error: nothing listens at the socket
    assert error.startswith("ci: mpbake did not make the builder ci in buildx's store, and leaves it unchanged")
    assert error.endswith("the driver of ci in buildx's store is docker-container")


def test_another_plan_with_the_builder_is_named(tmp_path: Path) -> None:
    engine = Handmade(tmp_path)
    one, other, messages = two_plans(tmp_path, engine)
    reconcile(one, HAND, lambda _: None, adopt=True)
    del messages[:]
    reconcile(other, HAND, lambda _: None, adopt=True)
    assert messages == [f"ci: mpbake made or adopted it for {one.plan} too"]


def test_a_remote_builder_is_adopted_by_its_entry(tmp_path: Path) -> None:
    engine = Engine()
    remote = Node(builder="r", name="one", driver=Driver.REMOTE, endpoint="unix:///x", stated_buildx_name="r0")
    builder = Builder(name="r", driver=Driver.REMOTE, nodes=(remote,))
    path = tmp_path / ".docker/buildx/instances/r"
    path.parent.mkdir(parents=True)
    node = {"Name": "r0", "Endpoint": "unix:///x", "Platforms": None, "DriverOpts": None, "Flags": None, "Files": None}
    path.write_text(json.dumps({"Name": "r", "Driver": "remote", "Nodes": [node]}))
    workspace, _ = workspace_with(tmp_path, engine)
    (change,) = survey_builder(workspace.services, builder, workspace.plan, adopt=True).changes
    assert f"{change.action} {change.kind.value} {change.name}: {change.reason}" == (
        "adopt builder r: buildx's store has it, made by hand"
    )
    assert survey_builder(workspace.services, builder, workspace.plan).changes == (), "it is as declared"
