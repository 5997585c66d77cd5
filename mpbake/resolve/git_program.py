"""Run git for the plan's repository: the only module that starts git.

A checkout may be hostile, and its `.git/config` can name programs for git to start. This module prevents git from
starting such programs, contacting remotes and writing files. The user's own configuration applies, because it lists
the repositories that the user trusts.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.resolve.template.filters import FilterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

# The variables that tell git where programs, the user's configuration and a repository are. A test compares this with
# docs/environment.md.
GIT_VARIABLES = (
    "DEVELOPER_DIR",
    "GIT_CEILING_DIRECTORIES",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "HOME",
    "PATH",
    "SUDO_UID",
    "TMPDIR",
    "XDG_CONFIG_HOME",
)
_FIXED_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "",  # no remote by any protocol: the only way in git before 2.45
    "GIT_NO_LAZY_FETCH": "1",  # a partial clone fetches no missing objects
    "GIT_OPTIONAL_LOCKS": "0",  # git does not write the index
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_FIXED_CONFIGURATION = {
    "core.fsmonitor": "",  # names a program that reports changed files or, with "true", starts a daemon
    "core.hooksPath": os.devnull,
    "credential.helper": "",
    "safe.bareRepository": "explicit",  # a folder of the checkout may look like a bare repository
}
_TIMEOUT = 10.0
MAX_OUTPUT = 1_000_000
"""The maximum size of git's output in bytes, unless a caller allows more."""
MAX_INPUT = 12_000
"""The maximum size in bytes of what git reads from its standard input. It fits into the buffer of a pipe."""
RUN_GIT_STATUS = "run `git status` in the plan's folder to see the reason"
USE_A_VARIABLE = "pass the value as a variable"
_KNOWN_ERRORS = (
    ("not a git repository", "the plan is not in a git repository", USE_A_VARIABLE),
    (
        "dubious ownership|unsafe repository",
        "git does not trust the plan's repository: another user owns it",
        "run `git status` in the plan's folder: it prints how to trust the repository",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class GitResult:
    """The exit code and the output of git."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """The standard output without the trailing line break."""
        return self.stdout.decode(errors="replace").rstrip("\n")

    @property
    def error_text(self) -> str:
        """The standard error output."""
        return self.stderr.decode(errors="replace").strip()


class GitProgram:
    """Git, for the repository that a folder belongs to."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def run(
        self,
        *arguments: str,
        configuration: Mapping[str, str] | None = None,
        allowed_codes: Sequence[int] = (0,),
        max_output: int = MAX_OUTPUT,
        given: bytes = b"",
    ) -> GitResult:
        """Run git with `configuration` added to the fixed configuration. Raises FilterError.

        An exit code outside `allowed_codes` is an error. Output beyond `max_output` is cut off, which is an error
        unless `max_output` is below `MAX_OUTPUT`. `given`, at most `MAX_INPUT` bytes, is the standard input.
        """
        settings = [f"{key}={value}" for key, value in {**_FIXED_CONFIGURATION, **(configuration or {})}.items()]
        options = [option for setting in settings for option in ("-c", setting)]
        passed = {name: value for name, value in self._environment.items() if name in GIT_VARIABLES}
        command = [_git_program(passed.get("PATH", ""), self._folder), "--no-pager", *options, *arguments]
        try:
            result = _run_program(command, self._folder, {**passed, **_FIXED_ENVIRONMENT}, max_output, given)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise git_error(f"git {arguments[0]} took more than {_TIMEOUT:.0f} seconds", RUN_GIT_STATUS) from None
        except OSError as error:
            raise git_error(f"git cannot be started: {error.strerror}", "check that `git --version` works") from error
        if len(result.stdout) >= max(max_output, MAX_OUTPUT):
            raise git_error(f"git {arguments[0]} printed more than {max_output} bytes", RUN_GIT_STATUS)
        if result.code not in allowed_codes:
            raise _explained_error(result.error_text)
        return result


def _git_program(path: str, checkout: Path) -> str:
    """Return the path of git. Ignore folders of `path` in the `checkout`, and relative folders, which may be there."""
    inside = os.path.realpath(checkout)
    absolute = os.pathsep.join(
        folder
        for folder in path.split(os.pathsep)
        if Path(folder).is_absolute() and not Path(os.path.realpath(folder)).is_relative_to(inside)
    )
    program = shutil.which("git", path=absolute)
    if program is None:
        raise git_error("git is not on the PATH", f"install git, or {USE_A_VARIABLE}")
    return program


def _run_program(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], max_output: int, given: bytes
) -> GitResult:
    """Run a program to its end, or to `max_output` bytes of output. Raises OSError, TimeoutError, TimeoutExpired."""
    with (
        _killed_by_our_signals() as watch,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as child,
    ):
        watch(child)
        try:
            _write_input(child, given)
            stdout, stderr = _read_output(child, max_output)
            code = 0 if len(stdout) >= max_output else child.wait(_TIMEOUT)
        finally:
            if child.poll() is None:
                _kill(child)
    return GitResult(code=code, stdout=stdout, stderr=stderr)


