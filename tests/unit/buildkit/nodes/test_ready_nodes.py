"""Nodes that mpbake makes ready, with a fake engine."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
from collections import UserDict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import Cancelled, Unreachable, UsageError
from mpbake.base.platforms import parse_platforms
from mpbake.buildkit.nodes.drivers.back_end import Blockage
from mpbake.buildkit.nodes.drivers.container.containers import Containers
from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.buildkit.nodes.instances.inspect_output import parse_inspect
from mpbake.buildkit.nodes.instances.instances import Instances, ReadyNode
from mpbake.buildkit.nodes.node_errors import explain
from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
from mpbake.buildkit.nodes.records import Records
from mpbake.buildkit.process.completed import Completed
from mpbake.graph.node_facts import NodeFacts
from mpbake.model.marks import MARK
from mpbake.model.plan import Driver, Node, TlsFiles
from mpbake.run.state.locks import hold_lock
from tests.unit.dockers import FakeDocker, container, context_in_use, done, failed
from tests.unit.plans import target_of_text, text
from tests.unit.tls import Certificates, serving

if TYPE_CHECKING:
    from collections.abc import Mapping


PLAN = Path("/plan/build.toml")
OPTIONS = (("image", "moby/buildkit:v1"), ("network", "host"))
CONTAINER = Node(builder="ci", name="Local", driver=Driver.DOCKER_CONTAINER, options=OPTIONS)
ENGINE = Node(builder="default", name="local", driver=Driver.DOCKER)
REMOTE = Node(
    builder="release",
    name="arm",
    driver=Driver.REMOTE,
    endpoint="tcp://10.0.0.5:1234",
    tls=TlsFiles(ca=Path("/c/ca.crt"), cert=Path("/c/client.crt"), key=Path("/c/client.key"), servername="build"),
)

INSPECTED = """\
Name:          ci-local
Driver:        docker
Last Activity: 2026-11-24 13:28:57 +0000 UTC

Nodes:
Name:                  ci-local
Endpoint:              unix:///var/run/docker.sock
Driver Options:        env.X="a,b" image="moby/buildkit:v1"
Status:                running
BuildKit daemon flags: --allow-insecure-entitlement=network.host
BuildKit version:      v0.13.1
Platforms:             linux/arm64*, linux/amd64, linux/amd64/v2
Labels:
 org.mobyproject.buildkit.worker.executor: oci
 org.mobyproject.buildkit.worker.hostname: vm
GC Policy rule#0:
 All:           false
 Filters:       type==source.local
