"""Which node takes a piece, and which pieces share its call: what is sooner done, as far as can be told."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mpbake.schedule.pools import Life

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.estimates import Estimates
    from mpbake.schedule.fleet import Fleet
    from mpbake.schedule.pools import Host, Pool, Waiting
    from mpbake.steps import BuildPiece, Step

EMULATED = 7.0
"""How many times as long as natively a piece is taken to need where it is emulated: 5 to 10 times is usual."""
SHORT = 5.0
"""Seconds of the last build up to which pieces of one node share a call: starting buildx takes a quarter of one."""
LARGEST_CALL = 20
"""Pieces that share a call at most: when one of them fails, the others are built again."""


class Choice:
    """Chooses among the nodes of `fleet`, by what earlier runs recorded.

    `seconds` is how long each step is expected to take. Times are seconds of one clock, which starts anywhere.
    """

    def __init__(self, fleet: Fleet, estimates: Estimates, seconds: Mapping[Step, float]) -> None:
        self._fleet = fleet
        self._estimates = estimates
        self._seconds = seconds
        self._alone: set[BuildPiece] = set()

    def set_apart(self, piece: BuildPiece) -> None:
        """`piece`, which has failed, is built by itself from now on."""
        self._alone.add(piece)

    def seconds(self, piece: BuildPiece, host: Host) -> float:
        """How long `host`, which may have to emulate it, is expected to take for `piece`."""
        return self._seconds[piece] * (1.0 if host.node in piece.nodes else EMULATED)

    # --- equal nodes ----------------------------------------------------------------------------------------------

    def host_for(self, piece: BuildPiece, preferred: Host, idlest: Host, *, now: float, ahead: int) -> Host | None:
        """The node that takes `piece` now, or None while it is better to wait for `preferred`.

        `ahead` others have decided to wait for it before.
        """
        if self._fleet.has_room(preferred, piece) or idlest is preferred:
            return preferred
        saved = self._estimates.saved(piece)
        there = [each for each in self._fleet.shared(piece) if each in preferred.built and each not in idlest.built]
        saved += sum(self._seconds[each] for each in there)
        wait = preferred.wait(now, ahead, self._seconds[piece])
        if not preferred.running:  # it is being made ready, for those that wait there
            wait += min((self._seconds[each] for each in preferred.parked), default=0.0)
        return idlest if wait > saved else None

    def best_for(self, host: Host, entry: Waiting, pool: Pool) -> BuildPiece:
        """Of equally urgent pieces one that prefers `host` and finds room there, else that of `entry`."""
        fan = pool.first_fan(host)
        if fan is None or fan.urgency > entry.urgency or not self._fleet.has_room(host, fan.piece):
            return entry.piece
        return fan.piece

    # --- nodes that emulate ---------------------------------------------------------------------------------------

    def spare_for(self, piece: BuildPiece, now: float) -> Host | None:
        """A free node that has emulated `piece` before those that run it natively, busy as they are, have built it."""
        if self._fleet.shared(piece) or not self.is_sooner_emulated(piece, now):
            return None
        return next((host for host in self._fleet.spares(piece) if host.life is Life.UP and host.open), None)

    def is_sooner_emulated(self, piece: BuildPiece, now: float) -> bool:
        """Whether emulating `piece` is expected to cost less than waiting for its own nodes.

        Where nobody knows how long it takes, that is so while none of these can be used.
        """
        pool = self._fleet.pool_of(piece)
        usual = self._estimates.usual(piece)
        if usual is None:
            return not pool.usable
        return pool.wait(now, usual) > (EMULATED - 1) * usual

    # --- calls of several -----------------------------------------------------------------------------------------

    def companions(self, piece: BuildPiece, host: Host) -> Iterator[BuildPiece]:
        """Short pieces that wait for `host` too, and share the call of `piece`, if that is short; they wait no more."""
        pool = self._fleet.pool_of(piece)
        room = min(LARGEST_CALL, host.slots - len(host.running)) if host.node.slots else LARGEST_CALL
        left = _half_of_timeout(piece) - (self._estimates.last(piece) or 0.0)
        for _ in range(room - 1 if self._is_short(piece) else 0):
            fan = pool.first_fan(host)
            if fan is None or not self._is_short(fan.piece) or not _are_alike(piece, fan.piece):
                return
            left -= self._estimates.last(fan.piece) or 0.0
            if left < 0 or self._fleet.missing(fan.piece, host) is not None:
                return
            pool.discard(fan.piece)
            yield fan.piece

    def _is_short(self, piece: BuildPiece) -> bool:
        """Whether a call of its own would cost more than `piece` itself; what failed once is built by itself."""
        last = self._estimates.last(piece)
        return last is not None and last <= SHORT and piece not in self._alone


def _half_of_timeout(piece: BuildPiece) -> float:
    """How long all pieces of a call may be expected to take: the time that each may take is that of the call, too."""
    return piece.target.timeout / 2 or math.inf


def _are_alike(piece: BuildPiece, other: BuildPiece) -> bool:
    """Whether one call can serve both: the same platforms, also of what they link to, and the same deadlines."""
    limits = (other.target.timeout, other.target.stall_timeout)
    return other.platforms == piece.platforms and limits == (piece.target.timeout, piece.target.stall_timeout)
