"""Locate keys and values in a TOML document. tomli returns no positions, so mpbake scans a file to print a location."""

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
from mpbake.base.toml_text import BARE_KEY

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|x([0-9A-Fa-f]{2})|(.))")
# Multi-line strings come first. A multi-line string ends at the last of up to five quotes.
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text: the offset of its first character, and the offset after its last character."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceSpot:
    """A part of a line, for messages: `line` and `column` count from 1, `excerpt` is the whole line."""

    line: int
    column: int
    length: int
    excerpt: str


class SourceMap:
    """The spans of keys and values in a document. For a document that tomli rejects, the map can be incomplete.

    `keys` has the first span of every key and array item. `values` has the span of every value except tables below a
    header. `duplicate` is the first key that occurs twice, with its second span.
    """

    def __init__(self, text: str) -> None:
        """Read the document `text`."""
        self.text = text.replace("\r\n", "\n")
        scanner = _Scanner(self.text)
        # An incomplete map is useful: `find` falls back to the nearest parent key.
        with contextlib.suppress(IndexError, ValueError, OverflowError, RecursionError):
            scanner.document()
        self.keys: Mapping[KeyPath, Span] = scanner.keys
        self.values: Mapping[KeyPath, Span] = scanner.values
        self.duplicate: tuple[KeyPath, Span] | None = scanner.duplicate

    def find(self, key: KeyPath, culprit: str = "", *, of_key: bool = False) -> SourceSpot | None:
        """Return the spot to mark for `key`, or for the nearest enclosing table in the document; None if there is none.

        If the value contains `culprit`, mark `culprit`. Otherwise mark a value on a single line, or else the key. With
        `of_key`, mark the key.
        """
        for length in range(len(key), 0, -1):
            path = key[:length]
            if path in self.keys:
                span = None if of_key else self._in_value(path, culprit, below=length < len(key))
                return self.spot(span or self.keys[path])
        return None

    def spot(self, span: Span) -> SourceSpot:
        """Return the line and column of a span; of a longer span, only the part on the first line."""
        line = self.line(span.start)
        start = self._line_starts[line - 1]
        excerpt = self._lines[line - 1]
        length = min(span.end - start, len(excerpt)) - (span.start - start)
        return SourceSpot(line=line, column=span.start - start + 1, length=max(length, 1), excerpt=excerpt)

    def line(self, offset: int) -> int:
        """Return the line of the character at `offset`, counted from 1."""
        return bisect_right(self._line_starts, offset)

    @cached_property
    def _lines(self) -> list[str]:
        """Return all lines. Many problems of the same line share its text."""
        return self.text.split("\n")

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(newline.end() for newline in re.finditer("\n", self.text))]

    def _in_value(self, path: KeyPath, culprit: str, *, below: bool) -> Span | None:
        """Return the span to mark in the value at `path`; None to mark the key itself.

        `below` says that the value lacks a key.
        """
        value = self.values.get(path)
        if value is None:
            return None
        written = self.text[value.start : value.end]
        span = _search(written, culprit) if culprit else None
        if span is not None:
            return Span(value.start + span.start, value.start + span.end)
        return None if "\n" in written or (below and written.startswith("{")) else value


def _search(written: str, culprit: str) -> Span | None:
    """Find `culprit` in a value: preferably in a template, then as a separate word, then anywhere."""
    name = re.escape(culprit)
    word = rf"(?<!\w)({name})(?!\w)"
    for pattern in (rf"\{{[{{%][^{{}}]*?{word}", word, f"({name})"):
        match = re.search(pattern, written)
        if match:
            return Span(*match.span(1))
    return None


class _Scanner:
    """Scans a document once, and records the spans of keys, array items and values."""

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
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        *parents, (name, span) = self._key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for part, part_span in parents:
            path = self._newest((*path, part), part_span)
        path = (*path, name)
        if is_array:
            self._arrays[path] = self._arrays.get(path, -1) + 1
            return self._newest(path, span)
        if path in self._headers or path in self.values:
            self._record_duplicate(path, span)
        self._headers.add(path)
        self._record(path, span)
        return path

    def _newest(self, path: KeyPath, span: Span) -> KeyPath:
        """Record `path`, and return it. For an array of tables, record and return its newest item."""
        self._record(path, span)
        if path in self._arrays:
            path = (*path, self._arrays[path])
            self._record(path, span)
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        *parents, (name, span) = self._key()
        for part, part_span in parents:
            path = (*path, part)
            self._record(path, part_span)
        path = (*path, name)
        if path in self.keys:
            self._record_duplicate(path, span)
        self._record(path, span)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[tuple[str, Span]]:
        """Read a dotted key, and return its parts with their spans. Reading stops before `=` or `]`."""
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
            return _ESCAPE.sub(_unescape, raw) if quote == '"' else raw
        return self._match(BARE_KEY)

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
            # Strip only characters that `_skip` skips. Otherwise an array could yield empty items forever.
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
            self._record(item, Span(self._at, self._at))
            self._value(item)
            self.keys[item] = self.values[item]
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        while not self._closed("}"):
            self._pair(path)

    def _closed(self, bracket: str) -> bool:
        """Skip blanks and commas. Return whether the closing bracket follows; if so, skip the bracket as well."""
        self._skip(_BLANK)
        while self._text[self._at] == ",":
            self._at += 1
            self._skip(_BLANK)
        if self._text[self._at] != bracket:
            return False
        self._at += 1
        return True

    def _record(self, path: KeyPath, span: Span) -> None:
        self.keys.setdefault(path, span)

    def _record_duplicate(self, path: KeyPath, span: Span) -> None:
        self.duplicate = self.duplicate or (path, span)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(self._at)
        self._at = match.end()
        return match.group()


def _unescape(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16)) if code else _ESCAPES.get(escape[4], escape[4])
