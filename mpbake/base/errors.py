"""Everything that can go wrong, each class with its exit code and its remedy."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from mpbake.base.codes import Severity
from mpbake.base.tag_moves import TagMoves
from mpbake.base.text import LONGEST_NAME, count, marked_line, one_line, printable, short_name, shortened

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mpbake.base.codes import Code

KeyPath = tuple[str | int, ...]
"""Where a value stands in a TOML document: `("targets", "web", "tags", 0)`."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A place in a plan file.

    `line` and `column` count from 1; 0 means that it is not known. `excerpt` is the source line itself, of which
    `length` characters from `column` on are to blame.
    """

    file: str
    line: int = 0
    column: int = 0
    length: int = 0
    key: KeyPath = ()
    excerpt: str = ""

    def __str__(self) -> str:
        """`build.toml:12:9`."""
        numbers = "".join(f":{each}" for each in (self.line, self.column) if each)
        return one_line(self.file) + numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """One problem: what is wrong, where, and what to do; its code says what kind of problem it is, and how bad."""

    code: Code
    message: str
    hint: str = ""
    location: Location | None = None

    @property
    def severity(self) -> Severity:
        """How bad it is: every code has one severity."""
        return self.code.severity

    def __str__(self) -> str:
        """Up to four lines: place and problem, the source line, a mark below what is to blame, the remedy."""
        place, key, quoted = "", "", []
        if self.location is not None:
            place, key = f"{self.location}: ", key_path_text(self.location.key)
            quoted = marked_line(self.location.excerpt, self.location.column, self.location.length)
        severity = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        head = f"{place}{severity}{key + ': ' if key else ''}{printable(self.message)} [{self.code}]"
        remedy = [f"  = {printable(self.hint)}"] if self.hint else []
        return "\n".join([head, *(f"    {line}" for line in quoted), *remedy])


def key_path_text(key: KeyPath) -> str:
    """A key path as people write it: `targets.web.tags[0]`, `targets.web.labels."a.b"`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{_quoted(part)}"
    return text


def _quoted(part: str) -> str:
    return shortened(part, LONGEST_NAME) if _BARE_KEY.fullmatch(part) else f'"{short_name(part)}"'


class MpbakeError(Exception):
    """A failure that mpbake explains; `exit_code` is what the process returns.

    `moves` says what became of the tags that the failed step was to move.
    """

    exit_code: ClassVar[int] = 1
    moves: TagMoves = TagMoves()

    def __init__(self, message: str, *, hint: str = "") -> None:
        """`message` says what is wrong, `hint` what to do about it."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def after(self, moves: TagMoves) -> Self:
        """Return this error, which knows what became of tags."""
        self.moves = moves
        return self

    def saying(self, more: str) -> Self:
        """This error with another line."""
        return type(self)(f"{self.message}\n{more}", hint=self.hint).after(self.moves)

    def __str__(self) -> str:
        """Message and remedy, printable."""
        remedy = f"\n  = {printable(self.hint)}" if self.hint else ""
        return printable(self.message) + remedy


_WORST_FIRST = (3, 5, 4, 1)


def most_severe(codes: Collection[int]) -> int:
    """Which of several exit codes counts: what somebody has to mend goes before what may be better by itself."""
    return next((code for code in _WORST_FIRST if code in codes), 0)


class PlanError(MpbakeError):
    """The plan is wrong; carries every problem found, in order of place.

    The problems hold no secrets, but what is printed besides might: `sensitive` says what nobody may see.
    """

    exit_code = 3

    def __init__(self, diagnostics: Iterable[Diagnostic], *, sensitive: Iterable[str] = ()) -> None:
        """Takes the problems in any order."""
        self.diagnostics = sorted_by_location(diagnostics)
        self.sensitive = frozenset(sensitive)
        super().__init__(f"the plan has {count(len(self.diagnostics), 'problem')}")

    def __str__(self) -> str:
        """All problems, one after another."""
        return "\n".join(str(each) for each in self.diagnostics)


def sorted_by_location(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place, without what was found twice."""
    return tuple(sorted(dict.fromkeys(diagnostics), key=lambda each: _place(each.location)))


def _place(location: Location | None) -> tuple[str, int, int]:
    return ("", 0, 0) if location is None else (location.file, location.line, location.column)


_REMEDIES = {
    errno.ENOSPC: "is the disk full?",
    errno.EDQUOT: "is the disk full?",
    errno.EMFILE: "allow this process more of them (ulimit -n 4096), or have fewer builds at once: slots",
    errno.ENFILE: "all programs of this machine together have too many",
}
EXHAUSTED = frozenset(_REMEDIES)
"""What can be used up, whatever is asked for."""


def system_error(error: OSError, place: object) -> MpbakeError:
    """What the system has refused at `place`, with a remedy."""
    remedy = _REMEDIES.get(error.errno or 0, "is the disk full, or may this user not write there?")
    where = "" if error.errno in {errno.EMFILE, errno.ENFILE} else f"{place}: "
    return MpbakeError(f"{where}{error.strerror}", hint=remedy)


class UsageError(MpbakeError):
    """The command line asks for something that cannot be."""

    exit_code = 3


class BuildFailed(MpbakeError):
    """A target's own build, check or verification failed, or a registry said no."""

    exit_code = 1


class NoSuchTag(BuildFailed):
    """A registry says that there is no such tag."""


class LockHeld(MpbakeError):
    """Another run works on this plan."""

    exit_code = 4


class Unreachable(MpbakeError):
    """The engine, a node or a registry does not answer."""

    exit_code = 5


class NodeMayBeInUse(Unreachable):
    """A node does not say whether something builds in it: it is left as it is."""


class ImageUnavailable(Unreachable):
    """What a node is to be made of cannot be had; what there was of it is as it was."""


class NodeLost(Unreachable):
    """A node went away, or hangs, while it was working: what it did may be done again elsewhere."""


class BatchFailed(BuildFailed):
    """A piece failed only because another one of the same batch did: built again it may succeed.

    It is to be built `alone` where nobody knows which one failed, or where the batch cannot have one definition.
    """

    def __init__(self, message: str, *, hint: str = "", alone: bool = False) -> None:
        """`message` and `hint` as with every error."""
        super().__init__(message, hint=hint)
        self.alone = alone


class Cancelled(MpbakeError):
    """A step was stopped because the run was."""

    exit_code = 130
