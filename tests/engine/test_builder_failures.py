"""Nodes that cannot be used: the exact message and hint for each cause."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.engine.test_builders import container_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

    Fails = Callable[..., str]

pytestmark = pytest.mark.one_release


@pytest.fixture
def name(unique: str, docker: Docker) -> Iterator[str]:
    """Return a builder's name. The container of its node `local` is removed after the test."""
    builder = f"f{unique[-6:]}"
    yield builder
    docker("rm", "--force", "--volumes", f"buildx_buildkit_{builder}-local")


@pytest.fixture
def fails(run_mpbake: RunMpbake, tmp_path: Path, testbed: Testbed) -> Fails:
    """Return a function that runs a failing `mpbake builders` command and returns its error.

    `bin` is first in its PATH.
    """

    def run(command: str = "up", code: int = 5) -> str:
        completed = run_mpbake(["builders", command], env={"PATH": f"{tmp_path}/bin:{testbed.env()['PATH']}"})
        assert completed.returncode == code, completed.stdout + completed.stderr
        return completed.stderr[completed.stderr.index("error: ") :]

    return run


def ssh_in_the_way(testbed: Testbed, folder: Path, options: str = "", before: str = "") -> None:
    """Put an `ssh` into `bin` that adds `options`, or runs `before` in front of the remote command."""
    path = folder / "bin/ssh"
    path.parent.mkdir()
    command = f'"{before} $*"' if before else '"$@"'
    path.write_text(
        f"""#!/bin/sh
while [ "$1" != -- ]; do shift; done
host=$2
shift 2
exec {testbed.ssh.bin}/ssh -o ConnectTimeout=5 {options} -- "$host" {command}
"""
    )
    path.chmod(0o755)


def far_plan(testbed: Testbed, name: str) -> str:
    return container_plan(testbed, name, nodes=f'far = {{ endpoint = "{testbed.ssh.endpoint}" }}')


FAR = "error: node {name}/far (docker-container, ssh://mpbake-node) cannot be used: "


@pytest.mark.parametrize(
    ("options", "before", "message"),
    [
        (
            "-o UserKnownHostsFile=/dev/null",
            "",
            (
                "the host key of mpbake-node is not known (Host key verification failed.)\n"
                "  = check it and accept it by hand: ssh mpbake-node true\n"
            ),
        ),
        (
            "-o PubkeyAuthentication=no",
            "",
            (
                "ssh denies this user access to mpbake-node (root@127.0.0.1: Permission denied (publickey).)\n"
                "  = load the right key (ssh-add), or set it in ~/.ssh/config; try: ssh mpbake-node true\n"
            ),
        ),
        (
            "-o Port=9",
            "",
            (
                "no ssh server answers at mpbake-node (ssh: connect to host 127.0.0.1 port 9: Connection refused)\n"
                "  = check that sshd runs there, and the port; try: ssh mpbake-node true\n"
            ),
        ),
        (
            "-o HostName=no-such-host.invalid",
            "",
            (
                "unknown host mpbake-node (ssh: Could not resolve hostname no-such-host.invalid: {unknown})\n"
                "  = check the name in the plan, and in DNS or ~/.ssh/config\n"
            ),
        ),
        (
            "",
            "PATH=/nowhere;",
            (
                "the docker command was not found on mpbake-node (bash: line 1: docker: command not found)\n"
                "  = install Docker there, or add it to the PATH of non-interactive shells: ssh mpbake-node "
                "docker version\n"
            ),
        ),
        (
            "",
            "setpriv --reuid=65534 --regid=65534 --clear-groups",
            (
                "the user on mpbake-node may not use Docker there ({denied})\n"
                "  = add that user to the group docker: sudo usermod -aG docker USER, then log in again\n"
            ),
        ),
        (
            "",
            "DOCKER_HOST=unix:///no.sock",
            (
                "the Docker engine on mpbake-node is not running (Cannot connect to the Docker daemon at unix:///no.sock"
                ". Is the docker daemon running?)\n"
                "  = start it there; try: ssh mpbake-node docker info\n"
            ),
        ),
    ],
    ids=["host key", "user key", "port", "host", "no docker", "no permission", "no engine"],
)
def test_a_machine_behind_ssh(  # noqa: PLR0913, PLR0917 - each is a part of the one case
    options: str, before: str, message: str, testbed: Testbed, fails: Fails, name: str, tmp_path: Path
) -> None:
    ssh_in_the_way(testbed, tmp_path, options, before)
    (tmp_path / "build.toml").write_text(far_plan(testbed, name))
    began = time.monotonic()
    error = fails()
    assert time.monotonic() - began < 15
    shape = FAR.format(name=name) + message
    for part in ("{unknown}", "{denied}"):  # the message of the operating system
        if part in shape:
            start, _, end = shape.partition(part)
            assert error.startswith(start)
            assert error.endswith(end)
            return
    assert error == shape


