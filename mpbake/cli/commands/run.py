"""`mpbake run`: build, publish and verify targets on real nodes."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING

from mpbake.base.limits import affordable_threads
from mpbake.base.text import join_shared
from mpbake.buildkit import open_runner
from mpbake.cli.ci_jobs import heartbeats
from mpbake.cli.loading import read_source
from mpbake.cli.options import SAVED_SUFFIX
from mpbake.cli.review.granting import grant_run
from mpbake.cli.runs.repeat_command import repeat_command
from mpbake.cli.runs.run_events import RunEvents, make_reporter, slow_engine_notice
from mpbake.cli.runs.run_results import RunResults
from mpbake.cli.selection import make_graph, place_targets, preflight_input, select_for
from mpbake.graph.dag import import_networkx
from mpbake.graph.estimates import Estimates, with_results
from mpbake.graph.links import linked_targets
from mpbake.graph.node_facts import is_unreachable
from mpbake.graph.placement import nodes_to_probe
from mpbake.graph.preflight.buildx_versions import check_buildx
from mpbake.graph.preflight.checks import Stage, preflight_warnings
from mpbake.graph.preflight.paths import unset_secret_warnings
from mpbake.report.progress.metadata import metadata_file
from mpbake.review.grants import Rights
from mpbake.run.events import NodeProbeStarted, Warned
from mpbake.run.executor import WORKERS, Executor, exit_code, required_node_error
from mpbake.run.schedule import Schedule
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.run.state.directory import open_state, read_durations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.buildkit import BuildKitRunner
    from mpbake.cli.loading import ReadPlan
    from mpbake.cli.options import RunOptions
    from mpbake.cli.runs.approval import Approval
    from mpbake.cli.runs.saved_runs import SavedRun
    from mpbake.cli.world import World
    from mpbake.graph.dag import BuildGraph, Selection
    from mpbake.graph.placement import Placement
    from mpbake.model.plan import Node, Plan, Target
    from mpbake.run.executor import StopRequest
    from mpbake.run.state.directory import State
    from mpbake.spec.files.plan_files import PlanFiles


def main(options: RunOptions, world: World) -> int:
    """Run the named targets and all their dependencies."""
    return stoppable(lambda stop: _run(options, world, stop))


def _run(options: RunOptions, world: World, stop: StopRequest) -> int:
    saved = _saved_run(options, world)
    if saved:
        read, options = saved.read(world), saved.options
    else:
        read = read_source(options.source, world, options.overrides, quiet=options.quiet)
    plan_files, plan = read.plan()
    selection = select_for(plan, options.names, options.overrides)
    granted = grant_run(plan_files, selection.targets, world)  # before nodes are queried for an approval
    plan_files = granted.plan_files
    approval = _approval(saved, read, options, world, stop)
    placements = place_targets(selection, approval.facts if approval else {})
    _check(plan_files, selection, placements, world)
    metadata = metadata_file(world.folder / options.source.directory, options.metadata_file)
    command = _RunCommand(
        options=options,
        world=world,
        plan_files=plan_files,
        plan=plan,
        selection=selection,
        placements=placements,
        metadata=metadata,
        rights=granted.rights,
        approval=approval,
    )
    return command.execute(stop)


def _saved_run(options: RunOptions, world: World) -> SavedRun | None:
    """Return the run of the saved plan that the command line names; None for a run of targets."""
    if not any(name.endswith(SAVED_SUFFIX) for name in options.names):
        return None
    from mpbake.cli.runs.saved_runs import open_saved_run  # noqa: PLC0415 - slow to import, and few runs need it

    return open_saved_run(options, world)


def _approval(
    saved: SavedRun | None, read: ReadPlan, options: RunOptions, world: World, stop: StopRequest
) -> Approval | None:
    """Return the approved plan; None if the command line does not say what was approved. Raises NotApproved."""
    if saved:
        return saved.approve(read, world, stop)
    if not options.plan_id:
        return None
    from mpbake.cli.runs.approval import approve_id  # noqa: PLC0415 - slow to import, and few runs need it

    return approve_id(read, options, world, stop)


def _check(plan_files: PlanFiles, selection: Selection, placements: Mapping[Target, Placement], world: World) -> None:
    """Run the checks that contact no node. Raises PlanError.

    If placement depends on facts of nodes, placement is checked later.
    """
    open_builders = {node.builder for node in nodes_to_probe(placements)}
    settled = [placement for target, placement in placements.items() if target.builder.name not in open_builders]
    preflight_warnings(preflight_input(plan_files, selection, settled, world), Stage.RUN)


@dataclass(frozen=True, kw_only=True, slots=True)
class _RunCommand:
    """A run whose plan has passed the checks that contact no node.

    `placements` are made without facts of nodes, or with the facts of the approved plan. `rights` are the granted
    rights of the plan.
    """

    options: RunOptions
    world: World
    plan_files: PlanFiles
    plan: Plan
    selection: Selection
    placements: Mapping[Target, Placement]
    metadata: Path | None
    rights: Rights = field(default_factory=Rights)
    approval: Approval | None = None

    def execute(self, stop: StopRequest) -> int:
        """Open the state directory and the runner, then prepare the run and build. Return the exit code."""
        reporter = make_reporter(self.options, self.world, self.plan.root)
        events = RunEvents(reporter, stop, began=self.world.clock())
        with (
            stopped_by_signals(stop),
            heartbeats(events, self.world.environment),
            open_state(self.plan.root, self.world.now()) as state,
            self._open_runner(state, events, stop) as runner,
        ):
            check_buildx(self.plan_files, self.selection.targets, runner.buildx, runner.default)
            graph = self.prepare(runner, events)
            if self.approval:
                self.approval.check_again()
            return self.build(graph, runner, state, events, stop)

    @contextmanager
    def _open_runner(self, state: State, events: RunEvents, stop: StopRequest) -> Iterator[BuildKitRunner]:
        """Open the runner, and import networkx while docker answers."""
        targets, environment = self.selection.targets, self.world.environment
        repeat, redact = partial(repeat_command, self.options), self.world.redactor.redact
        opening = open_runner(targets, state, self.plan, environment, repeat, redact, stop.then, self.rights)
        Thread(target=import_networkx, daemon=True).start()
        with ExitStack() as stack:
            with slow_engine_notice(targets, events):
                runner = stack.enter_context(opening)
            yield runner

    def prepare(self, runner: BuildKitRunner, events: RunEvents) -> BuildGraph:
        """Query the nodes, place all platforms, report warnings, and return the graph. Raises PlanError."""
        approved = self.approval.facts if self.approval else {}
        # The approved plan does not use a node that did not answer, but the run fails if the node is required.
        required = (node for node in self._nodes if node.required and is_unreachable(node, approved))
        nodes = tuple(dict.fromkeys((*nodes_to_probe(self.placements), *required)))
        if nodes:
            events.handle(NodeProbeStarted(nodes=nodes))
        ready = runner.make_ready(nodes, events)
        lost = [node for node in nodes if node.id not in ready or is_unreachable(node, ready)]
        facts = {**approved, **ready}
        placements = place_targets(self.selection, facts, self.placements)
        subject = preflight_input(self.plan_files, self.selection, placements.values(), self.world)
        warnings = [*unset_secret_warnings(self.selection.targets, self.world.environment)]
        warnings += [*self.selection.warnings, *preflight_warnings(subject, Stage.RUN_PLACED)]
        graph = make_graph(self.selection, placements)
        warnings += _lost_node_warnings(lost, graph, runner)
        names = {target.name for target in (*graph.targets, *linked_targets(*graph.targets))}
        for warning in join_shared(dict.fromkeys(warnings), names):
            events.handle(Warned(message=warning))
        return graph

    @property
    def _nodes(self) -> Iterator[Node]:
        """All nodes of the builders of the run."""
        return (node for target in self.selection.targets for node in target.builder.nodes)

    def build(
        self, graph: BuildGraph, runner: BuildKitRunner, state: State, events: RunEvents, stop: StopRequest
    ) -> int:
        """Execute the graph, report the results and record them. Return the exit code."""
        recorded, warning = read_durations(state.durations)
        if warning:
            events.handle(Warned(message=warning))
        results = Executor(
            graph=graph,
            schedule=Schedule(graph, estimates=Estimates(recorded=recorded)),
            runner=runner,
            reporter=events,
            clock=self.world.clock,
            began=events.began,
            stop=stop,
            workers=affordable_threads(WORKERS),
        ).execute()
        report_code = RunResults(
            options=self.options,
            world=self.world,
            graph=graph,
            finished=events.finished,
            root=self.plan.root,
            metadata=self.metadata,
            durations_file=state.durations,
            durations=with_results(recorded, results, self.plan.targets),
        ).report()
        if events.broken_pipe is not None:
            raise events.broken_pipe
        return exit_code(events.finished.results, events.finished.signal) or report_code


def _lost_node_warnings(lost: Sequence[Node], graph: BuildGraph, runner: BuildKitRunner) -> Iterator[str]:
    """Yield a warning for each lost node that is not required. Raises the error of a required node."""
    used = {node.id for node in graph.nodes}
    for node in lost:
        error = runner.node_error(node)
        if error is not None and node.required:
            raise required_node_error(error, node)
        if error is not None and node.id not in used:
            yield f"{node.id} is not used: {error.message}"