def _write_input(child: subprocess.Popen[bytes], given: bytes) -> None:
    """Write the standard input. The buffer of the pipe holds all of it, so this does not wait for the program."""
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError), child.stdin:
            child.stdin.write(given)


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


@contextlib.contextmanager
def _killed_by_our_signals() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Kill the child process if a signal ends this process; yield a function that registers the child.

    The child has its own session, so it does not get the signal itself. A signal that arrives during the start of the
    child takes effect when the child is registered. A signal that has a handler keeps this handler; outside the main
    thread no handler can be set. SIGKILL cannot be handled: git then ends on its own.
    """
    children: list[subprocess.Popen[bytes]] = []
    pending: list[int] = []

    def end(number: int, _: FrameType | None = None) -> None:
        if not children:
            pending.append(number)
            return
        _kill(children[0])
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def register(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        if pending:
            end(pending[0])

    in_main = threading.current_thread() is threading.main_thread()
    handled = [
        number for number in (signal.SIGTERM, signal.SIGHUP) if in_main and signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in handled:
        signal.signal(number, end)
    try:
        yield register
    finally:
        for number in handled:
            signal.signal(number, signal.SIG_DFL)
        for late in pending:  # no child was started
            signal.raise_signal(late)


def _read_output(child: subprocess.Popen[bytes], max_output: int) -> tuple[bytes, bytes]:
    """Read both streams to their end, or until the first has `max_output` bytes. Raises TimeoutError."""
    assert child.stdout is not None  # noqa: S101 - opened as a pipe
    assert child.stderr is not None  # noqa: S101 - as above
    output = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    stdout, stderr = output.values()
    deadline = time.monotonic() + _TIMEOUT
    with selectors.DefaultSelector() as selector:
        for stream in output:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and len(stdout) < max_output:
            for key, _ in _ready_streams(selector, deadline):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fd)
                output[key.fd] += chunk[: max(max_output, MAX_OUTPUT) - len(output[key.fd])]
    return bytes(stdout), bytes(stderr)


def _ready_streams(selector: selectors.BaseSelector, deadline: float) -> list[tuple[selectors.SelectorKey, int]]:
    remaining = deadline - time.monotonic()
    ready = selector.select(remaining) if remaining > 0 else []
    if not ready:
        raise TimeoutError
    return ready


def _explained_error(error_text: str) -> FilterError:
    """Return the error for git's error output; a known error gets mpbake's own message."""
    for pattern, message, hint in _KNOWN_ERRORS:
        if re.search(pattern, error_text):
            return git_error(message, hint)
    last = error_text.rpartition("\n")[2].removeprefix("fatal: ")
    return git_error(f"git failed: {one_line(last)}", RUN_GIT_STATUS)


def git_error(message: str, hint: str) -> FilterError:
    """Return an error about git."""
    return FilterError(message, hint, Code.GIT_FAILED)
