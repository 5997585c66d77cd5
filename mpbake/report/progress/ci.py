"""A reporter for CI systems, which folds the output of each build and marks errors and warnings."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, TextIO, assert_never

from mpbake.base.errors import BatchFailed
from mpbake.base.text import one_line
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, StepStatus, Verify
from mpbake.report.progress import event_lines as lines
from mpbake.report.progress.heartbeat import Heartbeat
from mpbake.report.progress.pace import Pace
from mpbake.report.progress.step_logs import StepLogs
from mpbake.run.events import (
    EngineProbeStarted,
    NodeProbeStarted,
    NodeProgressed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepOutput,
    StepProgressed,
    StepRetried,
    StepStarted,
    TimePassed,
    Warned,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mpbake.model.steps import Step, StepResult
    from mpbake.report.formats import ReportStyle
    from mpbake.run.events import Event

    _Progress = (
        EngineProbeStarted | NodeProbeStarted | NodeProgressed | RunStarted | StepStarted | StepProgressed | TimePassed
    )


class LogMarkup(Protocol):
    """The marks that a CI system reads in the output of a job. Each method returns whole lines."""

    def line(self, text: str) -> str:
        """Return a line of output that contains no mark."""

    def section(self, title: str, output: Sequence[str], result: StepResult | None) -> list[str]:
        """Return the output of a step as a section with a title. `result` is None if the step is retried."""

    def error(self, result: StepResult) -> list[str]:
        """Return the mark for a step that failed with an error."""

    def warning(self, text: str) -> list[str]:
        """Return a warning as a line, with its mark. `text` begins with `warning: `."""

    def end(self) -> list[str]:
        """Return the last lines of the run."""


class CiReporter:
    """Writes plain lines, and the output of each build as a section when the build ends.

    With `verbose`, the output of builds is written at once, without sections. With `quiet`, only errors are marked.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float], style: ReportStyle, markup: LogMarkup) -> None:
        self._stream = stream
        self._clock = clock
        self._style = style
        self._markup = markup
        self._began = clock()
        self._lock = threading.Lock()
        self._pace = Pace(clock)
        self._now = self._began
        self._heartbeat = Heartbeat(self._began)
        self._logs = StepLogs()

    def handle(self, event: Event) -> None:
        """Write the lines for an event."""
        with self._lock:
            self._now = self._clock()
            self._heartbeat.follow(event, self._now)
            written = self._quiet_lines(event) if self._style.quiet else self._lines(event)
            if written:
                self._stream.write("".join(f"{line}\n" for line in written))
                self._stream.flush()
                self._heartbeat.printed(self._now)

    def _quiet_lines(self, event: Event) -> list[str]:
        return self._errors(event.result) if isinstance(event, StepFinished) else []

    def _lines(self, event: Event) -> list[str]:
        match event:
            case StepOutput():
                return self._output(event)
            case StepRetried():
                return self._retried(event)
            case StepFinished():
                return self._finished(event.result)
            case Warned():
                return self._markup.warning(lines.warning_line(event))
            case RunFinished():
                return self._markup.end()
            case _:
                text = self._progress(event)
                return [self._timed(text)] if text else []

    def _progress(self, event: _Progress) -> str:
        """Return the line for progress, or an empty string. A section shows what a build does."""
        match event:
            case StepStarted():
                return lines.start_line(event.step)
            case StepProgressed():
                is_in_section = _has_output(event.step)
                return "" if is_in_section else f"{lines.short_step_label(event.step)}: {event.activity}"
            case NodeProgressed():
                return lines.progress_line(event) if self._pace.is_due(event.node.id) else ""
            case EngineProbeStarted() | NodeProbeStarted():
                return lines.opening_line(event)
            case TimePassed():
                return self._heartbeat.line(self._now)
            case RunStarted():
                return ""
            case _:
                assert_never(event)

    def _output(self, event: StepOutput) -> list[str]:
        if not self._style.verbose:
            self._logs.add(event.step, event.text)
            return []
        prefix = lines.short_step_label(event.step)
        return [self._timed(f"{prefix}: {line}") for line in event.text.split("\n")]

    def _retried(self, event: StepRetried) -> list[str]:
        written = []
        for step in (event.step, *event.others):
            if output := self._logs.take(step):
                title = f"{lines.step_label(step)}: failed, and is retried"
                written += self._section(title, output, None)
        warning = lines.warning_line(event)
        is_consequence = isinstance(event.error, BatchFailed)  # the failure of another target has its own mark
        return [*written, *([self._timed(warning)] if is_consequence else self._markup.warning(warning))]

    def _finished(self, result: StepResult) -> list[str]:
        title, output = lines.finish_line(result), self._logs.take(result.step)
        if output:
            written = self._section(title, output, result)
        else:
            written = [] if result.status is StepStatus.CANCELLED else [self._timed(title)]
        return [*written, *self._errors(result)]

    def _section(self, title: str, output: Sequence[str], result: StepResult | None) -> list[str]:
        return self._markup.section(one_line(title), [self._markup.line(line) for line in output], result)

    def _errors(self, result: StepResult) -> list[str]:
        failed = result.status is StepStatus.FAILED and result.error is not None
        return self._markup.error(result) if failed else []

    def _timed(self, text: str) -> str:
        return self._markup.line(f"{self._now - self._began:7.1f}s  {text}")


def _has_output(step: Step) -> bool:
    """Whether buildx writes output for `step`, which a section shows."""
    match step:
        case BuildPiece() | CheckPiece():
            return True
        case BootstrapNode() | JoinArchives() | Publish() | Verify():
            return False
        case _:
            assert_never(step)