"""


# --- the output of buildx ---------------------------------------------------------------------------------------------


def test_what_buildx_says_of_a_node() -> None:
    assert parse_inspect(INSPECTED) == {
        "name": "ci-local",
        "driver": "docker",
        "last activity": "2026-11-24 13:28:57 +0000 UTC",
        "nodes": "",
        "endpoint": "unix:///var/run/docker.sock",
        "driver options": 'env.X="a,b" image="moby/buildkit:v1"',
        "status": "running",
        "buildkit daemon flags": "--allow-insecure-entitlement=network.host",
        "buildkit version": "v0.13.1",
        "platforms": "linux/arm64*, linux/amd64, linux/amd64/v2",
        "labels": "",
        "gc policy rule#0": "",
    }
    assert (
        parse_inspect("Name: default\nError: Cannot connect: refused\nno colon\n")["error"] == "Cannot connect: refused"
    )
    assert parse_inspect("") == {}


NO_IMAGE = 'set image = "…" in the builder, or in [defaults.builder], to a BuildKit image that can be pulled'
DENIED_IMAGE = f"log in to it (docker login); or {NO_IMAGE}"
NO_REGISTRY = f"give the engine access to it, with a proxy or a mirror if necessary; or {NO_IMAGE}"


@pytest.mark.parametrize(
    ("node", "output", "remedy"),
    [
        (
            CONTAINER,
            (
                'Error response from daemon: failed to resolve reference "localhost:1/no:1": failed to do request: '
                'Head "https://localhost:1/v2/no/manifests/1": dial tcp 127.0.0.1:1: connect: connection refused'
            ),
            NO_REGISTRY,
        ),
        (CONTAINER, "pull access denied for no/such, repository does not exist", DENIED_IMAGE),
        (CONTAINER, "manifest unknown", NO_IMAGE),
        (CONTAINER, "No such image: moby/buildkit:v1", NO_IMAGE),
        (
            replace(CONTAINER, endpoint="ssh://me@far"),
            "error during connect: exit status 255",
            "try: docker -H ssh://me@far version",
        ),
        (
            CONTAINER,
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            (
                "start it (Docker Desktop, or: sudo systemctl start docker), or correct DOCKER_HOST or "
                "the docker context; try: docker info"
            ),
        ),
        (
            REMOTE,
            "context deadline exceeded",
            "check the address, and that the certificates belong together and have not expired",
        ),
        (CONTAINER, "no space left on device", ""),
    ],
)
def test_remedies(node: Node, output: str, remedy: str) -> None:
    assert explain(node, output)[1] == remedy


def test_what_buildx_does_not_take_is_no_node_that_does_not_answer(tmp_path: Path) -> None:
    output = "ERROR: failed to initialize builder k-n (k-n): invalid driver option timeout for driver kubernetes"
    answers = {"buildx create": failed(output), "get deployments": failed("NotFound")}
    docker = FakeDocker(answers)
    cluster = Node(builder="k", name="n", driver=Driver.KUBERNETES, options=(("timeout", "2m"),))
    with pytest.raises(UsageError) as caught:
        Instances(docker, tmp_path, {}).write(cluster)
    assert str(caught.value) == (
        "node k/n (kubernetes, the cluster in use) cannot be used: this buildx does not know one of its options "
        f"({output.removeprefix('ERROR: ')})\n  = install a newer buildx, or remove that option"
    )


# --- the engine -------------------------------------------------------------------------------------------------------


def nodes_with(
    folder: Path, answers: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> tuple[ReadyNodes, FakeDocker]:
    """Return the nodes of a user whose docker context is `desktop`."""
    docker = FakeDocker({"context inspect": context_in_use("desktop"), **answers})
    environment = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state"), **(environment or {})}
    return ReadyNodes(docker, folder, environment, PLAN), docker


@pytest.mark.parametrize(
    ("node", "environment", "builder", "endpoint"),
    [
        (ENGINE, {}, "desktop", ""),
        (ENGINE, {"DOCKER_HOST": "unix:///x"}, "default", ""),
        (replace(ENGINE, endpoint="far"), {}, "far", "far"),
        (replace(ENGINE, endpoint="ssh://far"), {}, "default", "ssh://far"),
    ],
)
def test_the_engines_own_builder(
    tmp_path: Path, node: Node, environment: dict[str, str], builder: str, endpoint: str
) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)}, environment)
    ready = nodes.ready(node)
    commands = [] if node.endpoint or environment else ["context inspect"]
    assert docker.commands == [*commands, f"buildx inspect {builder}"]
    assert docker.settings[-1]["endpoint"] == ready.endpoint == endpoint
    assert ready == ReadyNode(
        node=node,
        facts=NodeFacts(
            driver=Driver.DOCKER,
            platforms=parse_platforms(["linux/arm64", "linux/amd64", "linux/amd64/v2"]),
            version="v0.13.1",
        ),
        builder=builder,
        store=tmp_path / "default-local",
    )
    assert ready.environment == {"BUILDX_CONFIG": str(tmp_path / "default-local")}


AUTOMATIC = replace(ENGINE, driver=Driver.AUTOMATIC)
CLASSIC = '{"OSType":"linux","Architecture":"x86_64","DriverStatus":[["Backing Filesystem","extfs"]]}\n'


@pytest.mark.parametrize(
    ("platforms", "status", "own", "driver"),
    [
        ("['linux/amd64']", "", "docker", Driver.DOCKER),
        ("['linux/amd64']", "", "docker-container", Driver.DOCKER_CONTAINER),
        ("['linux/amd64', 'linux/arm64']", "", "docker", Driver.DOCKER_CONTAINER),
        ("['linux/amd64', 'linux/arm64']", "io.containerd.snapshotter.v1", "docker", Driver.DOCKER),
    ],
)
def test_the_default_builder_is_what_its_targets_and_the_engine_make_it(
    tmp_path: Path, platforms: str, status: str, own: str, driver: Driver
) -> None:
    answers = {
        "system info": done(CLASSIC.replace("extfs", status)),
        "container inspect": failed("No such container"),
        "buildx inspect desktop": done(INSPECTED.replace("docker\n", f"{own}\n")),
        "buildx": done(INSPECTED),
    }
    nodes, docker = nodes_with(tmp_path, answers)
    assert nodes.settle_default([target_of_text(f"[targets.web]\nplatforms = {platforms}")]) is driver
    asks_buildx = ["context inspect", "buildx inspect desktop"] if not status and "arm64" not in platforms else []
    assert docker.commands == ["system info --format {{json .}}", *asks_buildx]
    assert nodes.ready(AUTOMATIC).node.driver is driver
    assert not (tmp_path / "state").exists(), "it is every plan's: none of them removes it"
    created = [command for command in docker.commands if command.startswith("buildx create")]
    assert [command.partition(" --driver-opt ")[0] for command in created] == (
        ["buildx create --name default-local --node default-local --driver docker-container"]
        if driver is Driver.DOCKER_CONTAINER
        else []
    )


def test_an_engine_without_buildkit_is_no_node_of_the_driver_docker(tmp_path: Path) -> None:
    output = "Name:   default\nDriver: docker-container\n\nNodes:\nName:     default\nStatus:   inactive\n"
    nodes, _ = nodes_with(tmp_path, {"buildx inspect": done(output)})
    with pytest.raises(UsageError) as caught:
        nodes.ready(ENGINE)
    assert str(caught.value) == (
        "node default/local: the engine does not contain BuildKit (podman does not)\n"
        '  = set driver = "docker-container" in its builder: BuildKit then runs in a container'
    )


def test_only_the_default_node_fails_where_the_engine_does_not_answer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    nodes, docker = nodes_with(tmp_path, {"system info": failed("Cannot connect"), "buildx": done(INSPECTED)})
    nodes.settle_default([target_of_text("[targets.web]")])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))
        server.listen()
        assert nodes.ready(replace(REMOTE, tls=TlsFiles(), endpoint=f"unix://{path}")).note == "running"
    commands = list(docker.commands)
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"^the Docker engine does not answer: Cannot connect\n"):
            nodes.ready(AUTOMATIC)
    assert docker.commands == commands, "it is not asked again"


def test_an_engine_that_did_not_answer_is_asked_again_for_a_default_node_that_is_tried_again(tmp_path: Path) -> None:
    answers = {
        "system info": failed("Cannot connect"),
        "container inspect": failed("No such container"),
        "buildx": done(INSPECTED),
    }
    nodes, docker = nodes_with(tmp_path, answers)
    nodes.settle_default([target_of_text("[targets.web]\nplatforms = ['linux/amd64', 'linux/arm64']")])
    nodes.forget(AUTOMATIC)
    docker.answers["system info"] = failed("still not")
    for _ in range(2):
        with pytest.raises(Unreachable, match=r"^the Docker engine does not answer: still not\n"):
            nodes.ready(AUTOMATIC)
    assert docker.commands == ["system info --format {{json .}}"] * 2, "once for each time that it is tried"
    docker.answers["system info"] = done(CLASSIC)
    nodes.forget(AUTOMATIC)
    assert nodes.ready(AUTOMATIC).node.driver is Driver.DOCKER_CONTAINER, "as the engine and the targets make it"


def test_a_context_that_cannot_be_asked_for(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {"context inspect": failed("context is broken")})
    with pytest.raises(Unreachable, match=r"^the Docker engine does not answer: context is broken\n"):
        nodes.ready(ENGINE)


@pytest.mark.parametrize("node", [ENGINE, replace(ENGINE, endpoint="ssh://far")])
def test_the_store_of_the_engines_own_builder_is_made_anew(tmp_path: Path, node: Node) -> None:
    planted = tmp_path / "default-local/instances/default"
    planted.parent.mkdir(parents=True)
    planted.write_text(json.dumps({"Name": "default", "Driver": "remote", "Nodes": [{"Endpoint": "tcp://evil:1"}]}))

    def inspected(environment: Mapping[str, str]) -> Completed:
        assert environment["BUILDX_CONFIG"] == str(tmp_path / "default-local")
        assert not list((tmp_path / "default-local").iterdir())
        return done(INSPECTED)

    nodes, _ = nodes_with(tmp_path, {"buildx inspect": inspected})
    assert nodes.ready(node).store == tmp_path / "default-local"
    assert not planted.exists()


def test_a_link_in_place_of_the_store_of_the_engines_own_builder_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (tmp_path / "default-local").symlink_to(elsewhere)
    nodes, _ = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)})
    store = nodes.ready(ENGINE).store
    assert store.is_dir()
    assert not store.is_symlink()
    assert (elsewhere / "kept").exists()


def test_a_node_that_failed_is_not_tried_again(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": failed("ERROR: no")})
    errors = []
    for _ in range(3):
        with pytest.raises(Unreachable, match="cannot be used: no") as caught:
            nodes.ready(ENGINE)
        errors.append(caught.value)
    assert docker.commands == ["context inspect", "buildx inspect desktop"]
    assert errors[0] is errors[1] is errors[2]
    nodes.tidy()  # there is nothing to remove in this folder


def test_a_node_whose_making_was_cancelled_did_not_fail(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": Cancelled("cancelled")})
    with pytest.raises(Cancelled):
        nodes.ready(ENGINE)
    docker.answers["buildx inspect"] = done(INSPECTED)
    assert nodes.ready(ENGINE).builder == "desktop"


def test_a_node_is_made_ready_once(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)})
    results: list[ReadyNode] = []
    threads = [threading.Thread(target=lambda: results.append(nodes.ready(ENGINE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert docker.commands == ["context inspect", "buildx inspect desktop"]
    assert len(results) == 8
    assert all(node is results[0] for node in results)


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        (failed("ERROR: no builder\nERROR: context \x1b[31mdeadline exceeded\n"), "context deadline exceeded"),
        (failed("", timed_out=True), "no answer in time"),
        (done("Name: x\nError: Cannot connect: refused\n"), "Cannot connect: refused"),
        (done("Name: x\nStatus: inactive\n"), "buildx reports the status inactive"),
    ],
)
def test_a_node_that_cannot_be_used(tmp_path: Path, answer: Completed, output: str) -> None:
    nodes, _ = nodes_with(tmp_path, {"buildx inspect": answer})
    with pytest.raises(Unreachable) as caught:
        nodes.ready(ENGINE)
    assert caught.value.message == f"node default/local (docker, the engine in use) cannot be used: {output}"


def test_what_buildx_writes_down_of_each_build_is_removed(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)})
    store = nodes.ready(ENGINE).store
    (store / "refs/default").mkdir(parents=True)
    (store / "instances").mkdir()
    nodes.tidy()
    nodes.tidy()
    assert [path.name for path in store.iterdir()] == ["instances"]


# --- containers -------------------------------------------------------------------------------------------------------


def made_for(status: str = "running", *, image: str = "moby/buildkit:v1") -> Completed:
    """Return an existing container that mpbake made for a node with this image."""
    node = replace(CONTAINER, options=(("image", image), ("network", "host")))
    return container(f"{MARK}={declare(node).mark}", status=status, image=image)


def test_a_container_that_is_missing_is_made(tmp_path: Path) -> None:
    nodes, docker = nodes_with(
        tmp_path,
        {
            "container inspect": failed("Error: No such container: x"),
            "buildx create": done(),
            "buildx inspect": done(INSPECTED),
        },
    )
    assert nodes.ready(CONTAINER).note == "created"
    inspect, looked, image, *volume, context, create, bootstrap = docker.commands
    assert image == "image inspect -- moby/buildkit:v1"
    assert [looked, *volume] == [
        "volume inspect --format {{json .Labels}} buildx_buildkit_ci-local_state",
        "volume inspect --format {{json .Labels}} buildx_buildkit_ci-local_state",
        "volume create --label mpbake-node=ci/Local buildx_buildkit_ci-local_state",
    ]
    assert context == "context inspect"
    assert inspect == "container inspect --format {{json .}} buildx_buildkit_ci-local"
    assert create == (
        "buildx create --name ci-local --node ci-local --driver docker-container --driver-opt image=moby/buildkit:v1 "
        f"--driver-opt network=host --driver-opt env.MPBAKE_NODE={declare(CONTAINER).mark} desktop"
    )
    assert bootstrap == "buildx inspect ci-local --bootstrap"
    assert [settings["environment"] for settings in docker.settings[6:]] == [
        {"BUILDX_CONFIG": str(tmp_path / "ci-local")}
    ] * 2
    (record,) = Records(folder=tmp_path / "state" / "mpbake" / "builders").of_plan(PLAN)
    assert [made.node("ci").id for made in record.nodes] == ["ci/Local"]


def starting(bootstrap: Completed, *asked: Completed, state: str = "") -> dict[str, Any]:
    """Return docker's answers: `bootstrap` to the bootstrap of a node, and `asked` to the questions after it."""
    again = iter(asked)
    return {
        "container inspect --format {{.State": done(state),
        "container inspect": failed("Error: No such container: x"),
        "container logs": failed("none"),
        "buildx create": done(),
        "buildx inspect ci-local --bootstrap": bootstrap,
        "buildx inspect": lambda _: next(again),
    }


