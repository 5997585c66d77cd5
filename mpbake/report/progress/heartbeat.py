"""A line that says what runs, for reporters that have printed nothing for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import duration, shortened
from mpbake.report.progress import event_lines as lines
from mpbake.run.events import (
    EngineProbeStarted,
    NodeProbeStarted,
    NodeProgressed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepProgressed,
    StepRetried,
    StepStarted,
)

if TYPE_CHECKING:
    from mpbake.model.steps import Step
    from mpbake.run.events import Event

SILENCE = 30.0
"""Seconds without output after which a heartbeat is due."""
_MOST_STEPS = 3
_ACTIVITY_LENGTH = 60


class Heartbeat:
    """Knows the running steps and the time of the last output. All times are in seconds. Not thread-safe."""

    def __init__(self, now: float) -> None:
        self._last = now
        self._waiting_for = "preparing the run"
        self._running: dict[Step, float] = {}
        self._activities: dict[Step, str] = {}

    def printed(self, now: float) -> None:
        """Note that the reporter has printed something."""
        self._last = now

    def follow(self, event: Event, now: float) -> None:
        """Note the steps that an event starts or ends, and their activities."""
        match event:
            case EngineProbeStarted() | NodeProbeStarted():
                self._waiting_for = lines.opening_line(event)
            case NodeProgressed():
                self._waiting_for = lines.progress_line(event)
            case RunStarted():
                self._waiting_for = "no step can start yet"
            case RunFinished():
                self._waiting_for = "finishing the run"
            case StepStarted():
                self._running[event.step] = now
            case StepProgressed():
                self._activities[event.step] = event.activity
            case StepRetried():
                self._end(event.step, *event.others)
            case StepFinished():
                self._end(event.result.step)
            case _:
                pass

    def _end(self, *steps: Step) -> None:
        for step in steps:
            self._running.pop(step, None)
            self._activities.pop(step, None)

    def line(self, now: float) -> str:
        """Return the heartbeat if it is due, else an empty string."""
        if now - self._last < SILENCE:
            return ""
        steps = [self._step(step, now - began) for step, began in self._running.items()]
        if not steps:
            return f"still waiting: {self._waiting_for}"
        more = f" and {len(steps) - _MOST_STEPS} more" if len(steps) > _MOST_STEPS else ""
        return f"still running: {', '.join(steps[:_MOST_STEPS])}{more}"

    def _step(self, step: Step, seconds: float) -> str:
        activity = shortened(self._activities.get(step, ""), _ACTIVITY_LENGTH)
        return f"{lines.step_label(step)} ({duration(seconds)}{f': {activity}' if activity else ''})"
