"""What the scanner finds in a bake file in HCL: code, strings, template sequences and comments."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from enum import Enum, auto


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The characters from `start` up to `end` of the source."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """A part of the source without comments and content of strings. `inserted` are the positions of added spaces."""

    text: str
    start: int
    inserted: tuple[int, ...]

    def offset(self, position: int) -> int:
        """Return the offset in the source of the character at `position` of the code."""
        return self.start + position - bisect_left(self.inserted, position)

    def rest(self, position: int) -> Code:
        """Return the code from `position` on."""
        inserted = tuple(index - position for index in self.inserted if index >= position)
        return Code(text=self.text[position:], start=self.offset(position), inserted=inserted)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sequence:
    """A template sequence `${…}` or, with `directive`, `%{…}`. `strips_…` say where it has the marker `~`."""

    start: int
    end: int
    code: Code
    directive: bool
    strips_before: bool
    strips_after: bool


class Quoting(Enum):
    """The form of a string. A bare template has neither quotes nor escapes, such as a string of a JSON file."""

    QUOTED = auto()
    HEREDOC = auto()
    FLUSH_HEREDOC = auto()
    BARE = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class String:
    """A string, a heredoc or a bare template: its parts in order. Spans are literal text."""

    start: int
    end: int
    quoting: Quoting
    parts: tuple[Span | Sequence, ...]


@dataclass(kw_only=True, slots=True)
class Scan:
    """What the scanner finds besides the code: comments in order, and strings by the offset of their first character.

    `prefixes` has the unary operators that are not in the code, by the offset of the operator that follows them.
    """

    comments: list[Span] = field(default_factory=list)
    strings: dict[int, String] = field(default_factory=dict)
    prefixes: dict[int, str] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Draft:
    """Code in the making: `brackets` are the open ones with their offsets; `keeps` says whether newlines count."""

    start: int
    pieces: list[str] = field(default_factory=list)
    length: int = 0
    inserted: list[int] = field(default_factory=list)
    prefixes: dict[int, str]
    brackets: list[tuple[str, int]] = field(default_factory=list)
    keeps: list[bool]
    after_operand: bool = False
    unary: tuple[int, int] | None = None
    """The index in `pieces` and the offset of a unary operator that is the last token."""

    def add(self, text: str) -> None:
        """Add a text to the code."""
        self.pieces.append(text)
        self.length += len(text)

    def add_unary(self, operator: str, offset: int) -> None:
        """Add a unary operator. If the last token is one, too, only the new one stays in the code."""
        if self.unary is not None:
            index, before = self.unary
            self.prefixes[offset] = self.prefixes.pop(before, "") + self.pieces[index]
            self.pieces[index] = " "
        self.unary = (len(self.pieces), offset)
        self.add(operator)

    def insert_space(self) -> None:
        """Add a space that is not in the source."""
        self.inserted.append(self.length)
        self.add(" ")

    def finished(self) -> Code:
        """Return the code."""
        return Code(text="".join(self.pieces), start=self.start, inserted=tuple(self.inserted))
