"""Nodes made ready, as far as it does not take a real engine."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from python_on_whales import DockerException

from mpbake.buildkit.nodes import (
    MARK,
    Nodes,
    Ready,
    _check_connection,
    _fingerprint,
    _option,
    _options,
    _parse_inspect,
    _remedy,
)
from mpbake.errors import MpbakeError, Unreachable, UsageError
from mpbake.placement import EngineFacts, NodeFacts
from mpbake.plan import Driver, Node, Tls
from mpbake.platforms import parse_platform, parse_platforms
from tests.unit.dockers import FakeDocker, done, failed
from tests.unit.plans import text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.buildkit.docker import Completed

CONTAINER = Node(builder="ci", name="Local", driver=Driver.DOCKER_CONTAINER, image="moby/buildkit:v1", network="host")
ENGINE = Node(builder="default", name="local", driver=Driver.DOCKER)
REMOTE = Node(
    builder="release",
    name="arm",
    driver=Driver.REMOTE,
    endpoint="tcp://10.0.0.5:1234",
    tls=Tls(ca=Path("/c/ca.crt"), cert=Path("/c/client.crt"), key=Path("/c/client.key"), servername="build"),
)

INSPECTED = """\
Name:          ci-local
Driver:        docker-container
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


# --- what is read and written -----------------------------------------------------------------------------------------


def test_what_buildx_says_of_a_node() -> None:
    assert _parse_inspect(INSPECTED) == {
        "name": "ci-local",
        "driver": "docker-container",
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
        _parse_inspect("Name: default\nError: Cannot connect: refused\nno colon\n")["error"]
        == "Cannot connect: refused"
    )
    assert _parse_inspect("") == {}


@pytest.mark.parametrize(
    ("node", "options"),
    [
        (
            REMOTE,
            {"cacert": "/c/ca.crt", "cert": "/c/client.crt", "key": "/c/client.key", "servername": "build"},
        ),
        (replace(REMOTE, tls=Tls()), {}),
        (CONTAINER, {"image": "moby/buildkit:v1", "network": "host", f"env.{MARK}": _fingerprint(CONTAINER)}),
        (
            replace(CONTAINER, image="", network=""),
            {f"env.{MARK}": _fingerprint(replace(CONTAINER, image="", network=""))},
        ),
    ],
)
def test_driver_options(node: Node, options: dict[str, str]) -> None:
    assert _options(node) == options


@pytest.mark.parametrize(
    ("value", "option"),
    [
        ("v", "key=v"),
        ("a b=c", "key=a b=c"),
        ("a,b", '"key=a,b"'),
        ('say "hi"', '"key=say ""hi"""'),
    ],
)
def test_an_option_is_a_line_of_csv(value: str, option: str) -> None:
    assert _option("key", value) == option


def test_a_fingerprint_tells_what_a_container_was_made_with_and_nothing_else() -> None:
    same = [
        CONTAINER,
        replace(CONTAINER, builder="other", name="other"),
        replace(CONTAINER, endpoint="ssh://far", platforms=parse_platforms(["linux/arm64"])),
    ]
    other = [replace(CONTAINER, image="x"), replace(CONTAINER, network=""), replace(CONTAINER, driver=Driver.REMOTE)]
    assert len({_fingerprint(node) for node in same}) == 1
    assert len({_fingerprint(node) for node in [CONTAINER, *other]}) == 4
    # every machine must know it again, whichever version of mpbake made the container
    assert _fingerprint(CONTAINER) == "96c5747e0ee97b71"


NO_IMAGE = 'name a BuildKit image that can be had with image = "…" in the builder, or in [defaults.builder]'


@pytest.mark.parametrize(
    ("node", "said", "remedy"),
    [
        (
            CONTAINER,
            (
                'Error response from daemon: failed to resolve reference "localhost:1/no:1": failed to do request: '
                'Head "https://localhost:1/v2/no/manifests/1": dial tcp 127.0.0.1:1: connect: connection refused'
            ),
            NO_IMAGE,
        ),
        (CONTAINER, "pull access denied for no/such, repository does not exist", NO_IMAGE),
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
            "is the Docker engine running, and may this user use it? try: docker info",
        ),
        (
            REMOTE,
            "context deadline exceeded",
            "check the address, and that the certificates belong together and have not expired",
        ),
        (CONTAINER, "no space left on device", ""),
    ],
)
def test_remedies(node: Node, said: str, remedy: str) -> None:
    assert _remedy(node, said) == remedy


# --- the engine -------------------------------------------------------------------------------------------------------


