"""`mpbake run`: builds, publishes and verifies on real nodes."""

from __future__ import annotations

import shlex
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from signal import SIGPIPE
from threading import Thread, Timer
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, system_error
from mpbake.base.limits import affordable_threads
from mpbake.base.text import join_shared, one_line
from mpbake.buildkit import open_runner
from mpbake.cli.loading import check_placements, check_tags, load_plan, place_targets, run_graph, select_for
from mpbake.graph.dag import import_networkx
from mpbake.graph.estimates import Estimates, with_results
from mpbake.graph.links import linked_targets
from mpbake.graph.placement import is_unreachable, nodes_to_probe
from mpbake.graph.preflight.base_images import foreign_bases
from mpbake.graph.preflight.buildx_versions import check_buildx
from mpbake.graph.preflight.paths import check_files, unset_secret_warnings
from mpbake.model.steps import BootstrapNode, BuildPiece
from mpbake.report import LiveReporter, PlainReporter, errors_text, summary_text, unkept_results_text
from mpbake.report.metadata import metadata_file, write_metadata
from mpbake.run.events import AskingEngine, ProbingNodes, RunFinished, Warned
from mpbake.run.executor import WORKERS, Executor, exit_code, required_node_error
from mpbake.run.schedule import Schedule
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.run.state.directory import FOLDER, open_state, read_durations, write_durations
from mpbake.run.state.published import published_by, remember_published

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mpbake.buildkit import BuildKitRunner
    from mpbake.cli.options import Options, World
    from mpbake.graph.dag import BuildGraph, Selection
    from mpbake.graph.estimates import Recorded
    from mpbake.model.plan import Node, Plan, Target
    from mpbake.run.events import Event, Reporter
    from mpbake.run.executor import StopRequest
    from mpbake.run.state.directory import State
    from mpbake.spec.plan_files import PlanFiles


_MOMENT = 2.0
"""Seconds after which people wonder what a run waits for."""


def main(options: Options, world: World) -> int:
    """Run `options.names`, and all that they need."""
    document, plan = load_plan(options, world)
    chosen = select_for(plan, options)
    check_tags(document, chosen)
    check_files(document, chosen, world.environment, world.now())
    metadata = metadata_file(world.folder / options.directory, options.metadata_file)
    repeat, redact = partial(repeat_command, options), world.redactor.redact

    def work(stop: StopRequest) -> int:
        reporting = _Reporting(_reporter(options, world), stop, began=world.clock())
        with (
            stopped_by_signals(stop),
            open_state(plan.root, world.now()) as state,
            ExitStack() as ends,
        ):
            runner_of = open_runner(chosen.targets, state, plan, world.environment, repeat, redact, stop.then)
            Thread(target=import_networkx, daemon=True).start()
            with _patience(chosen.targets, reporting):
                runner = ends.enter_context(runner_of)
            check_buildx(document, chosen.targets, runner.builds.bake.buildx, runner.default)
            run = _Run(
                options=options,
                world=world,
                stop=stop,
                reporting=reporting,
                runner=runner,
                state=state,
                metadata=metadata,
            )
            return run.execute(run.prepare(document, chosen), plan)

    return stoppable(work)