LATE = done("Name: ci-local\n\nNodes:\nName: ci-local\nStatus: inactive\n", "#1 creating container c\n#1 DONE 31.2s\n")


def test_a_start_that_takes_longer_than_buildx_asks_for_is_asked_about_again(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, starting(LATE, done(INSPECTED)))
    output: list[str] = []
    assert nodes.ready(CONTAINER, output.append).facts.version == "v0.13.1"
    assert docker.commands[-2:] == ["buildx inspect ci-local --bootstrap", "buildx inspect ci-local"]
    assert output == ["creating container c"]


def test_fixed_platforms_of_a_node_that_does_not_run_are_no_answer(tmp_path: Path) -> None:
    """Buildx lists the fixed platforms of a node of an external builder in any state."""
    fixed = done("Name: ci-local\n\nNodes:\nName: ci-local\nStatus: inactive\nPlatforms: linux/arm64*\n")
    nodes, docker = nodes_with(tmp_path, starting(fixed, done(INSPECTED)))
    assert nodes.ready(CONTAINER).facts.version == "v0.13.1"
    assert docker.commands[-2:] == ["buildx inspect ci-local --bootstrap", "buildx inspect ci-local"]


def test_a_start_without_hope_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Containers, "blockage", lambda _, __: Blockage(reason="its image does not start"))
    nodes, docker = nodes_with(tmp_path, starting(LATE, state="running 0"))

    def ended(_: Mapping[str, str]) -> Completed:
        assert not docker.watches[-1].alive()
        return Completed(returncode=1, stdout="", stderr="", stalled=True)

    docker.answers = {**docker.answers, "buildx inspect ci-local --bootstrap": ended}
    with pytest.raises(Unreachable, match=r"cannot be used: its image does not start$"):
        nodes.ready(CONTAINER)
    assert docker.commands.count("buildx inspect ci-local --bootstrap") == 1


