"""Divide the build pieces that a node starts at the same time into batches. Each batch is one bake call."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mpbake.graph.links import linked_targets
from mpbake.model.steps import BuildPiece
from mpbake.run.schedule.scheduled_node import MAX_BATCH_SIZE, MAX_CALLS, USUAL_CALLS
from mpbake.spec.tables.attributes import Role
from mpbake.spec.tables.target_tables import attributes_for

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.estimates import Estimates
    from mpbake.model.steps import Step
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.scheduled_node import ScheduledNode

SHORT_BUILD = 5.0
"""A piece is short if its last build took at most this many seconds: starting buildx takes a quarter of a second."""
BATCHES_AFTER_FAILURE = 2
"""The number of batches that a piece may share after failures of other pieces; then the piece gets its own call."""
_REBUILDING_ATTRIBUTES = attributes_for(Role.NO_CACHE, Role.PULL)
"""Attributes that make BuildKit build a base again for each target that links to the base."""

Unit = Sequence[BuildPiece]
"""Build pieces that belong in one call: a piece, and the linking pieces that wait only for this piece."""


class Batches:
    """Decides which build pieces share a bake call.

    A call ends when its longest piece ends, and fails when one of its pieces fails. So pieces of unknown duration share
    a call only if the same other pieces wait for all of them. Short pieces share a call. A piece that is known to be
    long has its own call. If a node would get too many calls, all pieces that can share a call share one.
    """

    def __init__(self, graph: BuildGraph, fleet: Fleet, estimates: Estimates) -> None:
        self._graph = graph
        self._fleet = fleet
        self._estimates = estimates
        self._batch_failures: Counter[BuildPiece] = Counter()
        self._isolated: set[BuildPiece] = set()
        self._dependent_pieces: dict[Step, frozenset[BuildPiece]] = {}

    # --- pieces that failed -------------------------------------------------------------------------------------------

    def isolate(self, piece: BuildPiece) -> None:
        """Give `piece`, which failed, a call of its own from now on."""
        self._isolated.add(piece)

    def note_batch_failure(self, piece: BuildPiece) -> None:
        """Record that another piece made the batch of `piece` fail.

        After more than `BATCHES_AFTER_FAILURE` such failures, `piece` gets its own call.
        """
        self._batch_failures[piece] += 1
        if self._batch_failures[piece] > BATCHES_AFTER_FAILURE:
            self.isolate(piece)

    # --- nodes with slots ---------------------------------------------------------------------------------------------

    def companions(self, piece: BuildPiece, node: ScheduledNode) -> Iterator[BuildPiece]:
        """If `piece` is short, take further short pieces for its call from the pieces that prefer `node`."""
        queue = self._fleet.pool_of(piece).queue
        seconds_left = _half_of_timeout(piece) - (self._estimates.last(piece) or 0.0)
        shares = self._may_share(piece) and self._is_short(piece)
        for _ in range(node.room_in_next_call - 1 if shares else 0):
            entry = queue.first_preferring(node)
            if entry is None or not (self._may_share(entry.piece) and self._is_short(entry.piece)):
                return
            other = entry.piece
            seconds_left -= self._estimates.last(other) or 0.0
            if seconds_left < 0 or _call_key(other) != _call_key(piece) or other.platforms != piece.platforms:
                return
            if self._fleet.first_missing_base(other, node) is not None:
                return
            queue.discard(other)
            yield other

    # --- nodes without slots ------------------------------------------------------------------------------------------

    def divide(self, units: Sequence[Unit], running_calls: int) -> tuple[list[list[BuildPiece]], list[BuildPiece]]:
        """Return the batches of `units` that a node starts in addition to `running_calls`, and the waiting pieces.

        The most urgent units come first.
        """
        links = any(piece.target.every_link for unit in units for piece in unit)
        batches = self._pack(units, partial(self._sharing_key, links=links))
        room = max(MAX_CALLS - running_calls, 0)
        if len(batches) <= room:
            return batches, []
        calls = max(min(USUAL_CALLS, MAX_CALLS) - running_calls, 1)
        size = max(math.ceil(sum(map(len, units)) / calls), 1)
        batches = self._pack(units, partial(self._compatibility_key, links=links), min(size, MAX_BATCH_SIZE))
        return batches[:room], [piece for batch in batches[room:] for piece in batch]

    def _pack(
        self, units: Sequence[Unit], key_of: Callable[[Unit], Hashable], size: int = MAX_BATCH_SIZE
    ) -> list[list[BuildPiece]]:
        """Return batches of units with equal keys. A batch has at most `size` pieces, unless one unit is larger."""
        open_batches: dict[Hashable, _Batch] = {}
        batches = []
        for unit in units:
            key, seconds = key_of(unit), self._expected_seconds(unit)
            batch = open_batches.get(key)
            if batch is None or not batch.has_room(unit, size, seconds):
                batch = open_batches[key] = _Batch(_half_of_timeout(unit[0]))
                batches.append(batch)
            batch.add(unit, seconds)
        return [batch.pieces for batch in batches]

    def _expected_seconds(self, unit: Unit) -> float:
        return sum(self._estimates.last(piece) or 0.0 for piece in unit)

    def _compatibility_key(self, unit: Unit, *, links: bool) -> Hashable:
        """Return a key that is equal for units that one call can build; `links` requires equal platforms, too."""
        first = unit[0]
        if len(unit) == 1 and not self._may_share(first):
            return first
        return (_call_key(first), first.platforms if links else ())

    def _sharing_key(self, unit: Unit, *, links: bool) -> Hashable:
        """Return a key that is equal for units that one call can build without delaying dependents of single units."""
        first = unit[0]
        if len(unit) > 1 or self._is_long(first):
            return first
        compatible = self._compatibility_key(unit, links=links)
        return (compatible, "short") if self._is_short(first) else (compatible, self._pieces_waiting_for(first))

    def unit(self, piece: BuildPiece, followers: Sequence[BuildPiece]) -> Unit:
        """Return `piece` and the `followers` that its call can build."""
        if not followers or piece.piece_count > 1 or not self._may_share(piece) or self._is_long(piece):
            return [piece]
        joining = [follower for follower in followers if self._can_join(piece, follower)]
        return [piece, *joining] if len(joining) < MAX_BATCH_SIZE else [piece]

    def _can_join(self, piece: BuildPiece, follower: BuildPiece) -> bool:
        same = _deadlines(piece) == _deadlines(follower) and piece.platforms == follower.platforms
        links = piece.target in linked_targets(follower.target)
        return same and follower.piece_count == 1 and self._may_share(follower) and links

    # --- shared bases -------------------------------------------------------------------------------------------------

    def bases_for(self, pieces: Sequence[BuildPiece], node: ScheduledNode) -> list[BuildPiece]:
        """Return the shared bases that the call of `pieces` must build first, because no other call builds them."""
        missing = dict.fromkeys(base for piece in pieces for base in self._fleet.missing_bases(piece, node))
        targets = {piece.target for piece in pieces}
        return [base for base in missing if base not in node.building and base.target not in targets]

    def separate_base(self, piece: BuildPiece, node: ScheduledNode) -> BuildPiece | None:
        """Return a base of `piece` that `node` has not built, and that cannot share the call of `piece`.

        A call has one timeout and one stall timeout, so a base with other deadlines than `piece` has its own call.
        """
        for base in self._fleet.missing_bases(piece, node):
            attributes = base.target.on([placed.platform for placed in base.platforms]).attributes
            rebuilt = any(attributes.get(name) for name in _REBUILDING_ATTRIBUTES)
            other_deadlines = _deadlines(base) != _deadlines(piece)
            if rebuilt or other_deadlines or base.target.varies or not self._may_share(base):
                return base
        return None

    def _may_share(self, piece: BuildPiece) -> bool:
        return piece not in self._isolated

    def _is_short(self, piece: BuildPiece) -> bool:
        """Whether a call of its own would cost more time than `piece` itself."""
        last = self._estimates.last(piece)
        return last is not None and last <= SHORT_BUILD

    def _is_long(self, piece: BuildPiece) -> bool:
        last = self._estimates.last(piece)
        return last is not None and last > SHORT_BUILD

    def _pieces_waiting_for(self, piece: BuildPiece) -> frozenset[BuildPiece]:
        """Return the pieces of other targets that wait for `piece`, directly or through steps that are not pieces."""
        if not self._dependent_pieces:
            for step in reversed(self._graph.steps):
                self._dependent_pieces[step] = self._next_pieces(step)
        return self._dependent_pieces.get(piece, frozenset())

    def _next_pieces(self, step: Step) -> frozenset[BuildPiece]:
        dependents = self._graph.after[step]
        pieces = frozenset(dependent for dependent in dependents if isinstance(dependent, BuildPiece))
        others = (dependent for dependent in dependents if not isinstance(dependent, BuildPiece))
        return pieces.union(*(self._dependent_pieces[dependent] for dependent in others))


class _Batch:
    """A batch that is being filled. The batch has room for pieces with a total expected duration of `seconds_left`."""

    def __init__(self, seconds_left: float) -> None:
        self.pieces: list[BuildPiece] = []
        self._seconds_left = seconds_left
        self._target_names: set[str] = set()

    def has_room(self, unit: Unit, size: int, seconds: float) -> bool:
        """Whether `unit`, which takes `seconds`, fits. Target names in a bake definition must be unique."""
        return (
            len(self.pieces) + len(unit) <= size
            and seconds <= self._seconds_left
            and not any(piece.target.name in self._target_names for piece in unit)
        )

    def add(self, unit: Unit, seconds: float) -> None:
        """Add `unit`, which takes `seconds`."""
        self.pieces += unit
        self._seconds_left -= seconds
        self._target_names |= {piece.target.name for piece in unit}


def _half_of_timeout(piece: BuildPiece) -> float:
    """Return the maximum expected duration of a call that contains `piece`, whose timeout applies to the whole call."""
    return piece.target.timeout / 2 or math.inf


def _call_key(piece: BuildPiece) -> Hashable:
    """Return a key that is equal for pieces that may share a call.

    If a target is split, the call of each of its pieces waits until the nodes of the other pieces have been started, to
    learn whether all images will have the same form. Pieces of other targets need not wait for these nodes.
    """
    return (_deadlines(piece), piece.piece_count > 1)


def _deadlines(piece: BuildPiece) -> tuple[float, float]:
    return (piece.target.timeout, piece.target.stall_timeout)
