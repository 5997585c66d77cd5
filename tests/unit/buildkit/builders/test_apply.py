"""The reconciliation and the stop of builders, with a fake engine."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mpbake.buildkit.builders.apply import stop
from mpbake.buildkit.builders.removal import remove
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.model.plan import Builder, Driver, Node
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import text
from tests.unit.tls import serving
from tests.unit.workspaces import (
    CI,
    LOCAL,
    NO_CONTEXT,
    OUT_OF_REACH,
    WANTS_CERTIFICATE,
    Contexts,
    Engine,
    brought_up,
    secured,
    workspace_with,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.tls import Certificates


def test_what_is_missing_is_made_and_then_there_is_nothing_to_do(tmp_path: Path) -> None:
    engine = Engine()
    assert brought_up(tmp_path, engine) == (
        text("""
            ci (docker-container)
              + create container buildx_buildkit_ci-local: it does not exist
              + create builder ci: for use by hand: docker buildx build --builder ci
            """)
        + "\n",
        ["ci/local: created, and answers", "ci: in buildx's store, for docker buildx build --builder ci"],
        [],
    )
    entry = json.loads((tmp_path / ".docker/buildx/instances/ci").read_text())
    assert entry["Nodes"][0]["Platforms"] == [{"architecture": "arm64", "os": "linux"}]
    asked = len(engine.commands)
    assert brought_up(tmp_path, engine) == ("ci (docker-container)\n  as declared\n", [], [])
    assert engine.commands[asked:] == ["container inspect"], "nothing else is asked when all is right"


def test_drift_is_corrected_by_the_containers_own_id(tmp_path: Path) -> None:
    engine = Engine(mark="driver=0;memory=0")
    plan, messages, errors = brought_up(tmp_path, engine)
    assert "± replace container" in plan
    assert messages[0] == "ci/local: recreated with its cache, and answers"
    assert errors == []
    assert "container rm --force c0ffee" in engine.commands
    assert not [command for command in engine.commands if command.startswith("volume remove")], "its cache stays"


@pytest.mark.parametrize("image", ["", "registry.example.com/none:1"])
def test_a_container_stays_where_the_new_image_cannot_be_had(tmp_path: Path, image: str) -> None:
    engine = Engine(mark="driver=0", image_inspect=failed("No such image"), pull=failed("x: manifest unknown"))
    options = (("image", image),) if image else ()
    _, messages, errors = brought_up(tmp_path, engine, replace(CI, nodes=(replace(LOCAL, options=options),)))
    assert errors == [
        text("""
            node ci/local (docker-container, ssh://far) cannot be used: the image does not exist (x: manifest unknown)
              = set image = "…" in the builder, or in [defaults.builder], to a BuildKit image that can be pulled
            """)
    ]
    assert f"pull -- {image or 'moby/buildkit:buildx-stable-1'}" in engine.commands
    assert not [command for command in engine.commands if command.startswith(("container rm", "container stop"))]
    assert messages == ["ci: not added to buildx's store until all of its nodes can be made"]


def test_a_new_image_is_fetched_before_the_old_container_goes(tmp_path: Path) -> None:
    engine = Engine(mark="driver=0", image_inspect=failed("No such image"), pull=done())
    assert not brought_up(tmp_path, engine)[2]
    commands = [command.partition(" --")[0] for command in engine.commands]
    assert commands.index("pull") < commands.index("container rm")


def test_a_stopped_container_is_started(tmp_path: Path) -> None:
    _, messages, _ = brought_up(tmp_path, Engine(mark=declare(LOCAL).mark, status="exited"))
    assert messages[0] == "ci/local: started, and answers"


def test_a_container_that_was_paused_goes_on(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark, status="paused")
    _, messages, errors = brought_up(tmp_path, engine)
    assert (messages[0], errors) == ("ci/local: started, and answers", [])
    assert engine.commands.index("container unpause c0ffee") < next(
        index for index, name in enumerate(engine.commands) if name == "buildx create"
    )


def test_a_container_that_was_paused_is_stopped(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark, status="paused")
    workspace, messages = workspace_with(tmp_path, engine)
    assert stop(workspace, CI) == []
    assert messages == ["ci/local: stopped"]
    assert engine.commands[-2:] == ["container unpause c0ffee", "container stop c0ffee"]


PAUSED_BY_HAND = (
    "ERROR: failed to initialize builder ci-local (ci-local): Error response from daemon: Container "
    "buildx_buildkit_ci-local is paused, unpause the container before exec"
)
HARMLESS = (
    'time="now" level=warning msg="failed to find git binary: exec: \\"git\\": executable file not found in $PATH"'
)


def test_of_a_node_that_is_paused_nothing_is_told_but_that(tmp_path: Path) -> None:
    engine = Engine(buildx_boot=failed(PAUSED_BY_HAND), container_logs=done(HARMLESS))
    (error,) = brought_up(tmp_path, engine)[2]
    assert error == (
        "node ci/local (docker-container, ssh://far) cannot be used: its container is paused "
        f"({PAUSED_BY_HAND.removeprefix('ERROR: ')})\n"
        "  = resume it: docker -H ssh://far unpause buildx_buildkit_ci-local"
    )


def test_a_log_without_errors_tells_no_remedy(tmp_path: Path) -> None:
    engine = Engine(buildx_boot=failed("ERROR: timeout"), container_logs=done(HARMLESS))
    (error,) = brought_up(tmp_path, engine)[2]
    assert error.endswith(f"its log ends with:\n  {HARMLESS}\n  = try: docker -H ssh://far version")


def test_a_node_that_does_not_start_says_why_itself(tmp_path: Path) -> None:
    engine = Engine(buildx_boot=failed("ERROR: timeout"), container_logs=done("buildkitd: unknown flag --nope\n"))
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == [
        text("""
            node ci/local (docker-container, ssh://far) cannot be used: timeout
            its log ends with:
              buildkitd: unknown flag --nope
              = try: docker -H ssh://far version
            """).replace("\n              =", "\n  =")
    ]


def test_somebody_elses_container_behind_a_docker_context_is_not_taken_over(
    tmp_path: Path, certificates: Certificates
) -> None:
    engine = Engine(**NO_CONTEXT)
    engine.foreign = True
    with serving(certificates.engine()) as port:
        plan, _, errors = brought_up(tmp_path, engine, replace(CI, nodes=(secured(port, certificates),)))
    create = "+ create container buildx_buildkit_ci-local: unless it exists, which only the docker context can show"
    assert f"{create}\n" in plan
    assert errors == [
        text("""
            ci/local: mpbake did not make the container buildx_buildkit_ci-local, and leaves it unchanged
              = rename the builder or the node, use its builder (external = true), \
take it over (mpbake builders up --adopt ci), or remove it: docker rm -f buildx_buildkit_ci-local
            """)
    ]
    assert not [command for command in engine.commands if command.endswith("--bootstrap")]
    assert not (tmp_path / ".docker/buildx/instances/ci").exists()


def test_drift_behind_a_docker_context_is_corrected_too(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(mark="driver=0", **NO_CONTEXT)
    with serving(certificates.engine()) as port:
        _, messages, _ = brought_up(tmp_path, engine, replace(CI, nodes=(secured(port, certificates),)))
    assert messages[0] == "ci/local: recreated with its cache, and answers"
    assert "container rm --force c0ffee" in engine.commands


def test_nothing_is_made_for_an_engine_that_cannot_be_trusted(tmp_path: Path, certificates: Certificates) -> None:
    engine = Engine(**NO_CONTEXT)
    with serving(certificates.engine()) as port:
        node = secured(port, certificates, without="cert key")
        _, messages, errors = brought_up(tmp_path, engine, replace(CI, nodes=(node,)))
    assert errors == [WANTS_CERTIFICATE]
    assert messages == ["ci: not added to buildx's store until all of its nodes can be made"]
    assert engine.commands == []


@pytest.mark.parametrize("driver", [Driver.DOCKER, Driver.DOCKER_CONTAINER])
def test_an_engine_that_does_not_answer(tmp_path: Path, driver: Driver) -> None:
    engine = Engine()
    node = replace(LOCAL, driver=driver, endpoint="tcp://127.0.0.1:9", options=())
    _, _, errors = brought_up(tmp_path, engine, Builder(name="ci", driver=driver, nodes=(node,)))
    assert errors == [
        text("""
            node ci/local does not answer at tcp://127.0.0.1:9: Connection refused
              = check that dockerd runs there, and that the port is open to this machine
            """)
    ]
    assert engine.commands == []


def test_the_engines_own_builder_is_only_asked(tmp_path: Path) -> None:
    engine = Engine()
    engine.answers["buildx inspect"] = done("Name: far\nPlatforms: linux/amd64\n")
    node = Node(builder="e", name="n", driver=Driver.DOCKER, endpoint="far")
    plan, messages, errors = brought_up(tmp_path, engine, Builder(name="e", driver=Driver.DOCKER, nodes=(node,)))
    assert (plan, messages, errors) == ("e (docker)\n  as declared\n", [], [])
    assert engine.commands == ["buildx inspect far"]


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        (
            Driver.KUBERNETES,
            "k/n: keeps running: mpbake stops containers only; to free its resources, run: mpbake builders rm k",
        ),
        (Driver.REMOTE, "k/n: keeps running: mpbake stops containers only"),
    ],
)
def test_only_containers_are_stopped(tmp_path: Path, driver: Driver, message: str) -> None:
    workspace, messages = workspace_with(tmp_path, FakeDocker({}))
    node = Node(builder="k", name="n", driver=driver)
    assert stop(workspace, Builder(name="k", driver=driver, nodes=(node,))) == []
    assert messages == [message]


def test_stop(tmp_path: Path) -> None:
    engine = Engine(mark=declare(LOCAL).mark)
    workspace, messages = workspace_with(tmp_path, engine)
    assert stop(workspace, CI) == []
    assert engine.commands[-1] == "container stop c0ffee"
    engine.status = "exited"
    assert stop(workspace, CI) == []
    assert messages == ["ci/local: stopped", "ci/local: is not running"]
    engine.status = "restarting"
    assert stop(workspace, CI) == []
    assert engine.commands[-1] == "container stop c0ffee"
    assert messages[2:] == ["ci/local: stopped"], "it would start again and again"


def test_a_node_that_was_never_reached_is_not_noted(tmp_path: Path) -> None:
    engine = Engine()
    engine.unreachable = True
    assert OUT_OF_REACH in brought_up(tmp_path, engine)[2][0]
    workspace, messages = workspace_with(tmp_path, engine)
    assert workspace.services.records.of_plan(workspace.plan) == []
    engine.unreachable = False
    assert remove(workspace, CI, keep_state=False) == []
    assert messages == []


def test_a_docker_context_goes_again_that_leads_nowhere(tmp_path: Path, certificates: Certificates) -> None:
    engine = Contexts(context=done())
    engine.unreachable = True
    with serving(certificates.engine()) as port:
        far = replace(CI, nodes=(secured(port, certificates),))
        _, messages, errors = brought_up(tmp_path, engine, far)
    assert [error.partition(" cannot")[0] for error in errors] == [
        f"node ci/local (docker-container, {far.nodes[0].endpoint})"
    ]
    assert messages == ["ci: not added to buildx's store until all of its nodes can be made"]
    assert not engine.kept
    workspace, messages = workspace_with(tmp_path, engine)
    assert workspace.services.records.of_plan(workspace.plan) == []
    assert remove(workspace, far, keep_state=False) == [], "there is nothing, and no way there"
    engine.kept = True
    assert len(remove(workspace, far, keep_state=False)) == 1, "another machine may have made it"
    assert messages == ["ci/local: docker context mpbake-ci-local removed"]


def test_a_volume_that_somebody_else_made_is_not_taken_over(tmp_path: Path) -> None:
    engine = Engine()
    engine.volume = {}
    plans, _, errors = brought_up(tmp_path, engine)
    assert errors == [
        text("""
            ci/local: mpbake did not make the volume buildx_buildkit_ci-local_state, and leaves it unchanged
              = rename the builder or the node, or remove the volume: docker -H ssh://far volume rm \
buildx_buildkit_ci-local_state
            """)
    ]
    assert "? node ci/local: its actual state is not known" in plans
    assert not engine.made
    assert engine.volume == {}


def test_the_volume_of_a_new_container_is_marked(tmp_path: Path) -> None:
    engine = Engine()
    brought_up(tmp_path, engine)
    assert engine.volume == {"mpbake-node": "ci/local"}
    engine.made = ""
    _, _, errors = brought_up(tmp_path, engine)
    assert errors == [], "somebody has removed the container; its volume is mpbake's"
