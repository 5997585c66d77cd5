"""Commands that end by themselves, and daemons that outlive the Python process which started them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import TestbedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_POLL_SECONDS = 0.02
_LOG_LINES_SHOWN = 15
_START_TIME_FIELD = 19  # the position in /proc/PID/stat, counted after the command's closing parenthesis


def find_tool(name: str, path: str) -> str | None:
    """Return the absolute path of the program, from PATH and from folders that are often missing in a user's PATH."""
    return shutil.which(name, path=f"{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")


def run(argv: Sequence[str], *, env: Mapping[str, str], stdin: bytes = b"", timeout: float = 120) -> bytes:
    """Run the command and return its standard output.

    If the command cannot run, fails or takes too long, TestbedError contains the command and its output.
    """
    command = " ".join(argv)
    try:
        completed = subprocess.run(argv, env=env, input=stdin, capture_output=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"{command}: {error}"
        raise TestbedError(message) from error
    if completed.returncode != 0:
        output = (completed.stderr or completed.stdout).decode(errors="replace").strip()
        message = f"{command}: exit code {completed.returncode}: {output}"
        raise TestbedError(message)
    return completed.stdout


def succeeds(argv: Sequence[str], *, env: Mapping[str, str], timeout: float = 30) -> bool:
    """Return whether the command ends with exit code 0 in time."""
    try:
        run(argv, env=env, timeout=timeout)
    except TestbedError:
        return False
    return True


def wait_until(ready: Callable[[], bool], *, seconds: float) -> bool:
    """Return whether `ready` becomes true in that time. It is called at least once."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Daemon:
    """A background process, identified by a file with its process number and its start time."""

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file to which the process appends its output."""
        return self.folder / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.folder / f"{self.name}.pid"

    def pid(self) -> int | None:
        """Return the process number while the process runs. Return None if another process has the same number now."""
        try:
            number, _, born = self._pid_file.read_text().partition(" ")
        except FileNotFoundError:
            return None
        pid = int(number)
        return pid if born and _birth(pid) == born else None

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        ready: Callable[[], bool],
        seconds: float = 30,
    ) -> None:
        """Start the process unless it runs, and wait until it is ready. TestbedError shows the end of its log."""
        if self.pid() is None:
            self._spawn(argv, env)
        ended_or_ready = wait_until(lambda: self.pid() is None or ready(), seconds=seconds)
        if self.pid() is None:
            message = f"{self.name} ended at once: {' '.join(argv)}\n{self.log_end()}"
            raise TestbedError(message)
        if not ended_or_ready:
            message = f"{self.name} did not get ready in {seconds:.0f} s\n{self.log_end()}"
            raise TestbedError(message)

    def stop(self, *, seconds: float = 20) -> None:
        """Stop the process: first with SIGTERM, then with SIGKILL. Do nothing if it does not run."""
        if (pid := self.pid()) is not None:
            # a paused process handles no signal but SIGCONT and SIGKILL
            for number in (signal.SIGCONT, signal.SIGTERM):
                _send(pid, number)
            if not wait_until(lambda: self.pid() is None, seconds=seconds):
                _send(pid, signal.SIGKILL)
                wait_until(lambda: self.pid() is None, seconds=seconds)
        self._pid_file.unlink(missing_ok=True)

    def pause(self) -> None:
        """Freeze the process. Its port accepts connections, but nothing answers."""
        if (pid := self.pid()) is not None:
            _send(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a paused process."""
        if (pid := self.pid()) is not None:
            _send(pid, signal.SIGCONT)

    def log_end(self) -> str:
        """Return the last lines of the process's log."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-_LOG_LINES_SHOWN:])

    def _spawn(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        program = find_tool(argv[0], env.get("PATH", ""))
        if program is None:
            message = f"{self.name}: unknown program {argv[0]}"
            raise TestbedError(message)
        self.folder.mkdir(parents=True, exist_ok=True)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        # subprocess.Popen would warn if its object is deleted while the process still runs
        pid = os.posix_spawn(
            program,
            list(argv),
            env,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ),
            setsid=True,
        )
        self._pid_file.write_text(f"{pid} {_birth(pid)}")


class Background:
    """A part of the testbed that runs as the daemon `_daemon` and accepts connections."""

    __slots__ = ()

    @property
    def _daemon(self) -> Daemon:
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it. Afterwards it refuses connections."""
        self._daemon.stop()

    def pause(self) -> None:
        """Freeze it. Afterwards it accepts connections and never answers."""
        self._daemon.pause()

    def resume(self) -> None:
        """Resume it after a pause."""
        self._daemon.resume()


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _birth(pid: int) -> str:
    """Return the start time of the process, which distinguishes it from others of this number.

    Empty if it has ended.
    """
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    if not sys.platform.startswith("linux"):
        command = ("ps", "-o", "lstart=", "-p", str(pid))
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return "" if fields[0] in "ZX" else f"{boot}/{fields[_START_TIME_FIELD]}"
