"""The schedule: a state machine that decides which steps start, end and are retried."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mpbake.graph.estimates import Estimates, expectations, remaining_paths
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    JoinArchives,
    Outcome,
    Publish,
    StepStatus,
    Verify,
)
from mpbake.run.schedule.batches import Batches
from mpbake.run.schedule.check_placement import CheckPlacement
from mpbake.run.schedule.dispatcher import Dispatcher
from mpbake.run.schedule.fleet import Fleet
from mpbake.run.schedule.launcher import Launcher
from mpbake.run.schedule.losses import Losses
from mpbake.run.schedule.node_selector import NodeSelector
from mpbake.run.schedule.ready_steps import ReadySteps
from mpbake.run.schedule.retries import Retries
from mpbake.run.schedule.scheduled_node import NodeStatus
from mpbake.run.schedule.step_tracker import StepTracker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.steps import Step
    from mpbake.run.schedule.launcher import StartedSteps
    from mpbake.run.schedule.scheduled_node import ScheduledNode


class Schedule:
    """The state of a run: the steps that wait, run and are over.

    When a build piece is ready, the schedule assigns the piece to one of its nodes, and only this node then builds the
    piece (see `BuildPiece.on`). A piece goes to the preferred node, which holds the cache, while this node has room. If
    waiting would cost more time than the cache saves, the piece goes to another equal node. The bootstrap of a node
    runs before the first piece on this node, and the shared bases of a piece run before the piece. Bootstraps and
    shared bases run only on the nodes that are used, at the time of their use.

    The piece with the longest remaining path starts first. The slots of a node limit how many pieces it builds at once;
    short pieces that are ready together share a call. If nodes have no slots, all ready pieces are assigned, with an
    even share for each equal node, and `batches` divides the pieces into calls. The bootstraps of required nodes always
    run, before all other steps. A check runs at once on the node that has built the checked piece, even if this node
    has no room. After the loss of this node, the check runs on an equal node if the image was uploaded.

    `slots` maps node ids to the number of pieces that a node builds at once; for other nodes, the plan or BuildKit
    decides. Times are seconds of one clock with any origin.
    """

    def __init__(
        self, graph: BuildGraph, slots: Mapping[str, int] | None = None, estimates: Estimates | None = None
    ) -> None:
        estimates = estimates or Estimates()
        seconds = expectations(graph, estimates)
        self._tracker = StepTracker(graph)
        self._fleet = Fleet(graph, slots or {}, self._tracker.place)
        self._ready = ReadySteps(self._tracker, self._fleet, seconds=seconds, paths=remaining_paths(graph, seconds))
        self._check_placement = CheckPlacement(self._tracker, self._fleet)
        selector = NodeSelector(self._fleet, estimates, seconds)
        batches = Batches(graph, self._fleet, estimates)
        self._launcher = Launcher(
            tracker=self._tracker,
            fleet=self._fleet,
            ready=self._ready,
            batches=batches,
            selector=selector,
            check_placement=self._check_placement,
            bootstraps={step.node.id: step for step in graph.steps if isinstance(step, BootstrapNode)},
        )
        self._dispatcher = Dispatcher(self._fleet, selector, self._launcher)
        self._losses = Losses(self._tracker, self._fleet, self._ready, self._check_placement)
        self._retries = Retries(
            tracker=self._tracker,
            fleet=self._fleet,
            ready=self._ready,
            batches=batches,
            check_placement=self._check_placement,
            losses=self._losses,
        )
        self._required_to_start = self._fleet.required
        self._ready.add(self._tracker.initially_ready)

    # --- state ------------------------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether every step is over. Bootstraps and shared pieces that no piece needed count as over."""
        return self._tracker.finished

    @property
    def running(self) -> tuple[Step, ...]:
        """The started forms of the running steps."""
        return self._tracker.running

    @property
    def wakes_at(self) -> float | None:
        """The time at which to call `start` even if no step has ended, or None."""
        reconsider_at = self._dispatcher.reconsider_at
        return min([*self._fleet.retry_times, *([] if reconsider_at is None else [reconsider_at])], default=None)

    def origin(self, step: Step) -> Step:
        """Return the step of the graph that was started as `step`."""
        return self._tracker.origin(step)

    def node_failed(self, step: Step) -> bool:
        """Whether the node on which `step` was started is not used again in this run."""
        node = self._fleet.node_or_none(step)
        return node is not None and node.status is NodeStatus.FAILED

    def sort_key(self, step: Step) -> tuple[int, str]:
        """Return the key that sorts started steps in the graph's order."""
        node = step.node.id if isinstance(step, BuildPiece) else ""
        return (self._tracker.place.get(self.origin(step), -1), node)

    def dependencies(self, step: Step) -> tuple[Step, ...]:
        """Return the started forms of the dependencies of `step`, without bootstraps."""
        dependencies = self._tracker.dependencies(step)
        if isinstance(step, BuildPiece):
            built = self._fleet.node_of(step).built
            bases = self._fleet.shared_bases(self._tracker.origin(step))
            dependencies += [self._tracker.piece_on(base, step.node) for base in bases if base in built]
        return tuple(dependencies)

    def failed_dependency(self, piece: BuildPiece) -> Step | None:
        """Return a failed dependency of `piece` that started in the same call or at the same time, or None."""
        return self._retries.failed_dependency(piece)

    # --- start ------------------------------------------------------------------------------------------------------

    def start(self, now: float = 0.0) -> list[StartedSteps]:
        """Start the steps that can start now, and return the calls. Each piece names the single node that builds it."""
        for node in self._fleet.take_retried(now):
            self._ready.requeue_waiting_on(node)
        calls = [call for node in self._required_to_start if (call := self._launcher.bootstrap(node))]
        self._required_to_start.clear()
        for step in self._ready.take_steps_without_slot():
            match step:
                case CheckPiece():
                    calls += self._launcher.start_check(step)
                case JoinArchives() | Publish() | Verify():
                    calls.append((step,))
                case _:
                    assert_never(step)
        calls += self._dispatcher.dispatch(now)
        started = [step for call in calls for step in call]
        self._tracker.begin(started)
        self._retries.note_started(started)
        return calls

    # --- end --------------------------------------------------------------------------------------------------------

    def finish(self, step: Step, status: StepStatus, outcome: Outcome | None = None) -> tuple[Step, ...]:
        """Record that `step` is over. Return the steps that therefore will never start, in the graph's order.

        The `outcome` of a bootstrap contains the node's report: `slots`, `weight` and `platforms`. The `outcome` of a
        piece says whether a registry has the image (`uploaded`).
        """
        outcome = outcome or Outcome()
        self._tracker.stop(step)
        match step:
            case BootstrapNode():
                self._finish_bootstrap(self._fleet.node_of(step), status, outcome)
                return ()
            case BuildPiece():
                if outcome.uploaded:
                    self._check_placement.note_uploaded(self._tracker.origin(step))
                return self._finish_piece(step, status)
            case CheckPiece():
                if status is StepStatus.DONE:
                    node = self._fleet.node_of(step)
                    node.losses = 0
                    node.note_load()
                return self._end(self.origin(step), status)
            case JoinArchives() | Publish() | Verify():
                return self._end(step, status)
            case _:
                assert_never(step)

    def _finish_bootstrap(self, node: ScheduledNode, status: StepStatus, outcome: Outcome) -> None:
        if status is StepStatus.DONE:
            if not node.slots_known:
                node.slots = outcome.slots or node.slots
            node.weight = outcome.weight or node.weight
            node.platforms = outcome.platforms
            node.status = NodeStatus.UP
            self._losses.note_up(node)
        else:
            self._losses.fail(node)
        self._ready.requeue_waiting_on(node)

    def _finish_piece(self, started: BuildPiece, status: StepStatus) -> tuple[Step, ...]:
        node, origin = self._fleet.node_of(started), self._tracker.origin(started)
        node.remove(started, origin)
        if status is StepStatus.DONE:
            self._fleet.note_built(started)
        if started.shared:
            self._ready.requeue_waiting_on(node)
            if status is StepStatus.DONE:
                return ()
        node.note_load()
        return self._end(origin, status)

    def _end(self, origin: Step, status: StepStatus) -> tuple[Step, ...]:
        """Record that `origin` is over for good: its dependents become ready, or will never start."""
        ready, skipped = self._tracker.end(origin, status)
        self._ready.add(ready)
        self._ready.discard(skipped)
        return skipped

    def cancel(self) -> tuple[Step, ...]:
        """Start nothing more. Return the cancelled steps in the graph's order."""
        self._dispatcher.reconsider_at = None
        self._fleet.stop_retrying()
        cancelled = self._tracker.cancel()
        self._ready.discard(cancelled)
        return cancelled

    # --- retry ------------------------------------------------------------------------------------------------------

    def retry(self, step: Step, now: float = 0.0, *, lost: bool = False) -> bool:
        """Queue the failed `step` again if a retry is allowed, and return whether it is.

        If the retry is not allowed, call `finish`. Only steps that use a node are retried. `lost` means that the node
        was lost; the node then gets no work until its backoff ends. After losses, a piece or a check may move to each
        of its other nodes once. The `retries` of the target limit all further attempts, and all attempts after a
        failure of the step itself. If a base shares a call with the pieces that link to it, a loss counts only for the
        linking pieces. A node with an equal node may be lost `MAX_LOSSES` times in a row, any other node as often as
        its pieces may be tried.
        """
        return self._retries.retry(step, now, lost=lost)

    def retry_after_batch(self, piece: BuildPiece, *, alone: bool = False) -> bool:
        """After another piece of the batch failed, queue `piece` again if a retry is allowed. Return whether it is.

        Unless `alone` is set, the retried piece may share a call again.
        """
        return self._retries.retry_after_batch(piece, alone=alone)

    def take_unstartable_steps(self) -> tuple[Step, ...]:
        """Return the steps that will never start, because their last node, or a required node, has failed."""
        return self._losses.take_unstartable_steps()
