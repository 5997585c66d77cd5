"""The queue of a pool: pieces that wait for any of its nodes."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.model.steps import BuildPiece
    from mpbake.run.schedule.scheduled_node import ScheduledNode


@dataclass(frozen=True, slots=True, order=True)
class QueuedPiece:
    """A build piece that is ready to start. Queued pieces sort by urgency: the most urgent first.

    `rank` is the negative of the piece's longest remaining path in seconds. The plan's order (`place`) breaks ties.
    `seconds` is the expected duration of the piece.
    """

    rank: float
    place: int
    piece: BuildPiece = field(compare=False)
    seconds: float = field(compare=False, default=0.0)


class PieceQueue:
    """Build pieces that wait for any node of a pool. `backlog` is the expected duration of all these pieces in seconds.

    Each piece has one valid entry. `discard` leaves an invalid entry in the heaps, which is dropped at the top. A piece
    that is queued again gets a new entry.
    """

    def __init__(self) -> None:
        self.backlog = 0.0
        self._valid: dict[BuildPiece, QueuedPiece] = {}
        self._entries: list[QueuedPiece] = []
        self._by_preferred_node: dict[str, list[QueuedPiece]] = {}
        self._with_spare_nodes: list[tuple[float, int, QueuedPiece]] = []

    def __len__(self) -> int:
        """Return the number of pieces that wait."""
        return len(self._valid)

    def push(self, entry: QueuedPiece) -> None:
        """Queue the piece of `entry`."""
        self._valid[entry.piece] = entry
        self.backlog += entry.seconds
        heapq.heappush(self._entries, entry)
        heapq.heappush(self._by_preferred_node.setdefault(entry.piece.node.id, []), entry)
        if entry.piece.spare:
            heapq.heappush(self._with_spare_nodes, (-entry.rank, -entry.place, entry))

    def discard(self, piece: BuildPiece) -> None:
        """Remove `piece` from the queue, if queued."""
        if entry := self._valid.pop(piece, None):
            self.backlog -= entry.seconds

    def first(self) -> QueuedPiece | None:
        """Return the most urgent piece."""
        return self._first_valid(self._entries)

    def first_preferring(self, node: ScheduledNode) -> QueuedPiece | None:
        """Return the most urgent of the pieces that prefer `node`."""
        return self._first_valid(self._by_preferred_node.get(node.id, []))

    def last_with_spare_nodes(self) -> QueuedPiece | None:
        """Return the least urgent of the pieces that have spare nodes."""
        heap = self._with_spare_nodes
        while heap and not self._is_valid(heap[0][2]):
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    def entries(self) -> list[QueuedPiece]:
        """Return all pieces that wait, the most urgent first."""
        return sorted(self._valid.values())

    def set_aside(self) -> QueuedPiece:
        """Hide the first piece from `first` until `restore` is called. The piece still waits."""
        return heapq.heappop(self._entries)

    def restore(self, entries: Iterable[QueuedPiece]) -> None:
        """Make the `entries` from `set_aside` visible to `first` again."""
        for entry in entries:
            heapq.heappush(self._entries, entry)

    def _first_valid(self, heap: list[QueuedPiece]) -> QueuedPiece | None:
        while heap and not self._is_valid(heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _is_valid(self, entry: QueuedPiece) -> bool:
        return self._valid.get(entry.piece) is entry