def test_a_start_that_ends_in_nothing_says_so(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, starting(LATE, replace(LATE, stderr="")))
    with pytest.raises(Unreachable, match=r"cannot be used: buildx reports the status inactive$"):
        nodes.ready(CONTAINER)


def test_a_start_that_takes_longer_than_its_boot_timeout_says_how_far_it_was(tmp_path: Path) -> None:
    late = failed("#1 pulling image x\n", timed_out=True)
    nodes, _ = nodes_with(tmp_path, starting(late))
    with pytest.raises(Unreachable, match=r"cannot be used: no answer within 5m00s \(pulling image x\)\n"):
        nodes.ready(CONTAINER)


def test_a_buildkit_that_is_still_starting_is_waited_for(tmp_path: Path) -> None:
    answers = starting(failed("ERROR: exit code 1"), state="running 0")
    boots = iter([failed("ERROR: exit code 1"), failed("ERROR: exit code 1"), done(INSPECTED)])
    nodes, docker = nodes_with(tmp_path, {**answers, "buildx inspect ci-local --bootstrap": lambda _: next(boots)})
    output: list[str] = []
    assert nodes.ready(CONTAINER, output.append).note == "created"
    assert output == ["waiting for BuildKit to answer"] * 2
    assert docker.commands.count("buildx inspect ci-local --bootstrap") == 3


@pytest.mark.parametrize(
    ("error", "state", "boot_timeout"),
    [
        ("exit code 1", "running 1", 60.0),
        ("exec failed: executable file not found", "running 0", 60.0),
        ("exit code 1", "running 0", 0.0),
    ],
)
def test_a_buildkit_that_has_failed_is_not_waited_for(
    tmp_path: Path, error: str, state: str, boot_timeout: float
) -> None:
    nodes, docker = nodes_with(tmp_path, starting(failed(f"ERROR: {error}"), state=state))
    with pytest.raises(Unreachable, match=error):
        nodes.ready(replace(CONTAINER, boot_timeout=boot_timeout))
    assert docker.commands.count("buildx inspect ci-local --bootstrap") == 1


def test_an_image_that_cannot_be_pulled_leaves_nothing_behind(tmp_path: Path) -> None:
    answers = {"image inspect": failed("No such image"), "pull": failed("x: manifest unknown"), **starting(LATE)}
    nodes, docker = nodes_with(tmp_path, answers)
    with pytest.raises(Unreachable, match="the image does not exist"):
        nodes.ready(CONTAINER)
    assert docker.commands[-1] == "pull -- moby/buildkit:v1"
    assert not (tmp_path / "state").exists(), "nothing was made"


@pytest.mark.parametrize(("labels", "foreign"), [("null", True), ('{"a": "b"}', True), ('{"mpbake-node": "x"}', False)])
def test_a_run_uses_no_volume_that_somebody_else_made(tmp_path: Path, labels: str, *, foreign: bool) -> None:
    missing = failed("Error: No such container: x")
    answers = {"container inspect": missing, "volume inspect": done(labels), "buildx": done(INSPECTED)}
    nodes, docker = nodes_with(tmp_path, answers)
    if foreign:
        with pytest.raises(UsageError) as caught:
            nodes.ready(CONTAINER)
        assert str(caught.value) == text("""
            ci/Local: mpbake did not make the volume buildx_buildkit_ci-local_state, and leaves it unchanged
              = rename the builder or the node, or remove the volume: docker volume rm buildx_buildkit_ci-local_state
            """)
    else:
        assert nodes.ready(CONTAINER).note == "created"
    assert not [command for command in docker.commands if command.startswith(("volume create", "volume remove"))]
    assert any(command.startswith("buildx") for command in docker.commands) is not foreign


def test_a_node_is_made_even_where_that_cannot_be_noted(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder is to be")
    missing = failed("Error: No such container: x")
    nodes, _ = nodes_with(tmp_path, {"container inspect": missing, "buildx": done(INSPECTED)})
    (warning,) = nodes.ready(CONTAINER).warnings
    assert warning.startswith("mpbake cannot record the nodes of ci, so prune will not find them (")
    assert str(tmp_path / "state") in warning


def test_a_node_that_says_no_once_still_answers(tmp_path: Path) -> None:
    output = iter([done(INSPECTED), failed("unexpected EOF"), failed("unexpected EOF"), done(INSPECTED)])
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": lambda _: next(output)})
    nodes.ready(ENGINE)
    assert nodes.answers_at_last(ENGINE, 7.0)
    assert len(docker.commands) == 5  # one of the commands asks for the context in use


@pytest.mark.parametrize(("status", "note"), [("running", "running"), ("exited", "started"), ("created", "started")])
def test_a_container_of_ours_is_used(tmp_path: Path, status: str, note: str) -> None:
    nodes, _ = nodes_with(tmp_path, {"container inspect": made_for(status), "buildx": done(INSPECTED)})
    ready = nodes.ready(CONTAINER)
    assert (ready.note, ready.warnings) == (note, ())
    assert not (tmp_path / "state").exists()


def test_a_container_made_with_other_options_is_used_with_a_warning(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {"container inspect": made_for(image="old"), "buildx": done(INSPECTED)})
    (warning,) = nodes.ready(CONTAINER).warnings
    assert warning == (
        "ci/Local runs with options that differ from the plan (image); run `mpbake builders up ci` to recreate it "
        "with its cache"
    )


@pytest.mark.parametrize(("environment", "is_told"), [({"GITHUB_ACTIONS": "true"}, True), ({}, False)])
def test_a_container_may_name_an_earlier_workflow_run(
    tmp_path: Path, environment: dict[str, str], *, is_told: bool
) -> None:
    node = replace(CONTAINER, options=(*CONTAINER.options, ("provenance-add-gha", "true")))
    made = container(f"{MARK}={declare(node).mark}")
    nodes, _ = nodes_with(tmp_path, {"container inspect": made, "buildx": done(INSPECTED)}, environment)
    message = (
        "ci/Local: provenance names the workflow run that made its container, which may be an earlier one; "
        "run `mpbake builders rm --keep-state ci` first, so that the run recreates it with its cache"
    )
    assert nodes.ready(node).warnings == ((message,) if is_told else ())


def test_somebody_elses_container_is_left_alone(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"container inspect": container("OTHER=1")})
    with pytest.raises(UsageError) as caught:
        nodes.ready(CONTAINER)
    assert str(caught.value) == text("""
        ci/Local: mpbake did not make the container buildx_buildkit_ci-local, and leaves it unchanged
          = rename the builder or the node, use its builder (external = true), \
take it over (mpbake builders up --adopt ci), or remove it: docker rm -f buildx_buildkit_ci-local
        """)
    assert [command.partition(" --")[0].split()[:2] for command in docker.commands] == [
        ["container", "inspect"],
        ["container", "cp"],  # reads the mark of an adopted container
    ]


