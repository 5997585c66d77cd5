"""The way of a run's events to its reporter."""

from __future__ import annotations

from contextlib import contextmanager
from signal import SIGPIPE
from threading import Timer
from typing import TYPE_CHECKING

from mpbake.report.formats import REPORTERS, ReportStyle
from mpbake.run.events import EngineProbeStarted, RunFinished, Warned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.cli.options import RunOptions
    from mpbake.cli.world import World
    from mpbake.model.plan import Target
    from mpbake.run.events import Event, Reporter
    from mpbake.run.executor import StopRequest

_PATIENCE = 2.0
"""Seconds after which people wonder what a run waits for."""


def make_reporter(options: RunOptions, world: World) -> Reporter:
    """Return the live reporter if a person watches standard error, else the plain one."""
    name = "live" if world.live and not options.quiet else "plain"
    colour = not options.no_color and not world.environment.get("NO_COLOR")
    style = ReportStyle(verbose=options.verbose, quiet=options.quiet, colour=colour)
    return REPORTERS[name].load()(world.stderr, world.clock, style)


class RunEvents:
    """Passes events to a reporter, each warning once, and keeps the last event. Times count from `began`.

    When nobody reads the reporter's output any more, the run stops; `broken_pipe` is the error then.
    """

    finished: RunFinished
    broken_pipe: BrokenPipeError | None = None

    def __init__(self, reporter: Reporter, stop: StopRequest, *, began: float) -> None:
        self._reporter = reporter
        self._stop = stop
        self.began = began
        self._warnings: set[str] = set()

    def handle(self, event: Event) -> None:
        """Handle an event; see `Reporter`."""
        if isinstance(event, RunFinished):
            self.finished = event
        if isinstance(event, Warned):
            if event.message in self._warnings:
                return
            self._warnings.add(event.message)
        if self.broken_pipe is None:
            try:
                self._reporter.handle(event)
            except BrokenPipeError as error:
                self.broken_pipe = error
                self._stop(SIGPIPE)


@contextmanager
def slow_engine_notice(targets: Sequence[Target], reporter: Reporter, patience: float = _PATIENCE) -> Iterator[None]:
    """Report that the engine is asked for the default builder of `targets`, if that takes longer than `patience`."""
    timer = Timer(patience, reporter.handle, [EngineProbeStarted()])
    timer.daemon = True
    if any(target.builder.driver.rules.is_automatic for target in targets):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
