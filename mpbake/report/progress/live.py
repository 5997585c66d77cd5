"""A reporter for terminals: lines for finished steps, and below these lines a live view of the running steps."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, TextIO, assert_never

from mpbake.base.text import count, duration
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    JoinArchives,
    Publish,
    StepStatus,
    Verify,
    bootstrapped_node,
    platform_list,
)
from mpbake.report.progress import event_lines as lines
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
    from collections.abc import Callable, Hashable

    from rich.console import RenderableType

    from mpbake.model.plan import Node
    from mpbake.model.steps import Step, StepResult
    from mpbake.report.formats import ReportStyle
    from mpbake.run.events import Event

_STYLES = {StepStatus.DONE: "green", StepStatus.FAILED: "bold red", StepStatus.SKIPPED: "yellow"}
_REFRESH = 8
"""Redraws each second."""


def live_reporter(stream: TextIO, clock: Callable[[], float], style: ReportStyle) -> LiveReporter:
    """Return a reporter that redraws the running steps in place."""
    return LiveReporter(stream, clock, verbose=style.verbose, colour=style.colour)


class LiveReporter:
    """Redraws the running steps in place until the run ends. `verbose` prints the output of builds above the steps."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, verbose: bool, colour: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - takes 50 ms; only terminals need rich
        from rich.live import Live  # noqa: PLC0415

        self._console = Console(file=stream, no_color=not colour, highlight=False, markup=False, emoji=False)
        self._clock = clock
        self._verbose = verbose
        self._lock = threading.RLock()
        self._pace = Pace(clock)
        self._running: dict[Step, tuple[float, str]] = {}
        self._ends: dict[Hashable, StepStatus] = {}
        self._steps = 0
        # The start must be the last statement, since rich calls `_view` at once.
        self._live = Live(get_renderable=self._view, console=self._console, refresh_per_second=_REFRESH, transient=True)

    def handle(self, event: Event) -> None:
        """Update the view, and print the lines that stay on the screen."""
        with self._lock:
            self._update(event)
        # Do not hold `self._lock` while printing: `_view` takes this lock while rich holds the lock that printing
        # needs.
        self._show(event)

    def _update(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._steps = len(set(map(_planned, event.graph.steps)))
            case StepStarted():
                self._running[event.step] = (self._clock(), "")
            case StepProgressed():
                began, _ = self._running.get(event.step, (self._clock(), ""))
                self._running[event.step] = (began, event.activity)
            case NodeProgressed():
                for step in self._bootstraps(event.node):
                    self._running[step] = (self._running[step][0], event.activity)
            case StepRetried():
                for step in (event.step, *event.others):
                    self._running.pop(step, None)
            case StepFinished():
                self._end(event.result)
            case _:
                pass

    def _bootstraps(self, node: Node) -> list[Step]:
        """Return the running bootstrap steps of `node`."""
        return [
            step
            for step in self._running
            if (bootstrapped := bootstrapped_node(step)) is not None and bootstrapped.id == node.id
        ]

    def _end(self, result: StepResult) -> None:
        self._running.pop(result.step, None)
        step = _planned(result.step)
        if self._ends.get(step, StepStatus.DONE) is StepStatus.DONE:  # failed on any node means failed
            self._ends[step] = result.status

    def _show(self, event: Event) -> None:
        match event:
            case EngineProbeStarted() | NodeProbeStarted():
                self._print(lines.opening_line(event))
            case NodeProgressed():
                self._show_advance(event)
            case RunStarted():
                self._live.start()
            case StepOutput():
                if self._verbose:
                    prefix = lines.short_step_label(event.step)
                    self._print("\n".join(f"{prefix}: {line}" for line in event.text.split("\n")))
            case StepRetried() | Warned():
                self._print(lines.warning_line(event), "yellow")
            case StepFinished():
                if event.result.status is not StepStatus.CANCELLED:
                    self._print(lines.finish_line(event.result), _STYLES.get(event.result.status, ""))
            case RunFinished():
                self._live.stop()
            case StepStarted() | StepProgressed() | TimePassed():
                pass  # the next view shows the change
            case _:
                assert_never(event)

    def _show_advance(self, event: NodeProgressed) -> None:
        """Print the progress of a node that is starting, unless the live view shows the node."""
        if not self._bootstraps(event.node) and self._pace.is_due(event.node.id):
            self._print(lines.progress_line(event))

    def _print(self, text: str, style: str = "") -> None:
        """Print `text` permanently, above the live view."""
        from rich.text import Text  # noqa: PLC0415

        self._console.print(Text(text, style=style))  # the `style` of print would colour the view as well

    def _view(self) -> RenderableType:
        """Return the step counts, then one line for each running step, as many as fit on the screen."""
        from rich.console import Group  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        with self._lock:
            now = self._clock()
            room = max(self._console.height - 3, 1)
            shown = list(self._running.items())[:room]
            rows = [self._row(step, now - began, activity) for step, (began, activity) in shown]
            hidden = len(self._running) - len(shown)
            head = self._head()
        texts = [head, *rows, *([f"  … and {hidden} more"] if hidden else [])]
        return Group(*(Text(text, no_wrap=True, overflow="ellipsis") for text in texts))

    def _head(self) -> str:
        """Return the step counts: done, other final states (failed, skipped, cancelled), and running."""
        ends = Counter(self._ends.values())
        done = f"{ends[StepStatus.DONE]} of {count(self._steps, 'step')} done"
        others = [status for status in StepStatus if ends[status] and status is not StepStatus.DONE]
        return ", ".join([done, *(f"{ends[status]} {status}" for status in others), f"{len(self._running)} running"])

    def _row(self, step: Step, seconds: float, activity: str) -> str:
        return f"  {duration(seconds):>7}  {lines.start_line(step)}{f'  {activity}' if activity else ''}"


def _planned(step: Step) -> Hashable:
    """Return a key for `step` in the plan. A shared build piece has the same key on all nodes that build it."""
    match step:
        case BuildPiece():
            return (step.target.name, platform_list(step)) if step.shared else step
        case BootstrapNode() | JoinArchives() | CheckPiece() | Publish() | Verify():
            return step
        case _:
            assert_never(step)
