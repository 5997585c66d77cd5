"""Typed calls through python-on-whales, which the launcher starts. A shell takes the place of docker."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from python_on_whales.utils import run

from mpbake.base.errors import Cancelled, Unreachable
from mpbake.buildkit.process import launcher
from mpbake.buildkit.process.completed import CommandFailed
from mpbake.buildkit.process.docker import Docker, Watch
from mpbake.buildkit.process.watchdog import alive
from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mpbake.buildkit.process.client import DockerCommands

pytestmark = pytest.mark.allow_subprocess


class Shell(Docker):
    """A docker that runs shell commands."""

    def _head(self, endpoint: str) -> list[str]:
        assert not endpoint
        return ["/bin/sh", "-c"]


@pytest.fixture
def docker(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell({"PATH": os.defpath}, tmp_path, lambda text: text.replace("hunter2", "***"))
    yield shell
    shell.close()


def shell(script: str) -> Callable[[DockerCommands], str]:
    """Return a request that runs a shell script as python-on-whales runs docker."""
    return lambda client: run([*client.client_config.docker_cmd, script], return_stderr=False)


def register_of(docker: Docker) -> Path:
    return docker._register


def test_the_result_of_a_typed_call_is_returned(docker: Shell) -> None:
    assert docker.call(shell("echo one; echo two >&2")) == "one"
    assert alive(register_of(docker)) == set()
    assert [path.name for path in docker.scratch.iterdir()] == []


def test_a_typed_call_that_fails(docker: Shell) -> None:
    with pytest.raises(CommandFailed, match=r"^\*\*\*$") as caught:
        docker.call(shell("echo out; echo ERROR: hunter2 >&2; exit 3"))
    completed = caught.value.completed
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, "out\n", "ERROR: ***\n")
    assert (completed.timed_out, completed.stalled) == (False, False)


def test_bytes_that_are_no_text(docker: Shell) -> None:
    with pytest.raises(CommandFailed, match="bad \ufffd"):
        docker.call(shell(r"printf 'bad \377' >&2; exit 1"))
    completed = docker.follow(shell(r"printf 'out \377'; printf 'bad \377' >&2; exit 1"))
    assert (completed.returncode, completed.stdout, completed.stderr) == (1, "out \ufffd", "bad \ufffd")
    assert docker.follow(shell(r"printf 'out \377'")).stdout == "out \ufffd"


def test_an_answer_that_python_on_whales_cannot_read_is_not_left_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docker").write_text('#!/bin/sh\necho \'[{"RepoDigests": "hunter2"}]\'\n')
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    docker = Docker({"PATH": os.environ["PATH"]}, tmp_path)
    try:
        with pytest.raises(CommandFailed, match="the answer of docker cannot be read"):
            docker.call(lambda client: client.image.inspect("web"))
    finally:
        docker.close()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_process_gets_the_environment_of_docker_and_nothing_else(
    docker: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPBAKE_SECRET", "hunter2")
    monkeypatch.setenv("KEPT", "as it is")
    monkeypatch.setenv("CHANGED", "before")
    monkeypatch.setenv("DOCKER_CLI_EXPERIMENTAL", "before")
    docker._environment |= {"KEPT": "as it is", "CHANGED": "it's\nnew $(date)"}
    listed = docker.call(shell("env -0"), environment={"BUILDX_CONFIG": "/store"})
    variables = dict(entry.split("=", 1) for entry in listed.split("\0") if entry)
    assert variables.pop("PWD", "")  # the shell itself sets this variable
    assert variables == {
        "PATH": os.defpath,
        "TMPDIR": str(docker.scratch),
        "KEPT": "as it is",
        "CHANGED": "it's\nnew $(date)",
        "BUILDX_CONFIG": "/store",
    }


def test_a_variable_of_mpbakes_own_environment_is_in_no_file(docker: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2")
    docker._environment["TOKEN"] = "hunter2"
    script = f'test "$TOKEN" = hunter2 && grep -r hunter2 {docker.scratch} || echo none'
    assert docker.call(shell(script)) == "none"


@pytest.mark.parametrize("setsid", [True, False])
def test_a_process_has_a_session_of_its_own_and_no_terminal(
    docker: Shell, monkeypatch: pytest.MonkeyPatch, *, setsid: bool
) -> None:
    if not setsid:
        which = shutil.which
        monkeypatch.setattr(shutil, "which", lambda name: None if name == "setsid" else which(name))
        assert launcher._new_session()[0] == sys.executable
    script = "cut -d' ' -f1,5,6 /proc/$$/stat; cat; (exec </dev/tty) 2>/dev/null || echo no terminal"
    numbers, terminal = docker.call(shell(script)).splitlines()
    pid, group, session = numbers.split()
    assert pid == group == session
    assert terminal == "no terminal"


def test_a_followed_call_has_standard_input_and_a_working_folder(docker: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    shown = bytearray()
    script = "cat >&2; sleep 0.2; pwd; ls $TMPDIR/*/input"
    completed = docker.follow(shell(script), stdin="hunter2", cwd=folder, on_stderr=shown.extend)
    assert (bytes(shown[:7]), completed.stderr) == (b"hunter2", "")
    assert completed.stdout.startswith(str(folder))
    assert "input" not in completed.stdout, "the standard input is removed as soon as the process has it"
    assert docker.follow(shell("cat; echo hunter2 >&2")).stderr == "***\n"


def test_a_silent_call_goes_on_as_long_as_its_node_answers(docker: Shell) -> None:
    asked, shown = itertools.count(), bytearray()
    completed = docker.follow(
        shell("printf one >&2; sleep 0.5; printf two >&2; exit 3"),
        on_stderr=shown.extend,
        watch=Watch(seconds=0.1, alive=lambda: next(asked) >= 0),
    )
    assert (completed.returncode, completed.stalled, bytes(shown)) == (3, False, b"onetwo")
    assert next(asked) >= 3


def test_a_silent_call_whose_node_does_not_answer_is_ended(docker: Shell) -> None:
    began = time.monotonic()
    completed = docker.follow(shell("echo one >&2; sleep 30"), watch=Watch(seconds=0.1, alive=lambda: False))
    assert (completed.stalled, completed.timed_out, completed.stderr) == (True, False, "one\n")
    assert time.monotonic() - began < 10


def test_deadlines(docker: Shell) -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="no answer in time"):
        docker.call(shell("sleep 30 & sleep 30"), timeout=0.3)
    completed = docker.follow(shell("sleep 30 & sleep 30"), timeout=0.3)
    assert (completed.timed_out, completed.stalled, completed.returncode) == (True, False, -signal.SIGKILL)
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("script", ["sleep 30", "trap '' INT; while :; do sleep 0.1; done"])
def test_a_call_is_cancelled(docker: Shell, script: str) -> None:
    ended: list[type[BaseException]] = []

    def wait(do: Callable[[Callable[[DockerCommands], str]], object]) -> None:
        try:
            do(shell(f"echo ready >&2; {script}"))
        except Cancelled as error:
            ended.append(type(error))

    threads = [threading.Thread(target=wait, args=[do]) for do in (docker.call, docker.follow)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    docker.cancel()
    for thread in threads:
        thread.join(10)
    assert ended == [Cancelled, Cancelled]
    assert time.monotonic() - began < 8
    with pytest.raises(Cancelled):
        docker.call(shell("true"))
    with pytest.raises(Cancelled):
        docker.follow(shell("true"))


def test_a_process_that_has_not_started_when_its_call_is_stopped_ends_at_once(tmp_path: Path) -> None:
    launch = launcher.new_launch(str(tmp_path), tmp_path / "children")
    launch.prepare({}, "", None)
    launch.stop(signal.SIGINT)
    command: Sequence[str] = [*launch.command, "touch", str(tmp_path / "started")]
    assert subprocess.run(command, check=False).returncode == 130
    assert not (tmp_path / "started").exists()
    assert len(alive(tmp_path / "children")) == 1
    launch.close()
    assert alive(tmp_path / "children") == set()


def test_a_process_that_cannot_write_to_the_register_is_not_started(docker: Shell, tmp_path: Path) -> None:
    assert docker.call(shell("echo started")) == "started"
    docker._register.unlink()
    docker._register.mkdir()
    for do in (docker.call, docker.follow):
        with pytest.raises(IsADirectoryError, match="children"):
            do(shell(f"touch {tmp_path}/started"))
    assert not (tmp_path / "started").exists()


def test_an_error_while_the_output_is_read_ends_the_process(docker: Shell) -> None:
    def full(_: bytes) -> None:
        raise OSError("No space left on device")

    began = time.monotonic()
    with pytest.raises(OSError, match="No space"):
        docker.follow(shell("echo one >&2; sleep 30"), on_stderr=full)
    assert time.monotonic() - began < 10


def test_without_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    docker = Docker({}, tmp_path)
    with pytest.raises(Unreachable, match="the docker command was not found"):
        docker.call(lambda client: client.buildx.version())
    docker.close()


_KILLED = """
import os, sys, threading, time
from pathlib import Path
from mpbake.buildkit.process.docker import Docker
from python_on_whales.utils import run
docker = Docker({"PATH": "/usr/bin:/bin"}, Path(sys.argv[1]))
docker._head = lambda _: ["/bin/sh", "-c"]
script = "echo $$; : > $TMPDIR/Dockerfile; sleep 60"
request = lambda client: run([*client.client_config.docker_cmd, script], return_stderr=False)
threading.Thread(target=docker.follow, args=[request], daemon=True).start()
time.sleep(1)
print(docker.scratch, docker._register.read_text().strip(), flush=True)
os.kill(os.getpid(), 9)
"""


def test_no_process_and_no_file_is_left_of_a_run_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    killed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    folder, child = killed.stdout.split()
    assert child.startswith("+")
    for _ in range(100):
        if not Path(folder).exists() and not Path(f"/proc/{child[1:]}").exists():
            break
        time.sleep(0.1)
    assert not Path(folder).exists()
    assert not Path(f"/proc/{child[1:]}").exists()
