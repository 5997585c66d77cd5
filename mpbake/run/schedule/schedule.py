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

    When a piece is ready, it is assigned to one of its nodes; from then on it is a piece of that node alone (see
    `BuildPiece.on`). It goes to its preferred node, which holds the cache, while that has room. It goes to another
    equal node if waiting would cost more time than the cache saves. The bootstrap of a node comes before the first
    piece on it, and the shared bases of a piece come before the piece. Both run on the nodes that are used, when they
    are used.

    The piece with the longest remaining path starts first. A node with slots builds at most that many pieces at once;
    short pieces that are ready together share a call. A node without slots gets all ready pieces, and equal nodes an
    even share each; `batches` divides them into calls. The bootstraps of required nodes always run, first of all. A
    check runs on the node that has built its piece, at once and whatever room there is. After the loss of that node, it
    runs on an equal node if the image was uploaded.

    `slots` maps node ids to how many pieces a node builds at once; other nodes have the value of the plan or of their
    BuildKit. Times are seconds of one clock with any origin.
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
        """The running steps, as they were started."""
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
        """Return the steps that were done before `step` could start, as they were started, without bootstraps."""
        dependencies = self._tracker.dependencies(step)
        if isinstance(step, BuildPiece):
            built = self._fleet.node_of(step).built
            bases = self._fleet.shared_bases(self._tracker.origin(step))
            dependencies += [self._tracker.piece_on(base, step.node) for base in bases if base in built]
        return tuple(dependencies)

    def failed_dependency(self, piece: BuildPiece) -> Step | None:
        """Return the step that must come before `piece`, started in the same call or beside it, and failed."""
        return self._retries.failed_dependency(piece)

    # --- start ------------------------------------------------------------------------------------------------------

    def start(self, now: float = 0.0) -> list[StartedSteps]:
        """Start the steps that can start now, and return their calls. Each piece names the one node that builds it."""
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
        """Record that `step` is over. Return the steps that will never start because of it, in the graph's order.

        From the `outcome` of a bootstrap the schedule takes what the node reports: `slots`, `weight` and `platforms`.
        From the outcome of a piece it takes whether a registry has the image (`uploaded`).
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
        """Queue `step`, which failed, again if it may be retried, and return whether it may. If not, `finish` it.

        `lost` means that its node was lost; the node then gets no work until its backoff ends. A piece may move to each
        of its other nodes once, and so may a check. The `retries` of its target limit all further attempts, and those
        after a failure of its own. The loss of a base that shares the call of its users counts only for the users. A
        node may be lost `MAX_LOSSES` times in a row if it has an equal node, or else as often as its pieces may be
        tried. Only steps that use a node are retried.
        """
        return self._retries.retry(step, now, lost=lost)

    def retry_after_batch(self, piece: BuildPiece, *, alone: bool = False) -> bool:
        """Queue `piece` again after another piece of its batch failed, if it may be retried. Return whether it may.

        It may share one more call, unless `alone` is set.
        """
        return self._retries.retry_after_batch(piece, alone=alone)

    def take_unstartable_steps(self) -> tuple[Step, ...]:
        """Return the steps that will never start, because their last node, or a required node, has failed."""
        return self._losses.take_unstartable_steps()
