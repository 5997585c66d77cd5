"""Choose the node that builds a piece: the one that is expected to be done first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.run.schedule.pools import NodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.graph.estimates import Estimates
    from mpbake.model.steps import BuildPiece, Step
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.pools import Pool, QueuedPiece, ScheduledNode

EMULATED = 7.0
"""How many times as long as natively a piece is taken to need where it is emulated: 5 to 10 times is usual."""


class Choice:
    """Chooses among the nodes of `fleet`, by what earlier runs recorded.

    `seconds` is how long each step is expected to take. Times are seconds of one clock, which starts anywhere.
    """

    def __init__(self, fleet: Fleet, estimates: Estimates, seconds: Mapping[Step, float]) -> None:
        self._fleet = fleet
        self._estimates = estimates
        self._seconds = seconds

    def seconds(self, piece: BuildPiece, host: ScheduledNode) -> float:
        """How long `host`, which may have to emulate it, is expected to take for `piece`."""
        return self._seconds[piece] * (1.0 if host.node in piece.nodes else EMULATED)

    # --- equal nodes ----------------------------------------------------------------------------------------------

    def host_for(
        self, piece: BuildPiece, preferred: ScheduledNode, idlest: ScheduledNode, *, now: float, ahead: int
    ) -> ScheduledNode | None:
        """The node with slots that takes `piece` now, or None while it is better to wait for `preferred`.

        `ahead` others have decided to wait for it before.
        """
        if self._fleet.has_room(preferred, piece) or idlest is preferred:
            return preferred
        wait = preferred.wait(now, ahead, self._seconds[piece])
        if not preferred.running:  # it is being made ready, for those that wait there
            wait += min((self._seconds[each] for each in preferred.parked), default=0.0)
        return idlest if wait > self._saved(piece, preferred, idlest) else None

    def crowded_host_for(
        self, piece: BuildPiece, preferred: ScheduledNode, idlest: ScheduledNode, share: int
    ) -> ScheduledNode:
        """The node that takes `piece` where `preferred` has no slots: no piece waits, but each slows the others.

        Where nothing is known to be saved there, `preferred` takes its even `share` of the pieces.
        """
        if not preferred.open or idlest is preferred:
            return idlest
        saved = self._saved(piece, preferred, idlest)
        if not saved:
            return preferred if preferred.in_flight < share else idlest
        slower = self._seconds[piece] * (preferred.crowding() - idlest.crowding())
        return idlest if slower > saved else preferred

    def _saved(self, piece: BuildPiece, preferred: ScheduledNode, other: ScheduledNode) -> float:
        """The seconds that `piece` is expected to save on `preferred`, by its cache and by the bases built there."""
        there = [each for each in self._fleet.shared(piece) if each in preferred.built and each not in other.built]
        return self._estimates.saved(piece) + sum(self._seconds[each] for each in there)

    def best_for(self, host: ScheduledNode, entry: QueuedPiece, pool: Pool) -> BuildPiece:
        """Of equally urgent pieces one that prefers `host` and finds room there, else that of `entry`."""
        fan = pool.first_fan(host)
        if fan is None or fan.urgency > entry.urgency or not self._fleet.has_room(host, fan.piece):
            return entry.piece
        return fan.piece

    # --- nodes that emulate ---------------------------------------------------------------------------------------

    def spare_for(self, piece: BuildPiece, now: float) -> ScheduledNode | None:
        """A free node that has emulated `piece` before those that run it natively, busy as they are, have built it."""
        if self._fleet.shared(piece) or not self.is_sooner_emulated(piece, now):
            return None
        return next((host for host in self._fleet.spares(piece) if host.life is NodeStatus.UP and host.open), None)

    def is_sooner_emulated(self, piece: BuildPiece, now: float) -> bool:
        """Whether emulating `piece` is expected to cost less than waiting for its own nodes.

        Where nobody knows how long it takes, that is so while none of these can be used.
        """
        pool = self._fleet.pool_of(piece)
        usual = self._estimates.usual(piece)
        if usual is None:
            return not pool.usable
        return pool.wait(now, usual) > (EMULATED - 1) * usual
