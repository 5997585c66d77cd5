"""Where each key and value of a TOML document stands; run only when a place is printed, since tomli gives none."""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.base.errors import KeyPath

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))")
# Longest first: a multi-line string ends at the last of up to five quotes.
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text: the offset of its first character, and that after its last."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSpot:
    """A part of one line, for people: `line` and `column` count from 1, `excerpt` is the whole line."""

    line: int
    column: int
    length: int
    excerpt: str


class SourceMap:
    """Where everything in a document stands that tomli accepts; of any other, as much as can be read.

    `keys` holds the first place of every key and array item, `values` that of every value that is written in one
    piece (the table below a header is not), `duplicate` a key that is given a second time, and where.
    """

    def __init__(self, text: str) -> None:
        """Read the document `text`."""
        self.text = text.replace("\r\n", "\n")
        scanner = _Scanner(self.text)
        # A partial map is better than none: `find` falls back to the nearest parent key.
        with contextlib.suppress(IndexError, ValueError, OverflowError, RecursionError):
            scanner.document()
        self.keys: Mapping[KeyPath, Span] = scanner.keys
        self.values: Mapping[KeyPath, Span] = scanner.values
        self.duplicate: tuple[KeyPath, Span] | None = scanner.duplicate

    def find(self, key: KeyPath, culprit: str = "", *, of_key: bool = False) -> SourceSpot | None:
        """What to mark for `key`, or for the nearest table above it that stands in the document.

        That is `culprit` where it stands in the value, else the value where it is on one line, else the key.
        `of_key` asks for the key itself.
        """
        for length in range(len(key), 0, -1):
            path = key[:length]
            if path in self.keys:
                found = None if of_key else self._in_value(path, culprit, below=length < len(key))
                return self.spot(found or self.keys[path])
        return None

    def spot(self, span: Span) -> SourceSpot:
        """A part of the text as people find it; of several lines, the first."""
        line = self.line(span.start)
        start = self._line_starts[line - 1]
        excerpt = self._lines[line - 1]
        length = min(span.end - start, len(excerpt)) - (span.start - start)
        return SourceSpot(line=line, column=span.start - start + 1, length=max(length, 1), excerpt=excerpt)

    def line(self, offset: int) -> int:
        """The line, counted from 1, of the character at `offset`."""
        return bisect_right(self._line_starts, offset)

    @cached_property
    def _lines(self) -> list[str]:
        """All lines: as many problems as one may have, it is kept once."""
        return self.text.split("\n")

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def _in_value(self, path: KeyPath, culprit: str, *, below: bool) -> Span | None:
        """What to mark of the value at `path`, if not its key; `below`: for something that should stand below it."""
        value = self.values.get(path)
        if value is None:
            return None
        written = self.text[value.start : value.end]
        found = _search(written, culprit) if culprit else None
        if found is not None:
            return Span(value.start + found.start, value.start + found.end)
        return None if "\n" in written or (below and written.startswith("{")) else value


def _search(written: str, culprit: str) -> Span | None:
    """Where `culprit` stands in a value: in a template if it can be, else as a word of its own, else anywhere."""
    name = re.escape(culprit)
    word = rf"(?<!\w)({name})(?!\w)"
    for pattern in (rf"\{{[{{%][^{{}}]*?{word}", word, f"({name})"):
        found = re.search(pattern, written)
        if found:
            return Span(*found.span(1))
    return None


class _Scanner:
    """One pass over a document, recording where each key, array item and value stands."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._arrays: dict[KeyPath, int] = {}
        self._headers: set[KeyPath] = set()
        self.keys: dict[KeyPath, Span] = {}
        self.values: dict[KeyPath, Span] = {}
        self.duplicate: tuple[KeyPath, Span] | None = None

    def document(self) -> None:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> KeyPath:
        of_array = self._text.startswith("[[", self._at)
        self._at += 2 if of_array else 1
        *parents, (name, span) = self._key()
        self._at += 2 if of_array else 1
        path: KeyPath = ()
        for part, place in parents:
            path = self._newest((*path, part), place)
        path = (*path, name)
        if of_array:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            return self._newest(path, span)
        if path in self._headers or path in self.values:
            self._given_twice(path, span)
        self._headers.add(path)
        self._note(path, span)
        return path

    def _newest(self, path: KeyPath, span: Span) -> KeyPath:
        """Note `path`; where that is an array of tables, its newest element, which is meant then, too."""
        self._note(path, span)
        if path in self._arrays:
            path = (*path, self._arrays[path])
            self._note(path, span)
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        *parents, (name, span) = self._key()
        for part, place in parents:
            path = (*path, part)
            self._note(path, place)
        path = (*path, name)
        if path in self.keys:
            self._given_twice(path, span)
        self._note(path, span)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[tuple[str, Span]]:
        """Read a dotted key, each part with its place; stops before `=` or `]`."""
        parts = []
        while True:
            self._skip(_SPACE)
            start = self._at
            part = self._key_part()
            parts.append((part, Span(start, self._at)))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _key_part(self) -> str:
        quote = self._text[self._at]
        if quote in "\"'":
            raw = self._match(_STRINGS[2] if quote == '"' else _STRINGS[3])[1:-1]
            return _ESCAPE.sub(_unescaped, raw) if quote == '"' else raw
        return self._match(_BARE_KEY)

    def _value(self, path: KeyPath) -> None:
        start = self._at
        first = self._text[start]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline_table(path)
        elif first in "\"'":
            self._string()
        else:
            # Only what `_skip` skips, too: else an array would have items of no length for ever.
            bare = self._match(_BARE_VALUE).rstrip(" \t\r")
            if not bare:
                raise ValueError(start)
            self._at = start + len(bare)
        self.values.setdefault(path, Span(start, self._at))

    def _string(self) -> None:
        long = self._text.startswith(('"""', "'''"), self._at)
        double = self._text[self._at] == '"'
        self._match(_STRINGS[(0 if double else 1) + (0 if long else 2)])

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        index = 0
        while not self._closed("]"):
            item = (*path, index)
            self._note(item, Span(self._at, self._at))
            self._value(item)
            self.keys[item] = self.values[item]
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Skip blanks and commas; True, and past it, when the closing bracket is next."""
        self._skip(_BLANK)
        while self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] != bracket:
            return False
        self._at += 1
        return True

    def _note(self, path: KeyPath, span: Span) -> None:
        self.keys.setdefault(path, span)

    def _given_twice(self, path: KeyPath, span: Span) -> None:
        self.duplicate = self.duplicate or (path, span)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(self._at)
        self._at = found.end()
        return found.group()


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    return chr(int(code, 16)) if code else _ESCAPES.get(found[4], found[4])
