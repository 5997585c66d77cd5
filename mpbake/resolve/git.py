"""Facts about the plan's Git repository. The only module that runs git.

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
from typing import TYPE_CHECKING, assert_never

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.resolve.template.filters import FilterError, SemanticVersion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import FrameType

    from mpbake.resolve.template.filters import GitFact

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
_FILTER_OFF = {"clean": "", "smudge": "", "process": "", "required": "false"}
_TIMEOUT = 10.0
_MAX_OUTPUT = 1_000_000
_MAX_STATUS_OUTPUT = 50_000
_MAX_PATHS = 100
_MODIFIED = b" M "
_BRANCHES = "refs/heads/"
_RUN_GIT_STATUS = "run `git status` in the plan's folder to see the reason"
_USE_A_VARIABLE = "pass the value as a variable"
_KNOWN_ERRORS = (
    ("not a git repository", "the plan is not in a git repository", _USE_A_VARIABLE),
    (
        "dubious ownership|unsafe repository",
        "git does not trust the plan's repository: another user owns it",
        "run `git status` in the plan's folder: it prints how to trust the repository",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _GitResult:
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


def has_repository(folder: Path) -> bool:
    """Whether `folder` seems to belong to a git repository. Starts no program."""
    return any(os.path.lexists(place / ".git") for place in (folder, *folder.parents))


class GitRepository:
    """The git repository that a folder belongs to."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def fact(self, name: GitFact) -> str | bool:
        """Return a fact about the current state of the repository; nothing is cached. Raises FilterError.

        `commit` is a full hash. `branch` is empty if no branch is checked out. `tag` is the highest tag at the commit,
        or empty. `dirty` says whether a tracked file differs from the commit.
        """
        match name:
            case "commit":
                return self._commit()
            case "branch":
                return self._branch()
            case "tag":
                return self._tag()
            case "dirty":
                return self._dirty()
            case _:
                assert_never(name)

    def tracked(self, names: Sequence[str]) -> frozenset[str]:
        """Return the files of the folder that git tracks. Raises FilterError."""
        output = self._run("ls-files", "-z", "--cached", "--", *(f":(literal){name}" for name in names)).stdout
        return frozenset(os.fsdecode(name) for name in output.split(b"\0") if name)

    def unignored(self, names: Sequence[str]) -> frozenset[str]:
        """Return the files called `names` in the folder that git does not ignore, whether these files exist or not.

        Raises FilterError. git never ignores a tracked file.
        """
        paths = [f"./{name}" for name in names]  # a name that begins with `:` has another meaning
        ignored = self._run("check-ignore", "--", *paths, allowed_codes=(0, 1)).text.splitlines()
        if len(ignored) in {0, len(names)}:
            return frozenset() if ignored else frozenset(names)
        # git quotes unusual names in its output, so its exit code is the answer for each name.
        return frozenset(
            name
            for name, path in zip(names, paths, strict=True)
            if self._run("check-ignore", "--quiet", "--", path, allowed_codes=(0, 1)).code
        )

    def tree(self, path: str) -> str:
        """Return the id of the git tree of a folder, at the current commit; empty if the commit does not have it.

        `path` is relative to the folder of this repository object. Raises FilterError.
        """
        result = self._run("rev-parse", "--verify", "--quiet", f"HEAD:./{path}", allowed_codes=(0, 1))
        return result.text

    def changes(self, path: str) -> list[Path]:
        """Return the files below a folder that differ from the commit, and those that git neither has nor ignores.

        Filters are off, so a filtered file may be listed although nobody has changed it. Raises FilterError.
        """
        filters_off = {f"filter.{name}.{key}": value for name in self._filters() for key, value in _FILTER_OFF.items()}
        options = ("--porcelain", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--no-renames")
        output = self._run("status", *options, "--", f":(literal){path}", configuration=filters_off).stdout
        top = self._folder / self._run("rev-parse", "--show-cdup").text
        return [top / os.fsdecode(entry[3:]) for entry in output.split(b"\0")[:-1]]  # after two letters and a blank

    def _commit(self) -> str:
        result = self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", allowed_codes=(0, 1))
        if result.code:
            raise _git_error("the plan's git repository has no commit yet", "create a commit first")
        return result.text

    def _branch(self) -> str:
        reference = self._run("symbolic-ref", "--quiet", "HEAD", allowed_codes=(0, 1)).text
        return reference.removeprefix(_BRANCHES) if reference.startswith(_BRANCHES) else ""

    def _tag(self) -> str:
        commit = self._commit()
        tags = self._run("for-each-ref", f"--points-at={commit}", "--format=%(refname:lstrip=2)", "refs/tags")
        return max(tags.text.splitlines(), key=_tag_rank, default="")

    def _dirty(self) -> bool:
        filters = self._filters()
        filters_off = {f"filter.{name}.{key}": value for name in filters for key, value in _FILTER_OFF.items()}
        # Untracked files do not belong to a commit, and changes inside a submodule belong to the submodule.
        options = ("--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
        result = self._run("status", *options, configuration=filters_off, max_output=_MAX_STATUS_OUTPUT)
        changes = result.stdout.split(b"\0")[:-1]  # the rest after the last zero byte is empty or incomplete
        modified = [os.fsdecode(change.removeprefix(_MODIFIED)) for change in changes if change.startswith(_MODIFIED)]
        if len(modified) < len(changes):
            return True
        return bool(changes) and self._is_modified(modified[:_MAX_PATHS], filters)

    def _filters(self) -> list[str]:
        """Return the filters in git's configuration, which mpbake disables, since `git status` would run them."""
        result = self._run("config", "--null", "--name-only", "--get-regexp", r"^filter\..*\.", allowed_codes=(0, 1))
        keys = {os.fsdecode(key) for key in result.stdout.split(b"\0") if key}
        if any("=" in key for key in keys):  # `git -c` would take the text after `=` for the value
            raise _git_error("a filter in git's configuration has an equals sign in its name", "rename the filter")
        return sorted({key.removeprefix("filter.").rpartition(".")[0] for key in keys})

    def _is_modified(self, paths: Sequence[str], filters: Sequence[str]) -> bool:
        """Whether one of `paths` is really modified. Raises FilterError if git cannot tell.

        While `filters` are off, git reports `paths` as modified. The content of a filtered file differs between
        repository and folder, so git cannot compare the file without the filter.
        """
        up = self._run("rev-parse", "--show-cdup").text
        result = self._run("check-attr", "-z", "filter", "--", *(f"{up}{path}" for path in paths))
        used = [os.fsdecode(value) for value in result.stdout.split(b"\0")[2::3]]  # path, name, value, path, …
        if any(filter_name not in filters for filter_name in used):
            return True
        message = f'git cannot tell whether {one_line(paths[0])} has changed without the filter "{one_line(used[0])}"'
        raise _git_error(message, f"run `git status` once, which updates git's index, or {_USE_A_VARIABLE}")

    def _run(
        self,
        *arguments: str,
        configuration: Mapping[str, str] | None = None,
        allowed_codes: Sequence[int] = (0,),
        max_output: int = _MAX_OUTPUT,
    ) -> _GitResult:
        """Run git with `configuration` added to the fixed configuration. Raises FilterError.

        An exit code outside `allowed_codes` is an error. Output beyond `max_output` is cut off, which is an error only
        at `_MAX_OUTPUT`.
        """
        settings = [f"{key}={value}" for key, value in {**_FIXED_CONFIGURATION, **(configuration or {})}.items()]
        options = [option for setting in settings for option in ("-c", setting)]
        passed = {name: value for name, value in self._environment.items() if name in GIT_VARIABLES}
        command = [_git_program(passed.get("PATH", "")), "--no-pager", *options, *arguments]
        try:
            result = _run_program(command, self._folder, {**passed, **_FIXED_ENVIRONMENT}, max_output)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise _git_error(f"git {arguments[0]} took more than {_TIMEOUT:.0f} seconds", _RUN_GIT_STATUS) from None
        except OSError as error:
            raise _git_error(f"git cannot be started: {error.strerror}", "check that `git --version` works") from error
        if len(result.stdout) >= _MAX_OUTPUT:
            raise _git_error(f"git {arguments[0]} printed more than {_MAX_OUTPUT} bytes", _RUN_GIT_STATUS)
        if result.code not in allowed_codes:
            raise _explained_error(result.error_text)
        return result


def _git_program(path: str) -> str:
    """Return the path of git. Ignore relative folders in `path`, which would be below the plan's folder."""
    absolute = os.pathsep.join(folder for folder in path.split(os.pathsep) if Path(folder).is_absolute())
    program = shutil.which("git", path=absolute)
    if program is None:
        raise _git_error("git is not on the PATH", f"install git, or {_USE_A_VARIABLE}")
    return program


def _run_program(command: Sequence[str], folder: Path, environment: Mapping[str, str], max_output: int) -> _GitResult:
    """Run a program to its end, or to `max_output` bytes of output. Raises OSError, TimeoutError, TimeoutExpired."""
    with (
        _killed_by_our_signals() as watch,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as child,
    ):
        watch(child)
        try:
            stdout, stderr = _read_output(child, max_output)
            code = 0 if len(stdout) >= max_output else child.wait(_TIMEOUT)
        finally:
            if child.poll() is None:
                _kill(child)
    return _GitResult(code=code, stdout=stdout, stderr=stderr)


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
                output[key.fd] += chunk[: _MAX_OUTPUT - len(output[key.fd])]
    return bytes(stdout), bytes(stderr)


def _ready_streams(selector: selectors.BaseSelector, deadline: float) -> list[tuple[selectors.SelectorKey, int]]:
    remaining = deadline - time.monotonic()
    ready = selector.select(remaining) if remaining > 0 else []
    if not ready:
        raise TimeoutError
    return ready


def _tag_rank(tag: str) -> tuple[bool, str, str]:
    """Return the sort key of a tag: a version sorts by precedence and above all other tags.

    Digits in other tags compare as numbers.
    """
    try:
        return True, SemanticVersion(tag), tag
    except FilterError:
        return False, re.sub("[0-9]+", lambda digits: digits[0].lstrip("0").zfill(20), tag), tag


def _explained_error(error_text: str) -> FilterError:
    """Return the error for git's error output; a known error gets mpbake's own message."""
    for pattern, message, hint in _KNOWN_ERRORS:
        if re.search(pattern, error_text):
            return _git_error(message, hint)
    last = error_text.rpartition("\n")[2].removeprefix("fatal: ")
    return _git_error(f"git failed: {one_line(last)}", _RUN_GIT_STATUS)


def _git_error(message: str, hint: str) -> FilterError:
    return FilterError(message, hint, Code.GIT_FAILED)
