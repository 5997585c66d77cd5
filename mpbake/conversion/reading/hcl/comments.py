"""Put every comment of a bake file next to what it comments on."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, replace
from textwrap import dedent
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import Comments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.conversion.reading.hcl.scan import Span
    from mpbake.conversion.reading.hcl.source import Source

_STAR = re.compile(r"^\s*\*+ ?")
"""The star before a line of a block comment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comment:
    """A comment: its offsets, its first and last line in the file, and its text without markers."""

    start: int
    end: int
    first_line: int
    last_line: int
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Attached:
    """The comments of some entries in order, and those between the last one and the end of what holds the entries."""

    entries: tuple[Comments, ...]
    trailing: tuple[str, ...]


class CommentMap:
    """All comments of a file. A comment is taken once: nested lists and blocks take theirs first."""

    def __init__(self, spans: Sequence[Span], source: Source) -> None:
        self._source = source
        self._comments = [_comment(span, source) for span in sorted(spans, key=lambda span: span.start)]
        self._starts = [comment.start for comment in self._comments]
        self._taken: set[int] = set()

    def between(self, start: int, end: int) -> list[Comment]:
        """Return the comments between two offsets that are not taken yet."""
        first, last = bisect_left(self._starts, start), bisect_left(self._starts, end)
        return [comment for comment in self._comments[first:last] if comment.start not in self._taken]

    def take(self, comments: Sequence[Comment]) -> tuple[str, ...]:
        """Return the lines of some comments, with an empty line where the file has one between two of them."""
        self._taken.update(comment.start for comment in comments)
        lines: list[str] = []
        for index, comment in enumerate(comments):
            if index and comment.first_line > comments[index - 1].last_line + 1:
                lines.append("")
            lines.extend(comment.lines)
        return tuple(lines)

    def attach(self, entries: Sequence[tuple[int, int]], start: int, end: int) -> Attached:
        """Return the comments of entries (start and end offsets) in a list, object or block from `start` to `end`.

        A comment in the line of the opening bracket stays for the owner of the list, unless the first entry is there.
        """
        results = [Comments()] * len(entries)
        before = start
        for index, (entry_start, _) in enumerate(entries):
            comments = self._after(results, entries, index - 1, before, entry_start)
            if index == 0:
                comments = self._without_opening(comments, start, self._source.line(entry_start))
            results[index] = self._with_inner(entries[index], self.take(comments))
            before = entries[index][1]
        rest = self._after(results, entries, len(entries) - 1, before, end)
        if not entries:
            rest = self._without_opening(rest, start, self._source.line(end))
        return Attached(entries=tuple(results), trailing=self.take(rest))

    def _with_inner(self, entry: tuple[int, int], before: tuple[str, ...]) -> Comments:
        """Return the comments of an entry: those before it, and what nested lists and blocks have left over."""
        line = self._source.line(entry[0])
        inner = self.between(*entry)
        opening = [comment for comment in inner if comment.first_line == line][:1]
        others = [comment for comment in inner if comment not in opening]
        after = " ".join(self.take(opening))
        left_over = (line for line in self.take(others) if line)
        return Comments(before=(*before, *left_over), after=after)

    def _after(
        self, results: list[Comments], entries: Sequence[tuple[int, int]], index: int, start: int, end: int
    ) -> list[Comment]:
        """Give the entry at `index` the comment behind it in its last line, and return the comments after that."""
        comments = self.between(start, end)
        if index < 0 or not comments:
            return comments
        line = self._source.line(entries[index][1] - 1)
        number = 0
        while number < len(comments) and comments[number].first_line == comments[number].last_line == line:
            number += 1
        if not number or (index + 1 < len(entries) and self._source.line(end) == line):
            return comments
        entry = results[index]
        opening = (entry.after,) if entry.after else ()
        after = " ".join(self.take(comments[:number]))
        results[index] = replace(entry, before=(*entry.before, *opening), after=after)
        return comments[number:]

    def _without_opening(self, comments: list[Comment], start: int, line: int) -> list[Comment]:
        """Return the comments without one in the line of the opening bracket, unless `line` is the same line."""
        opening = self._source.line(start)
        if start and comments and comments[0].first_line == opening != line:
            return comments[1:]
        return comments


def _comment(span: Span, source: Source) -> Comment:
    text = source.text[span.start : span.end]
    return Comment(
        start=span.start,
        end=span.end,
        first_line=source.line(span.start),
        last_line=source.line(span.end - 1),
        lines=_lines(text),
    )


def _lines(text: str) -> tuple[str, ...]:
    """Return the text of a comment without markers, as lines. A line without text is a space."""
    if text.startswith("/*"):
        first, _, rest = text[2:-2].strip("*").partition("\n")
        lines = [first.strip(), *dedent(rest).split("\n")]
        lines = [_STAR.sub("", line).rstrip() for line in lines]
        while len(lines) > 1 and not lines[0]:
            del lines[0]
        while len(lines) > 1 and not lines[-1]:
            del lines[-1]
        return tuple(line or " " for line in lines)
    return (text[1 if text.startswith("#") else 2 :].removeprefix(" ").rstrip() or " ",)
