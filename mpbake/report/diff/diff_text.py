"""The diff of two plans as text for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.report.diff.diff_lines import DiffLine, sections_of, summary_of

if TYPE_CHECKING:
    from mpbake.review.diff.plan_diff import PlanDiff


def diff_text(diff: PlanDiff) -> str:
    """Return a summary, then every change in sections: what is new for security first."""
    lines = [summary_of(diff)]
    for section in sections_of(diff):
        lines += ["", section.title, *map(_line_text, section.lines)]
    return "\n".join(lines) + "\n"


def _line_text(line: DiffLine) -> str:
    change = f": {line.before} -> {line.after}" if line.before or line.after else ""
    return f"{'    ' * line.depth}  {line.sign} {line.subject}{change}"
