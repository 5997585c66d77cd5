"""Dispatch queued build pieces to nodes that have room."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mpbake.run.schedule.scheduled_node import NodeStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.model.steps import BuildPiece
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.launcher import Launcher, StartedSteps
    from mpbake.run.schedule.node_selector import NodeSelector
    from mpbake.run.schedule.piece_queue import QueuedPiece
    from mpbake.run.schedule.pools import Pool
    from mpbake.run.schedule.scheduled_node import ScheduledNode

RECONSIDER_AFTER = 5.0
"""Seconds after which a piece that waits for its preferred node is dispatched again, even if no step has ended."""


class Dispatcher:
    """Gives the pieces of all pools to nodes.

    `reconsider_at` is the time at which pieces that wait for their preferred node are dispatched again, or None.
    """

    def __init__(self, fleet: Fleet, selector: NodeSelector, launcher: Launcher) -> None:
        self._fleet = fleet
        self._selector = selector
        self._launcher = launcher
        self.reconsider_at: float | None = None

    def dispatch(self, now: float) -> Iterator[StartedSteps]:
        """Start the queued pieces for which there is room: first on their own nodes, then on nodes that emulate."""
        self.reconsider_at = None
        heads = {pool: head for pool in self._fleet.pools if (head := pool.queue.first())}
        for pool in sorted(heads, key=heads.__getitem__):
            yield from self._fill(pool, now)
        for pool in self._fleet.pools:
            yield from self._emulate(pool, now)
        yield from self._launcher.start_gathered(now)

    def _fill(self, pool: Pool, now: float) -> Iterator[StartedSteps]:
        """Assign pieces to the nodes of `pool` until no piece or no room is left."""
        set_aside: list[QueuedPiece] = []
        waiting_for: Counter[str] = Counter()
        shares: dict[ScheduledNode, int] = {}
        while (entry := pool.queue.first()) and (least_loaded := pool.least_loaded()):
            preferred = pool.preferred(entry.piece) or least_loaded
            if preferred.slots:
                ahead = waiting_for[preferred.id]
                node = self._selector.node_with_slots(entry.piece, preferred, least_loaded, now=now, ahead=ahead)
            else:
                shares = shares or pool.even_shares()
                node = self._selector.node_without_slots(entry.piece, preferred, least_loaded, shares[preferred])
            if node is None:
                set_aside.append(pool.queue.set_aside())
                waiting_for[preferred.id] += 1
                self.reconsider_at = now + RECONSIDER_AFTER
            elif call := self._launcher.assign(self._selector.best_piece(node, entry, pool), node, now):
                yield call
        pool.queue.restore(set_aside)

    def _emulate(self, pool: Pool, now: float) -> Iterator[StartedSteps]:
        """Emulate the least urgent pieces of `pool` if that is faster."""
        if not pool.usable:
            yield from self._emulate_without_native_nodes(pool, now)
            return
        while (last := pool.queue.last_with_spare_nodes()) and (node := self._selector.emulating_node(last.piece, now)):
            if call := self._launcher.assign(last.piece, node, now):
                yield call

    def _emulate_without_native_nodes(self, pool: Pool, now: float) -> Iterator[StartedSteps]:
        """Emulate the pieces of `pool`, which has no usable node of its own."""
        if not any(node.has_room or node.building for node in pool.helpers):  # one test for all pieces of the pool
            return
        for entry in pool.queue.entries():
            faster = self._selector.is_faster_emulated(entry.piece, now)
            if faster and (call := self._start_on_spare_node(entry.piece, now)):
                yield call

    def _start_on_spare_node(self, piece: BuildPiece, now: float) -> StartedSteps:
        """Assign `piece` to a spare node, or first bootstrap a spare node to learn whether the node can emulate.

        Returns the call that starts now, which may be empty.
        """
        spare_nodes = self._fleet.spare_nodes(piece)
        for node in spare_nodes:
            if node.status is NodeStatus.UP and self._fleet.can_take(node, piece):
                return self._launcher.assign(piece, node, now)
        if any(node.status is NodeStatus.STARTING for node in spare_nodes):
            return ()
        unused = next((node for node in spare_nodes if node.status is NodeStatus.UNUSED), None)
        return self._launcher.bootstrap(unused) if unused else ()
