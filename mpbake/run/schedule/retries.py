"""How often a piece or a check that failed is tried again."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from mpbake.model.steps import CheckPiece
from mpbake.run.schedule.fleet import TRIES, piece_of

if TYPE_CHECKING:
    from mpbake.model.plan import Node
    from mpbake.model.steps import BuildPiece, Step


class Retries:
    """Each may move to each of its other nodes once; what is more than that is limited by `retries` of its target."""

    def __init__(self) -> None:
        self._lost_on: defaultdict[Step, Counter[str]] = defaultdict(Counter)
        self._budget: dict[Step, int] = {}

    def take(self, origin: BuildPiece | CheckPiece, node: Node, *, lost: bool) -> bool:
        """Whether `origin` is tried once more, which then counts; `lost` says that its node was to blame."""
        if lost and self._moves(origin, node):
            return True
        budget = self._budget.setdefault(origin, origin.target.retries)
        if budget:
            self._budget[origin] -= 1
        return bool(budget)

    def _moves(self, origin: BuildPiece | CheckPiece, node: Node) -> bool:
        """Whether `origin`, which was lost on `node`, is tried once more without being counted as a retry.

        So it is while there is a node on which it was not lost yet. A check may have none but that which has its image.
        """
        piece, lost_on = piece_of(origin), self._lost_on[origin]
        lost_on[node.id] += 1
        nodes = {each.id for each in (*piece.nodes, *piece.spare)}
        if isinstance(origin, CheckPiece):
            return lost_on.total() < len(nodes)
        return not nodes <= lost_on.keys() and lost_on[node.id] < TRIES