def test_an_engine_that_cannot_tell_whether_there_is_a_container(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {"container inspect": failed("error during connect: exit status 255")})
    with pytest.raises(Unreachable) as caught:
        nodes.ready(replace(CONTAINER, endpoint="ssh://far"))
    assert str(caught.value) == text("""
        node ci/Local (docker-container, ssh://far) cannot be used: error during connect: exit status 255
          = try: docker -H ssh://far version
        """)


def test_a_docker_context_is_made_by_one_process_at_a_time(tmp_path: Path, certificates: Certificates) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    nodes, docker = nodes_with(tmp_path, {"context": done(), "container inspect": made_for()}, environment)
    with serving(certificates.engine()) as port, hold_lock(environment, f"node-{CONTAINER.buildx_name}"):
        docker._cancelled = 1
        with pytest.raises(Cancelled):
            nodes.ready(replace(CONTAINER, endpoint=f"tcp://127.0.0.1:{port}", tls=certificates.tls()))
    assert docker.commands == []


def test_an_engine_that_can_be_trusted_is_connected_to_once(tmp_path: Path, certificates: Certificates) -> None:
    nodes, docker = nodes_with(
        tmp_path,
        {
            "context inspect": failed("no"),
            "context create": done(),
            "container inspect": made_for(),
            "buildx": done(INSPECTED),
        },
    )
    with serving(certificates.engine()) as port:
        nodes.ready(replace(CONTAINER, endpoint=f"tcp://127.0.0.1:{port}", tls=certificates.tls()))
    assert [command for command in docker.commands if command.startswith("context create mpbake-ci-local ")]


@pytest.mark.parametrize("node", [CONTAINER, ENGINE])
def test_nothing_is_made_for_an_engine_that_does_not_answer(tmp_path: Path, node: Node) -> None:
    nodes, docker = nodes_with(tmp_path, {})
    with pytest.raises(Unreachable, match=rf"^node {node.id} does not answer at tcp://127\.0\.0\.1:9: "):
        nodes.ready(replace(node, endpoint="tcp://127.0.0.1:9"))
    assert docker.commands == []


def test_nothing_is_made_for_an_engine_that_cannot_be_trusted(tmp_path: Path, certificates: Certificates) -> None:
    nodes, docker = nodes_with(tmp_path, {})
    with serving(certificates.engine()) as port, pytest.raises(UsageError, match=r"^node ci/Local requires a client"):
        nodes.ready(replace(CONTAINER, endpoint=f"tcp://127.0.0.1:{port}", tls=certificates.tls(without="cert key")))
    assert docker.commands == []


def test_a_container_that_cannot_be_made(tmp_path: Path) -> None:
    nodes, _ = nodes_with(
        tmp_path, {"container inspect": failed("no such container"), "buildx create": failed("ERROR: manifest unknown")}
    )
    with pytest.raises(Unreachable) as caught:
        nodes.ready(CONTAINER)
    assert str(caught.value) == (
        "node ci/Local (docker-container, the engine in use) cannot be used: "
        f"the image does not exist (manifest unknown)\n  = {NO_IMAGE}"
    )


# --- instances --------------------------------------------------------------------------------------------------------


def instance(node: Node = CONTAINER, **changes: Any) -> dict[str, Any]:
    """Return buildx's entry of a correct instance of a node, with changes in its node."""
    name = node.buildx_name
    entry = {
        "Name": name,
        "Endpoint": "desktop",
        "Platforms": None,
        "DriverOpts": dict(declare(node).options),
        "Flags": ["--allow-insecure-entitlement=network.host"],
        "Files": None,
    }
    return {"Name": name, "Driver": str(node.driver), "Nodes": [entry | changes]}


def created_again(
    folder: Path, written: str | None, environment: dict[str, str] | None = None, node: Node = CONTAINER
) -> bool:
    """Return whether mpbake writes the instance of `node` again if its file contains `written`."""
    if written is not None:
        (folder / "ci-local/instances").mkdir(parents=True)
        (folder / "ci-local/instances/ci-local").write_text(written)
    nodes, docker = nodes_with(folder, {"container inspect": made_for(), "buildx": done(INSPECTED)}, environment)
    nodes.ready(node)
    return any(command.startswith("buildx create") for command in docker.commands)


def test_a_right_instance_is_kept(tmp_path: Path) -> None:
    assert not created_again(tmp_path, json.dumps(instance()))
    assert (tmp_path / "ci-local/instances/ci-local").exists()


def test_what_a_run_that_was_killed_left_of_its_builds_goes(tmp_path: Path) -> None:
    (tmp_path / "ci-local/refs/ci-local/ci-local").mkdir(parents=True)
    (tmp_path / "ci-local/refs/ci-local/ci-local/x").write_text("https://me:hunter2@host")
    assert not created_again(tmp_path, json.dumps(instance()))
    assert [path.name for path in (tmp_path / "ci-local").iterdir()] == ["instances"]


PLANTED = (
    ".lock",
    "current",
    "defaults/x",
    "activity/ci-local",
    "instances/other",
    ".buildNodeID",
    "buildkitd.default.toml",
)


def test_buildx_finds_nothing_but_the_instance_that_is_kept(tmp_path: Path) -> None:
    for name in PLANTED:
        (tmp_path / "ci-local" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "ci-local" / name).write_text("x")
    (tmp_path / "ci-local/instances/ci-local").write_text(json.dumps(instance()))
    assert not created_again(tmp_path, None)
    files = [path for path in (tmp_path / "ci-local").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files) == [".buildNodeID", "ci-local"], "nothing is sent again to the node"


