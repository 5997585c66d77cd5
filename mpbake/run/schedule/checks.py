"""On which nodes the checks of pieces are done."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.run.schedule.fleet import piece_of
from mpbake.run.schedule.pools import NodeStatus

if TYPE_CHECKING:
    from mpbake.model.steps import BuildPiece, CheckPiece
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.ledger import Ledger
    from mpbake.run.schedule.pools import ScheduledNode


class Checks:
    """A check is done on the node that has built its piece, where the image is in the cache.

    Once that was lost, it is done on an equal node if the image was uploaded, else there again.
    """

    def __init__(self, ledger: Ledger, fleet: Fleet) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._uploaded: set[BuildPiece] = set()
        self._lost: set[CheckPiece] = set()

    def note_uploaded(self, piece: BuildPiece) -> None:
        """A registry has the image of `piece`."""
        self._uploaded.add(piece)

    def note_lost(self, check: CheckPiece) -> None:
        """The cache of the node that has built the piece of `check` may not have the image any more."""
        self._lost.add(check)

    def settle(self, check: CheckPiece) -> ScheduledNode:
        """The node for `check` as things are; where the image is not in its cache, the check knows from now on."""
        host = self._host_for(check)
        if host.life is not NodeStatus.UP or host is not self._host_that_built(check.piece):
            self.note_lost(check)
        return host

    def on(self, check: CheckPiece, host: ScheduledNode) -> CheckPiece:
        """`check` as it is done on `host`."""
        piece, lost = self._ledger.on(check.piece, host.node), check in self._lost
        if piece is check.piece and not lost:
            return check
        bound = replace(check, piece=piece, lost=lost)
        self._ledger.bind(check, bound)
        return bound

    def is_hopeless(self, check: CheckPiece) -> bool:
        """Whether `check` is not to be started again."""
        piece = check.piece
        closed = self._fleet.pool_of(piece).closed and piece in self._uploaded
        return closed or self._host_for(check).life is NodeStatus.GONE

    def _host_for(self, check: CheckPiece) -> ScheduledNode:
        own = self._host_that_built(check.piece)
        if check.piece not in self._uploaded or (own.life is NodeStatus.UP and not own.losses):
            return own
        pool = self._fleet.pool_of(check.piece)
        found = pool.preferred(check.piece) or pool.soonest()
        return found or next((host for host in self._fleet.spares(check.piece) if host.usable), own)

    def _host_that_built(self, piece: BuildPiece) -> ScheduledNode:
        return self._fleet.host(piece_of(self._ledger.bound(piece)).node)
