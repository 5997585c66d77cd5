"""Passes the events of a run to its reporter."""

from __future__ import annotations

from contextlib import contextmanager
from signal import SIGPIPE
from threading import Timer
from typing import TYPE_CHECKING

from mpbake.cli.ci_jobs import CheckoutPaths, ci_reporter
from mpbake.report.formats import REPORTERS, ReportStyle
from mpbake.run.events import EngineProbeStarted, RunFinished, Warned

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mpbake.cli.options import RunOptions
    from mpbake.cli.world import World
    from mpbake.model.plan import Target
    from mpbake.run.events import Event, Reporter
    from mpbake.run.executor import StopRequest

_PATIENCE = 2.0
"""Seconds after which a run reports that it waits for the engine or a node."""


def make_reporter(options: RunOptions, world: World, root: Path) -> Reporter:
    """Return the live reporter if a person watches standard error, else the reporter for the CI system, if any.

    `root` is the folder of the plan.
    """
    environment = world.environment
    name = "live" if world.live and not options.quiet else ci_reporter(environment)
    checkout = world.folder / environment.get("GITHUB_WORKSPACE", "")
    style = ReportStyle(
        verbose=options.verbose,
        quiet=options.quiet,
        colour=not options.no_color and not environment.get("NO_COLOR"),
        checkout_path=CheckoutPaths(root=root, checkout=checkout),
        now=world.now,
    )
    return REPORTERS[name].load()(world.stderr, world.clock, style)


class RunEvents:
    """Passes events to a reporter, each warning once, and keeps the `RunFinished` event. Times count from `began`.

    If nobody reads the reporter's output any more, the run stops, and `broken_pipe` holds the error.
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
    """Report that mpbake waits for the engine if the block takes longer than `patience` seconds.

    mpbake queries the engine only if the default builder builds one of `targets`.
    """
    timer = Timer(patience, reporter.handle, [EngineProbeStarted()])
    timer.daemon = True
    if any(target.builder.driver.rules.is_automatic for target in targets):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
