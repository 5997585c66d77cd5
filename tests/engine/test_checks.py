"""Checks: mpbake runs them on the node that has built the image, and publishes the image only if they succeed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of

from tests.engine.test_pools import Running
from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

BUILDERS = ["default", "box", "two"]


def plan_of(testbed: Testbed, builder: str, repository: str, more: str, dockerfile: str = "") -> str:
    """Return a plan with one pushed target `web` for two platforms, and some checks."""
    return f"""
version = 1
[targets.web]
builder = "{builder}"
context = "empty"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]} AS base
{dockerfile}
'''
platforms = ["linux/amd64", "linux/arm64"]
tags = ["{repository}:1"]
push = true
{more}
[builders.box]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"
""" + _two_nodes(testbed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "empty").mkdir()
    return tmp_path


def logs(folder: Path, start: str) -> list[str]:
    """Return the logs of the steps whose names begin with `start`, in order."""
    paths = sorted((folder / ".mpbake/runs").glob(f"*/{start}*.log"))
    return [path.read_text() for path in paths]


@pytest.mark.parametrize("builder", BUILDERS)
def test_the_image_that_is_checked_is_the_one_that_is_published(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, repository: str, folder: Path
) -> None:
    dockerfile = r"""
RUN cat /proc/sys/kernel/random/uuid > /id && mkdir -p /here
ENV WHERE=somewhere
USER 1234
WORKDIR /here
ENTRYPOINT ["false"]
"""
    checks = """
no-cache = true
checks = [
    { run = ["sh", "-c", "echo $(id -u) $(pwd) $WHERE $(uname -m) $(cat /id)"] },
    { run = ["test", "$WHERE <<X 'a b' %{x} \\\\", "=", "$WHERE <<X 'a b' %{x} \\\\"] },
    { run = ["uname", "-m"], platforms = ["linux/amd64"] },
]
"""
    (folder / "build.toml").write_text(plan_of(testbed, builder, repository, checks, dockerfile))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert platforms_of(testbed.registry.client.manifest(f"{repository}:1")[1]) == ["linux/amd64", "linux/arm64"]
    log_lines = [line for log in logs(folder, "check-web") for line in log.splitlines()]
    for platform, machine in (("linux/amd64", "x86_64"), ("linux/arm64", "aarch64")):
        identity = docker(
            "run",
            "--rm",
            "--quiet",
            "--network=none",
            "--platform",
            platform,
            "--entrypoint=cat",
            f"{repository}:1",
            "/id",
        ).strip()
        assert f"  1234 /here somewhere {machine} {identity}" in log_lines
        docker("image", "rm", "--force", f"{repository}:1")
    assert log_lines.count("  x86_64") == 1
    assert log_lines.count("  aarch64") == 0


@pytest.mark.parametrize("builder", BUILDERS)
def test_nothing_is_published_when_a_check_fails(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, folder: Path
) -> None:
    checks = """
checks = [
    { run = ["sh", "-c", "echo it is $(uname -m); exit 3"], platforms = ["linux/arm64"] },
    { run = ["true"] },
]
"""
    (folder / "build.toml").write_text(plan_of(testbed, builder, repository, checks))

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 1, completed.stderr
    assert "error: check web linux/arm64: sh -c 'echo it is $(uname -m); exit 3'" in completed.stderr
    assert "\n  it is aarch64\n" in completed.stderr
    assert "in Dockerfile:" not in completed.stderr, "nobody has written that one"
    assert "publish web: not started" in completed.stderr
    assert not testbed.registry.client.has(f"{repository}:1")


@pytest.mark.one_release
def test_a_stage_that_does_not_exist(testbed: Testbed, run_mpbake: RunMpbake, repository: str, folder: Path) -> None:
    plan = plan_of(testbed, "default", repository, 'checks = [{ target = "tset" }]', "FROM base AS test")
    (folder / "build.toml").write_text(plan)

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 1, completed.stderr
    assert '= checks = [{ target = "tset" }] of target web: no such stage in its Dockerfile; repeat' in completed.stderr
    assert not testbed.registry.client.has(f"{repository}:1")


@pytest.mark.parametrize("builder", BUILDERS)
def test_a_stage_is_a_check(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, folder: Path
) -> None:
    dockerfile = """
RUN cat /proc/sys/kernel/random/uuid > /id
FROM base AS test
RUN echo tested as $(cat /id) && test ! -e /broken
FROM base
"""
    more = 'no-cache = true\nchecks = [{ target = "test" }]'
    plan = plan_of(testbed, builder, repository, more, dockerfile)
    (folder / "build.toml").write_text(plan)
    completed = run_mpbake(["run", "web"])
    assert completed.returncode == 0, completed.stderr
    before, _ = testbed.registry.client.manifest(f"{repository}:1")
    # The target has no-cache. Even so, its check does not build any of its instructions again.
    assert not any("kernel/random/uuid > /id: done" in log for log in logs(folder, "check-web"))
    assert len([log for log in logs(folder, "check-web") if "tested as" in log]) == (2 if builder == "two" else 1)

    (folder / "build.toml").write_text(plan.replace("> /id\n", "> /id && touch /broken\n"))
    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 1, completed.stderr
    assert "error: check web linux/amd64" in completed.stderr
    assert "stage test" in completed.stderr
    assert testbed.registry.client.manifest(f"{repository}:1")[0] == before


@pytest.mark.one_release
def test_a_check_runs_on_the_node_that_was_chosen(
    testbed: Testbed, run_mpbake: RunMpbake, unique: str, repository: str, folder: Path
) -> None:
    nodes = [testbed.add_node(f"{unique}-{name}") for name in ("a", "b")]
    certs = testbed.certificates
    tls = f"tls = {{ ca = '{certs}/ca.crt', cert = '{certs}/client.crt', key = '{certs}/client.key' }}"
    declared = "\n".join(
        f'[builders.equal.nodes.n{number}]\nendpoint = "{node.endpoint}"\nplatforms = ["linux/amd64"]\nslots = 1\n{tls}'
        for number, node in enumerate(nodes)
    )
    (folder / "build.toml").write_text(f"""
version = 1
[defaults.target]
builder = "equal"
platforms = ["linux/amd64"]
push = true
checks = [{{ run = ["sleep", "0.1"] }}]
[targets.web]
context = "empty"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}\\nRUN sleep 2.{{{{ number }}}}"
tags = ["{repository}:{{{{ number }}}}"]
matrix = {{ number = ["1", "2"] }}
name = "web-{{{{ number }}}}"
[builders.equal]
driver = "remote"
{declared}
""")
    try:
        completed = run_mpbake(["run", "web-*"])
        assert completed.returncode == 0, completed.stderr
        # Each node builds the target, and then runs its check on the pushed image.
        assert [len(node.builds()) for node in nodes] == [2, 2]
    finally:
        for node in nodes:
            node.stop()


@pytest.mark.parametrize("builder", ["default", "box"])
def test_a_plain_image_is_checked_and_published(
    builder: str, testbed: Testbed, run_mpbake: RunMpbake, repository: str, folder: Path
) -> None:
    more = 'checks = [{ run = ["true"] }]\nattest = ["type=provenance,disabled=true"]'
    plan = plan_of(testbed, builder, repository, more).replace('"linux/amd64", ', "")
    (folder / "build.toml").write_text(plan)

    completed = run_mpbake(["run", "web"])

    assert completed.returncode == 0, completed.stderr
    assert testbed.registry.client.has(f"{repository}:1")
    assert run_mpbake(["verify", "web"]).returncode == 0


def test_an_engine_pushes_what_was_checked_whatever_its_tag_names_by_then(
    testbed: Testbed, testbed_env: dict[str, str], docker: Docker, repository: str, folder: Path
) -> None:
    more = 'checks = [{ run = ["sh", "-c", "test -e /mine && sleep 3"] }]\nattest = ["type=provenance,disabled=true"]'
    plan = plan_of(testbed, "default", repository, more, "RUN touch /mine").replace(', "linux/arm64"', "")
    (folder / "build.toml").write_text(plan)
    docker("pull", "--quiet", testbed.env()["BASE_IMAGE"])
    running = Running(testbed_env, folder)
    running.until("check web linux/amd64")
    docker("tag", testbed.env()["BASE_IMAGE"], f"{repository}:1")
    code, _ = running.end()

    assert code == 0, running.errors
    docker("run", "--rm", "--quiet", "--pull=always", "--network=none", f"{repository}:1", "test", "-e", "/mine")


def test_a_check_in_the_classic_store(
    testbed: Testbed, run_mpbake: RunMpbake, repository: str, unique: str, folder: Path
) -> None:
    engine = testbed.classic_engine()
    for command, returncode in (("true", 0), ("false", 1)):
        plan = plan_of(testbed, "default", repository, f'checks = [{{ run = ["{command}"] }}]')
        plan = plan.replace(', "linux/arm64"', "").replace(f"{repository}:1", f"{repository}:{command}")
        (folder / "build.toml").write_text(plan)
        completed = run_mpbake(["run", "web"], env=dict(engine.client))
        assert completed.returncode == returncode, completed.stderr
        assert "docker-container" not in completed.stderr
    assert not engine.has_image(f"{repository}:mpbake-upload-*")
    uploaded, *tags = testbed.registry.client.tags(unique)
    assert uploaded.startswith("mpbake-upload-")
    assert tags == ["true"]


# --- a lost node ------------------------------------------------------------------------------------------------------

SLOW = '["sh", "-c", "echo it is $(cat /id); sleep 3"]'
SHOWN = "sh -c 'echo it is $(cat /id); sleep 3'"


class Boxes:
    """A builder with two container nodes on the testbed's engine, each with a cache of its own."""

    def __init__(self, docker: Docker, testbed: Testbed, unique: str) -> None:
        self.name = f"p{unique[-6:]}"
        self.context = unique
        self._docker = docker
        self._testbed = testbed

    def plan(self, names: str, targets: str) -> str:
        """Return a plan with `targets`, and with one node for each letter of `names`."""
        places = {"a": "", "b": f', endpoint = "{self.context}"'}
        nodes = "\n".join(f'nodes.{name} = {{ platforms = ["linux/amd64"]{places[name]} }}' for name in names)
        return f"""
version = 1
[defaults.target]
builder = "{self.name}"
context = "empty"
platforms = ["linux/amd64"]
dockerfile-inline = '''
FROM {self._testbed.env()["BASE_IMAGE"]} AS base
RUN cat /proc/sys/kernel/random/uuid > /id
FROM base AS test
RUN echo testing; sleep 3
FROM base
'''
{targets}
[builders.{self.name}]
driver = "docker-container"
image = "{self._testbed.node_image()}"
network = "host"
{nodes}
"""

    def remove(self, name: str) -> None:
        """Remove a node with its cache."""
        self._docker("rm", "--force", "--volumes", f"buildx_buildkit_{self.name}-{name}")


@pytest.fixture
def boxes(docker: Docker, testbed: Testbed, unique: str) -> Iterator[Boxes]:
    """Yield such a builder, and remove its nodes after the test."""
    builder = Boxes(docker, testbed, unique)
    docker("context", "create", builder.context, "--docker", f"host={testbed.engine.host}")
    yield builder
    for name in "ab":
        builder.remove(name)
    docker("context", "rm", builder.context)


def identities(folder: Path) -> set[str]:
    """Return the contents of `/id` that the checks have printed."""
    log_lines = [line for log in logs(folder, "check-web") for line in log.splitlines()]
    return {line.split()[-1] for line in log_lines if line.startswith("  it is ")}


def published_identity(docker: Docker, tag: str) -> str:
    """Return the content of `/id` in the image that the registry serves."""
    identity = docker("run", "--rm", "--quiet", "--network=none", "--entrypoint=cat", tag, "/id")
    docker("image", "rm", "--force", tag)
    return identity.strip()


@pytest.mark.one_release
def test_a_check_whose_node_is_lost_is_done_on_an_equal_one(
    testbed_env: dict[str, str], docker: Docker, boxes: Boxes, repository: str, folder: Path
) -> None:
    web = f"""
[targets.web]
tags = ["{repository}:1"]
push = true
checks = [{{ run = {SLOW} }}, {{ target = "test" }}]
"""
    (folder / "build.toml").write_text(boxes.plan("ab", web))
    running = Running(testbed_env, folder)
    first = next(name for name in "ab" if f"{boxes.name}/{name}" in running.until("build web linux/amd64 on"))
    other = "b" if first == "a" else "a"
    running.until('RUN ["sh"')
    running.until("RUN echo testing")
    boxes.remove(first)
    code, table = running.end()

    assert code == 0, running.errors
    for check in (SHOWN, "stage test"):
        lost = rf"warning: check web linux/amd64: {re.escape(check)}: node {boxes.name}/{first} .*: retrying"
        assert re.search(lost, running.errors)
        assert f"check web linux/amd64 on {boxes.name}/{other}: {check}: done in" in running.errors
    assert running.errors.count("build web linux/amd64 on") == 2, "started once, and done"
    assert f"{boxes.name}/{first}" in table, "the node that has built it"
    assert identities(folder) == {published_identity(docker, f"{repository}:1")}


@pytest.mark.one_release
def test_a_check_whose_only_node_is_lost_is_done_when_that_is_back(
    testbed_env: dict[str, str], docker: Docker, boxes: Boxes, repository: str, folder: Path
) -> None:
    """The check of the pushed target uses the pushed image. The other target is built again before its check."""
    targets = f"""
[targets.web]
tags = ["{repository}:1"]
push = true
retries = 1
checks = [{{ run = {SLOW} }}]
[targets.tool]
retries = 1
checks = [{{ run = {SLOW} }}]
"""
    (folder / "build.toml").write_text(boxes.plan("a", targets))
    running = Running(testbed_env, folder)
    running.until('RUN ["sh"', times=2)
    boxes.remove("a")
    code, _ = running.end()

    assert code == 0, running.errors
    for name in ("web", "tool"):
        assert f"check {name} linux/amd64 on {boxes.name}/a: {SHOWN}: done in" in running.errors
    assert identities(folder) == {published_identity(docker, f"{repository}:1")}
