"""`mpbake run`: the main job. Builds, publishes and verifies on real nodes."""

from __future__ import annotations

import contextlib
import shlex
import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from mpbake.buildkit import open_runner
from mpbake.commands.abilities import check_buildx
from mpbake.commands.load import graph_of, load, selected
from mpbake.commands.paths import check_paths
from mpbake.errors import MpbakeError
from mpbake.events import Preparing, RunFinished, Warned
from mpbake.executor import Executor, StopRequest, exit_code
from mpbake.placement import to_probe
from mpbake.report import LiveReporter, PlainReporter, errors_text, summary_text
from mpbake.schedule import Schedule
from mpbake.state import open_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from mpbake.buildkit import BuildKitRunner
    from mpbake.document import Document
    from mpbake.events import Event, Reporter
    from mpbake.graph import BuildGraph, Selection
    from mpbake.options import Options, World
    from mpbake.steps import BuildPiece


def main(options: Options, world: World) -> int:
    """Run `options.names`, and all that they need."""
    document, plan = load(options, world)
    chosen = selected(plan, options)
    check_paths(document, chosen.targets)
    stop = StopRequest()
    with _stopped_by_signals(stop), open_state(plan.root, world.now()) as state:
        try:
            with open_runner(
                chosen.targets, state, plan.root, world.environment, partial(repeat_command, options), world.hiding.hide
            ) as runner:
                stop.then(runner.cancel)
                check_buildx(document, chosen.targets, runner.buildx)
                run = _Run(options=options, world=world, stop=stop, runner=runner)
                return run.execute(run.prepare(document, chosen))
        except MpbakeError:
            if stop.signal:  # whatever failed, failed because it was stopped
                return exit_code((), stop.signal)
            raise


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What the parts of one run share."""

    options: Options
    world: World
    stop: StopRequest
    runner: BuildKitRunner

    def prepare(self, document: Document, chosen: Selection) -> tuple[BuildGraph, _Reporting]:
        """Ask what only nodes can tell, and place everything."""
        reporting = _Reporting(_reporter(self.options, self.world))
        self.runner.settle_default(chosen.targets)
        nodes = to_probe(chosen.targets, chosen.only)
        if nodes:
            reporting.handle(Preparing(nodes=nodes))
        graph, warnings = graph_of(document, chosen, self.runner.probe(nodes))
        for warning in warnings:
            reporting.handle(Warned(message=warning))
        return graph, reporting

    def execute(self, prepared: tuple[BuildGraph, _Reporting]) -> int:
        """Run the graph, then say what came of it: the table to standard output, errors last."""
        graph, reporting = prepared
        Executor(
            graph=graph,
            schedule=Schedule(graph),
            runner=self.runner,
            reporter=reporting,
            clock=self.world.clock,
            stop=self.stop,
        ).execute()
        finished = reporting.finished
        if not self.options.quiet:
            self.world.stdout.write(summary_text(graph, finished))
            self.world.stdout.flush()
        self.world.stderr.write(errors_text(finished))
        return exit_code(finished.results, finished.signal)


class _Reporting:
    """Passes events on, and keeps the last one: how it all ended."""

    finished: RunFinished

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def handle(self, event: Event) -> None:
        if isinstance(event, RunFinished):
            self.finished = event
        self._reporter.handle(event)


def _reporter(options: Options, world: World) -> Reporter:
    if world.live and not options.quiet:
        colour = not options.no_color and not world.environment.get("NO_COLOR")
        return LiveReporter(world.stderr, world.clock, verbose=options.verbose, colour=colour)
    return PlainReporter(world.stderr, world.clock, verbose=options.verbose, quiet=options.quiet)


def repeat_command(options: Options, piece: BuildPiece) -> str:
    """A command that does `piece` again, with the same plan and the same values.

    A part of an image must not be pushed as if it were the whole.
    """
    words = ["mpbake", "run"]
    for flag, value in (("-C", options.directory), ("--builder", options.builder)):
        words += [flag, value] if value else []
    words += [word for each in options.files for word in ("-f", each)]
    words += [word for each in options.variables for word in ("--var", each)]
    words += [word for each in options.var_files for word in ("--var-file", each)]
    words += [word for each in options.settings for word in ("--set", each)]
    words.append(piece.target.name)
    partly = piece.of > 1 or piece.shared
    if partly or options.platforms:
        words += [word for each in piece.platforms for word in ("--platform", str(each.platform))]
    flags = {"--no-cache": options.no_cache, "--pull": options.pull, "--load": options.load and not partly}
    words += [flag for flag, given in flags.items() if given]
    words += {True: ["--push"], False: ["--no-push"], None: []}[False if partly else options.push]
    return shlex.join(words)


@contextlib.contextmanager
def _stopped_by_signals(stop: StopRequest) -> Iterator[None]:
    """Ctrl-C, a terminated job and a closed terminal end the run in order; the first of them gives the exit code."""

    def request(number: int, _: FrameType | None) -> None:
        stop(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            before[number] = signal.signal(number, request)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
