"""The docker command, with a shell in place of docker."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from mpbake.base.errors import Cancelled
from mpbake.buildkit.process.docker import Docker, Watch


def temporary(docker: Docker) -> Path:
    return Path(docker._environment["TMPDIR"])


def test_children_get_a_temporary_folder_that_goes_with_the_run(tmp_path: Path) -> None:
    docker = Docker({"A": "1"}, tmp_path)
    folder = temporary(docker)
    assert docker._environment == {"A": "1", "TMPDIR": str(folder)}
    assert folder.is_dir()
    assert folder.parent == Path(tempfile.gettempdir())
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "buildx-dockerfile").mkdir()
    (folder / "buildx-dockerfile/Dockerfile").touch()
    docker.close()
    assert not folder.exists()
    docker.close()


def test_it_lies_where_the_user_wants_it() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="w") as wanted:
        docker = Docker({"TMPDIR": wanted}, Path(wanted))
        assert temporary(docker).parent == Path(wanted)
        docker.close()
        assert list(Path(wanted).iterdir()) == []


def test_a_long_name_leaves_no_room_for_sockets(tmp_path: Path) -> None:
    wanted = tmp_path / ("long" * 20)
    wanted.mkdir()
    docker = Docker({"TMPDIR": str(wanted)}, tmp_path)
    try:
        assert len(str(temporary(docker))) <= 50
        assert temporary(docker).is_dir()
        assert list(wanted.iterdir()) == []
    finally:
        docker.close()


def test_two_runs_share_nothing(tmp_path: Path) -> None:
    one, two = Docker({}, tmp_path), Docker({}, tmp_path)
    assert temporary(one) != temporary(two)
    one.close()
    assert temporary(two).is_dir()
    two.close()


@pytest.mark.parametrize("missing", ["", "nope"])
def test_a_temporary_folder_that_is_not_there(tmp_path: Path, missing: str) -> None:
    docker = Docker({"TMPDIR": str(tmp_path / missing) if missing else ""}, tmp_path)
    assert temporary(docker).is_dir()
    docker.close()


# --- silence ----------------------------------------------------------------------------------------------------------


class Shell(Docker):
    """A docker that runs shell commands."""

    def _head(self, endpoint: str) -> list[str]:
        assert not endpoint
        return ["/bin/sh", "-c"]


@pytest.mark.allow_subprocess
def test_a_silent_command_goes_on_as_long_as_its_node_answers(tmp_path: Path) -> None:
    docker, asked, output = Shell({}, tmp_path), itertools.count(), bytearray()
    try:
        completed = docker.run(
            ["printf one >&2; sleep 0.5; printf two >&2; exit 3"],
            on_stderr=output.extend,
            watch=Watch(seconds=0.1, alive=lambda: next(asked) >= 0),
        )
        assert (completed.returncode, completed.stalled, bytes(output)) == (3, False, b"onetwo")
        assert next(asked) >= 3
    finally:
        docker.close()


@pytest.mark.allow_subprocess
def test_a_silent_command_whose_node_does_not_answer_is_ended(tmp_path: Path) -> None:
    docker = Shell({}, tmp_path)
    began = time.monotonic()
    try:
        completed = docker.run(["echo one >&2; sleep 30"], watch=Watch(seconds=0.1, alive=lambda: False))
        assert (completed.stalled, completed.timed_out, completed.stderr) == (True, False, "one\n")
        assert time.monotonic() - began < 10
    finally:
        docker.close()


@pytest.mark.allow_subprocess
def test_what_was_temporary_is_taken_away_after_a_stop_too(tmp_path: Path) -> None:
    docker = Shell({}, tmp_path)
    try:
        docker.cancel()
        docker.clean([f"touch {tmp_path}/cleaned; exit 3"])
        assert (tmp_path / "cleaned").exists()
        with pytest.raises(Cancelled):
            docker.run(["true"])
    finally:
        docker.close()


@pytest.mark.allow_subprocess
def test_a_command_is_watched_however_many_files_are_open(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    nowhere = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    docker = Shell({}, tmp_path)
    try:
        completed = docker.run(["echo one >&2; sleep 0.5"], watch=Watch(seconds=0.1, alive=lambda: True))
        assert (completed.returncode, completed.stderr) == (0, "one\n")
    finally:
        docker.close()
        for stream in nowhere:
            os.close(stream)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.allow_subprocess
def test_a_child_that_cannot_write_itself_down_is_not_started(tmp_path: Path) -> None:
    docker = Shell({}, tmp_path)
    try:
        assert docker.run(["exit 0"]).returncode == 0
        docker._register.unlink()
        docker._register.mkdir()
        with pytest.raises(IsADirectoryError, match="children"):
            docker.run([f"touch {tmp_path}/started"])
        assert not (tmp_path / "started").exists()
    finally:
        docker.close()


_KILLED = """
import os, sys
from pathlib import Path
from mpbake.buildkit.process.docker import Docker
docker = Docker({"PATH": "/usr/bin:/bin"}, Path(sys.argv[1]))
docker._head = lambda _: ["/bin/sh", "-c"]
docker.run([": > $TMPDIR/Dockerfile"])
print(docker.scratch, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.allow_subprocess
def test_nothing_temporary_is_left_of_a_run_that_was_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    folder = Path(killed.stdout.strip())
    assert folder.name.startswith("mpb")
    for _ in range(100):
        if not folder.exists():
            break
        time.sleep(0.1)
    assert not folder.exists()


@pytest.mark.allow_subprocess
def test_what_a_command_complains_of_is_hidden_and_what_it_answers_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker = Docker({"PATH": "/usr/bin:/bin"}, tmp_path, lambda text: text.replace("hunter2", "***"))
    monkeypatch.setattr(docker, "_head", lambda _: ["/bin/sh", "-c"])
    completed = docker.run(["read line; echo $line; echo ERROR: $line >&2; exit 1"], given=b"hunter2\n")
    docker.close()
    assert (completed.stdout, completed.stderr, completed.error) == ("hunter2\n", "ERROR: ***\n", "***")
    assert not docker.scratch.exists()


@pytest.mark.allow_subprocess
def test_what_a_command_draws_on_its_terminal_is_handed_over(tmp_path: Path) -> None:
    docker = Shell({}, tmp_path)
    drawn = bytearray()
    try:
        command = "test -t 1 && echo one; sleep 0.1; printf two; echo no >&2; exit 3"
        completed = docker.run([command], on_terminal=drawn.extend)
    finally:
        docker.close()
    assert (completed.returncode, completed.stdout, completed.stderr) == (3, "", "no\n")
    assert bytes(drawn) == b"one\r\ntwo"


@pytest.mark.allow_subprocess
def test_without_terminals_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def openpty() -> None:
        raise OSError("out of pty devices")

    monkeypatch.setattr(os, "openpty", openpty)
    docker = Shell({}, tmp_path)
    try:
        completed = docker.run(["echo one"], on_terminal=lambda _: pytest.fail("there is none"))
    finally:
        docker.close()
    assert (completed.returncode, completed.stdout) == (0, "one\n")


_UNSENT = 'error during connect: Get "http://docker.example.com/v1.45/version": write |1: broken pipe'


@pytest.mark.allow_subprocess
@pytest.mark.parametrize(
    ("error", "attempts"), [(_UNSENT, 2), (_UNSENT.replace("broken pipe", "stream closed"), 1)], ids=["lost", "other"]
)
def test_a_request_that_docker_did_not_send_is_sent_again(tmp_path: Path, error: str, attempts: int) -> None:
    docker = Shell({}, tmp_path)
    log = tmp_path / "attempts"
    try:
        completed = docker.run([f"echo >> {log}; test $(wc -l < {log}) = 2 || {{ echo '{error}' >&2; exit 1; }}"])
    finally:
        docker.close()
    assert completed.returncode == 2 - attempts
    assert len(log.read_text().splitlines()) == attempts
