"""The diff of two plans as Markdown, for a comment on a pull request. Pure.

Text of a plan is only in code blocks, on lines that start with a sign: there it can be no markup, mention or link, and
cannot end the block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.text import count
from mpbake.report.diff.diff_lines import DiffLine, Section, Sign, sections_of, summary_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.review.diff.plan_diff import PlanDiff

LONGEST = 65_536
"""The maximum number of bytes, and so of characters, of a comment on GitHub."""
_OVERHEAD = 400
"""The maximum number of bytes of a section apart from its lines."""
_MOST_OPEN_LINES = 30
"""A section with more lines is folded."""
_DIFF_SIGNS = {Sign.ADDED: "+", Sign.REMOVED: "-", Sign.CHANGED: "!"}


def diff_markdown(diff: PlanDiff) -> str:
    """Return a comment of at most `LONGEST` bytes. A hidden marker on the first line identifies the diff."""
    before = f"`{diff.before_id[:12]}`" if diff.before_id else "no plan"
    head = f"<!-- mpbake diff id={diff.digest} -->\n**Plan**: {summary_of(diff)}\n"
    head += f"\nPlan id: {before} → `{diff.after_id}`\n" if diff else ""
    sections = [_as_block(section) for section in sections_of(diff)]
    left = LONGEST - len(head.encode()) - _OVERHEAD * len(sections)
    parts = [head]
    for section in sections:
        part = section.text(max(left, 0))
        left -= max(len(part.encode()) - _OVERHEAD, 0)
        parts.append(part)
    return "\n".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Block:
    """A section with the lines of its code block."""

    title: str
    lines: Sequence[str]
    is_folded: bool

    def text(self, most: int) -> str:
        """Return the section with a code block of at most `most` bytes. The number of omitted lines is stated."""
        kept = list(self._kept(most))
        cut = len(self.lines) - len(kept)
        fence = "`" * max(3, _longest_ticks(kept) + 1)
        body = "\n".join([f"{fence}diff", *kept, fence]) + "\n" if kept else ""
        if cut:
            body += f"\n{count(cut, 'line')} cut: `mpbake diff` prints all.\n"
        if not self.is_folded:
            return f"### {self.title}\n\n{body}"
        title = f"<b>{self.title}</b>: {count(len(self.lines), 'line')}"
        return f"<details><summary>{title}</summary>\n\n{body}\n</details>\n"

    def _kept(self, most: int) -> Iterator[str]:
        """Yield the first lines that fit."""
        left = most - 2 * _longest_ticks(self.lines)
        for line in self.lines:
            left -= len(line.encode()) + 1
            if left < 0:
                return
            yield line


def _longest_ticks(lines: Sequence[str]) -> int:
    """Return the length of the longest run of backticks, which a fence must exceed."""
    return max((len(ticks) for line in lines for ticks in re.findall("`+", line)), default=0)


def _as_block(section: Section) -> _Block:
    lines = [text for line in section.lines for text in _diff_lines(line)]
    is_folded = section.is_detail or (len(lines) > _MOST_OPEN_LINES and section.title != "security")
    return _Block(title=section.title.capitalize(), lines=lines, is_folded=is_folded)


def _diff_lines(line: DiffLine) -> Iterator[str]:
    """Yield a line, or the two lines of a changed value, with the signs that a code block of a diff colours."""
    indent = "    " * line.depth
    if line.before or line.after:
        yield f"- {indent}{line.subject}: {line.before}"
        yield f"+ {indent}{line.subject}: {line.after}"
    else:
        yield f"{_DIFF_SIGNS[line.sign]} {indent}{line.subject}"
