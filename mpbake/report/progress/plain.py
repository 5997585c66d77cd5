"""A reporter that writes plain lines, for logs and pipes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TextIO, assert_never

from mpbake.base.text import shortened
from mpbake.model.steps import StepStatus
from mpbake.report.progress import event_lines as lines
from mpbake.report.progress.heartbeat import Heartbeat
from mpbake.report.progress.pace import Pace
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
    from collections.abc import Callable

    from mpbake.report.formats import ReportStyle
    from mpbake.run.events import Event

_ACTIVITY_LENGTH = 100


def plain_reporter(stream: TextIO, clock: Callable[[], float], style: ReportStyle) -> PlainReporter:
    """Return a reporter that writes plain lines without colours."""
    return PlainReporter(stream, clock, verbose=style.verbose, quiet=style.quiet)


class PlainReporter:
    """Writes a line for each event, with the seconds since the start. `verbose` adds the output of builds."""

    def __init__(
        self, stream: TextIO, clock: Callable[[], float], *, verbose: bool = False, quiet: bool = False
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._verbose = verbose
        self._quiet = quiet
        self._began = clock()
        self._lock = threading.Lock()
        self._pace = Pace(clock)
        self._heartbeat = Heartbeat(self._began)
        self._last = self._began

    def handle(self, event: Event) -> None:
        """Write the lines for an event."""
        if self._quiet:
            return
        with self._lock:
            for line in self._lines(event):
                self._write(line)
            self._heartbeat.follow(event, self._last)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case StepStarted():
                return [lines.start_line(event.step)]
            case StepProgressed():
                line = f"{lines.short_step_label(event.step)}: {event.activity}"
                return [] if self._verbose else [shortened(line, _ACTIVITY_LENGTH)]
            case StepOutput():
                prefix = lines.short_step_label(event.step)
                return [f"{prefix}: {line}" for line in event.text.split("\n")] if self._verbose else []
            case StepRetried() | Warned():
                return [lines.warning_line(event)]
            case StepFinished():
                is_cancelled = event.result.status is StepStatus.CANCELLED
                return [] if is_cancelled else [lines.finish_line(event.result)]
            case NodeProgressed():
                line = lines.progress_line(event)
                return [line] if self._pace.is_due(event.node.id) else []
            case EngineProbeStarted() | NodeProbeStarted():
                return [lines.opening_line(event)]
            case TimePassed():
                line = self._heartbeat.line(self._clock())
                return [line] if line else []
            case RunStarted() | RunFinished():
                return []
            case _:
                assert_never(event)

    def _write(self, line: str) -> None:
        self._last = self._clock()
        self._stream.write(f"{self._last - self._began:7.1f}s  {line}\n")
        self._stream.flush()
        self._heartbeat.printed(self._last)
