"""The only place that runs git, and in a way that lets a repository run nothing and change nothing.

A checkout may be hostile, and so may its `.git/config`: that can name programs for git to start. None is started here,
no remote is asked, and nothing is written. The user's own configuration counts, which says whose repositories to trust.
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

# What finds git, its user's configuration and a repository; kept in step with docs/environment.md by a test.
PASSED = (
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
_SET = {
    "GIT_ALLOW_PROTOCOL": "",  # no remote, however it is reached: git before 2.45 knows no other way
    "GIT_NO_LAZY_FETCH": "1",  # what a partial clone lacks is not fetched
    "GIT_OPTIONAL_LOCKS": "0",  # the index is not written
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}
_SETTINGS = {
    "core.fsmonitor": "",  # a program that tells what has changed; true: a daemon
    "core.hooksPath": os.devnull,
    "credential.helper": "",
    "safe.bareRepository": "explicit",  # a folder of the checkout may look like a repository
}
_NO_FILTER = {"clean": "", "smudge": "", "process": "", "required": "false"}
_SECONDS = 10.0
_BYTES = 1_000_000
_SOME = 50_000
_PATHS = 100
_CHANGED = b" M "
_BRANCHES = "refs/heads/"
_BY_HAND = "see what `git status` in the plan's folder says"
_BY_VARIABLE = "give the value with a variable"
_EXPLANATIONS = (
    ("not a git repository", "the plan is in no git repository", _BY_VARIABLE),
    (
        "dubious ownership|unsafe repository",
        "git does not trust the repository of the plan: it belongs to somebody else",
        "`git status` in the plan's folder says how to trust it",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answer:
    """How git ended, and what it said."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Its output without the line break at the end."""
        return self.stdout.decode(errors="replace").rstrip("\n")

    @property
    def complaint(self) -> str:
        """All that it complains of."""
        return self.stderr.decode(errors="replace").strip()


class Repository:
    """The git repository that a folder belongs to."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment

    def fact(self, name: GitFact) -> str | bool:
        """What is true of the repository just now; nothing is remembered. Raises FilterError.

        `commit` is a full hash. `branch` is empty when none is checked out, `tag` is the highest of those at the
        commit, or empty. `dirty` says whether a tracked file differs from the commit.
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

    def _commit(self) -> str:
        answer = self._ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}", fine=(0, 1))
        if answer.code:
            raise _refused("the repository of the plan has no commit yet", "commit something first")
        return answer.text

    def _branch(self) -> str:
        reference = self._ask("symbolic-ref", "--quiet", "HEAD", fine=(0, 1)).text
        return reference.removeprefix(_BRANCHES) if reference.startswith(_BRANCHES) else ""

    def _tag(self) -> str:
        commit = self._commit()
        tags = self._ask("for-each-ref", f"--points-at={commit}", "--format=%(refname:lstrip=2)", "refs/tags")
        return max(tags.text.splitlines(), key=_rank, default="")

    def _dirty(self) -> bool:
        filters = self._filters()
        off = {f"filter.{each}.{name}": value for each in filters for name, value in _NO_FILTER.items()}
        # Untracked files are no part of a commit, and what happens within a submodule is its own affair.
        options = ("--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty", "--no-renames")
        answer = self._ask("status", *options, settings=off, enough=_SOME)
        changes = answer.stdout.split(b"\0")[:-1]  # what follows the last is nothing, or cut short
        paths = [os.fsdecode(each.removeprefix(_CHANGED)) for each in changes if each.startswith(_CHANGED)]
        return bool(changes) and (len(paths) < len(changes) or self._changed(paths[:_PATHS], filters))

    def _filters(self) -> list[str]:
        """The filters of the configuration. `status` would have files run through them: they must be switched off."""
        answer = self._ask("config", "--null", "--name-only", "--get-regexp", r"^filter\..*\.", fine=(0, 1))
        keys = {os.fsdecode(key) for key in answer.stdout.split(b"\0") if key}
        if any("=" in key for key in keys):  # git would take the rest for a value
            raise _refused("a filter in git's configuration has an equals sign in its name", "rename the filter")
        return sorted({key.removeprefix("filter.").rpartition(".")[0] for key in keys})

    def _changed(self, paths: Sequence[str], filters: Sequence[str]) -> bool:
        """Whether one of `paths` has changed, which all seem to have while `filters` are off. Raises FilterError.

        What goes through a filter is another text in the repository than in the folder, so git cannot compare them.
        """
        up = self._ask("rev-parse", "--show-cdup").text
        answer = self._ask("check-attr", "-z", "filter", "--", *(f"{up}{path}" for path in paths))
        used = [os.fsdecode(each) for each in answer.stdout.split(b"\0")[2::3]]  # path, name, value, path, …
        if any(each not in filters for each in used):
            return True
        message = f'git cannot tell whether {one_line(paths[0])} has changed without the filter "{one_line(used[0])}"'
        raise _refused(message, f"run `git status`, and git will remember; or {_BY_VARIABLE}")

    def _ask(
        self,
        *arguments: str,
        settings: Mapping[str, str] | None = None,
        fine: Sequence[int] = (0,),
        enough: int = _BYTES,
    ) -> _Answer:
        """Run git with `settings` besides those that are always made. Raises FilterError.

        An exit code that is not `fine` is an error; to have said `enough` bytes is not, unless that is too much.
        """
        given = [f"{key}={value}" for key, value in {**_SETTINGS, **(settings or {})}.items()]
        options = [option for each in given for option in ("-c", each)]
        passed = {name: value for name, value in self._environment.items() if name in PASSED}
        command = [_program(passed.get("PATH", "")), "--no-pager", *options, *arguments]
        try:
            answer = _run(command, self._folder, {**passed, **_SET}, enough)
        except (TimeoutError, subprocess.TimeoutExpired):
            raise _refused(f"git {arguments[0]} takes more than {_SECONDS:.0f} seconds", _BY_HAND) from None
        except OSError as error:
            raise _refused(f"git cannot be started: {error.strerror}", "see whether it works by hand") from error
        if len(answer.stdout) >= _BYTES:
            raise _refused(f"git {arguments[0]} says more than {_BYTES} bytes", _BY_HAND)
        if answer.code not in fine:
            raise _explained(answer.complaint)
        return answer


