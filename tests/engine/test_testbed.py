"""Each part of the testbed has the properties that the other engine tests need."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.cleanup import undo_all
from testbed.engine import BUILDKIT_IMAGE
from testbed.errors import TestbedError
from testbed.network import ensure_bridge
from testbed.place import Place
from testbed.processes import run, wait_until
from testbed.registry_client import platforms_of
from testbed.testbed import AMD64, ARM64, Testbed

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.nodes import Node
    from testbed.registry import Registry

    from tests.engine.conftest import Docker

pytestmark = pytest.mark.one_release

_BOTH = "linux/amd64,linux/arm64"
_DOCKERFILE = "ARG BASE\nFROM ${BASE}\nARG CHANGE\nRUN uname -m > /machine\n"


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE)
    return tmp_path


@pytest.fixture
def builder(docker: Docker, unique: str) -> Iterator[str]:
    """Yield a name for a builder, which is removed after the test."""
    yield unique
    docker("buildx", "rm", "--force", unique)


def _tls(testbed: Testbed) -> str:
    certs = testbed.certificates
    return f"cacert={certs}/ca.crt,cert={certs}/client.crt,key={certs}/client.key"


def _create_remote(docker: Docker, testbed: Testbed, builder: str, node: Node, *more: str) -> None:
    options = ("--driver", "remote", *more)
    if node.endpoint.startswith("tcp:"):
        options += ("--driver-opt", _tls(testbed))
    docker("buildx", "create", "--name", builder, *options, node.endpoint)


def _build(docker: Docker, testbed: Testbed, builder: str, context: Path, *more: str) -> str:
    base = f"BASE={testbed.env()['BASE_IMAGE']}"
    change = f"CHANGE={builder}"  # so that no step comes from the cache of another test
    args = ("--build-arg", base, "--build-arg", change, "--progress", "plain", *more)
    return docker("buildx", "build", "--builder", builder, *args, str(context))


def test_engine_has_the_containerd_store(testbed: Testbed) -> None:
    assert testbed.engine.store == "containerd"
    assert "io.containerd.snapshotter.v1" in testbed.engine.docker("info", "--format", "{{json .DriverStatus}}")


def test_base_image_is_for_two_platforms(testbed: Testbed) -> None:
    _, index = testbed.registry.client.manifest(testbed.env()["BASE_IMAGE"])
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]


def test_mtls_nodes_build_one_platform_each_and_witness_it(
    testbed: Testbed, docker: Docker, builder: str, repository: str, context: Path
) -> None:
    nodes = [testbed.node(AMD64), testbed.node(ARM64)]
    for node in nodes:
        node.forget()
    _create_remote(docker, testbed, builder, nodes[0], "--platform", "linux/amd64")
    _create_remote(docker, testbed, builder, nodes[1], "--platform", "linux/arm64", "--append")

    _build(docker, testbed, builder, context, "--platform", _BOTH, "--push", "--tag", f"{repository}:1")

    assert [build.platforms for build in nodes[0].builds()] == [("linux/amd64",)]
    assert [build.platforms for build in nodes[1].builds()] == [("linux/arm64",)]
    assert nodes[0].builds()[0].attributes["build-arg:CHANGE"] == builder
    _, index = testbed.registry.client.manifest(f"{repository}:1")
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]


def test_both_platforms_really_run(testbed: Testbed, docker: Docker, builder: str, context: Path) -> None:
    _create_remote(docker, testbed, builder, testbed.node(AMD64))
    out = context / "out"
    _build(docker, testbed, builder, context, "--platform", _BOTH, "--output", f"type=local,dest={out}")
    assert (out / "linux_amd64/machine").read_text() == "x86_64\n"
    assert (out / "linux_arm64/machine").read_text() == "aarch64\n"


def test_node_may_pose_as_another_machine(testbed: Testbed, docker: Docker, builder: str, unique: str) -> None:
    posing = testbed.add_node(unique, poses_as="linux/arm64")
    _create_remote(docker, testbed, builder, posing)
    _create_remote(docker, testbed, builder, testbed.node(ARM64), "--append")
    inspected = docker("buildx", "inspect", "--bootstrap", builder).splitlines()
    posing.stop()
    listed = [line.split(":")[1].strip() for line in inspected if line.startswith("Platforms:")]
    assert listed[0].startswith("linux/arm64, ")
    assert listed[1].startswith("linux/amd64, ")


def test_node_refuses_a_client_without_certificate(testbed: Testbed) -> None:
    node = testbed.node(AMD64)
    before = node.connections()
    trusting = ssl.create_default_context(cafile=str(testbed.certificates / "ca.crt"))
    address = ("127.0.0.1", int(node.endpoint.rpartition(":")[2]))
    with (
        socket.create_connection(address, timeout=10) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        assert _ends(tls)  # in TLS 1.3 the server refuses only after the client has completed its handshake
    assert node.connections() == before


def test_client_key_is_private(testbed: Testbed) -> None:
    assert (testbed.certificates / "client.key").stat().st_mode & 0o777 == 0o600


def test_more_nodes_and_dead_ones(testbed: Testbed, docker: Docker, builder: str, unique: str) -> None:
    node = testbed.add_node(unique, poses_as="linux/arm64")
    _create_remote(docker, testbed, builder, node)
    assert "running" in docker("buildx", "inspect", builder)
    assert wait_until(lambda: node.open_connections() == 0, seconds=5)
    node.stop()
    assert "running" not in docker("buildx", "inspect", builder)
    node.start()
    assert "running" in docker("buildx", "inspect", builder)
    node.stop()


def test_unix_node_builds(testbed: Testbed, docker: Docker, builder: str, unique: str, context: Path) -> None:
    node = testbed.add_unix_node(unique)
    _create_remote(docker, testbed, builder, node)
    _build(docker, testbed, builder, context, "--platform", "linux/arm64")
    assert [build.platforms for build in node.builds()] == [("linux/arm64",)]
    node.stop()


def test_container_node_boots_builds_and_pushes(
    testbed: Testbed, docker: Docker, builder: str, repository: str, context: Path
) -> None:
    options = f"image={testbed.node_image()},network=host"
    create = ("buildx", "create", "--name", builder, "--driver", "docker-container", "--driver-opt", options)
    docker(*create, "--bootstrap")
    _build(docker, testbed, builder, context, "--platform", _BOTH, "--push", "--tag", f"{repository}:1")
    _, index = testbed.registry.client.manifest(f"{repository}:1")
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]


def test_container_node_keeps_its_cache(
    testbed: Testbed, docker: Docker, builder: str, unique: str, context: Path
) -> None:
    options = f"image={testbed.node_image()},network=host"
    create = ("buildx", "create", "--name", builder, "--driver", "docker-container", "--driver-opt", options)
    for expected in (False, True):
        docker(*create, "--bootstrap", "--node", unique)
        assert ("CACHED" in _build(docker, testbed, builder, context)) is expected
        docker("buildx", "rm", "--keep-state", builder)
    docker(*create, "--node", unique)  # with this builder the test can remove the state, too


def test_ssh_node_boots_and_builds(
    testbed: Testbed, docker: Docker, builder: str, repository: str, context: Path
) -> None:
    options = f"image={testbed.node_image()},network=host"
    create = ("buildx", "create", "--name", builder, "--driver", "docker-container", "--driver-opt", options)
    docker(*create, "--bootstrap", testbed.env()["SSH_NODE"])
    _build(docker, testbed, builder, context, "--platform", "linux/amd64", "--push", "--tag", f"{repository}:1")
    assert testbed.registry.client.tags(repository.partition("/")[2]) == ["1"]


def test_node_ends_a_build_whose_client_died(
    testbed: Testbed, docker: Docker, testbed_env: dict[str, str], builder: str, unique: str, context: Path
) -> None:
    node = testbed.add_node(unique)
    _create_remote(docker, testbed, builder, node)
    (context / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN exec sleep 54321\n")
    base = f"BASE={testbed_env['BASE_IMAGE']}"
    command = ("docker", "buildx", "build", "--builder", builder, "--build-arg", base, str(context))
    with subprocess.Popen(
        command, env=testbed_env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as client:
        assert wait_until(lambda: bool(_processes("sleep\x0054321")), seconds=20)
        os.killpg(client.pid, 9)
    assert wait_until(lambda: not _processes("sleep\x0054321"), seconds=20)
    assert wait_until(lambda: node.open_connections() == 0, seconds=5)
    node.stop()


def test_registry_keeps_what_it_holds(testbed: Testbed, registry: Registry) -> None:
    registry.stop()
    with pytest.raises(OSError, match=r"refused|reset"):
        registry.client.tags("base")
    registry.start()
    assert testbed.registry.client.tags("base") == ["1"]


def test_registry_deletes(testbed: Testbed, unique: str) -> None:
    client = testbed.registry.client
    client.put_manifest(unique, "1", "application/vnd.oci.image.index.v1+json", _EMPTY_INDEX)
    client.delete(unique, client.manifest(f"{unique}:1")[0])
    assert client.tags(unique) == []


def test_password_registry(testbed: Testbed, unique: str) -> None:
    registry = testbed.password_registry()
    stranger = type(registry.client)(host=registry.host, login=None)
    assert stranger.ask("GET", "/v2/").status == 401
    registry.client.put_manifest(unique, "1", "application/vnd.oci.image.index.v1+json", _EMPTY_INDEX)
    assert registry.client.tags(unique) == ["1"]


def test_classic_engine(testbed: Testbed) -> None:
    classic = testbed.classic_engine()
    assert classic.docker("info", "--format", "{{.Driver}}") == "overlay2"
    assert classic.host != testbed.engine.host


def test_an_engine_that_is_there_is_used_as_it_is(testbed: Testbed, tmp_path: Path) -> None:
    environ = {**os.environ, "DOCKER_HOST": testbed.engine.host, "DOCKER_CONFIG": str(tmp_path / "config")}
    bed = Testbed(tmp_path / "bed", environ=environ)
    try:
        bed.up()
        assert (bed.engine.own, bed.engine.host) == (False, testbed.engine.host)
        assert "DOCKER_HOST" not in bed.env()
        assert bed.env()["REGISTRY"] != testbed.env()["REGISTRY"]
    finally:
        bed.down()
    assert testbed.engine.docker("version", "--format", "{{.Server.Version}}")


def test_a_classic_engine_is_used_with_a_buildkit_container(testbed: Testbed, tmp_path: Path, unique: str) -> None:
    classic = testbed.classic_engine()
    classic.docker("pull", "--quiet", testbed.node_image())
    # this image represents BuildKit's own and is available offline
    classic.docker("tag", testbed.node_image(), BUILDKIT_IMAGE)
    bed = Testbed(tmp_path / "bed", environ={**classic.env, "BUILDX_CONFIG": str(tmp_path / "buildx")})
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE)
    before = classic.docker("ps", "--all", "--quiet")
    try:
        bed.up()
        assert (bed.engine.own, bed.engine.store) == (False, "classic")

        def docker(*args: str) -> str:
            return bed.engine.docker(*args)

        _create_remote(docker, bed, unique, bed.node(ARM64))
        tag = f"{bed.registry.host}/{unique}:1"
        _build(docker, bed, unique, tmp_path, "--platform", _BOTH, "--push", "--tag", tag)
        assert platforms_of(bed.registry.client.manifest(tag)[1]) == ["linux/amd64", "linux/arm64"]
        assert [build.platforms for build in bed.node(ARM64).builds()] == [("linux/amd64", "linux/arm64")]
    finally:
        bed.down()
    assert classic.docker("ps", "--all", "--quiet") == before


def test_up_again_starts_nothing_new(testbed: Testbed) -> None:
    before = _pids(testbed)
    began = time.monotonic()
    testbed.up(("node-image", "ssh"))
    assert time.monotonic() - began < 2
    assert _pids(testbed) == before


def test_a_process_that_took_over_a_number_is_not_taken_for_the_daemon(tmp_path: Path) -> None:
    daemon = Place(root=tmp_path, environ={}, say=print).daemon("some")
    (daemon.folder / "some.pid").write_text(f"{os.getpid()} another-time")
    assert daemon.pid() is None
    daemon.stop()  # stop() must not end this process


def test_daemon_that_ends_at_once_shows_its_log(tmp_path: Path) -> None:
    daemon = Place(root=tmp_path, environ={}, say=print).daemon("some")
    with pytest.raises(TestbedError, match=r"some ended at once: .*\nno such thing"):
        daemon.start(("sh", "-c", "echo no such thing; exit 3"), env={}, ready=lambda: False)


def test_testbeds_that_start_at_once_have_a_network_each(tmp_path: Path) -> None:
    places = [Place(root=tmp_path / name, environ=os.environ, say=print) for name in "abcd"]
    for place in places:
        place.prepare()
    try:
        with ThreadPoolExecutor() as workers:
            bridges = list(workers.map(partial(ensure_bridge, suffix="t"), places))
        assert len({_address(bridge) for bridge in bridges}) == len(places)
    finally:
        for place in places:
            undo_all(place, None)


def test_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(TestbedError, match="holds something else"):
        Testbed(tmp_path).down()
    assert (tmp_path / "precious").exists()


def test_down_leaves_nothing_and_others_alone(testbed: Testbed, tmp_path: Path) -> None:
    root = tmp_path / "bed"
    key = Testbed(root).place.key
    before = _emulators()
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT / "scripts")}
    command = (sys.executable, "-m", "testbed")
    up = (*command, "up", "--dir", str(root), "--with", "node-image,ssh")
    subprocess.run(up, env=env, check=True, timeout=120)
    assert _traces(root, key)
    subprocess.run((*command, "down", "--dir", str(root)), env=env, check=True, timeout=60)
    assert _traces(root, key) == []
    assert not root.exists()
    assert _emulators() == before
    assert testbed.engine.docker("version", "--format", "{{.Server.Version}}")


_EMPTY_INDEX = json.dumps(
    {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
).encode()


def _ends(connection: ssl.SSLSocket) -> bool:
    """Return whether the server closes the connection without sending anything."""
    try:
        return connection.recv(1) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def _address(device: str) -> str:
    (interface,) = json.loads(run(("ip", "-j", "-4", "addr", "show", device), env=os.environ))
    return str(interface["addr_info"][0]["local"])


def _pids(testbed: Testbed) -> dict[str, str]:
    return {file.name: file.read_text() for file in testbed.place.folder("daemons").glob("*.pid")}


def _processes(part: str) -> list[str]:
    """Return the command lines of all processes on this machine that contain the part."""
    commands = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_text(errors="replace")
        except OSError:  # the process has ended meanwhile
            continue
        if part in command:
            commands.append(command)
    return commands


def _traces(root: Path, key: str) -> list[str]:
    """Return the traces of the testbed on the machine: processes, mounts, network devices, control groups and files."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    seen = (line for line in mounts if str(root) in line or key in line)
    devices = (name for _, name in socket.if_nameindex() if key in name)
    groups = (str(path) for path in Path("/sys/fs/cgroup").glob(f"**/*{key}*"))
    files = (str(path) for path in Path("/tmp").glob(f"*{key}*"))  # noqa: S108 (where short sockets are)
    return [*_processes(str(root)), *_processes(key), *seen, *devices, *groups, *files]


def _emulators() -> list[str]:
    return sorted(path.name for path in Path("/proc/sys/fs/binfmt_misc").glob("qemu-*"))
