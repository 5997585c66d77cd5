"""Divide the pieces that a node is given at one moment into batches, each of which is one bake call."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mpbake.graph.links import linked_targets
from mpbake.model.steps import BuildPiece
from mpbake.run.schedule.pools import CALLS, LARGEST_CALL, MOST_CALLS
from mpbake.spec.attributes import Role
from mpbake.spec.target_tables import attributes_for

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.estimates import Estimates
    from mpbake.model.steps import Step
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.pools import ScheduledNode

SHORT = 5.0
"""Seconds of its last build up to which a piece is short: starting buildx takes a quarter of one."""
SHARED_AGAIN = 2
"""Calls that a piece shares after its first one failed because of others; then it has a call of its own."""
_REBUILDS = attributes_for(Role.NO_CACHE, Role.PULL)
"""Attributes with which BuildKit builds a base anew for each target that links to it."""

Unit = Sequence[BuildPiece]
"""Pieces that belong in one call: a piece, and those that link to it and wait for nothing else."""


class Batches:
    """Decides which pieces share a bake call.

    A call ends when its longest piece ends, and fails when one of its pieces fails. So pieces of unknown length share a
    call, those for which the same others wait; short ones share a call; one that is known to be long has a call of
    its own. Where that makes more calls than a node is given, whatever one call can serve shares one.
    """

    def __init__(self, graph: BuildGraph, fleet: Fleet, estimates: Estimates) -> None:
        self._graph = graph
        self._fleet = fleet
        self._estimates = estimates
        self._disturbed: Counter[BuildPiece] = Counter()
        self._alone: set[BuildPiece] = set()
        self._dependents: dict[Step, frozenset[BuildPiece]] = {}

    # --- pieces that failed -------------------------------------------------------------------------------------------

    def set_apart(self, piece: BuildPiece) -> None:
        """Give `piece`, which failed, a call of its own from now on."""
        self._alone.add(piece)

    def note_disturbed(self, piece: BuildPiece) -> None:
        """Let `piece`, which failed because another one of its call did, share `SHARED_AGAIN` calls more."""
        self._disturbed[piece] += 1
        if self._disturbed[piece] > SHARED_AGAIN:
            self.set_apart(piece)

    # --- nodes with slots ---------------------------------------------------------------------------------------------

    def companions(self, piece: BuildPiece, host: ScheduledNode) -> Iterator[BuildPiece]:
        """Short pieces that wait for `host` too, and share the call of `piece`, if that is short; they wait no more."""
        pool = self._fleet.pool_of(piece)
        left = _half_of_timeout(piece) - (self._estimates.last(piece) or 0.0)
        for _ in range(host.room_of_call - 1 if self._may_share(piece) and self._is_short(piece) else 0):
            fan = pool.first_fan(host)
            if fan is None or not (self._may_share(fan.piece) and self._is_short(fan.piece)):
                return
            left -= self._estimates.last(fan.piece) or 0.0
            if left < 0 or _call_key(fan.piece) != _call_key(piece) or fan.piece.platforms != piece.platforms:
                return
            if self._fleet.missing(fan.piece, host) is not None:
                return
            pool.discard(fan.piece)
            yield fan.piece

    # --- nodes without slots ------------------------------------------------------------------------------------------

    def divide(self, units: Sequence[Unit], under_way: int) -> tuple[list[list[BuildPiece]], list[BuildPiece]]:
        """The batches of `units`, which a node begins while so many calls are `under_way`; and what has to wait.

        The units come the most urgent first.
        """
        links = any(piece.target.every_link for unit in units for piece in unit)
        batches = self._packed(units, partial(self._soft_key, links=links))
        if len(batches) > max(MOST_CALLS - under_way, 0):
            calls = max(min(CALLS, MOST_CALLS) - under_way, 1)
            size = max(math.ceil(sum(map(len, units)) / calls), 1)
            batches = self._packed(units, partial(self._hard_key, links=links), min(size, LARGEST_CALL))
            room = max(MOST_CALLS - under_way, 0)
            return batches[:room], [piece for batch in batches[room:] for piece in batch]
        return batches, []

    def _packed(
        self, units: Sequence[Unit], key: Callable[[Unit], Hashable], size: int = LARGEST_CALL
    ) -> list[list[BuildPiece]]:
        """Batches of units with equal keys, of at most `size` pieces unless a single unit is larger."""
        open_batches: dict[Hashable, _Batch] = {}
        found = []
        for unit in units:
            name = key(unit)
            batch = open_batches.get(name)
            if batch is None or not batch.takes(unit, size, self._known(unit)):
                batch = open_batches[name] = _Batch(_half_of_timeout(unit[0]))
                found.append(batch)
            batch.add(unit, self._known(unit))
        return [batch.pieces for batch in found]

    def _known(self, unit: Unit) -> float:
        return sum(self._estimates.last(piece) or 0.0 for piece in unit)

    def _hard_key(self, unit: Unit, *, links: bool) -> Hashable:
        """Return a key that is equal for units that one call can build; `links` requires equal platforms, too."""
        first = unit[0]
        if len(unit) == 1 and not self._may_share(first):
            return id(first)
        return (_call_key(first), first.platforms if links else ())

    def _soft_key(self, unit: Unit, *, links: bool) -> Hashable:
        """Equal for units of which none delays what waits for another."""
        first = unit[0]
        if len(unit) > 1 or self._is_long(first):
            return id(first)
        hard = self._hard_key(unit, links=links)
        return (hard, "short") if self._is_short(first) else (hard, self._waiting_for(first))

    def unit(self, piece: BuildPiece, followers: Sequence[BuildPiece]) -> Unit:
        """`piece`, and those of `followers` that its call can serve."""
        if not followers or piece.of > 1 or not self._may_share(piece) or self._is_long(piece):
            return [piece]
        own = [each for each in followers if self._is_alike(piece, each)]
        return [piece, *own] if len(own) < LARGEST_CALL else [piece]

    def _is_alike(self, piece: BuildPiece, other: BuildPiece) -> bool:
        same = _deadlines(piece) == _deadlines(other) and piece.platforms == other.platforms
        return same and other.of == 1 and self._may_share(other) and piece.target in linked_targets(other.target)

    def bases(self, pieces: Sequence[BuildPiece], host: ScheduledNode) -> list[BuildPiece]:
        """The shared pieces that the call of `pieces` is to build, too, before them: nobody else builds them."""
        missing = dict.fromkeys(each for piece in pieces for each in self._fleet.all_missing(piece, host))
        named = {piece.target for piece in pieces}
        return [each for each in missing if each not in host.building and each.target not in named]

    def base_before(self, piece: BuildPiece, host: ScheduledNode) -> BuildPiece | None:
        """Return the shared piece for which `piece` waits on `host`: one that cannot share the call of `piece`.

        A call has one timeout and one stall timeout, so a base with other deadlines than `piece` has its own call.
        """
        for base in self._fleet.all_missing(piece, host):
            attributes = base.target.on([each.platform for each in base.platforms]).attributes
            again = any(attributes.get(name) for name in _REBUILDS)
            own_deadlines = _deadlines(base) != _deadlines(piece)
            if again or own_deadlines or base.target.varies or not self._may_share(base):
                return base
        return None

    def _may_share(self, piece: BuildPiece) -> bool:
        return piece not in self._alone

    def _is_short(self, piece: BuildPiece) -> bool:
        """Whether a call of its own would cost more than `piece` itself."""
        last = self._estimates.last(piece)
        return last is not None and last <= SHORT

    def _is_long(self, piece: BuildPiece) -> bool:
        last = self._estimates.last(piece)
        return last is not None and last > SHORT

    def _waiting_for(self, piece: BuildPiece) -> frozenset[BuildPiece]:
        """The pieces of other targets that wait for `piece`, whatever is done with its image before they begin."""
        if not self._dependents:
            for step in reversed(self._graph.steps):
                self._dependents[step] = self._next_pieces(step)
        return self._dependents.get(piece, frozenset())

    def _next_pieces(self, step: Step) -> frozenset[BuildPiece]:
        following = self._graph.after[step]
        pieces = frozenset(each for each in following if isinstance(each, BuildPiece))
        return pieces.union(*(self._dependents[each] for each in following if not isinstance(each, BuildPiece)))


class _Batch:
    """A batch while it is filled; `left` are the seconds that its pieces may still be expected to take."""

    def __init__(self, left: float) -> None:
        self.pieces: list[BuildPiece] = []
        self._left = left
        self._targets: set[str] = set()

    def takes(self, unit: Unit, size: int, seconds: float) -> bool:
        """Whether it has room for `unit`: a definition has one target of each name."""
        return (
            len(self.pieces) + len(unit) <= size
            and seconds <= self._left
            and not any(piece.target.name in self._targets for piece in unit)
        )

    def add(self, unit: Unit, seconds: float) -> None:
        """Take `unit`."""
        self.pieces += unit
        self._left -= seconds
        self._targets |= {piece.target.name for piece in unit}


def _half_of_timeout(piece: BuildPiece) -> float:
    """How long all pieces of a call may be expected to take: the time that each may take is that of the call, too."""
    return piece.target.timeout / 2 or math.inf


def _call_key(piece: BuildPiece) -> Hashable:
    """Return a key that is equal for pieces that may share a call.

    The call of a piece whose target is split waits until the nodes of the target's other pieces have been started: it
    has to know whether their images have one form. The pieces of other targets do not have to wait for that.
    """
    return (_deadlines(piece), piece.of > 1)


def _deadlines(piece: BuildPiece) -> tuple[float, float]:
    return (piece.target.timeout, piece.target.stall_timeout)
