"""Everything that can go wrong, each class with its exit code and its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mpbake.text import count, one_line, printable, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

_EXCERPT = 160

KeyPath = tuple[str | int, ...]
"""Where a value stands in a TOML document: `("targets", "web", "tags", 0)`."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Location:
    """A place in a plan file.

    `line` counts from 1; 0 means that only the file is known. `excerpt` is the source line itself.
    """

    file: str
    line: int = 0
    key: KeyPath = ()
    excerpt: str = ""

    def __str__(self) -> str:
        """`build.toml:12`."""
        return one_line(f"{self.file}:{self.line}" if self.line else self.file)


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """One problem: what is wrong, where, and what to do."""

    message: str
    hint: str = ""
    location: Location | None = None

    def __str__(self) -> str:
        """Up to three lines: place and problem, the source line, the remedy."""
        lines = [printable(self.message)]
        if self.location is not None:
            key = dotted(self.location.key)
            lines[0] = f"{self.location}: {key + ': ' if key else ''}{lines[0]}"
            if self.location.excerpt:
                lines.append(f"    {shortened(one_line(self.location.excerpt.strip()), _EXCERPT)}")
        if self.hint:
            lines.append(f"  = {printable(self.hint)}")
        return "\n".join(lines)


def dotted(key: KeyPath) -> str:
    """A key path as people write it: `targets.web.tags[0]`, `targets.web.labels."a.b"`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{_quoted(part)}"
    return text


def _quoted(part: str) -> str:
    return part if _BARE_KEY.fullmatch(part) else f'"{one_line(part)}"'


class MpbakeError(Exception):
    """A failure that mpbake explains; `exit_code` is what the process returns."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """`message` says what is wrong, `hint` what to do about it."""
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message and remedy, printable."""
        return str(Diagnostic(message=self.message, hint=self.hint))


class PlanError(MpbakeError):
    """The plan is wrong; carries every problem found, in order of place."""

    exit_code = 3

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Sorts by file and line, and drops what was found twice."""
        unique = dict.fromkeys(diagnostics)
        self.diagnostics = tuple(sorted(unique, key=lambda each: _place(each.location)))
        super().__init__(f"the plan has {count(len(self.diagnostics), 'problem')}")

    def __str__(self) -> str:
        """All problems, one after another."""
        return "\n".join(str(each) for each in self.diagnostics)


def _place(location: Location | None) -> tuple[str, int]:
    return ("", 0) if location is None else (location.file, location.line)


class UsageError(MpbakeError):
    """The command line asks for something that cannot be."""

    exit_code = 3


class BuildFailed(MpbakeError):
    """A target's own build, check or verification failed, or a registry said no."""

    exit_code = 1


class LockHeld(MpbakeError):
    """Another run works on this plan."""

    exit_code = 4


class Unreachable(MpbakeError):
    """The engine, a node or a registry does not answer."""

    exit_code = 5


class Cancelled(MpbakeError):
    """A step was stopped because the run was."""

    exit_code = 130
