"""The running docker processes: their register, watchdog and deadlines, and the signals that end them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, TYPE_CHECKING

from mpbake.buildkit.process import watchdog
from mpbake.buildkit.process.launcher import UNREGISTERED, Launch, kill_group, new_launch
from mpbake.buildkit.process.output import read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.buildkit.process.output import Watch

# A child registers its process ID before it becomes docker, so the watchdog knows every child if mpbake dies.
_REGISTER_AND_RUN = f'echo "+$$" >>"$0" || exit {UNREGISTERED}; exec "$@"'


class Processes:
    """Starts processes and sends signals to them. Thread-safe.

    Every process has its own session and process group. Running processes are listed in the file `register`. If mpbake
    dies, the watchdog ends these processes and removes the folder `temporary`.
    """

    def __init__(self, register: Path, temporary: str) -> None:
        self._register = register
        self._temporary = temporary
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._launches: dict[Path, Launch] = {}
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        streams: tuple[IO[bytes], IO[bytes]],
        cwd: Path | None,
    ) -> subprocess.Popen[bytes]:
        """Start a process with `streams` as standard input and output. The caller must then call `follow`."""
        self._start_watchdog()
        child = subprocess.Popen(
            ["/bin/sh", "-c", _REGISTER_AND_RUN, str(self._register), *command],
            stdin=streams[0],
            stdout=streams[1],
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
        )
        self._children[child.pid] = child
        return child

    def follow(
        self,
        child: subprocess.Popen[bytes],
        take: Callable[[bytes], None],
        timeout: float | None,
        watch: Watch | None,
    ) -> tuple[bool, bool]:
        """Pass standard error to `take`, then wait for the end.

        Return whether the time ran out, and whether the child stalled.
        """
        assert child.stderr is not None  # noqa: S101 - `start` made standard error a pipe
        with deadline(timeout, lambda number: kill_group(child.pid, number)) as expired:
            try:
                with child.stderr:
                    stalled = read_all(child.stderr.fileno(), take, watch)
                if stalled:
                    kill_group(child.pid, signal.SIGKILL)
            except BaseException:
                kill_group(child.pid, signal.SIGKILL)
                raise
            finally:
                child.wait()
                self._forget(child.pid)
        return expired.is_set(), stalled

    @contextlib.contextmanager
    def launch(self, environment: Mapping[str, str], stdin: str, cwd: Path | None) -> Iterator[Launch]:
        """Yield a launch for one call of python-on-whales.

        At the end of the block, the processes of the call have ended.
        """
        self._start_watchdog()
        launch = new_launch(self._temporary, self._register)
        self._launches[launch.folder] = launch
        try:
            launch.prepare(environment, stdin, cwd)
            yield launch
        finally:
            del self._launches[launch.folder]
            launch.close()

    def signal_all(self, number: signal.Signals) -> None:
        """Send a signal to all running processes. A launched process that is about to start ends by itself."""
        for pid in tuple(self._children):
            kill_group(pid, number)
        for launch in tuple(self._launches.values()):
            launch.stop(number)

    def raise_register_error(self) -> None:
        """Raise the OSError that kept a child from registering, such as a full disk, if the cause still exists."""
        with self._register.open("a", encoding="ascii") as register:
            register.write(" " * 5000)  # larger than the unused rest of a disk block

    def close(self) -> None:
        """End the watchdog. All processes must have ended."""
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None

    def _forget(self, pid: int) -> None:
        """Record that a child has ended, so that no signal is sent to its process ID."""
        del self._children[pid]
        with contextlib.suppress(OSError), self._register.open("a", encoding="ascii") as register:
            register.write(f"-{pid}\n")

    def _start_watchdog(self) -> None:
        """Start the watchdog before the first process, unless it is already running."""
        with self._starting:
            if self._watchdog is None:
                self._register.touch()
                self._watchdog = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(watchdog.__file__), str(self._register), self._temporary],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )


@contextlib.contextmanager
def deadline(timeout: float | None, stop: Callable[[signal.Signals], None]) -> Iterator[threading.Event]:
    """Call `stop` with SIGKILL if the block takes more than `timeout` seconds.

    Yield an event that is set after the timeout.
    """
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        stop(signal.SIGKILL)

    timer = threading.Timer(timeout, expire) if timeout else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield expired
    finally:
        if timer:
            timer.cancel()


def short_folder(preferred: str) -> str:
    """Return a new temporary folder with a short path, since docker's sockets in it need short paths."""
    usable = preferred and os.access(f"{preferred}/.", os.W_OK | os.X_OK)
    folder = tempfile.mkdtemp(prefix="mpb", dir=preferred if usable else None)
    if len(folder) <= 50:
        return folder
    os.rmdir(folder)  # noqa: PTH106 - a name, not a Path, all through
    return tempfile.mkdtemp(prefix="mpb", dir="/tmp")