def _program(path: str) -> str:
    """Where git is. A relative folder of `path` does not count: it would be one of the plan."""
    absolute = os.pathsep.join(each for each in path.split(os.pathsep) if Path(each).is_absolute())
    found = shutil.which("git", path=absolute)
    if found is None:
        raise _refused("there is no git on the PATH", f"install it, or {_BY_VARIABLE}")
    return found


def _run(command: Sequence[str], folder: Path, environment: Mapping[str, str], enough: int) -> _Answer:
    """Run a program until it ends, or has said `enough`. Raises OSError; TimeoutError, TimeoutExpired."""
    with (
        _ended_with_us() as hand_over,
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
        hand_over(child)
        try:
            stdout, stderr = _said(child, enough)
            code = 0 if len(stdout) >= enough else child.wait(_SECONDS)
        finally:
            if child.poll() is None:
                _kill(child)
    return _Answer(code=code, stdout=stdout, stderr=stderr)


def _kill(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


@contextlib.contextmanager
def _ended_with_us() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Within, a signal that ends this process ends the program that is handed over, too: it is in its own session.

    One that comes while the program is being started waits until it is handed over. Signals that somebody handles are
    left to them, and outside the main thread nothing can be done. A kill cannot be noticed: what git does then ends by
    itself.
    """
    children: list[subprocess.Popen[bytes]] = []
    waiting: list[int] = []

    def end(number: int, _: FrameType | None = None) -> None:
        if not children:
            waiting.append(number)
            return
        _kill(children[0])
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def hand_over(child: subprocess.Popen[bytes]) -> None:
        children.append(child)
        if waiting:
            end(waiting[0])

    in_main = threading.current_thread() is threading.main_thread()
    ours = [each for each in (signal.SIGTERM, signal.SIGHUP) if in_main and signal.getsignal(each) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield hand_over
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
        for late in waiting:  # nothing was started
            signal.raise_signal(late)


def _said(child: subprocess.Popen[bytes], enough: int) -> tuple[bytes, bytes]:
    """What a program says on both streams to their end, or until it has said `enough` on the first."""
    assert child.stdout is not None  # noqa: S101 - it was asked for
    assert child.stderr is not None  # noqa: S101 - as above
    said = {child.stdout.fileno(): bytearray(), child.stderr.fileno(): bytearray()}
    stdout, stderr = said.values()
    end = time.monotonic() + _SECONDS
    with selectors.DefaultSelector() as selector:
        for stream in said:
            selector.register(stream, selectors.EVENT_READ)
        while selector.get_map() and len(stdout) < enough:
            for key, _ in _ready(selector, end):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fd)
                said[key.fd] += chunk[: _BYTES - len(said[key.fd])]
    return bytes(stdout), bytes(stderr)


def _ready(selector: selectors.BaseSelector, end: float) -> list[tuple[selectors.SelectorKey, int]]:
    left = end - time.monotonic()
    ready = selector.select(left) if left > 0 else []
    if not ready:
        raise TimeoutError
    return ready


def _rank(tag: str) -> tuple[bool, str, str]:
    """What makes the highest of several tags: versions by precedence, before others with their numbers as numbers."""
    try:
        return True, SemanticVersion(tag), tag
    except FilterError:
        return False, re.sub("[0-9]+", lambda digits: digits[0].lstrip("0").zfill(20), tag), tag


def _explained(complaint: str) -> FilterError:
    """What git complains of, in our words where there are any."""
    for pattern, message, hint in _EXPLANATIONS:
        if re.search(pattern, complaint):
            return _refused(message, hint)
    last = complaint.rpartition("\n")[2].removeprefix("fatal: ")
    return _refused(f"git cannot tell: {one_line(last)}", _BY_HAND)


def _refused(message: str, hint: str) -> FilterError:
    return FilterError(message, hint, Code.GIT_FAILED)
