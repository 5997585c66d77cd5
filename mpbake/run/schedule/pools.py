"""Pools: sets of equal nodes, each with a queue of build pieces that any node of the pool can build."""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

from mpbake.run.schedule.piece_queue import PieceQueue
from mpbake.run.schedule.scheduled_node import NodeStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.steps import BuildPiece
    from mpbake.run.schedule.scheduled_node import ScheduledNode


class Pool:
    """Equal nodes by id, and the queue of build pieces that wait for any of these nodes.

    No more pieces of a `closed` pool start. `helpers` are other nodes that may emulate some of the pieces.
    """

    def __init__(self, nodes: Mapping[str, ScheduledNode]) -> None:
        self.nodes = nodes
        self.queue = PieceQueue()
        self.closed = False
        self.helpers: list[ScheduledNode] = []
        self._by_load: list[tuple[float, int, str]] = []
        for node in nodes.values():
            node.pools.append(self)
            self.note_load(node)

    @property
    def lost(self) -> bool:
        """Whether no node of the pool will be usable again."""
        return all(node.status is NodeStatus.FAILED for node in self.nodes.values())

    @property
    def usable(self) -> bool:
        """Whether a node of the pool is usable now."""
        return any(node.usable for node in self.nodes.values())

    def add_helper(self, node: ScheduledNode) -> None:
        """Record that `node` may emulate pieces of the pool."""
        if self not in node.helped_pools:
            node.helped_pools.append(self)
            self.helpers.append(node)

    def note_load(self, node: ScheduledNode) -> None:
        """Record the current load of `node`."""
        if node.has_room:
            heapq.heappush(self._by_load, (node.load, node.order, node.id))

    def least_loaded(self) -> ScheduledNode | None:
        """Return the least loaded node that has room, or None if all nodes are full."""
        while self._by_load:
            load, _, name = self._by_load[0]
            node = self.nodes[name]
            if node.has_room and load == node.load:
                return node
            heapq.heappop(self._by_load)
        return None

    def even_shares(self) -> dict[ScheduledNode, int]:
        """Return how many pieces each usable node has if all queued and assigned pieces are divided evenly."""
        usable = [node for node in self.nodes.values() if node.usable]
        pieces = sum(node.assigned for node in usable) + len(self.queue)
        total = sum(node.share for node in usable)
        return {node: math.ceil(pieces * node.share / total) for node in usable}

    def seconds_until_slot(self, now: float, unknown: float) -> float:
        """Return the expected seconds until the least urgent piece gets a slot on a node of the pool.

        If no node is usable, return the seconds until a lost node is retried. `unknown` is the expected duration of a
        piece.
        """
        usable = [node for node in self.nodes.values() if node.usable]
        if not usable:
            next_retried = self.next_retried()
            return next_retried.retry_at - now if next_retried else math.inf
        first = min(node.seconds_until_room(now, 0, unknown) for node in usable)
        return first + max(self.queue.backlog - unknown, 0.0) / sum(node.share for node in usable)

    def preferred(self, piece: BuildPiece) -> ScheduledNode | None:
        """Return the usable node that `piece` prefers most, or None if no node is usable.

        Nodes that were lost and have built nothing since come last.
        """
        once_lost: ScheduledNode | None = None
        for declared in piece.nodes:
            node = self.nodes[declared.id]
            if node.usable and not node.losses:
                return node
            once_lost = once_lost or (node if node.usable else None)
        return once_lost

    def next_retried(self) -> ScheduledNode | None:
        """Return the lost node that is retried first."""
        lost = (node for node in self.nodes.values() if node.status is NodeStatus.LOST)
        return min(lost, key=lambda node: node.retry_at, default=None)
