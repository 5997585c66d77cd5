"""The launcher: a program that python-on-whales starts instead of docker, and that then becomes docker.

Without the launcher, python-on-whales would give each process the environment, session, terminal and working folder of
mpbake. The parameter `client_call` of python-on-whales names a program to start instead of docker. mpbake passes
`setsid /bin/sh SCRIPT`, with a separate script for each call. The process gets its own session and process group,
writes its process ID to the register of children, and sets standard input, standard error, working folder and
environment. Then the process executes docker with the same process ID.

The launcher is a shell script because it runs before each docker command. Measured on two cores, the script takes 2 ms,
and the same in Python (`-I -S`) 9 ms; `docker buildx version` takes 80 ms.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator, Mapping, Sequence

UNREGISTERED = 222
"""The exit code of a process that could not write its process ID to the register and did not start docker."""
_STOPPED = 130
_SHELL = "/bin/sh"
_ENV = "/usr/bin/env"
# For systems without the command `setsid`, such as macOS.
_SETSID = "import os, sys; os.setsid(); os.execv(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """The files for one call of python-on-whales, in the private folder `folder`.

    A call may start several processes, one after another.
    """

    folder: Path
    register: Path

    @property
    def command(self) -> list[str]:
        """The start of the command line, before `docker`."""
        return [*_new_session(), _SHELL, str(self.folder / "launch")]

    @property
    def errors(self) -> Path:
        """The file or named pipe for standard error."""
        return self.folder / "errors"

    def prepare(self, environment: Mapping[str, str], stdin: str, cwd: Path | None) -> None:
        """Write the script that the process runs, and the file for standard input."""
        if stdin:
            self._stdin.write_text(stdin, encoding="utf-8")
        script = "\n".join(self._script(environment, cwd)) + "\n"
        (self.folder / "launch").write_bytes(os.fsencode(script))

    def forget_stdin(self) -> None:
        """Remove the file for standard input, which may contain sensitive values.

        The process has already opened the file.
        """
        self._stdin.unlink(missing_ok=True)

    @contextlib.contextmanager
    def error_pipe(self) -> Iterator[ErrorPipe]:
        """Make standard error a pipe that mpbake reads while the call runs."""
        os.mkfifo(self.errors, 0o600)
        reader = os.open(self.errors, os.O_RDONLY | os.O_NONBLOCK)
        pipe = ErrorPipe(reader=reader, writer=os.open(self.errors, os.O_WRONLY))
        try:
            os.set_blocking(reader, True)
            yield pipe
        finally:
            os.close(reader)

    def error_text(self) -> str:
        """Return the standard error of a call without an error pipe."""
        try:
            return self.errors.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def stop(self, number: signal.Signals) -> None:
        """Send a signal to the running process and its children. A process that is about to start ends by itself."""
        with contextlib.suppress(OSError):
            self._stop_file.touch()
        for pid in self._pids()[-1:]:
            kill_group(pid, number)

    def close(self) -> None:
        """Record that the processes have ended, and remove the files of the call."""
        with contextlib.suppress(OSError), self.register.open("a", encoding="ascii") as register:
            register.writelines(f"-{pid}\n" for pid in self._pids())
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _stdin(self) -> Path:
        return self.folder / "input"

    @property
    def _stop_file(self) -> Path:
        return self.folder / "stop"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "pids"

    def _pids(self) -> list[int]:
        """Return the IDs of the processes that the call has started. The last process may still run."""
        try:
            return [int(line) for line in self._pid_file.read_text(encoding="ascii").splitlines()]
        except (OSError, ValueError):
            return []

    def _script(self, environment: Mapping[str, str], cwd: Path | None) -> Iterator[str]:
        """Yield the lines of the script.

        `stop` first creates a stop file, and then reads the process IDs. The process first writes its process ID, and
        then looks for the stop file. So a process cannot miss both the stop file and the signal.
        """
        stdin = str(self._stdin) if self._stdin.exists() else os.devnull
        yield f'echo "+$$" >>{_quoted(self.register)} && echo "$$" >>{_quoted(self._pid_file)} || exit {UNREGISTERED}'
        yield f"test ! -e {_quoted(self._stop_file)} || exit {_STOPPED}"
        yield f"exec <{_quoted(stdin)} 2>>{_quoted(self.errors)}"
        if cwd is not None:
            yield f"cd {_quoted(cwd)} || exit 1"
        yield from (f"export {name}={shlex.quote(value)}" for name, value in _changed(environment).items())
        removed = [part for name in _removed(environment) for part in ("-u", shlex.quote(name))]
        yield " ".join(["exec", _ENV, *removed, '"$@"'])


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorPipe:
    """The standard error of a call.

    Until `release`, mpbake keeps `writer` open, so that `reader` does not end too early.
    """

    reader: int
    writer: int

    def release(self) -> None:
        """Close `writer`, so that the pipe ends when the last process has closed it."""
        os.close(self.writer)


def new_launch(temporary: str, register: Path) -> Launch:
    """Return a launch with a new folder below `temporary`."""
    return Launch(folder=Path(tempfile.mkdtemp(prefix="call", dir=temporary)), register=register)


def kill_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group, if the group still exists."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _new_session() -> Sequence[str]:
    """Return the start of a command line that runs a command in a new session without a terminal."""
    setsid = shutil.which("setsid")
    return [setsid] if setsid else [sys.executable, "-I", "-S", "-c", _SETSID]


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))


def _changed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables in `environment` that differ from mpbake's own environment.

    python-on-whales passes on mpbake's own variables. These variables may be secrets, and must not appear in the
    script, which is a file. Names that a shell does not accept are omitted.
    """
    return {name: value for name, value in environment.items() if os.environ.get(name) != value and name.isidentifier()}


def _removed(environment: Mapping[str, str]) -> list[str]:
    """Return the variables in mpbake's own environment that the process must not receive."""
    return [name for name in os.environ if name not in environment]
