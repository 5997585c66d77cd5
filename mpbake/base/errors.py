"""The errors that mpbake explains to its users: each class has an exit code, each error a message and a hint."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from mpbake.base.codes import Severity
from mpbake.base.tag_moves import TagMoves
from mpbake.base.text import LONGEST_NAME, count, marked_line, one_line, printable, short_name, shortened
from mpbake.base.toml_text import BARE_KEY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from mpbake.base.codes import Code

KeyPath = tuple[str | int, ...]
"""The path to a value in a TOML document: `("targets", "web", "tags", 0)`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A position in a plan file.

    `line` and `column` count from 1; 0 means unknown. `excerpt` is the source line; the problem is in the `length`
    characters that start at `column`. `key` is the path to the value.
    """

    file: str
    line: int = 0
    column: int = 0
    length: int = 0
    key: KeyPath = ()
    excerpt: str = ""

    def __str__(self) -> str:
        """`build.toml:12:9`."""
        numbers = "".join(f":{number}" for number in (self.line, self.column) if number)
        return one_line(self.file) + numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """A problem of a plan: its message, location and hint. The code determines the kind and the severity."""

    code: Code
    message: str
    hint: str = ""
    location: Location | None = None

    @property
    def severity(self) -> Severity:
        """The severity of the code."""
        return self.code.severity

    def __str__(self) -> str:
        """Up to four lines: location and message, the source line, a marker below the wrong text, the hint."""
        position, key, excerpt = "", "", []
        if self.location is not None:
            position, key = f"{self.location}: ", key_path_text(self.location.key)
            excerpt = marked_line(self.location.excerpt, self.location.column, self.location.length)
        severity = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        first_line = f"{position}{severity}{key + ': ' if key else ''}{printable(self.message)} [{self.code}]"
        hint = [f"  = {printable(self.hint)}"] if self.hint else []
        return "\n".join([first_line, *(f"    {line}" for line in excerpt), *hint])


def key_path_text(key: KeyPath) -> str:
    """Return a key path as users write it: `targets.web.tags[0]`, `targets.web.labels."a.b"`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{_quoted(part)}"
    return text


def _quoted(part: str) -> str:
    return shortened(part, LONGEST_NAME) if BARE_KEY.fullmatch(part) else f'"{short_name(part)}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLine:
    """A line of a file of the plan, such as a Dockerfile. `file` is relative to the folder of the plan, or absolute.

    The line may come from the message of another tool, so it is only a hint: the file may have no such line.
    """

    file: str
    line: int


