"""Emulators: shown, installed once, and seen by the nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.builders.apply import reconcile
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.model.plan import Builder
from mpbake.report.plan.builder_text import changes_text
from tests.unit.dockers import container, context_in_use, done, failed
from tests.unit.plans import text
from tests.unit.workspaces import INSPECTED, LOCAL, Engine, workspace_with

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.buildkit.process.completed import Completed

IMAGE = "example.com/binfmt:1"
NODE = replace(LOCAL, platforms=())
EMULATED = Builder(name="ci", driver=NODE.driver, nodes=(NODE,), emulators=IMAGE)
PLATFORMS = parse_platforms(["linux/amd64", "linux/arm64", "linux/arm/v7"])
INSTALL = f"run --privileged --rm {IMAGE} --install arm64,arm"
PLANNED = "+ install emulators for linux/arm64, linux/arm/v7 on ssh://far: the plan builds for it"


class Machine(Engine):
    """An engine on a machine whose kernel gets emulators.

    BuildKit `notices` them: at once, after its container has restarted, or never. `installer` is what the image ends
    with.
    """

    def __init__(self, *, notices: str = "at once", installer: Completed | None = None, **options: Any) -> None:
        super().__init__(mark=declare(NODE).mark, **options)
        self.notices = notices
        self.installer = installer or done()
        self.registered = False
        self.restarted = False

    def run(self, arguments: Sequence[str], **settings: Any) -> Completed:
        """Run the installer, or answer as docker does."""
        command = " ".join(arguments)
        if command.startswith("run "):
            self.commands.append(command)
            self.registered = not self.installer.returncode
            return self.installer
        if command.startswith("buildx inspect"):
            self.restarted = self.restarted or "--bootstrap" in arguments
            self.answers["buildx inspect"] = done(INSPECTED.replace("linux/arm64*", self._platforms))
        return super().run(arguments, **settings)

    @property
    def _platforms(self) -> str:
        sees = {"at once": True, "after a restart": self.restarted, "never": False}[self.notices]
        return "linux/amd64, linux/arm64, linux/arm/v7" if self.registered and sees else "linux/amd64"


def up(folder: Path, engine: Machine, builder: Builder = EMULATED) -> tuple[str, list[str], list[str]]:
    """Return the planned changes, the messages, and the errors of `builders up`."""
    workspace, messages = workspace_with(folder, engine)
    workspace = replace(workspace, platforms={"ci": PLATFORMS})
    plans: list[str] = []
    state = reconcile(
        workspace, builder, lambda state: plans.append(changes_text(state.builder, state.changes, state.unclear))
    )
    return "".join(plans), messages, [str(error) for error in state.errors]


def installations(engine: Machine) -> list[str]:
    """Return the commands that installed something."""
    return [command for command in engine.commands if command.startswith("run ")]


def test_emulators_are_installed_once_and_the_node_is_asked_again(tmp_path: Path) -> None:
    engine = Machine()
    planned, messages, errors = up(tmp_path, engine)
    assert PLANNED in planned
    assert messages[:2] == [
        "ci: installing emulators for linux/arm64, linux/arm/v7 on ssh://far",
        "ci: emulators for linux/arm64, linux/arm/v7 work on ssh://far",
    ]
    assert errors == []
    assert up(tmp_path, engine) == ("ci (docker-container)\n  as declared\n", [], [])
    assert installations(engine) == [INSTALL]


def test_without_the_attribute_nothing_is_installed(tmp_path: Path) -> None:
    engine = Machine()
    planned, _, _ = up(tmp_path, engine, replace(EMULATED, emulators=""))
    assert "emulators" not in planned
    assert installations(engine) == []


def test_a_container_that_has_not_noticed_restarts(tmp_path: Path) -> None:
    engine = Machine(notices="after a restart")
    _, messages, errors = up(tmp_path, engine)
    assert "ci/local: restarted, so that it finds the emulators" in messages
    assert errors == []
    assert "container stop" in " ".join(engine.commands)


def test_a_container_in_which_something_builds_does_not_restart(tmp_path: Path) -> None:
    engine = Machine(notices="after a restart", busy=True)
    _, _, errors = up(tmp_path, engine)
    (error,) = errors
    assert error.startswith("ci/local: a build runs in buildx_buildkit_ci-local, so mpbake leaves it unchanged\n")


def test_emulators_without_an_effect_are_an_error(tmp_path: Path) -> None:
    _, _, (error,) = up(tmp_path, Machine(notices="never"))
    assert error == text(f"""
        ci/local does not report linux/arm64, linux/arm/v7 after {IMAGE} has run on ssh://far
          = see what it says: docker -H ssh://far run --privileged --rm {IMAGE} --install arm64,arm
        """)


def test_why_emulators_cannot_be_installed(tmp_path: Path) -> None:
    ends = {
        "cannot register arm64: permission denied": "an engine without root cannot",
        "docker: Error response from daemon: manifest unknown.\nSee 'docker run --help'.": "that the engine can pull",
        'exec: "--install": executable file not found in $PATH': "with the options of tonistiigi/binfmt",
        "it burns": f"see what it says: docker -H ssh://far {INSTALL}",
    }
    for number, (output, hint) in enumerate(ends.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, _, (error,) = up(folder, Machine(installer=failed(output)))
        first = output.partition("\n")[0].removeprefix("docker: ")
        assert error.startswith(f"ci: emulators cannot be installed on ssh://far: {first}\n  = ")
        assert error.endswith(hint)


def test_a_slow_installation_has_an_end(tmp_path: Path) -> None:
    _, _, (error,) = up(tmp_path, Machine(installer=failed("", timed_out=True)))
    assert error.startswith("ci: emulators cannot be installed on ssh://far: no answer in time\n")


def test_an_engine_without_buildkit_leaves_it_open_until_the_container_answers(tmp_path: Path) -> None:
    """As podman: before its container runs, nothing says which emulators there are."""
    engine = Machine()
    engine.made, engine.volume = "", None
    engine.answers["buildx inspect"] = failed("no BuildKit")
    workspace, _ = workspace_with(tmp_path, engine)

    def refuse(arguments: Sequence[str], **settings: Any) -> Completed:
        if " ".join(arguments).startswith("buildx inspect"):
            return failed("ERROR: no valid drivers found")
        return Machine.run(engine, arguments, **settings)

    engine.run = refuse  # type: ignore[method-assign]
    state = survey_builder(workspace.services, EMULATED, Path("/plan/build.toml"), PLATFORMS)
    assert state.unclear == ("the emulators of ssh://far",)


def test_two_names_of_one_engine_get_emulators_once(tmp_path: Path) -> None:
    """A docker context and a URL, both of the same engine."""
    contexts: dict[str, Any] = {"context_inspect": context_in_use("far", "ssh://far")}
    other = replace(NODE, name="other", endpoint="far")
    engine = Machine(**contexts)
    engine.answers["container inspect"] = container()
    builder = replace(EMULATED, nodes=(NODE, other))
    workspace, _ = workspace_with(tmp_path, engine)
    state = survey_builder(workspace.services, builder, Path("/plan/build.toml"), PLATFORMS)
    changes = [change for change in state.changes if change.action.value == "install"]
    assert [change.name for change in changes] == ["for linux/arm64, linux/arm/v7 on ssh://far"]