@pytest.mark.parametrize("name", ["refs", "activity", "defaults", ".buildNodeID"])
def test_no_link_in_the_folder_is_left_for_buildx_to_follow(tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    folder = tmp_path / "nodes/ci-local"
    folder.mkdir(parents=True)
    (folder / name).symlink_to(elsewhere)
    assert not created_again(tmp_path / "nodes", json.dumps(instance()))
    assert not os.path.lexists(folder / name)
    assert (elsewhere / "kept").exists()


def test_instances_that_are_elsewhere_are_not_read(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ci-local").write_text(json.dumps(instance()))
    folder = tmp_path / "nodes/ci-local"
    folder.mkdir(parents=True)
    (folder / "instances").symlink_to(elsewhere)
    assert created_again(tmp_path / "nodes", None)
    assert not os.path.lexists(folder / "instances")
    assert [path.name for path in elsewhere.iterdir()] == ["ci-local"]


def test_an_instance_that_is_a_link_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps(instance()))
    (tmp_path / "nodes/ci-local/instances").mkdir(parents=True)
    (tmp_path / "nodes/ci-local/instances/ci-local").symlink_to(tmp_path / "elsewhere")
    assert created_again(tmp_path / "nodes", None)


def test_what_is_in_a_folder_is_left_to_builds_that_use_it(tmp_path: Path) -> None:
    """A lost node is made ready again while other builds use it."""
    answers = {"container inspect": made_for(), "buildx": done(INSPECTED)}
    nodes, _ = nodes_with(tmp_path, answers)
    store = nodes.ready(CONTAINER).store
    (store / "instances").mkdir()
    (store / "instances/ci-local").write_text(json.dumps(instance()))
    (store / "refs").mkdir()
    nodes.forget(CONTAINER)
    nodes.ready(CONTAINER)
    assert (store / "refs").is_dir()
    assert (store / "instances/ci-local").is_file()


RIGHT = json.dumps(instance())
EVIL = json.dumps("tcp://evil:1")


@pytest.mark.parametrize(
    "written",
    [
        RIGHT.replace('"Platforms"', f'"endpoint": {EVIL}, "Platforms"'),
        RIGHT.replace('"Nodes"', '"nodes": [], "Nodes"'),
        RIGHT.replace('"Nodes"', '"New": true, "Nodes"'),
        RIGHT.replace('"Platforms"', '"New": true, "Platforms"'),
        RIGHT.replace('"Endpoint"', f'"Endpoint": {EVIL}, "Endpoint"'),
        RIGHT.replace('"DriverOpts"', '"DriverOpts": {"image": "evil"}, "DriverOpts"'),
        json.dumps(instance() | {"Dynamic": True}),
        json.dumps(instance() | {"Dynamic": 0}),
        "[" * 100_000,
    ],
    ids=[
        "node in another case",
        "builder in another case",
        "unknown",
        "unknown of node",
        "twice",
        "merged",
        "dynamic",
        "zero",
        "deep",
    ],
)
def test_what_buildx_may_read_otherwise_is_made_anew(tmp_path: Path, written: str) -> None:
    assert written != RIGHT
    assert created_again(tmp_path, written)


def test_a_remote_node_is_always_told_anew(tmp_path: Path) -> None:
    node = replace(REMOTE, tls=TlsFiles())
    path = tmp_path / "release-arm/instances/release-arm"
    path.parent.mkdir(parents=True)
    right = json.dumps(instance(node, Endpoint=node.endpoint, DriverOpts=None, Flags=None))
    path.write_text(right.replace('"Platforms"', f'"endpoint": {EVIL}, "Platforms"'))
    _, docker = nodes_with(tmp_path, {})
    Instances(docker, tmp_path, {}).write(node)
    assert json.loads(path.read_text()) == json.loads(right) | {"Dynamic": False}
    assert docker.commands == []


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps(instance() | {"Nodes": []}),
        json.dumps(instance() | {"Nodes": instance()["Nodes"] * 2}),
        json.dumps(instance() | {"Name": "other"}),
        json.dumps(instance() | {"Driver": "remote"}),
        json.dumps(instance(Name="other")),
        json.dumps(instance(Endpoint="tcp://evil:1")),
        json.dumps(instance(Platforms=[{"os": "linux", "architecture": "arm64"}])),
        json.dumps(instance(DriverOpts={})),
        json.dumps(instance(DriverOpts=dict(declare(CONTAINER).options) | {"default-load": "true"})),
        json.dumps(instance(Flags=["--allow-insecure-entitlement=security.insecure"])),
        json.dumps(instance(Files={"buildkitd.toml": "eA=="})),
        json.dumps(instance(Files=["buildkitd.toml"])),
    ],
)
def test_any_other_instance_is_made_anew(tmp_path: Path, written: str | None) -> None:
    assert created_again(tmp_path, written)
    assert not (tmp_path / "ci-local/instances").exists()


DEBUGGED = replace(CONTAINER, config="debug = true\n[worker.oci]\nmax-parallelism = 2\n")


def kept_files(*texts: str) -> dict[str, str]:
    names = ("buildkitd.toml", "certs/registry/ca.crt")
    return {name: base64.b64encode(text.encode()).decode() for name, text in zip(names, texts, strict=False)}


def test_a_configuration_in_the_words_of_buildx_is_kept(tmp_path: Path) -> None:
    files = kept_files("debug = true\n\n[worker]\n\n  [worker.oci]\n    max-parallelism = 2\n")
    assert not created_again(tmp_path, json.dumps(instance(DEBUGGED, Files=files)), node=DEBUGGED)


@pytest.mark.parametrize(
    "files",
    [
        None,
        kept_files("debug = true"),
        kept_files("debug = true\n[worker.oci]\nmax-parallelism = 3"),
        kept_files("no TOML"),
        kept_files("a=" + "[" * 10_000),
        kept_files(DEBUGGED.config, "a certificate"),
        {"buildkitd.toml": "!"},
        {"buildkitd.toml": None},
        {"other.toml": ""},
    ],
)
def test_another_configuration_is_written_anew(tmp_path: Path, files: Any) -> None:
    assert created_again(tmp_path, json.dumps(instance(DEBUGGED, Files=files)), node=DEBUGGED)


def test_a_folder_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "instances").mkdir(parents=True)
    (elsewhere / "instances/ci-local").write_text(json.dumps(instance()))
    folder = tmp_path / "nodes"
    folder.mkdir()
    (folder / "ci-local").symlink_to(elsewhere)
    assert created_again(folder, None)
    assert (elsewhere / "instances/ci-local").exists()
    assert not (folder / "ci-local").is_symlink()