def engine(**info: Any) -> SimpleNamespace:
    """python-on-whales' client of an engine that says this of itself."""
    said = SimpleNamespace(**{"os_type": "linux", "architecture": "x86_64", "driver_status": None} | info)
    context = SimpleNamespace(inspect=lambda _: SimpleNamespace(name="desktop"))
    return SimpleNamespace(system=SimpleNamespace(info=lambda: said), context=context)


def raising(stderr: bytes) -> SimpleNamespace:
    def fail(*_: object) -> None:
        raise DockerException(["docker"], 1, None, stderr)

    return SimpleNamespace(system=SimpleNamespace(info=fail), context=SimpleNamespace(inspect=fail))


def nodes_with(
    folder: Path, answers: Mapping[str, Any], environment: Mapping[str, str] | None = None, client: Any = None
) -> tuple[Nodes, FakeDocker]:
    docker = FakeDocker(answers, client or engine())
    return Nodes(docker, folder, environment or {"HOME": str(folder)}), docker


@pytest.mark.parametrize(
    ("status", "containerd"),
    [
        (None, False),
        ([["Backing Filesystem", "extfs"], ["Supports d_type", "true"]], False),
        ([[], ["driver-type", "io.containerd.snapshotter.v1"]], True),
    ],
)
def test_what_an_engine_can_do(tmp_path: Path, status: list[list[str]] | None, *, containerd: bool) -> None:
    nodes, _ = nodes_with(tmp_path, {}, client=engine(driver_status=status, architecture="aarch64"))
    assert nodes.engine() == EngineFacts(platform=parse_platform("linux/arm64"), containerd_store=containerd)


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (raising(b"ERROR: one\nCannot connect\x1b[31m\n"), "Cannot connect"),
        (raising(b""), "the engine gave no answer"),
        (engine(os_type=None), "the engine gave no answer"),
    ],
)
def test_an_engine_that_does_not_answer(tmp_path: Path, client: Any, said: str) -> None:
    nodes, _ = nodes_with(tmp_path, {}, client=client)
    with pytest.raises(Unreachable) as caught:
        nodes.engine()
    assert str(caught.value) == (
        f"the Docker engine does not answer: {said}\n  = start it (Docker Desktop, or: sudo systemctl start docker), "
        "or set DOCKER_HOST; try: docker info"
    )


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
    assert docker.commands == [f"buildx inspect {builder}"]
    assert docker.settings[0]["endpoint"] == ready.endpoint == endpoint
    assert ready == Ready(
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


def test_the_default_builder_is_what_it_was_settled_to_be(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"container inspect": failed("No such container"), "buildx": done(INSPECTED)})
    nodes.settle(Driver.DOCKER_CONTAINER)
    ready = nodes.ready(replace(ENGINE, driver=Driver.AUTOMATIC))
    assert ready.node.driver is Driver.DOCKER_CONTAINER
    assert docker.commands[1].startswith("buildx create --name default-local --node default-local --driver docker-cont")


def test_a_context_that_cannot_be_asked_for(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {}, client=raising(b"context is broken"))
    with pytest.raises(Unreachable, match=r"^the Docker engine does not answer: context is broken\n"):
        nodes.ready(ENGINE)


def test_a_node_is_made_ready_once(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)})
    found: list[Ready] = []
    threads = [threading.Thread(target=lambda: found.append(nodes.ready(ENGINE))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(docker.commands) == 1
    assert len(found) == 8
    assert all(each is found[0] for each in found)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (failed("ERROR: no builder\nERROR: context \x1b[31mdeadline exceeded\n"), "context deadline exceeded"),
        (failed("", timed_out=True), "no answer in time"),
        (done("Name: x\nError: Cannot connect: refused\n"), "Cannot connect: refused"),
        (done("Name: x\nStatus: inactive\n"), "exit code 0"),
    ],
)
def test_a_node_that_cannot_be_used(tmp_path: Path, answer: Completed, said: str) -> None:
    nodes, _ = nodes_with(tmp_path, {"buildx inspect": answer})
    with pytest.raises(Unreachable) as caught:
        nodes.ready(ENGINE)
    assert caught.value.message == f"node default/local (docker, the engine in use) cannot be used: {said}"


def test_what_buildx_writes_down_of_each_build_is_removed(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {"buildx inspect": done(INSPECTED)})
    store = nodes.ready(ENGINE).store
    (store / "refs/default").mkdir(parents=True)
    (store / "instances").mkdir()
    nodes.tidy()
    nodes.tidy()
    assert [path.name for path in store.iterdir()] == ["instances"]