@contextmanager
def _patience(targets: Sequence[Target], reporter: Reporter, moment: float = _MOMENT) -> Iterator[None]:
    """Within, it is found out what the default builder of `targets` is; where that takes its time, it is told."""
    timer = Timer(moment, reporter.handle, [AskingEngine()])
    timer.daemon = True
    if any(target.builder.driver.rules.is_automatic for target in targets):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What the parts of one run share."""

    options: Options
    world: World
    stop: StopRequest
    reporting: _Reporting
    runner: BuildKitRunner
    state: State
    metadata: Path | None

    def prepare(self, document: PlanFiles, chosen: Selection) -> BuildGraph:
        """Ask what only nodes can tell, and place everything."""
        before = place_targets(chosen, {})
        nodes = nodes_to_probe(before)
        asked = {node.builder for node in nodes}
        settled = (placement for target, placement in before.items() if target.builder.name not in asked)
        check_placements(document, chosen, settled)  # before anything is made
        if nodes:
            self.reporting.handle(ProbingNodes(nodes=nodes))
        facts = self.runner.make_ready(nodes, self.reporting)
        lost = [node for node in nodes if node.id not in facts or is_unreachable(node, facts)]
        graph, warnings = run_graph(document, chosen, place_targets(chosen, facts, before))
        unset = unset_secret_warnings(chosen.targets, self.world.environment)
        foreign = (each.message for each in foreign_bases(chosen.targets))
        names = {target.name for target in (*graph.targets, *linked_targets(*graph.targets))}
        for warning in join_shared((*unset, *foreign, *warnings, *self._left_out(lost, graph)), names):
            self.reporting.handle(Warned(message=warning))
        return graph

    def _left_out(self, lost: Sequence[Node], graph: BuildGraph) -> Iterator[str]:
        """A word on each node that cannot be had and is done without. Raises its error where it is required."""
        used = {step.node.id for step in graph.steps if isinstance(step, BootstrapNode)}
        for node in lost:
            error = self.runner.complaint(node)
            if error is not None and node.required:
                raise required_node_error(error, node)
            if error is not None and node.id not in used:
                yield f"{node.id} is left out: {error.message}"

    def execute(self, graph: BuildGraph, plan: Plan) -> int:
        """Run the graph, then say what came of it: the table to standard output, errors last."""
        reporting = self.reporting
        recorded, warning = read_durations(self.state.durations)
        if warning:
            reporting.handle(Warned(message=warning))
        results = Executor(
            graph=graph,
            schedule=Schedule(graph, estimates=Estimates(recorded=recorded)),
            runner=self.runner,
            reporter=reporting,
            clock=self.world.clock,
            began=reporting.began,
            stop=self.stop,
            workers=affordable_threads(WORKERS),
        ).execute()
        finished, kept = reporting.finished, [0]
        with ExitStack() as ends:  # the last of them first, and each of them whatever the others raise
            ends.callback(self._keep_durations, with_results(recorded, results, plan.targets))
            ends.callback(lambda: kept.append(self._keep(graph, finished, plan.root / FOLDER)))
            ends.callback(self._complain, graph, finished)
            ends.callback(self._summarise, graph, finished)
        if reporting.gone is not None:
            raise reporting.gone
        return exit_code(finished.results, finished.signal) or kept[-1]

    def _summarise(self, graph: BuildGraph, finished: RunFinished) -> None:
        if not self.options.quiet:
            self.world.stdout.write(summary_text(graph, finished))
            self.world.stdout.flush()

    def _complain(self, graph: BuildGraph, finished: RunFinished) -> None:
        """Tell what is not as most people want it, unless `--no-push` says that it is meant, and what went wrong."""
        if not self.options.quiet and self.options.push is not False:
            self.world.stderr.write(unkept_results_text(graph, finished))
        self.world.stderr.write(errors_text(finished))

    def _keep(self, graph: BuildGraph, finished: RunFinished, folder: Path) -> int:
        """Keep what has been published, for `mpbake verify`, and what came of it all, for whoever wants it.

        Returns 1 where what was asked for could not be written.
        """
        told = [f"warning: {one_line(each)}\n" for each in remember_published(folder, published_by(finished.results))]
        code = 0
        try:
            if self.metadata is not None:
                write_metadata(self.metadata, graph, finished, self.world.redactor.redact)
        except OSError as error:
            told.append(f"\nerror: {system_error(error, f'--metadata-file {self.metadata}')}\n")
            code = MpbakeError.exit_code
        self.world.stderr.writelines(told)
        return code

    def _keep_durations(self, durations: Recorded) -> None:
        """Keep what is only a help to the runs to come."""
        path = self.state.durations
        try:
            write_durations(path, durations)
        except OSError as error:
            words = one_line(f"{path}: {error.strerror}: how long builds took is not remembered")
            self.world.stderr.write(f"warning: {words}\n")


class _Reporting:
    """Passes events on, each warning once, and keeps the last one: how it all ended. The seconds count from `began`.

    Once nobody reads them, the run is to `stop`: `gone` is what says so.
    """

    finished: RunFinished
    gone: BrokenPipeError | None = None

    def __init__(self, reporter: Reporter, stop: StopRequest, *, began: float) -> None:
        self._reporter = reporter
        self._stop = stop
        self.began = began
        self._warned: set[str] = set()

    def handle(self, event: Event) -> None:
        if isinstance(event, RunFinished):
            self.finished = event
        if isinstance(event, Warned):
            if event.message in self._warned:
                return
            self._warned.add(event.message)
        if self.gone is None:
            try:
                self._reporter.handle(event)
            except BrokenPipeError as error:
                self.gone = error
                self._stop(SIGPIPE)


def _reporter(options: Options, world: World) -> Reporter:
    if world.live and not options.quiet:
        colour = not options.no_color and not world.environment.get("NO_COLOR")
        return LiveReporter(world.stderr, world.clock, verbose=options.verbose, colour=colour)
    return PlainReporter(world.stderr, world.clock, verbose=options.verbose, quiet=options.quiet)


def repeat_command(options: Options, what: BuildPiece | Target) -> str:
    """A command that does a piece, or the whole of a target, again, with the same plan and the same values.

    A part of an image must not be pushed as if it were the whole.
    """
    words = ["mpbake", "run"]
    for flag, value in (("-C", options.directory), ("--builder", options.builder)):
        words += [flag, value] if value else []
    words += [word for each in options.files for word in ("-f", each)]
    words += [word for each in options.variables for word in ("--var", each)]
    words += [word for each in options.var_files for word in ("--var-file", each)]
    words += [word for each in options.settings for word in ("--set", each)]
    platforms = options.platforms
    if isinstance(what, BuildPiece):
        partly, name = what.of > 1 or what.shared, what.target.name
        platforms = tuple(str(each.platform) for each in what.platforms) if partly or platforms else ()
    else:
        partly, name = False, what.name
    words.append(name)
    words += [word for each in platforms for word in ("--platform", each)]
    flags = {"--no-cache": options.no_cache, "--pull": options.pull, "--load": options.load and not partly}
    words += [flag for flag, given in flags.items() if given]
    words += {True: ["--push"], False: ["--no-push"], None: []}[False if partly else options.push]
    return shlex.join(words)