def test_a_machine_with_another_host_key_than_before(testbed: Testbed, fails: Fails, name: str, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(far_plan(testbed, name))
    subprocess.run(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "old"), check=True)
    known = tmp_path / "known_hosts"
    known.write_text(f"* {(tmp_path / 'old.pub').read_text()}")
    ssh_in_the_way(testbed, tmp_path, f"-o UserKnownHostsFile={known}")
    assert fails() == FAR.format(name=name) + (
        "the host key of mpbake-node has changed (Host key verification failed.)\n"
        "  = if the change is intended, remove the old key: ssh-keygen -R mpbake-node\n"
    )


def test_an_ssh_server_that_hangs_does_not_hold_the_rest_up(
    testbed: Testbed, run_mpbake: RunMpbake, name: str, tmp_path: Path
) -> None:
    ssh_in_the_way(testbed, tmp_path)
    (tmp_path / "build.toml").write_text(far_plan(testbed, name))
    testbed.ssh.pause()
    try:
        began = time.monotonic()
        completed = run_mpbake(["builders", "plan"], env={"PATH": f"{tmp_path}/bin:{testbed.env()['PATH']}"})
        assert time.monotonic() - began < 20
        assert completed.returncode == 5
        assert "mpbake-node does not answer (Connection timed out during banner exchange" in completed.stderr
    finally:
        testbed.ssh.resume()


