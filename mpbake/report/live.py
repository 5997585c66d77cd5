"""A live view for terminals: what runs and for how long, below lines for what is over."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING, TextIO, assert_never

from mpbake.base.text import count, duration
from mpbake.model.steps import BootstrapNode, BuildPiece, StepStatus, platform_list
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
    from collections.abc import Callable, Hashable

    from rich.console import RenderableType

    from mpbake.model.plan import Node
    from mpbake.model.steps import Step, StepResult
    from mpbake.run.events import Event

_STYLES = {StepStatus.DONE: "green", StepStatus.FAILED: "bold red", StepStatus.SKIPPED: "yellow"}
_REFRESH = 8


class LiveReporter:
    """Redraws the running steps in place; `verbose` prints builds' own output above them. Ends with the run."""

    def __init__(self, stream: TextIO, clock: Callable[[], float], *, verbose: bool, colour: bool) -> None:
        from rich.console import Console  # noqa: PLC0415 - 50 ms that a log or pipe does not need
        from rich.live import Live  # noqa: PLC0415

        self._console = Console(file=stream, no_color=not colour, highlight=False, markup=False, emoji=False)
        self._clock = clock
        self._verbose = verbose
        self._lock = threading.RLock()
        self._pace = Pace(clock)
        self._running: dict[Step, tuple[float, str]] = {}
        self._ends: dict[Hashable, StepStatus] = {}
        self._steps = 0
        # Last: it asks for the view at once.
        self._live = Live(get_renderable=self._view, console=self._console, refresh_per_second=_REFRESH, transient=True)

    def handle(self, event: Event) -> None:
        """Take note, and print what is to stay on the screen."""
        with self._lock:
            self._note(event)
        # Without the lock: rich holds one of its own while it asks for the view, and waits for that one to print.
        self._show(event)

    def _note(self, event: Event) -> None:
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
        """The running steps that start `node`."""
        return [step for step in self._running if isinstance(step, BootstrapNode) and step.node.id == node.id]

    def _end(self, result: StepResult) -> None:
        self._running.pop(result.step, None)
        step = _planned(result.step)
        if self._ends.get(step, StepStatus.DONE) is StepStatus.DONE:  # what failed on one node has failed
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
            case StepStarted() | StepProgressed():
                pass  # seen when the view is drawn the next time
            case _:
                assert_never(event)

    def _show_advance(self, event: NodeProgressed) -> None:
        """Print how far the start of a node is, unless the view shows it."""
        if not self._bootstraps(event.node) and self._pace.is_due(event.node.id):
            self._print(lines.progress_line(event))

    def _print(self, text: str, style: str = "") -> None:
        """Have `text` stay on the screen."""
        from rich.text import Text  # noqa: PLC0415

        self._console.print(Text(text, style=style))  # a style of `print` would colour the view below, too

    def _view(self) -> RenderableType:
        """The running steps, cut to the screen: one line each."""
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
        """How many steps are done, have ended otherwise, and run."""
        ends = Counter(self._ends.values())
        done = f"{ends[StepStatus.DONE]} of {count(self._steps, 'step')} done"
        others = [each for each in StepStatus if ends[each] and each is not StepStatus.DONE]
        return ", ".join([done, *(f"{ends[each]} {each}" for each in others), f"{len(self._running)} running"])

    def _row(self, step: Step, seconds: float, activity: str) -> str:
        return f"  {duration(seconds):>7}  {lines.start_line(step)}{f'  {activity}' if activity else ''}"


def _planned(step: Step) -> Hashable:
    """What `step` is in the plan: a shared piece is one there, however often and on however many nodes it is built."""
    return (step.target.name, platform_list(step)) if isinstance(step, BuildPiece) and step.shared else step
