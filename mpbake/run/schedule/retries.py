"""Decide whether a failed step is retried, and queue the step again."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, Verify
from mpbake.run.schedule.fleet import MAX_LOSSES, piece_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.model.plan import Node
    from mpbake.model.steps import Step
    from mpbake.run.schedule.batches import Batches
    from mpbake.run.schedule.check_placement import CheckPlacement
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.losses import Losses
    from mpbake.run.schedule.ready_steps import ReadySteps
    from mpbake.run.schedule.scheduled_node import ScheduledNode
    from mpbake.run.schedule.step_tracker import StepTracker


class RetryBudget:
    """Counts the attempts at pieces and checks.

    A step may move to each of its other nodes once. The `retries` of the target limit all further attempts.
    """

    def __init__(self) -> None:
        self._lost_on: defaultdict[Step, Counter[str]] = defaultdict(Counter)
        self._remaining: dict[Step, int] = {}

    def take(self, origin: BuildPiece | CheckPiece, node: Node, *, lost: bool) -> bool:
        """Return whether `origin` may be tried once more, and count that attempt. `lost` means that `node` was lost."""
        if lost and self._may_move(origin, node):
            return True
        remaining = self._remaining.setdefault(origin, origin.target.retries)
        if remaining:
            self._remaining[origin] -= 1
        return bool(remaining)

    def _may_move(self, origin: BuildPiece | CheckPiece, node: Node) -> bool:
        """Whether `origin`, which was lost on `node`, is tried once more without using up a retry.

        This is allowed while there is another node on which `origin` was not lost yet. A check may be able to run only
        on the node that has the image.
        """
        piece, lost_on = piece_of(origin), self._lost_on[origin]
        lost_on[node.id] += 1
        node_ids = {candidate.id for candidate in (*piece.nodes, *piece.spare)}
        match origin:
            case CheckPiece():
                return lost_on.total() < len(node_ids)
            case BuildPiece():
                return not node_ids <= lost_on.keys() and lost_on[node.id] < MAX_LOSSES
            case _:
                assert_never(origin)


@dataclass(kw_only=True, slots=True, eq=False)
class Retries:
    """Retries of failed steps: immediately, on another node, or after the backoff of a lost node."""

    tracker: StepTracker
    fleet: Fleet
    ready: ReadySteps
    batches: Batches
    check_placement: CheckPlacement
    losses: Losses
    _budget: RetryBudget = field(default_factory=RetryBudget, init=False)
    _outages_at_start: dict[Step, int] = field(default_factory=dict, init=False)

    def note_started(self, steps: Iterable[Step]) -> None:
        """Record how often the nodes of `steps` have been lost until now."""
        for step in steps:
            if node := self.fleet.node_or_none(step):
                self._outages_at_start[step] = node.outages

    def retry(self, step: Step, now: float, *, lost: bool) -> bool:
        """Queue the failed `step` again if a retry is allowed, and return whether it is. See `Schedule.retry`."""
        match step:
            case BootstrapNode() | BuildPiece() | CheckPiece():
                node = self.fleet.node_of(step)
                if lost and self._outages_at_start[step] == node.outages:  # otherwise the loss is known already
                    self.losses.lose(node, now)
                may_retry = self._may_retry(step, node, lost=lost)
                if may_retry:
                    self._requeue(step, node)
                return may_retry
            case JoinArchives() | Publish() | Verify():
                return False
            case _:
                assert_never(step)

    def retry_after_batch(self, piece: BuildPiece, *, alone: bool) -> bool:
        """After another piece of the batch failed, queue `piece` again if a retry is allowed. Return whether it is."""
        origin = self.tracker.origin(piece)
        if self.fleet.cannot_start(origin) or self.failed_dependency(piece):
            return False
        self.batches.note_batch_failure(origin)
        if alone:
            self.batches.isolate(origin)
        self._requeue(piece, self.fleet.node_of(piece))
        return True

    def failed_dependency(self, piece: BuildPiece) -> Step | None:
        """Return a failed dependency of `piece` that started in the same call or at the same time, or None."""
        built = self.fleet.node_of(piece).built
        failed = self.tracker.failed_dependencies(self.tracker.origin(piece))
        return next((self.tracker.started_as(step) for step in failed if step not in built), None)

    def _may_retry(self, step: BootstrapNode | BuildPiece | CheckPiece, node: ScheduledNode, *, lost: bool) -> bool:
        required_lost = lost and node.declared.required
        match step:
            case BootstrapNode():
                return not (node.declared.required or self.losses.has_unstartable_steps())
            case CheckPiece():
                check = self.tracker.origin(step)
                if lost:
                    self.check_placement.note_cache_lost(check)
                if self.check_placement.cannot_start(check) or required_lost:
                    return False
                return self._budget.take(check, node.declared, lost=lost)
            case BuildPiece():
                if self.fleet.cannot_start(self.tracker.origin(step)) or required_lost or self.failed_dependency(step):
                    return False
                return self._may_retry_piece(step, node, lost=lost)
            case _:
                assert_never(step)

    def _may_retry_piece(self, piece: BuildPiece, node: ScheduledNode, *, lost: bool) -> bool:
        """Whether `piece`, which has a usable node, may be retried. A retried piece gets its own call.

        If a base shares a call with the pieces that link to it, a loss counts only for the linking pieces, since only
        the linking pieces start the base again.
        """
        if lost and _is_base_in_call_of_users(piece, node):
            return True
        origin = self.tracker.origin(piece)
        may_retry = self._budget.take(origin, node.declared, lost=lost)
        if may_retry:
            self.batches.isolate(origin)
        return may_retry

    def _requeue(self, step: BootstrapNode | BuildPiece | CheckPiece, node: ScheduledNode) -> None:
        self.tracker.stop(step)
        match step:
            case BuildPiece():
                node.remove(step, self.tracker.origin(step))
            case BootstrapNode() | CheckPiece():
                pass  # these steps occupy no slot
            case _:
                assert_never(step)
        self.ready.add([self.tracker.origin(step)])
        self.ready.requeue_waiting_on(node)


def _is_base_in_call_of_users(piece: BuildPiece, node: ScheduledNode) -> bool:
    """Whether `piece` is a base that `node` builds in the call of pieces that link to it."""
    call = node.calls.get(piece)
    return piece.shared and any(not other.shared for other, number in node.calls.items() if number == call)
