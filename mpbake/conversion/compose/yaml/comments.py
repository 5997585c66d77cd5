"""The comments of a YAML text, by line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.conversion.compose.values import List, Mapping, Scalar
from mpbake.conversion.syntax import Comments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.conversion.compose.values import Value
    from mpbake.conversion.syntax import Place


class CommentLines:
    """The comments of files. A comment belongs to the entry below it, or to the entry before it in the same line."""

    def __init__(self) -> None:
        """Start without files."""
        self._lines: dict[str, list[str]] = {}
        self._ends: dict[str, dict[int, int]] = {}

    def add_file(self, path: str, text: str, documents: Iterable[Value]) -> None:
        """Add the comments of `text`, whose values are `documents`."""
        self._lines[path] = text.splitlines()
        self._ends[path] = _ends_of_scalars(documents)

    def above(self, place: Place) -> tuple[str, ...]:
        """Return the comments above an entry. Comments with a deeper indentation belong to the entry before."""
        lines, ends = self._lines.get(place.file, []), self._ends.get(place.file, {})
        comments: list[str] = []
        for number in range(min(place.line - 1, len(lines)), 0, -1):
            content = lines[number - 1].lstrip()
            indent = len(lines[number - 1]) - len(content)
            if content and not (content.startswith("#") and indent < place.column and number not in ends):
                break
            comments.append(_without_marker(content))
        comments.reverse()
        return _trimmed(comments)

    def after(self, place: Place) -> str:
        """Return the comment at the end of the line of `place`."""
        lines = self._lines.get(place.file, [])
        text = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
        start = self._ends.get(place.file, {}).get(place.line, 0)
        while (start := text.find("#", start)) >= 0:
            if start > 0 and text[start - 1] in " \t":
                return _without_marker(text[start:])
            start += 1
        return ""

    def of(self, key: Scalar, value: Value | None = None) -> Comments:
        """Return the comments of an entry: above its key, and after its key or its one-line value."""
        after = self.after(key.place)
        if not after and isinstance(value, Scalar) and value.last_line == value.place.line:
            after = self.after(value.place)
        return Comments(before=self.above(key.place), after=after)

    def heading(self, path: str) -> tuple[str, ...]:
        """Return the comments above the first line of a file that is not a comment."""
        comments = []
        for text in self._lines.get(path, []):
            if text.strip() and not text.lstrip().startswith("#"):
                break
            comments.append(_without_marker(text))
        return _trimmed(comments)


def _trimmed(comments: list[str]) -> tuple[str, ...]:
    """Return comments without empty ones at the start and the end."""
    while comments and not comments[-1]:
        comments.pop()
    start = next((number for number, comment in enumerate(comments) if comment), 0)
    return tuple(comments[start:])


def _without_marker(text: str) -> str:
    text = text.strip().removeprefix("#")
    return text.removeprefix(" ").rstrip()


def _ends_of_scalars(documents: Iterable[Value]) -> dict[int, int]:
    """Return, for each line with a scalar, the number of characters before a possible comment.

    Lines inside a scalar of several lines have no comments at all.
    """
    columns: dict[int, int] = {}
    for scalar in _all_scalars(documents):
        start, end = scalar.place.line, scalar.last_line
        for line in range(start, end):
            columns[line] = _NO_COMMENT if line > start else columns.get(line, 0)
        columns[end] = max(columns.get(end, 0), scalar.last_column)
    return columns


_NO_COMMENT = 1 << 30


def _all_scalars(documents: Iterable[Value]) -> Iterator[Scalar]:
    """Yield every scalar once, keys included."""
    seen: set[int] = set()
    stack = list(documents)
    while stack:
        value = stack.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        match value:
            case Scalar():
                yield value
            case List():
                stack.extend(value.items)
            case Mapping():
                for key, entry in value.pairs:
                    stack += (key, entry)