@pytest.mark.parametrize(
    ("variable", "file"),
    [("HOME", ".docker/buildx"), ("DOCKER_CONFIG", "buildx"), ("BUILDX_CONFIG", "")],
)
def test_the_users_own_defaults_for_containers_hold(tmp_path: Path, variable: str, file: str) -> None:
    config = tmp_path / "user" / file / "buildkitd.default.toml"
    config.parent.mkdir(parents=True)
    config.write_text("debug = true\n")
    environment = {"HOME": "/nowhere", variable: str(tmp_path / "user")}
    folder = tmp_path / "nodes"
    folder.mkdir()
    assert created_again(folder, json.dumps(instance()), environment)
    assert (folder / "ci-local/buildkitd.default.toml").read_text() == "debug = true\n"
    files = {"buildkitd.toml": base64.b64encode(config.read_bytes()).decode()}
    (folder / "ci-local/instances").mkdir()
    (folder / "ci-local/instances/ci-local").write_text(json.dumps(instance(Files=files)))
    assert not created_again(folder, None, environment)


@pytest.mark.parametrize(
    ("in_use", "endpoint"),
    [(context_in_use("desktop"), "desktop"), (context_in_use("default", "ssh://far"), "ssh://far")],
)
def test_an_instance_is_bound_to_the_engine_in_use_now(tmp_path: Path, in_use: Completed, endpoint: str) -> None:
    answers = {"context inspect": in_use, "container inspect": made_for(), "buildx": done(INSPECTED)}
    nodes, docker = nodes_with(tmp_path, answers)
    nodes.ready(CONTAINER)
    (create,) = (command for command in docker.commands if command.startswith("buildx create"))
    assert create.endswith(f" {endpoint}")


# --- foreign builders -------------------------------------------------------------------------------------------------


def theirs(folder: Path, builder: str, *endpoints: str) -> None:
    """Return an external builder whose nodes are named x and a number."""
    nodes = [
        {
            "Name": f"x{number}",
            "Endpoint": endpoint,
            "Platforms": None,
            "DriverOpts": None,
            "Flags": None,
            "Files": None,
        }
        for number, endpoint in enumerate(endpoints)
    ]
    path = folder / ".docker/buildx/instances" / builder
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"Name": builder, "Driver": "remote", "Nodes": nodes, "Dynamic": False}))


def test_nodes_of_several_builders_that_have_one_name_have_an_instance_each(tmp_path: Path) -> None:
    theirs(tmp_path, "team-a", "tcp://a0:1", "tcp://a1:1")
    theirs(tmp_path, "team-b", "tcp://b0:1")
    (tmp_path / "nodes").mkdir()
    nodes, _ = nodes_with(tmp_path / "nodes", {"buildx": done(INSPECTED)}, {"HOME": str(tmp_path)})
    named = [("team-a", "x0"), ("team-a", "x1"), ("team-b", "x0")]
    results = [
        nodes.ready(Node(builder=builder, name=name, driver=Driver.REMOTE, external=True)) for builder, name in named
    ]
    kept = [json.loads((node.store / "instances" / node.builder).read_text())["Nodes"] for node in results]
    assert [(entry["Name"], entry["Endpoint"]) for (entry,) in kept] == [
        ("x0", "tcp://a0:1"),
        ("x1", "tcp://a1:1"),
        ("x0", "tcp://b0:1"),
    ]
    assert len({node.store for node in results}) == len(results)


def test_a_run_keeps_to_one_pod_of_an_external_builder(tmp_path: Path) -> None:
    theirs(tmp_path, "team", "")
    path = tmp_path / ".docker/buildx/instances/team"
    entry = json.loads(path.read_text())
    entry["Driver"] = "kubernetes"
    entry["Nodes"][0]["DriverOpts"] = {"loadbalance": "random", "namespace": "ci"}
    path.write_text(json.dumps(entry))
    (tmp_path / "nodes").mkdir()
    nodes, _ = nodes_with(tmp_path / "nodes", {"buildx": done(INSPECTED)}, {"HOME": str(tmp_path)})
    ready = nodes.ready(Node(builder="team", name="x0", driver=Driver.KUBERNETES, external=True))
    (copied,) = json.loads((ready.store / "instances" / ready.builder).read_text())["Nodes"]
    assert copied["DriverOpts"] == {"namespace": "ci"}


STOPPED = "Name: team\nDriver: docker-container\n\nNodes:\nName: x0\nEndpoint: unix:///x\nStatus: stopped\n"
CLOUD = Node(builder="Team", name="team", driver=Driver.EXTERNAL, external=True)
ONE_OF_TWO = f"{INSPECTED}\n{STOPPED.partition('Nodes:')[2]}"


@pytest.mark.parametrize(
    ("node", "answer", "note"),
    [
        (replace(REMOTE, builder="team", name="x0", external=True), INSPECTED, "running"),
        (replace(REMOTE, builder="team", name="x0", external=True), STOPPED, "stopped"),
        (CLOUD, INSPECTED, "running"),
        (CLOUD, STOPPED, "stopped"),
        (CLOUD, f"{STOPPED}Platforms: linux/amd64*\n", "stopped"),
        (CLOUD, ONE_OF_TWO, "running"),
    ],
)
def test_what_is_only_looked_at_is_not_started(tmp_path: Path, node: Node, answer: str, note: str) -> None:
    theirs(tmp_path, "team", "tcp://a0:1")
    docker = FakeDocker({"buildx inspect": done(answer)})
    seen = Instances(docker, tmp_path, {"HOME": str(tmp_path)}).ask_external(node)
    assert (seen.note, bool(seen.facts.platforms)) == (note, note == "running")
    assert docker.commands == [f"buildx inspect {seen.builder}"]


@pytest.mark.parametrize(
    "answer",
    [
        failed("ERROR: no"),
        failed("ERROR: no", stdout=STOPPED),
        done(f"{STOPPED}Error: no\n"),
        done("Name: x\nError: no"),
    ],
)
def test_what_cannot_be_looked_at(tmp_path: Path, answer: Completed) -> None:
    with pytest.raises(Unreachable, match=r"cannot be used: no$"):
        Instances(FakeDocker({"buildx inspect": answer}), tmp_path, {}).ask_external(CLOUD)


# --- remote nodes -----------------------------------------------------------------------------------------------------