def without_permission(tmp_path: Path) -> None:
    """Put a `docker` into `bin` that runs as a user without access to the engine. Only `docker buildx` runs as root."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    program.write_text(
        '#!/bin/sh\ncase " $* " in *" buildx "*) exec /usr/bin/docker "$@";; esac\n'
        'PATH=/usr/bin:/bin exec setpriv --reuid=65534 --regid=65534 --clear-groups /usr/bin/docker "$@"\n'
    )
    program.chmod(0o755)


NOT_LET_IN = (
    "  = add this user to the group docker: sudo usermod -aG docker USER, then log in again; or set DOCKER_HOST\n"
)


def test_an_engine_that_this_user_may_not_use(
    testbed: Testbed, fails: Fails, docker: Docker, name: str, tmp_path: Path
) -> None:
    assert docker("version")
    without_permission(tmp_path)
    (tmp_path / "build.toml").write_text(container_plan(testbed, name))
    error = fails("plan")
    assert (
        f"node {name}/local (docker-container, the engine in use) cannot be used: this user may not use Docker ("
        in error
    )
    assert NOT_LET_IN in error


def test_a_first_run_of_a_user_who_may_not_use_the_engine(
    testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path
) -> None:
    without_permission(tmp_path)
    (tmp_path / "build.toml").write_text("version = 1\n[targets.web]\ndockerfile-inline = 'FROM scratch'\n")
    completed = run_mpbake(["run", "web"], env={"PATH": f"{tmp_path}/bin:{testbed.env()['PATH']}"})
    assert completed.returncode == 5
    assert ": this user may not use Docker (permission denied" in completed.stderr
    assert NOT_LET_IN in completed.stderr
    assert "start it" not in completed.stderr


def test_an_image_that_cannot_be_had(testbed: Testbed, fails: Fails, name: str, tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(
        container_plan(testbed, name).replace(testbed.node_image(), f"{testbed.registry.host}/no/such:1")
    )
    error = fails()
    assert f"node {name}/local (docker-container, the engine in use) cannot be used: " in error
    assert f"{testbed.registry.host}/no/such:1" in error
    assert '  = set image = "…" in the builder' in error


def test_an_image_of_something_else(testbed: Testbed, fails: Fails, name: str, tmp_path: Path) -> None:
    plan = container_plan(testbed, name).replace(testbed.node_image(), testbed.env()["BASE_IMAGE"])
    (tmp_path / "build.toml").write_text(plan.replace("FROM", "from"))
    error = fails()
    assert "exec --allow-insecure-entitlement=network.host failed: No such file or directory\n" in error, "its own log"
    assert '  = set image = "…" to a BuildKit image; moby/buildkit is the usual one\n' in error


@pytest.fixture
def broken_image(testbed: Testbed, docker: Docker, unique: str, tmp_path: Path) -> str:
    """Return an image whose BuildKit ends at once with an error message."""
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(
        f"FROM {testbed.env()['BASE_IMAGE']}\n"
        'ENTRYPOINT ["sh", "-c", "echo buildkitd: could not lock /var/lib/buildkit/buildkitd.lock; exit 1"]\n'
    )
    image = f"broken:{unique}"
    docker("buildx", "--builder", "default", "build", "--load", "--tag", image, str(folder))
    return image


def test_a_buildkit_that_does_not_start_says_why(
    testbed: Testbed, fails: Fails, broken_image: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(
        container_plan(testbed, name, options='restart-policy = "no"').replace(testbed.node_image(), broken_image)
    )
    error = fails()
    assert "\nits log ends with:\n  buildkitd: could not lock /var/lib/buildkit/buildkitd.lock\n" in error


def test_a_node_has_so_long_to_answer(
    testbed: Testbed, fails: Fails, docker: Docker, name: str, unique: str, tmp_path: Path
) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f'FROM {testbed.env()["BASE_IMAGE"]}\nENTRYPOINT ["sh", "-c", "sleep 60"]\n')
    docker("buildx", "--builder", "default", "build", "--load", "--tag", f"slow:{unique}", str(folder))
    (tmp_path / "build.toml").write_text(
        container_plan(testbed, name, options='boot-timeout = "4s"').replace(testbed.node_image(), f"slow:{unique}")
    )
    began = time.monotonic()
    error = fails()
    assert time.monotonic() - began < 14
    assert f"node {name}/local (docker-container, the engine in use) cannot be used: no answer within 4.0s" in error
    assert "  = look at its log: docker logs buildx_buildkit_" in error


def test_a_machine_that_is_gone_can_be_forgotten(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    """`prune --forget` forgets an unreachable node.

    Its entry and everything on this machine are removed before that.
    """
    plan = tmp_path / "build.toml"
    plan.write_text(
        container_plan(testbed, name, nodes=f'local = {{}}\nfar = {{ endpoint = "{testbed.ssh.endpoint}" }}')
    )
    assert run_mpbake(["builders", "up"]).returncode == 0
    ssh_in_the_way(testbed, tmp_path, "-o Port=9")

    def prune(*words: str, code: int) -> str:
        completed = run_mpbake(["builders", "prune", *words], env={"PATH": f"{tmp_path}/bin:{testbed.env()['PATH']}"})
        assert completed.returncode == code, completed.stdout + completed.stderr
        return completed.stdout + completed.stderr

    try:
        plan.write_text("version = 1\n[targets.web]\n")
        output = prune(code=5)
        assert f"{name}/local: container removed, and its cache\n" in output
        assert f"{name}: removed from buildx's store\n" in output
        assert output.endswith("; if it is gone for good, run: mpbake builders prune --forget\n")
        assert f"{name}-local" not in docker("ps", "--all")
        prune(code=5)
        assert f"may still have: container buildx_buildkit_{name}-far, volume" in prune("--forget", code=0)
        assert prune(code=0) == "nothing to do\n"
    finally:
        docker("rm", "--force", "--volumes", f"buildx_buildkit_{name}-far")
        docker("volume", "rm", "--force", f"buildx_buildkit_{name}-far_state")
