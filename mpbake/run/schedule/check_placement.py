"""Decide on which nodes the checks of build pieces run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.run.schedule.scheduled_node import NodeStatus

if TYPE_CHECKING:
    from mpbake.model.steps import BuildPiece, CheckPiece
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.scheduled_node import ScheduledNode
    from mpbake.run.schedule.step_tracker import StepTracker


class CheckPlacement:
    """Places a check on the node that has built the checked piece, since this node's cache has the image.

    If this node is lost, the check runs on an equal node if the image was uploaded, otherwise on the same node.
    """

    def __init__(self, tracker: StepTracker, fleet: Fleet) -> None:
        self._tracker = tracker
        self._fleet = fleet
        self._uploaded: set[BuildPiece] = set()
        self._cache_lost: set[CheckPiece] = set()

    def note_uploaded(self, piece: BuildPiece) -> None:
        """Record that a registry has the image of `piece`."""
        self._uploaded.add(piece)

    def note_cache_lost(self, check: CheckPiece) -> None:
        """Record that the image for `check` may no longer be in the cache of the node that built the checked piece."""
        self._cache_lost.add(check)

    def place(self, check: CheckPiece) -> ScheduledNode:
        """Return the node for `check`, and record whether the node's cache may lack the image."""
        node = self._node_for(check)
        if node.status is not NodeStatus.UP or node is not self._node_that_built(check.piece):
            self.note_cache_lost(check)
        return node

    def check_on(self, check: CheckPiece, node: ScheduledNode) -> CheckPiece:
        """Return `check` as `node` runs it."""
        piece, lost = self._tracker.piece_on(check.piece, node.declared), check in self._cache_lost
        if piece is check.piece and not lost:
            return check
        started = replace(check, piece=piece, lost=lost)
        self._tracker.note_started_as(check, started)
        return started

    def cannot_start(self, check: CheckPiece) -> bool:
        """Whether `check` must not start again."""
        piece = check.piece
        closed = self._fleet.pool_of(piece).closed and piece in self._uploaded
        return closed or self._node_for(check).status is NodeStatus.FAILED

    def _node_for(self, check: CheckPiece) -> ScheduledNode:
        builder_node = self._node_that_built(check.piece)
        if check.piece not in self._uploaded or (builder_node.status is NodeStatus.UP and not builder_node.losses):
            return builder_node
        pool = self._fleet.pool_of(check.piece)
        if node := pool.preferred(check.piece) or pool.next_retried():
            return node
        spare_nodes = self._fleet.spare_nodes(check.piece)
        return next((node for node in spare_nodes if node.usable), builder_node)

    def _node_that_built(self, piece: BuildPiece) -> ScheduledNode:
        return self._fleet.node_of(self._tracker.started_as(piece))