class MpbakeError(Exception):
    """An error that mpbake explains to the user; `exit_code` is the exit code of mpbake.

    `moves` holds the state of the tags that the failed step was moving. `source` is the line that probably caused the
    error. `parts` are the errors that this error joins.
    """

    exit_code: ClassVar[int] = 1
    moves: TagMoves = TagMoves()
    source: SourceLine | None = None
    parts: tuple[MpbakeError, ...] = ()

    def __init__(self, message: str, *, hint: str = "") -> None:
        """`message` says what is wrong; `hint` says what to do."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def with_moves(self, moves: TagMoves) -> Self:
        """Set the state of the tags in this error, and return this error."""
        self.moves = moves
        return self

    def with_source(self, source: SourceLine | None) -> Self:
        """Set the line that probably caused this error, and return this error."""
        self.source = source
        return self

    @classmethod
    def joined(cls, errors: Sequence[MpbakeError]) -> Self:
        """Return an error that joins `errors`, at least one. Of equal hints in a row, only the last one stays."""
        hints = [error.hint for error in errors]
        shown = ["" if hint == after else hint for hint, after in zip(hints, [*hints[1:], None], strict=True)]
        result = cls("\n".join(error.message for error in errors), hint=hints[0])
        result.parts = tuple(cls(error.message, hint=hint) for error, hint in zip(errors, shown, strict=True))
        return result

    @property
    def separate(self) -> tuple[MpbakeError, ...]:
        """The errors that this error joins, or this error."""
        return self.parts or (self,)

    def with_line(self, line: str) -> Self:
        """Return a copy of this error with `line` added to the message."""
        copy = type(self)(f"{self.message}\n{line}", hint=self.hint)
        return copy.with_moves(self.moves).with_source(self.source)

    def __str__(self) -> str:
        """The message and the hint, printable; of joined errors, all messages and hints."""
        if self.parts:
            return "\n".join(map(str, self.parts))
        hint = f"\n  = {printable(self.hint)}" if self.hint else ""
        return printable(self.message) + hint


_WORST_FIRST = (3, 5, 4, 1)


def most_severe(codes: Collection[int]) -> int:
    """Return the exit code that takes precedence among `codes`; 0 if `codes` is empty.

    A failure that a user must fix takes precedence over a temporary failure.
    """
    return next((code for code in _WORST_FIRST if code in codes), 0)


class PlanError(MpbakeError):
    """The plan is wrong. The error holds all problems of the plan, sorted by location.

    The messages of the problems contain no secrets, but other text of the same output might: `sensitive` holds the
    values to redact.
    """

    exit_code = 3

    def __init__(self, diagnostics: Iterable[Diagnostic], *, sensitive: Iterable[str] = ()) -> None:
        """Store the problems, which may be in any order."""
        self.diagnostics = sorted_by_location(diagnostics)
        self.sensitive = frozenset(sensitive)
        super().__init__(f"the plan has {count(len(self.diagnostics), 'problem')}")

    def __str__(self) -> str:
        """All problems, one after another."""
        return "\n".join(map(str, self.diagnostics))


def sorted_by_location(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return the diagnostics sorted by location, without duplicates."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda diagnostic: _sort_key(diagnostic.location)))


def _sort_key(location: Location | None) -> tuple[str, int, int]:
    return ("", 0, 0) if location is None else (location.file, location.line, location.column)


_HINTS_BY_ERRNO = {
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space",
    errno.EMFILE: "raise the limit of this process (ulimit -n 4096), or lower `slots` to run fewer builds at once",
    errno.ENFILE: "close other programs: all programs of this machine together have too many open files",
}
EXHAUSTED = frozenset(_HINTS_BY_ERRNO)
"""Error numbers of exhausted resources: disk space and open files."""


def system_error(error: OSError, place: object) -> MpbakeError:
    """Return the error, with a hint, for an operation on the path `place` that the operating system refused."""
    hint = _HINTS_BY_ERRNO.get(error.errno or 0, "check the disk space and that this user may write there")
    where = "" if error.errno in {errno.EMFILE, errno.ENFILE} else f"{place}: "
    return MpbakeError(f"{where}{error.strerror}", hint=hint)


class UsageError(MpbakeError):
    """The command line asks for something impossible or contradictory."""

    exit_code = 3


class NotGranted(MpbakeError):
    """The plan needs rights on this machine that the person who runs mpbake has not granted."""

    exit_code = 3


class NotApproved(MpbakeError):
    """A run would do something other than the plan that was approved."""

    exit_code = 3


class BuildFailed(MpbakeError):
    """The build, check or verification of a target failed, or a registry denied a request."""

    exit_code = 1


class NoSuchTag(BuildFailed):
    """A registry does not have a tag."""


class LockHeld(MpbakeError):
    """Another run holds the lock of this plan."""

    exit_code = 4


class Unreachable(MpbakeError):
    """The engine, a node or a registry does not answer."""

    exit_code = 5


class NodeMayBeInUse(Unreachable):
    """A node does not report whether a build is running there, so mpbake does not change the node."""


class ImageUnavailable(Unreachable):
    """The image of a node cannot be pulled. An existing node is left unchanged."""


class NodeLost(Unreachable):
    """A node disappeared or stalled during a step. Another node may repeat the step."""


class BatchFailed(BuildFailed):
    """A build piece failed only because another build piece of the same batch failed. A retry may succeed.

    With `alone` the retry must build the piece without a batch: either mpbake does not know which piece failed, or the
    pieces cannot share one bake definition.
    """

    def __init__(self, message: str, *, hint: str = "", alone: bool = False) -> None:
        """`message` and `hint` as in `MpbakeError`."""
        super().__init__(message, hint=hint)
        self.alone = alone


class Cancelled(MpbakeError):
    """A step was stopped because the run was cancelled."""

    exit_code = 130
