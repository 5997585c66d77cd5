"""Plain lines, for logs and pipes: everything stays readable, nothing is redrawn."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TextIO, assert_never

from mpbake.base.text import shortened
from mpbake.model.steps import StepStatus
from mpbake.report import event_lines as lines
from mpbake.report.pace import Pace
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
    Warned,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.run.events import Event

_ACTIVITY = 100


class PlainReporter:
    """Writes a line for each event to `stream`, with the seconds since the start. `verbose` adds builds' own output."""

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

    def handle(self, event: Event) -> None:
        """Write what is worth a line."""
        if self._quiet:
            return
        for line in self._lines(event):
            self._write(line)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case StepStarted():
                return [lines.start_line(event.step)]
            case StepProgressed():
                return (
                    []
                    if self._verbose
                    else [shortened(f"{lines.short_step_label(event.step)}: {event.activity}", _ACTIVITY)]
                )
            case StepOutput():
                prefix = lines.short_step_label(event.step)
                return [f"{prefix}: {line}" for line in event.text.split("\n")] if self._verbose else []
            case StepRetried() | Warned():
                return [lines.warning_line(event)]
            case StepFinished():
                quiet = event.result.status is StepStatus.CANCELLED
                return [] if quiet else [lines.finish_line(event.result)]
            case NodeProgressed():
                line = lines.progress_line(event)
                return [line] if self._pace.is_due(event.node.id) else []
            case EngineProbeStarted() | NodeProbeStarted():
                return [lines.opening_line(event)]
            case RunStarted() | RunFinished():
                return []
            case _:
                assert_never(event)

    def _write(self, line: str) -> None:
        seconds = self._clock() - self._began
        with self._lock:
            self._stream.write(f"{seconds:7.1f}s  {line}\n")
            self._stream.flush()
