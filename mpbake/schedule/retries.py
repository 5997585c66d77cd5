"""How often a piece or a check that failed is tried again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.schedule.fleet import piece_of

if TYPE_CHECKING:
    from mpbake.steps import BuildPiece, CheckPiece, Step


class Retries:
    """Each may move to each of its other nodes once; what is more than that is limited by `retries` of its target."""

    def __init__(self) -> None:
        self._moves: dict[Step, int] = {}
        self._budget: dict[Step, int] = {}

    def take(self, origin: BuildPiece | CheckPiece, *, lost: bool) -> bool:
        """Whether `origin` is tried once more, which then counts; `lost` says that its node was to blame."""
        piece = piece_of(origin)
        moves = self._moves.setdefault(origin, len(piece.nodes) + len(piece.spare) - 1)
        if lost and moves:
            self._moves[origin] -= 1
            return True
        budget = self._budget.setdefault(origin, origin.target.retries)
        if budget:
            self._budget[origin] -= 1
        return bool(budget)
