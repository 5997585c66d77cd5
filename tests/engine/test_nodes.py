"""Nodes of every driver: mpbake creates missing nodes, starts stopped ones, and changes no foreign ones."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.certs import ensure_certificates

from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

pytestmark = pytest.mark.one_release


@pytest.fixture
def builder(docker: Docker, unique: str) -> Iterator[str]:
    """Return a builder's name. The container of its node `local` is removed after the test."""
    name = f"b-{unique}"
    yield name
    docker("rm", "--force", "--volumes", container_of(name))


def container_of(builder: str) -> str:
    return f"buildx_buildkit_{builder}-local"


def container_plan(testbed: Testbed, builder: str, node: str = "", more: str = "") -> str:
    """Return a plan with a target on a container node. The result of the target stays in the build cache."""
    return f"""
version = 1
[builders.{builder}]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"
{more}
[builders.{builder}.nodes.local]
{node}
[targets.web]
builder = "{builder}"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64"]
"""


def test_container_node_is_made_then_left_alone_then_started(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, builder: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(container_plan(testbed, builder, 'platforms = ["linux/amd64"]'))

    assert f"bootstrap {builder}/local: done in" in _bootstrap_line(run_mpbake, "created")
    identity = docker("inspect", "--format", "{{.Id}}", container_of(builder))
    _bootstrap_line(run_mpbake, "running")
    docker("stop", "--time", "1", container_of(builder))
    _bootstrap_line(run_mpbake, "started")

    assert docker("inspect", "--format", "{{.Id}}", container_of(builder)) == identity


def _bootstrap_line(run_mpbake: RunMpbake, ending: str) -> str:
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 0, completed.stderr
    (line,) = [text for text in completed.stderr.splitlines() if "bootstrap" in text and "done in" in text]
    assert line.endswith(ending)
    return line


@pytest.mark.parametrize("more", ["", "buildkitd.worker.oci.max-parallelism = 2", 'flags = ["--debug"]'])
def test_an_instance_is_kept_from_run_to_run_unless_buildx_may_take_it_for_another(
    more: str, testbed: Testbed, testbed_env: dict[str, str], run_mpbake: RunMpbake, builder: str, tmp_path: Path
) -> None:
    log, shim = tmp_path / "log", tmp_path / "bin/docker"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho "$*" >>{log}\nPATH={testbed_env["PATH"]} exec docker "$@"\n')
    shim.chmod(0o755)
    (tmp_path / "build.toml").write_text(container_plan(testbed, builder, more=more))

    def created_again() -> bool:
        log.write_text("")
        completed = run_mpbake(["run", "web"], env={"PATH": f"{shim.parent}:{testbed_env['PATH']}"})
        assert completed.returncode == 0, completed.stderr
        return "buildx create" in log.read_text()

    assert [created_again() for _ in range(3)] == [True, False, False]
    instance = tmp_path / f".mpbake/nodes/{builder}-local/instances/{builder}-local"
    right = instance.read_text()
    instance.write_text(right.replace('"Platforms"', '"endpoint":"unix:///evil","Platforms"'))
    assert created_again()
    instance.write_text(right.replace('"Endpoint"', '"Endpoint":"unix:///evil","Endpoint"'))
    assert created_again()
    assert instance.read_text() == right


def test_another_checkout_recognises_the_container(
    testbed: Testbed, run_mpbake: RunMpbake, builder: str, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "build.toml").write_text(container_plan(testbed, builder))
    assert run_mpbake(["run", "web"], cwd=tmp_path / "one").returncode == 0
    completed = run_mpbake(["run", "web"], cwd=tmp_path / "two")
    assert completed.returncode == 0, completed.stderr
    assert re.search(rf"bootstrap {builder}/local: done in [\d.]+s, running$", completed.stderr, re.MULTILINE)


def test_drift_is_a_warning(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, builder: str, tmp_path: Path
) -> None:
    plan = container_plan(testbed, builder)
    (tmp_path / "build.toml").write_text(plan)
    assert run_mpbake(["run", "web"]).returncode == 0
    identity = docker("inspect", "--format", "{{.Id}}", container_of(builder))
    docker("tag", testbed.node_image(), "other-image:1")
    (tmp_path / "build.toml").write_text(plan.replace(testbed.node_image(), "other-image:1"))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert f"warning: {builder}/local runs with options that differ from the plan" in completed.stderr
    assert docker("inspect", "--format", "{{.Id}}", container_of(builder)) == identity


def test_foreign_container_is_never_taken_over(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, builder: str, tmp_path: Path
) -> None:
    docker("create", "--name", container_of(builder), testbed.env()["BASE_IMAGE"], "true")
    before = docker("inspect", container_of(builder))
    (tmp_path / "build.toml").write_text(container_plan(testbed, builder))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 3, completed.stderr
    assert f"mpbake did not make the container {container_of(builder)}, and leaves it" in completed.stderr
    assert docker("inspect", container_of(builder)) == before


def test_container_node_on_a_docker_context(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, builder: str, unique: str, tmp_path: Path
) -> None:
    docker("context", "create", unique, "--docker", f"host={testbed.engine.host}")
    try:
        (tmp_path / "build.toml").write_text(container_plan(testbed, builder, f'endpoint = "{unique}"'))
        completed = run_mpbake(["run", "web"])
    finally:
        docker("context", "rm", unique)
    assert completed.returncode == 0, completed.stderr


def test_engine_of_a_docker_context(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    docker("context", "create", unique, "--docker", f"host={testbed.engine.host}")
    try:
        (tmp_path / "build.toml").write_text(f"""
version = 1
[builders.b]
driver = "docker"
[builders.b.nodes.far]
endpoint = "{unique}"
[targets.web]
builder = "b"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
""")
        completed = run_mpbake(["run", "web"], env={"DOCKER_HOST": ""})
    finally:
        docker("context", "rm", unique)
    assert completed.returncode == 0, completed.stderr
    assert "linux/amd64" in completed.stdout


def test_remote_node_on_a_unix_socket(testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path) -> None:
    node = testbed.add_unix_node(unique)
    (tmp_path / "build.toml").write_text(f"""
version = 1
[builders.b]
driver = "remote"
[builders.b.nodes.local]
endpoint = "{node.endpoint}"
[targets.web]
builder = "b"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/arm64"]
""")
    try:
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        assert [build.platforms for build in node.builds()] == [("linux/arm64",)]
        assert "linux/arm64 emulated on b/local" in completed.stderr
    finally:
        node.stop()


def test_dead_node(testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path) -> None:
    node = testbed.add_node(unique)
    node.stop()
    (tmp_path / "build.toml").write_text(f"""
version = 1
[builders.b]
driver = "remote"
[builders.b.nodes.far]
endpoint = "{node.endpoint}"
platforms = ["linux/amd64"]
tls = {{ ca = "{testbed.certificates}/ca.crt" }}
[targets.web]
builder = "b"
dockerfile-inline = "FROM scratch"
platforms = ["linux/amd64"]
""")
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 5, completed.stderr
    assert f"node b/far does not answer at {node.endpoint}" in completed.stderr
    assert "build web linux/amd64 on b/far: not started, since bootstrap b/far failed" in completed.stderr


@pytest.mark.parametrize(
    ("tls", "message"),
    [
        ('ca = "ca.crt"', "the certificate of node b/far is signed by an authority other than tls.ca"),
        ('ca = "{certs}/ca.crt"', "node b/far closes the TLS connection at once: it may require a client certificate"),
        (
            'ca = "{certs}/ca.crt", cert = "{certs}/client.crt", key = "client.key"',
            "builders.b.nodes.far.tls.key: does not belong to tls.cert [bad-certificate]",
        ),
        (
            'ca = "{certs}/ca.crt", cert = "client.crt", key = "client.key"',
            "node b/far closes the TLS connection at once: it may not trust tls.cert",
        ),
        (
            'ca = "{certs}/ca.crt", servername = "elsewhere"',
            "the certificate of node b/far does not contain the name else",
        ),
        ('ca = "missing.crt"', "builders.b.nodes.far.tls.ca: there is no file"),
    ],
    ids=["other CA", "no client certificate", "key of another", "client of another CA", "other name", "missing"],
)
def test_wrong_certificates_are_told_at_once(
    tls: str, message: str, testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path
) -> None:
    ensure_certificates(tmp_path)  # these certificates are from another authority
    (tmp_path / "build.toml").write_text(f"""
version = 1
[builders.b]
driver = "remote"
[builders.b.nodes.far]
endpoint = "{testbed.node("linux-amd64").endpoint}"
platforms = ["linux/amd64"]
tls = {{ {tls.format(certs=testbed.certificates)} }}
[targets.web]
builder = "b"
dockerfile-inline = "FROM scratch"
platforms = ["linux/amd64"]
""")
    began = time.monotonic()
    completed = run_mpbake(["run", "web"])
    assert time.monotonic() - began < 10
    assert completed.returncode == 3, completed.stderr
    assert message in completed.stderr


def test_platform_that_no_node_builds(run_mpbake: RunMpbake, tmp_path: Path) -> None:
    # Another process of tests may install emulators, but not this one.
    (tmp_path / "build.toml").write_text("""
version = 1
[targets.web]
dockerfile-inline = "FROM scratch"
platforms = ["linux/ppc64le"]
""")
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 3, completed.stderr
    assert (
        'build.toml:5:15: targets.web.platforms: web: no node of builder "default" builds linux/ppc64le'
        in completed.stderr
    )


def test_contradicted_node_is_an_error_when_emulation_is_forbidden(
    testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(
        f"""
version = 1
[targets.web]
builder = "two"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64", "linux/arm64"]
"""
        + _two_nodes(testbed).replace('driver = "remote"', 'driver = "remote"\nemulation = "forbid"')
    )
    completed = run_mpbake(["run", "web"])
    assert "two/linux-arm64 declares linux/arm64 but runs linux/amd64 natively" in completed.stderr
    assert completed.returncode == 3, completed.stderr


def test_users_own_docker_is_left_as_it_is(
    testbed: Testbed, testbed_env: dict[str, str], run_mpbake: RunMpbake, docker: Docker, builder: str, tmp_path: Path
) -> None:
    docker("buildx", "create", "--name", f"users-{builder}", "--driver", "remote", "tcp://127.0.0.1:9")
    docker("buildx", "use", f"users-{builder}")
    folders = [Path(testbed_env["BUILDX_CONFIG"]), Path(testbed_env["DOCKER_CONFIG"])]
    before = _contents(folders)
    try:
        (tmp_path / "build.toml").write_text(container_plan(testbed, builder))
        completed = run_mpbake(["run", "web"])
        assert completed.returncode == 0, completed.stderr
        assert _contents(folders) == before
    finally:
        docker("buildx", "rm", f"users-{builder}")


def _contents(folders: list[Path]) -> dict[str, str]:
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_classic_engine_gets_a_container_only_when_it_must(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path
) -> None:
    engine = testbed.classic_engine()
    (tmp_path / "build.toml").write_text(f"""
version = 1
[defaults.builder]
image = "no-such-image:{unique}"
[targets.one]
dockerfile-inline = "FROM scratch"
platforms = ["linux/amd64"]
[targets.two]
inherits = ["one"]
platforms = ["linux/amd64", "linux/arm64"]
""")

    simple = run_mpbake(["run", "one"], env=dict(engine.client))
    assert simple.returncode == 0, simple.stderr

    # The classic image store cannot hold two platforms. So mpbake asks for BuildKit's image, which does not exist here.
    both = run_mpbake(["run", "two"], env=dict(engine.client))
    assert both.returncode == 5, both.stderr
    assert "node default/local (docker-container, the engine in use) cannot be used" in both.stderr
    assert 'set image = "…" in the builder' in both.stderr


def test_classic_engine_with_a_buildkit_image(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, tmp_path: Path
) -> None:
    engine = testbed.classic_engine()
    (tmp_path / "build.toml").write_text(f"""
version = 1
[defaults.builder]
image = "{testbed.node_image()}"
network = "host"
[targets.two]
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:1"]
push = true
""")
    completed = run_mpbake(["run", "two"], env=dict(engine.client))
    assert completed.returncode == 0, completed.stderr
    (row,) = [line for line in completed.stdout.splitlines() if line.startswith("two ")]
    assert row.endswith("  linux/amd64,linux/arm64  default/local")