# --- containers -------------------------------------------------------------------------------------------------------


def container(status: str = "running", mark: str = "", *, image: str = "moby/buildkit:v1") -> Completed:
    """An existing container, made for a node with this image unless `mark` says something else."""
    mark = mark or f"{MARK}={_fingerprint(replace(CONTAINER, image=image))}"
    return done(f'["PATH=/bin","{mark}"]\n{status}\n')


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
    inspect, create, bootstrap = docker.commands
    assert inspect == "container inspect --format {{json .Config.Env}}\n{{.State.Status}} buildx_buildkit_ci-local"
    assert create == (
        "buildx create --name ci-local --node ci-local --driver docker-container --driver-opt image=moby/buildkit:v1 "
        f"--driver-opt network=host --driver-opt env.MPBAKE_NODE={_fingerprint(CONTAINER)} desktop"
    )
    assert bootstrap == "buildx inspect ci-local --bootstrap"
    assert [each["environment"] for each in docker.settings[1:]] == [{"BUILDX_CONFIG": str(tmp_path / "ci-local")}] * 2


@pytest.mark.parametrize(("status", "note"), [("running", "running"), ("exited", "started"), ("created", "started")])
def test_a_container_of_ours_is_used(tmp_path: Path, status: str, note: str) -> None:
    nodes, _ = nodes_with(tmp_path, {"container inspect": container(status), "buildx": done(INSPECTED)})
    ready = nodes.ready(CONTAINER)
    assert (ready.note, ready.warnings) == (note, ())


def test_a_container_made_with_other_options_is_used_with_a_warning(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {"container inspect": container(image="old"), "buildx": done(INSPECTED)})
    (warning,) = nodes.ready(CONTAINER).warnings
    assert warning == (
        "ci/Local runs with other options than the plan declares; docker rm -f buildx_buildkit_ci-local lets mpbake "
        "make it anew (its cache stays)"
    )


def test_somebody_elses_container_is_left_alone(tmp_path: Path) -> None:
    nodes, docker = nodes_with(tmp_path, {"container inspect": container(mark="OTHER=1")})
    with pytest.raises(UsageError) as caught:
        nodes.ready(CONTAINER)
    assert str(caught.value) == text("""
        ci/Local: a container buildx_buildkit_ci-local exists that mpbake did not make; it is left as it is
          = rename the builder or the node, or remove it: docker rm -f buildx_buildkit_ci-local
        """)
    assert len(docker.commands) == 1


def test_an_engine_that_cannot_tell_whether_there_is_a_container(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {"container inspect": failed("error during connect: exit status 255")})
    with pytest.raises(Unreachable) as caught:
        nodes.ready(replace(CONTAINER, endpoint="ssh://far"))
    assert str(caught.value) == text("""
        node ci/Local (docker-container, ssh://far) cannot be used: error during connect: exit status 255
          = try: docker -H ssh://far version
        """)


def test_a_container_that_cannot_be_made(tmp_path: Path) -> None:
    nodes, _ = nodes_with(
        tmp_path, {"container inspect": failed("no such container"), "buildx create": failed("ERROR: manifest unknown")}
    )
    with pytest.raises(Unreachable) as caught:
        nodes.ready(CONTAINER)
    assert str(caught.value) == (
        f"node ci/Local (docker-container, the engine in use) cannot be used: manifest unknown\n  = {NO_IMAGE}"
    )


# --- instances --------------------------------------------------------------------------------------------------------


def instance(node: Node = CONTAINER, **changes: Any) -> dict[str, Any]:
    """What buildx keeps of a right instance of a node, with changes in its node."""
    name = node.buildx_name
    entry = {
        "Name": name,
        "Endpoint": "desktop",
        "Platforms": None,
        "DriverOpts": _options(node),
        "Flags": ["--allow-insecure-entitlement=network.host"],
        "Files": None,
    }
    return {"Name": name, "Driver": str(node.driver), "Nodes": [entry | changes]}


def created_again(folder: Path, written: str | None, environment: dict[str, str] | None = None) -> bool:
    """Whether an instance is made anew where `written` stands in its file."""
    if written is not None:
        (folder / "ci-local/instances").mkdir(parents=True)
        (folder / "ci-local/instances/ci-local").write_text(written)
    nodes, docker = nodes_with(folder, {"container inspect": container(), "buildx": done(INSPECTED)}, environment)
    nodes.ready(CONTAINER)
    return any(command.startswith("buildx create") for command in docker.commands)