def test_a_remote_node_that_listens(tmp_path: Path, certificates: Certificates) -> None:
    with serving(certificates.server()) as port:
        node = replace(REMOTE, endpoint=f"tcp://127.0.0.1:{port}", tls=certificates.tls(servername="localhost"))
        nodes, docker = nodes_with(tmp_path, {"buildx": done(INSPECTED)})
        assert nodes.ready(node).note == "running"
    assert docker.commands == ["buildx inspect release-arm --bootstrap"]
    written = json.loads((tmp_path / "release-arm/instances/release-arm").read_text())
    assert (written["Name"], written["Driver"], len(written["Nodes"])) == ("release-arm", "remote", 1)
    assert written["Nodes"][0]["Endpoint"] == f"tcp://127.0.0.1:{port}"
    assert written["Nodes"][0]["DriverOpts"] == {
        "cacert": f"{certificates.folder}/ca.crt",
        "cert": f"{certificates.folder}/client.crt",
        "key": f"{certificates.folder}/client.key",
        "servername": "localhost",
    }


def test_a_remote_node_that_cannot_be_trusted_is_not_told_to_buildx(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {})
    with pytest.raises(UsageError) as caught:
        nodes.ready(REMOTE)
    assert str(caught.value) == (
        "release/arm: tls.ca: there is no file /c/ca.crt\n"
        "  = make it with `mpbake certs init`, or correct the path: it is relative to the folder of the file that "
        "contains it\n"
        "release/arm: tls.cert: there is no file /c/client.crt\n"
        "release/arm: tls.key: there is no file /c/client.key\n"
        "  = make it with `mpbake certs issue`, or correct the path: it is relative to the folder of the file that "
        "contains it"
    )
    assert docker.commands == []


# --- lost nodes -------------------------------------------------------------------------------------------------------


def test_a_node_that_was_lost_is_made_ready_anew_and_its_instance_is_still_known(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)})
    first = nodes.ready(ENGINE)
    assert nodes.answers(ENGINE, 7.0)
    assert docker.settings[-1]["timeout"] == 7.0
    docker.answers["buildx inspect"] = failed("no answer")
    assert not nodes.answers(ENGINE, 7.0)
    assert not nodes.answers_at_last(ENGINE, 0.05)
    assert nodes.ready(ENGINE) is first, "nobody has said that it is lost"
    nodes.forget(ENGINE)
    assert nodes.instance(ENGINE) is first
    with pytest.raises(Unreachable):
        nodes.ready(ENGINE)
    docker.answers["buildx inspect"] = done(INSPECTED)
    with pytest.raises(Unreachable):
        nodes.ready(ENGINE)
    nodes.forget(ENGINE)
    assert nodes.ready(ENGINE).facts == first.facts


def test_a_node_that_is_forgotten_while_it_is_made_ready(tmp_path: Path) -> None:
    """A thread can forget a node while another thread makes it ready. Neither waits for the other."""
    nodes, docker = nodes_with(tmp_path, {})
    asked, forgotten = threading.Event(), threading.Event()

    def inspected(_: Mapping[str, str]) -> Completed:
        asked.set()
        assert forgotten.wait(10)
        return done(INSPECTED)

    docker.answers["buildx inspect"] = inspected
    with ThreadPoolExecutor() as workers:
        ready = workers.submit(nodes.ready, ENGINE)
        assert asked.wait(10)
        nodes.forget(ENGINE)
        forgotten.set()
    assert ready.result().note == "running"


class Forgotten(UserDict[str, Any]):
    """The results of nodes. Another thread forgets each result as soon as it is stored."""

    def __setitem__(self, node: str, results: Any) -> None:
        """Store a result, and forget its node immediately."""
        super().__setitem__(node, results)
        self.pop(node)


def test_a_node_that_is_forgotten_as_soon_as_it_is_made_ready(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)})
    nodes._ready = Forgotten()  # type: ignore[assignment]
    assert nodes.ready(ENGINE).note == "running"
    docker.answers["buildx inspect"] = failed("ERROR: no")
    with pytest.raises(Unreachable, match="cannot be used: no"):
        nodes.ready(ENGINE)


SHOWN = "File#buildkitd.toml:\n > [worker.oci]\n >   max-parallelism = 3\n"
DEFAULTS = "[worker.oci]\nmax-parallelism=2\n"
CONFIGURED = replace(CONTAINER, config="[worker.oci]\nmax-parallelism = 5\n")


@pytest.mark.parametrize(
    ("node", "shown", "defaults", "slots"),
    [
        (CONTAINER, "", "", 0),
        (CONTAINER, SHOWN, DEFAULTS, 3),
        (CONTAINER, "", DEFAULTS, 2),
        (CONTAINER, "", "# max-parallelism = 2\n", 0),
        (CONFIGURED, "", DEFAULTS, 5),
        (CONFIGURED, SHOWN, "", 3),
        (replace(CONTAINER, external=True), "", DEFAULTS, 0),
        (REMOTE, "", DEFAULTS, 0),
        (REMOTE, SHOWN, "", 3),
    ],
)
def test_what_a_node_builds_at_once(node: Node, shown: str, defaults: str, slots: int, tmp_path: Path) -> None:
    (tmp_path / "buildkitd.default.toml").write_text(defaults)
    _, docker = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED + shown)})
    instances = Instances(docker, tmp_path, {"BUILDX_CONFIG": str(tmp_path)})
    ready = ReadyNode(node=node, facts=NodeFacts(driver=node.driver), builder="x", store=tmp_path)
    assert instances.ask(ready).facts.slots == slots


def test_the_version_of_a_node_makes_it_ready_once(tmp_path: Path) -> None:
    answers = {"buildx inspect": done(INSPECTED)}
    nodes, docker = nodes_with(tmp_path, answers)
    assert [nodes.version(ENGINE), nodes.version(ENGINE)] == ["v0.13.1", "v0.13.1"]
    nodes.forget(ENGINE)
    assert nodes.version(ENGINE) == "v0.13.1", "it was ready in this run"
    assert len([command for command in docker.commands if command.startswith("buildx inspect")]) == 1


def test_a_node_that_failed_has_no_version_and_is_not_tried_again_for_that(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": failed("no route to host")})
    with pytest.raises(Unreachable):
        nodes.ready(ENGINE)
    asked = len(docker.commands)
    nodes.forget(ENGINE)
    assert nodes.version(ENGINE) == ""
    assert len(docker.commands) == asked
