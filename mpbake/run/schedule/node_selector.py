"""Select the node that builds a piece: the node that is expected to finish the piece first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.run.schedule.scheduled_node import NodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.graph.estimates import Estimates
    from mpbake.model.steps import BuildPiece, Step
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.piece_queue import QueuedPiece
    from mpbake.run.schedule.pools import Pool
    from mpbake.run.schedule.scheduled_node import ScheduledNode

EMULATION_FACTOR = 7.0
"""How many times as long as a native build an emulated build is expected to take: 5 to 10 times is usual."""


class NodeSelector:
    """A selector of nodes in `fleet`. The selector uses the records of earlier runs.

    `seconds` maps each step to its expected duration. Times are seconds of one clock with any origin.
    """

    def __init__(self, fleet: Fleet, estimates: Estimates, seconds: Mapping[Step, float]) -> None:
        self._fleet = fleet
        self._estimates = estimates
        self._seconds = seconds

    def seconds(self, piece: BuildPiece, node: ScheduledNode) -> float:
        """Return how long `node`, which may have to emulate, is expected to take for `piece`."""
        return self._seconds[piece] * (1.0 if node.declared in piece.nodes else EMULATION_FACTOR)

    # --- equal nodes ----------------------------------------------------------------------------------------------

    def node_with_slots(
        self, piece: BuildPiece, preferred: ScheduledNode, least_loaded: ScheduledNode, *, now: float, ahead: int
    ) -> ScheduledNode | None:
        """Return the node with slots that takes `piece` now, or None if `piece` should wait for `preferred`.

        `ahead` is the number of pieces that wait for `preferred` already.
        """
        if self._fleet.can_take(preferred, piece) or least_loaded is preferred:
            return preferred
        wait = preferred.seconds_until_room(now, ahead, self._seconds[piece])
        if not preferred.running:  # the node is starting, and other pieces are parked there
            wait += min((self._seconds[parked] for parked in preferred.parked), default=0.0)
        return least_loaded if wait > self._seconds_saved(piece, preferred, least_loaded) else None

    def node_without_slots(
        self, piece: BuildPiece, preferred: ScheduledNode, least_loaded: ScheduledNode, share: int
    ) -> ScheduledNode:
        """Return the node that takes `piece` if `preferred` has no slots.

        Pieces do not wait then, but slow each other down. If `preferred` is not known to save time, `preferred` takes
        its even `share` of the pieces.
        """
        if not preferred.has_room or least_loaded is preferred:
            return least_loaded
        saved = self._seconds_saved(piece, preferred, least_loaded)
        if not saved:
            return preferred if preferred.assigned < share else least_loaded
        slower = self._seconds[piece] * (preferred.slowdown() - least_loaded.slowdown())
        return least_loaded if slower > saved else preferred

    def _seconds_saved(self, piece: BuildPiece, preferred: ScheduledNode, other: ScheduledNode) -> float:
        """Return the seconds that `piece` should save on `preferred`, by the cache and the built bases of this node."""
        bases = [
            base for base in self._fleet.shared_bases(piece) if base in preferred.built and base not in other.built
        ]
        return self._estimates.saved(piece) + sum(self._seconds[base] for base in bases)

    def best_piece(self, node: ScheduledNode, entry: QueuedPiece, pool: Pool) -> BuildPiece:
        """Return an equally urgent piece that prefers `node` and can start on `node`, or else the piece of `entry`."""
        preferring = pool.queue.first_preferring(node)
        if preferring is None or preferring.rank > entry.rank or not self._fleet.can_take(node, preferring.piece):
            return entry.piece
        return preferring.piece

    # --- nodes that emulate ---------------------------------------------------------------------------------------

    def emulating_node(self, piece: BuildPiece, now: float) -> ScheduledNode | None:
        """Return a free node that finishes an emulated build of `piece` before its busy native nodes can build it."""
        if self._fleet.shared_bases(piece) or not self.is_faster_emulated(piece, now):
            return None
        spare_nodes = self._fleet.spare_nodes(piece)
        return next((node for node in spare_nodes if node.status is NodeStatus.UP and node.has_room), None)

    def is_faster_emulated(self, piece: BuildPiece, now: float) -> bool:
        """Whether emulating `piece` is expected to take less time than waiting for its native nodes.

        If the duration of `piece` is not known, return whether no native node is usable.
        """
        pool = self._fleet.pool_of(piece)
        usual = self._estimates.usual(piece)
        if usual is None:
            return not pool.usable
        return pool.seconds_until_slot(now, usual) > (EMULATION_FACTOR - 1) * usual