def test_a_right_instance_is_kept(tmp_path: Path) -> None:
    assert not created_again(tmp_path, json.dumps(instance()))
    assert (tmp_path / "ci-local/instances/ci-local").exists()


@pytest.mark.parametrize(
    "written",
    [
        None,
        "",
        "{",
        "[]",
        "null",
        "{}",
        json.dumps(instance() | {"Nodes": []}),
        json.dumps(instance() | {"Nodes": instance()["Nodes"] * 2}),
        json.dumps(instance() | {"Name": "other"}),
        json.dumps(instance() | {"Driver": "remote"}),
        json.dumps(instance(Name="other")),
        json.dumps(instance(Endpoint="tcp://evil:1")),
        json.dumps(instance(Platforms=[{"os": "linux", "architecture": "arm64"}])),
        json.dumps(instance(DriverOpts={})),
        json.dumps(instance(DriverOpts=_options(CONTAINER) | {"default-load": "true"})),
        json.dumps(instance(Flags=["--allow-insecure-entitlement=security.insecure"])),
        json.dumps(instance(Files={"buildkitd.toml": "eA=="})),
    ],
)
def test_any_other_instance_is_made_anew(tmp_path: Path, written: str | None) -> None:
    assert created_again(tmp_path, written)
    assert not (tmp_path / "ci-local/instances").exists()


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
    ("environment", "endpoint"),
    [({}, "desktop"), ({"DOCKER_HOST": "ssh://far"}, "ssh://far")],
)
def test_an_instance_is_bound_to_the_engine_in_use_now(
    tmp_path: Path, environment: dict[str, str], endpoint: str
) -> None:
    nodes, docker = nodes_with(tmp_path, {"container inspect": container(), "buildx": done(INSPECTED)}, environment)
    nodes.ready(CONTAINER)
    assert docker.commands[1].endswith(f" {endpoint}")


# --- remote nodes -----------------------------------------------------------------------------------------------------


@pytest.fixture
def listening() -> Iterator[str]:
    """The address of somebody who takes connections."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_remote_node_that_listens(tmp_path: Path, listening: str) -> None:
    files = {name: tmp_path / name for name in ("ca", "cert", "key")}
    for file in files.values():
        file.touch()
    node = replace(REMOTE, endpoint=f"tcp://{listening}", tls=Tls(servername="build", **files))
    nodes, docker = nodes_with(tmp_path, {"buildx": done(INSPECTED)})
    assert nodes.ready(node).note == "running"
    assert docker.commands == [
        (
            f"buildx create --name release-arm --node release-arm --driver remote --driver-opt cacert={tmp_path}/ca "
            f"--driver-opt cert={tmp_path}/cert --driver-opt key={tmp_path}/key --driver-opt servername=build "
            f"tcp://{listening}"
        ),
        "buildx inspect release-arm --bootstrap",
    ]


def test_a_certificate_that_is_missing(tmp_path: Path) -> None:
    nodes, _ = nodes_with(tmp_path, {})
    with pytest.raises(UsageError) as caught:
        nodes.ready(REMOTE)
    assert str(caught.value) == (
        "release/arm: tls.ca: there is no file /c/ca.crt\n  = paths count from the plan's folder"
    )


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    nodes, _ = nodes_with(tmp_path, {})
    with pytest.raises(Unreachable) as caught:
        nodes.ready(replace(REMOTE, tls=Tls(), endpoint=f"tcp://127.0.0.1:{port}"))
    assert re.fullmatch(
        rf"node release/arm does not answer at tcp://127\.0\.0\.1:{port}: \[Errno \d+\] Connection refused\n"
        r"  = is buildkitd running there, and is the port open to this machine\?",
        str(caught.value),
    )


def test_a_node_on_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    node = replace(REMOTE, endpoint=f"unix://{path}")
    with pytest.raises(Unreachable, match="does not answer at unix://"):
        _check_connection(node)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.fspath(path))
        server.listen()
        _check_connection(node)


@pytest.mark.parametrize("endpoint", ["docker-container://x", "kube-pod://x", "tcp://"])
def test_other_endpoints_are_left_to_buildx(endpoint: str) -> None:
    _check_connection(replace(REMOTE, endpoint=endpoint))


@pytest.mark.parametrize("endpoint", ["tcp://x:99999", "tcp://[::1", "tcp://x:y"])
def test_an_address_that_is_none(endpoint: str) -> None:
    with pytest.raises(MpbakeError, match=r"^node release/arm does not answer at "):
        _check_connection(replace(REMOTE, endpoint=endpoint))
