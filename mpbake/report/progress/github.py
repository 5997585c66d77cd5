"""The output of a run in a GitHub workflow: a group for each build, and annotations for errors and warnings."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TextIO

from mpbake.base.ci_commands import without_commands
from mpbake.base.text import count
from mpbake.report.progress.ci import CiReporter
from mpbake.report.progress.event_lines import WARNING, step_label
from mpbake.report.workflow_commands import ANNOTATIONS, workflow_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mpbake.base.errors import SourceLine
    from mpbake.model.steps import StepResult
    from mpbake.report.formats import ReportStyle


def github_reporter(stream: TextIO, clock: Callable[[], float], style: ReportStyle) -> CiReporter:
    """Return a reporter that writes workflow commands."""
    return CiReporter(stream, clock, style, GithubMarkup(style.checkout_path))


class GithubMarkup:
    """Workflow commands: groups, and the number of annotations of each kind that GitHub shows for a step.

    `checkout_path` returns the path of a file in the checkout, or an empty string if the checkout has no such line.
    """

    def __init__(self, checkout_path: Callable[[SourceLine], str]) -> None:
        self._checkout_path = checkout_path
        self._annotations: Counter[str] = Counter()

    def line(self, text: str) -> str:
        """Return a line in which the runner finds no command."""
        return without_commands(text)

    def section(self, title: str, output: Sequence[str], result: StepResult | None) -> list[str]:  # noqa: ARG002 - for other systems
        """Return the output of a step as a group."""
        return [workflow_command("group", title), *output, workflow_command("endgroup", "")]

    def error(self, result: StepResult) -> list[str]:
        """Return an annotation at the line of the Dockerfile that failed, or without a line."""
        error = result.error
        if error is None or not self._may_annotate("error"):
            return []
        source = error.source
        file = self._checkout_path(source) if source else ""
        properties: dict[str, str | int] = {"file": file}
        properties |= {"line": source.line if source and file else 0, "title": step_label(result.step)}
        message = error.message.partition("\n")[0]
        return [workflow_command("error", f"{message}\n{error.hint}".rstrip(), properties)]

    def warning(self, text: str) -> list[str]:
        """Return an annotation, or a line if GitHub would not show the annotation."""
        if not self._may_annotate("warning"):
            return [without_commands(text)]
        return [workflow_command("warning", text.removeprefix(WARNING), {"title": "mpbake run"})]

    def end(self) -> list[str]:
        """Return the numbers of errors and warnings without annotations."""
        extra = {kind: number - ANNOTATIONS for kind, number in self._annotations.items() if number > ANNOTATIONS}
        numbers = " and ".join(count(number, kind) for kind, number in sorted(extra.items()))
        return [f"{numbers} without annotations: GitHub shows {ANNOTATIONS} of each kind"] if numbers else []

    def _may_annotate(self, kind: str) -> bool:
        self._annotations[kind] += 1
        return self._annotations[kind] <= ANNOTATIONS
