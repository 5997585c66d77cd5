"""Record lost nodes, and find the steps that can never start because of lost nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.run.schedule.scheduled_node import NodeStatus

if TYPE_CHECKING:
    from mpbake.model.steps import CheckPiece, Step
    from mpbake.run.schedule.check_placement import CheckPlacement
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.pools import Pool
    from mpbake.run.schedule.ready_steps import ReadySteps
    from mpbake.run.schedule.scheduled_node import ScheduledNode
    from mpbake.run.schedule.step_tracker import StepTracker


class Losses:
    """Takes lost nodes out of use, and collects the pools and checks that may have no node left."""

    def __init__(self, tracker: StepTracker, fleet: Fleet, ready: ReadySteps, check_placement: CheckPlacement) -> None:
        self._tracker = tracker
        self._fleet = fleet
        self._ready = ready
        self._check_placement = check_placement
        self._affected_pools: list[Pool] = []
        self._lost_checks: list[CheckPiece] = []

    def lose(self, node: ScheduledNode, now: float) -> None:
        """Stop using `node`, which does not answer, for a while. Other steps on the node detect the loss themselves."""
        if node.status is NodeStatus.FAILED:
            return
        if self._fleet.lose(node, now):
            self.fail(node)
        self._ready.requeue_waiting_on(node)

    def fail(self, node: ScheduledNode) -> None:
        """Stop using `node` for good: some of the steps that wait for the node may never start."""
        self._fleet.fail(node)
        self._affected_pools += [pool for pool in (*node.pools, *node.helped_pools) if pool.lost or pool.closed]
        self._lost_checks += [
            check for check in node.checks if node.declared.required or self._check_placement.cannot_start(check)
        ]

    def note_up(self, node: ScheduledNode) -> None:
        """Record that `node` is up.

        The report of the node may show that the node cannot emulate the pieces of a lost pool.
        """
        self._affected_pools += [pool for pool in node.helped_pools if pool.lost]

    def has_unstartable_steps(self) -> bool:
        """Whether any steps can never start."""
        return bool(self._unstartable_pieces() or self._lost_checks)

    def take_unstartable_steps(self) -> tuple[Step, ...]:
        """Return the steps that will never start, because their last node, or a required node, has failed."""
        pieces = self._unstartable_pieces()
        checks, self._lost_checks = self._lost_checks, []
        self._affected_pools.clear()
        if not pieces and not checks:
            return ()
        skipped = self._tracker.skip([*checks, *pieces])
        self._ready.discard(skipped)
        return skipped

    def _unstartable_pieces(self) -> list[Step]:
        pieces = self._fleet.pieces_that_cannot_start(self._affected_pools)
        return self._tracker.not_started(pieces) if pieces else []
