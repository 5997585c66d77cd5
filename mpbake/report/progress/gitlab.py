"""The output of a run in a GitLab job: a collapsible section for each build."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TextIO

from mpbake.model.steps import StepStatus
from mpbake.report.progress.ci import CiReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mpbake.model.steps import StepResult
    from mpbake.report.formats import ReportStyle

_CLEAR = "\x1b[0K"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_NAME = 60


def gitlab_reporter(stream: TextIO, clock: Callable[[], float], style: ReportStyle) -> CiReporter:
    """Return a reporter that writes collapsible sections."""
    return CiReporter(stream, clock, style, GitlabMarkup(style.now))


class GitlabMarkup:
    """Sections, which GitLab shows with their duration. The section of a failed step is open, others are collapsed.

    `now` returns the time. GitLab finds a section by its name, so each name has a number.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._sections = 0

    def line(self, text: str) -> str:
        """Return a line. Marks of GitLab contain control characters, which no output of a build contains."""
        return text

    def section(self, title: str, output: Sequence[str], result: StepResult | None) -> list[str]:
        """Return the output of a step as a section."""
        self._sections += 1
        label = _NOT_IN_NAMES.sub("_", title.partition(":")[0])[:_LONGEST_NAME].strip("_")
        name = f"mpbake_{self._sections}_{label}"
        end = int(self._now().timestamp())
        begin = end - round(result.seconds) if result else end
        is_open = result is not None and result.status is StepStatus.FAILED
        options = "" if is_open else "[collapsed=true]"
        first = f"{_CLEAR}section_start:{begin}:{name}{options}\r{_CLEAR}{title}"
        return [first, *output, f"{_CLEAR}section_end:{end}:{name}\r{_CLEAR}"]

    def error(self, result: StepResult) -> list[str]:  # noqa: ARG002 - GitLab has no annotations
        """Return nothing: the summary of the run prints the error."""
        return []

    def warning(self, text: str) -> list[str]:
        """Return the warning as a line."""
        return [text]

    def end(self) -> list[str]:
        """Return nothing."""
        return []
