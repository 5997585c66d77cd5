"""The docker command, through python-on-whales, with what it lacks: flags, streams, deadlines and cancelling.

python-on-whales finds the command, its host, context and configuration; this module adds arguments and runs them in a
process group of their own. There is no other way to Docker in mpbake.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from python_on_whales import ClientNotFoundError, DockerClient

from mpbake.base.errors import Cancelled, Unreachable
from mpbake.buildkit.process import watchdog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_UNREGISTERED = 222
"""The exit code of a child that could not write itself down, and was not started."""
# Each child writes its own number down before it becomes docker, so that none can be missed, whenever mpbake dies.
_LAUNCH = f'echo "+$$" >>"$0" || exit {_UNREGISTERED}; exec "$@"'
_KILL_AFTER = 3.0
_CLEANING = 10.0
_GLANCE = 0.1
_SCREEN_SECONDS = 1.0
"""Seconds for which the last of what a command has drawn is waited for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """What to do about a command that is silent: after each so many seconds `alive` is asked whether to go on."""

    seconds: float
    alive: Callable[[], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """How a docker command ended. `stderr` is empty when it was streamed."""

    returncode: int
    stdout: str
    stderr: str
    timed_out: bool = False
    stalled: bool = False

    @property
    def error(self) -> str:
        """The last line of its complaint, without the word ERROR."""
        if self.timed_out:
            return "no answer in time"
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return lines[-1].removeprefix("ERROR: ") if lines else f"exit code {self.returncode}"


class Docker:
    """Runs docker commands; safe to use from several threads.

    `environment` is all that a command gets to see. `folder` is for the register of running children. What commands
    complain of goes through `hide`. `scratch` is a folder that is gone after `close`.
    """

    def __init__(self, environment: Mapping[str, str], folder: Path, redact: Callable[[str], str] = str) -> None:
        # buildx leaves each inline Dockerfile behind in its temporary folder: this one goes when all is done.
        self._temporary = _short_folder(environment.get("TMPDIR", ""))
        self.scratch = Path(self._temporary)
        self._environment = {**environment, "TMPDIR": self._temporary}
        self.redact = redact
        self._register = folder / "children"
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._cancelled = 0
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._starting = threading.Lock()

    def client(self, endpoint: str = "") -> DockerClient:
        """python-on-whales for the engine in use, or for that of a docker context or URL."""
        if not endpoint:
            return DockerClient()
        return DockerClient(host=endpoint) if "://" in endpoint else DockerClient(context=endpoint)

    def run(  # noqa: PLR0913 - each is one facet of one process
        self,
        arguments: Sequence[str],
        *,
        endpoint: str = "",
        environment: Mapping[str, str] | None = None,
        given: str = "",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        on_terminal: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        """Run `docker ARGUMENTS` and wait for it; `given` is its standard input, `timeout` is in seconds.

        With `on_stderr`, what it writes there is handed over as it comes; `watch` may end it when it writes nothing.
        With `on_terminal`, its standard output is a terminal, and what it draws there is handed over as it comes.
        Raises Cancelled when `cancel` was called, Unreachable when there is no docker command.
        """
        return self._run(
            [*self._head(endpoint), *arguments],
            environment=environment,
            given=given,
            timeout=timeout,
            cwd=cwd,
            on_stderr=on_stderr,
            on_terminal=on_terminal,
            watch=watch,
        )

    def run_program(self, command: Sequence[str], *, timeout: float, given: str = "") -> Completed:
        """Run another program as `run` runs docker. Raises Cancelled, Unreachable when it is not there."""
        if shutil.which(command[0], path=self._environment.get("PATH")) is None:
            raise Unreachable(f"the {command[0]} command was not found")
        return self._run(command, timeout=timeout, given=given)

    def _run(  # noqa: PLR0913 - as `run`
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        given: str = "",
        timeout: float | None = None,
        cwd: Path | None = None,
        on_stderr: Callable[[bytes], None] | None = None,
        on_terminal: Callable[[bytes], None] | None = None,
        watch: Watch | None = None,
    ) -> Completed:
        if self._cancelled:
            raise Cancelled("cancelled")
        with tempfile.TemporaryFile() as stdin, _output(on_terminal) as stdout:
            stdin.write(given.encode())
            stdin.seek(0)
            child = self._start(command, {**self._environment, **(environment or {})}, (stdin, stdout), cwd)
            stderr = bytearray()
            timed_out, stalled = self._follow(child, on_stderr or stderr.extend, timeout, watch)
            if self._cancelled:
                raise Cancelled("cancelled")
            if child.returncode == _UNREGISTERED:
                self._complain_of_register()
            return Completed(
                returncode=child.returncode,
                stdout=_written(stdout),
                stderr=self.redact(stderr.decode(errors="replace")),
                timed_out=timed_out,
                stalled=stalled,
            )

    def clean(
        self, arguments: Sequence[str], *, endpoint: str = "", environment: Mapping[str, str] | None = None
    ) -> None:
        """Run a short command that takes away what was temporary, also after `cancel`; nobody asks how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired, OSError, Unreachable):
            subprocess.run(
                [*self._head(endpoint), *arguments],
                env={**self._environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                timeout=_CLEANING,
                check=False,
            )

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._cancelled > 0

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than until `cancel` is called."""
        end = time.monotonic() + seconds
        while not self._cancelled and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _GLANCE))

    def cancel(self) -> None:
        """Ask every running command to cancel itself, and kill it if it does not; a second call kills at once."""
        self._cancelled += 1
        if self._cancelled > 1:
            self._signal_all(signal.SIGKILL)
            return
        self._signal_all(signal.SIGINT)
        killer = threading.Timer(_KILL_AFTER, self._signal_all, [signal.SIGKILL])
        killer.daemon = True
        killer.start()

    def close(self) -> None:
        """Let the watchdog go, and what was temporary; nothing may be running any more."""
        shutil.rmtree(self._temporary, ignore_errors=True)
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._watchdog.stdin.close()
            self._watchdog.wait()
            self._watchdog = None

    def _head(self, endpoint: str) -> list[str]:
        try:
            return [str(part) for part in self.client(endpoint).client_config.docker_cmd]
        except ClientNotFoundError:
            raise Unreachable(
                "the docker command was not found",
                hint="install Docker (https://docs.docker.com/get-docker/), or put docker on the PATH",
            ) from None

    def _start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        streams: tuple[IO[bytes], IO[bytes]],
        cwd: Path | None,
    ) -> subprocess.Popen[bytes]:
        with self._starting:
            self._guard()
        child = subprocess.Popen(
            ["/bin/sh", "-c", _LAUNCH, str(self._register), *command],
            stdin=streams[0],
            stdout=streams[1],
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=cwd,
            start_new_session=True,
        )
        self._children[child.pid] = child
        if self._cancelled:  # it may have been missed by the signal
            self._signal_all(signal.SIGINT)
        return child

    def _follow(
        self,
        child: subprocess.Popen[bytes],
        take: Callable[[bytes], None],
        timeout: float | None,
        watch: Watch | None,
    ) -> tuple[bool, bool]:
        """Hand standard error to `take` to its end, then wait; returns whether time ran out, and whether it stalled."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            _kill(child.pid, signal.SIGKILL)

        timer = threading.Timer(timeout, expire) if timeout else None
        if timer:
            timer.daemon = True
            timer.start()
        assert child.stderr is not None  # noqa: S101 - it was asked for
        try:
            with child.stderr:
                stalled = _read_all(child.stderr.fileno(), take, watch)
            if stalled:
                _kill(child.pid, signal.SIGKILL)
        except BaseException:
            _kill(child.pid, signal.SIGKILL)
            raise
        finally:
            child.wait()
            if timer:
                timer.cancel()
            self._forget(child.pid)
        return expired.is_set(), stalled

    def _forget(self, pid: int) -> None:
        """The child is over: nobody is to signal its number again."""
        del self._children[pid]
        with contextlib.suppress(OSError), self._register.open("a", encoding="ascii") as register:
            register.write(f"-{pid}\n")

    def _complain_of_register(self) -> None:
        """Raise the OSError that kept a child from writing itself down, such as a full disk, unless it is over."""
        with self._register.open("a", encoding="ascii") as register:
            register.write(" " * 5000)  # more than what is left of a block

    def _guard(self) -> None:
        """Start the watchdog, once, before the first child."""
        if self._watchdog is None:
            self._register.touch()
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", str(watchdog.__file__), str(self._register), self._temporary],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in tuple(self._children):
            _kill(pid, number)


def _read_all(descriptor: int, take: Callable[[bytes], None], watch: Watch | None) -> bool:
    """Hand everything to `take`; returns whether that ended in a silence in which `watch` had enough."""
    while True:
        if watch is not None and _is_silent(descriptor, watch.seconds):
            if not watch.alive():
                return True
        elif chunk := os.read(descriptor, 65536):
            take(chunk)
        else:
            return False


@contextlib.contextmanager
def _output(on_terminal: Callable[[bytes], None] | None) -> Iterator[IO[bytes]]:
    """A file for standard output; with `on_terminal`, a terminal whose contents it is handed until the block ends."""
    with contextlib.ExitStack() as ends:
        file: IO[bytes] = ends.enter_context(tempfile.TemporaryFile())
        if on_terminal is not None:
            with contextlib.suppress(OSError):  # a machine without terminals: nothing is drawn
                screen, terminal = os.openpty()
                file = os.fdopen(terminal, "wb", buffering=0)
                reader = threading.Thread(target=_read_screen, args=(screen, on_terminal), daemon=True)
                reader.start()
                ends.callback(reader.join, _SCREEN_SECONDS)
                ends.callback(file.close)  # first: the reader ends with the last writer
        yield file


def _read_screen(screen: int, take: Callable[[bytes], None]) -> None:
    """Hand to `take` what is drawn on a terminal, to its end, which Linux reports as an error."""
    with os.fdopen(screen, "rb", buffering=0) as file, contextlib.suppress(OSError):
        _read_all(file.fileno(), take, None)


def _written(file: IO[bytes]) -> str:
    """What a command wrote to its standard output; nothing where that was a terminal."""
    if file.isatty():
        return ""
    file.seek(0)
    return file.read().decode(errors="replace")


def _is_silent(descriptor: int, seconds: float) -> bool:
    """Whether nothing comes, not even the end, for so long; `select` would not take the 1025th descriptor."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(seconds * 1000)


def _short_folder(preferred: str) -> str:
    """A new temporary folder whose name leaves room for the sockets that docker makes in it (100 characters)."""
    usable = preferred and os.access(f"{preferred}/.", os.W_OK | os.X_OK)
    folder = tempfile.mkdtemp(prefix="mpb", dir=preferred if usable else None)
    if len(folder) <= 50:
        return folder
    os.rmdir(folder)  # noqa: PTH106 - a name, not a Path, all through
    return tempfile.mkdtemp(prefix="mpb", dir="/tmp")


def _kill(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
