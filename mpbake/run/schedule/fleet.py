"""The nodes of a run: the sets of equal ones, what each has built, and which are lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard

from mpbake.base.platforms import can_execute
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece
from mpbake.run.schedule.pools import NodeStatus, Pool, ScheduledNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node, Target
    from mpbake.model.steps import Step

TRIES = 4
"""How often in a row a node that has an equal one may be lost before it is given up."""
FIRST_PAUSE = 2.0
"""Seconds before a lost node is tried again; each further loss in a row doubles them."""


class Fleet:
    """The nodes that the pieces of a run may be built on, by their ids, and the sets of equal ones.

    `slots` says how many pieces each builds at once, where that is told; `place` where each step stands in the graph.
    """

    def __init__(self, graph: BuildGraph, slots: Mapping[str, int], place: Mapping[Step, int]) -> None:
        pieces = [step for step in graph.steps if isinstance(step, BuildPiece)]
        self._hosts = _hosts(pieces, slots)
        self._pool_of = _pools(pieces, self._hosts)
        self.pools = tuple(dict.fromkeys(self._pool_of.values()))
        _set_tries(self._pool_of)
        self._shared = {
            piece: tuple(sorted(filter(_is_shared, graph.before[piece]), key=place.__getitem__)) for piece in pieces
        }
        self._shared_by = _shared_by(pieces)
        self._down: dict[ScheduledNode, None] = {}

    # --- who is who -----------------------------------------------------------------------------------------------

    @property
    def required(self) -> list[ScheduledNode]:
        """The nodes without which nothing goes on; those that only help out are not among them."""
        return [host for host in self._hosts.values() if host.node.required and host.pools]

    def host(self, node: Node) -> ScheduledNode:
        """What a run knows of `node`."""
        return self._hosts[node.id]

    def host_of(self, step: Step) -> ScheduledNode:
        """The node on which `step`, which is done on one, was started."""
        return self.host(step.node if isinstance(step, BootstrapNode) else piece_of(step).node)

    def pool_of(self, piece: BuildPiece) -> Pool:
        """The nodes of `piece`, and what waits for any of them."""
        return self._pool_of[piece]

    def spares(self, piece: BuildPiece) -> list[ScheduledNode]:
        """The nodes that can emulate `piece` and what it shares with others, or have not said yet what they can."""
        hosts = [self.host(node) for node in piece.spare]
        wanted = (piece, *self._shared[piece])
        return [
            host
            for host in hosts
            if host.life is not NodeStatus.GONE and all(_may_build(host, each) for each in wanted)
        ]

    # --- what they have built -------------------------------------------------------------------------------------

    def shared(self, piece: BuildPiece) -> tuple[BuildPiece, ...]:
        """The shared pieces that `piece` needs on its node, in the order in which they are built."""
        return self._shared[piece]

    def missing(self, piece: BuildPiece, host: ScheduledNode) -> BuildPiece | None:
        """The first of the shared pieces before `piece` that `host` does not have yet."""
        return next((each for each in self._shared[piece] if each not in host.built), None)

    def all_missing(self, piece: BuildPiece, host: ScheduledNode) -> list[BuildPiece]:
        """The shared pieces before `piece` that `host` does not have yet, in the order in which they are built."""
        return [each for each in self._shared[piece] if each not in host.built]

    def has_built(self, step: BuildPiece) -> None:
        """The node of `step` is well, and holds what others may share."""
        host = self.host_of(step)
        host.losses = 0
        host.built |= {each for each in self._shared_by.get(step.target, ()) if _holds(step, each)}

    def has_room(self, host: ScheduledNode, piece: BuildPiece) -> bool:
        """Whether `host` can be given `piece`, or have it wait for something shared that is being built there."""
        if host.life is NodeStatus.UP and self.missing(piece, host) in host.building:
            return len(host.parked) < host.slots if host.slots else host.open
        return host.open

    # --- which are lost -------------------------------------------------------------------------------------------

    @property
    def back_at(self) -> list[float]:
        """When the lost nodes that are of use are tried again."""
        return [host.back_at for host in self._down if host.checks or any(host.pools) or any(host.helped)]

    def lose(self, host: ScheduledNode, now: float) -> bool:
        """`host` does not answer: nothing is given to it for a while. Whether this was once too often."""
        host.outages += 1
        host.losses += 1
        host.built.clear()
        if host.losses >= host.tries or host.node.required:
            return True
        host.life = NodeStatus.DOWN
        host.back_at = now + FIRST_PAUSE * 2 ** (host.losses - 1)
        self._down[host] = None
        return False

    def give_up(self, host: ScheduledNode) -> None:
        """`host` is not used any more; nor is a set that it is required in."""
        host.life = NodeStatus.GONE
        for pool in host.pools:
            pool.closed = pool.closed or host.node.required

    def wake(self, now: float) -> list[ScheduledNode]:
        """The nodes that were lost long enough ago; they may be tried again."""
        found = [host for host in self._down if host.back_at <= now]
        for host in found:
            del self._down[host]
            host.life = NodeStatus.COLD
        return found

    def leave_alone(self) -> None:
        """No lost node is tried again."""
        self._down.clear()

    def is_hopeless(self, piece: BuildPiece) -> bool:
        """Whether `piece` is not to be started again: no node is left for it, or a required one is lost."""
        pool = self._pool_of[piece]
        return pool.closed or (pool.lost and not self.spares(piece))

    def hopeless(self, pools: Iterable[Pool]) -> list[BuildPiece]:
        """The pieces of these sets of nodes that are not to be started again."""
        wanted = set(pools)
        found = [piece for piece, pool in self._pool_of.items() if pool in wanted] if wanted else []
        return [piece for piece in found if self.is_hopeless(piece)]


def piece_of(step: Step) -> BuildPiece:
    """A piece itself, or the piece that a check is for."""
    piece = step.piece if isinstance(step, CheckPiece) else step
    assert isinstance(piece, BuildPiece)  # noqa: S101 - asked of what is bound to a node by its piece
    return piece


def _is_shared(step: Step) -> TypeGuard[BuildPiece]:
    return isinstance(step, BuildPiece) and step.shared


def _may_build(host: ScheduledNode, piece: BuildPiece) -> bool:
    """Whether a node says that it builds all platforms of `piece`, in whatever way, or has not been asked yet."""
    said = host.platforms
    return said is None or all(any(can_execute(own, each.platform) for own in said) for each in piece.platforms)


def _holds(piece: BuildPiece, shared: BuildPiece) -> bool:
    """Whether a node that has built `piece` has built `shared`, of the same target, too."""
    return {each.platform for each in piece.platforms} >= {each.platform for each in shared.platforms}


def _shared_by(pieces: Iterable[BuildPiece]) -> dict[Target, list[BuildPiece]]:
    """The shared pieces of each target that has some."""
    found: dict[Target, list[BuildPiece]] = {}
    for piece in filter(_is_shared, pieces):
        found.setdefault(piece.target, []).append(piece)
    return found


def _hosts(pieces: Sequence[BuildPiece], slots: Mapping[str, int]) -> dict[str, ScheduledNode]:
    """The nodes of all pieces, in the order in which these first name them; those that only help out come last."""
    found: dict[str, ScheduledNode] = {}
    for nodes in (*_distinct(piece.nodes for piece in pieces), *_distinct(piece.spare for piece in pieces)):
        for node in nodes:
            if node.id not in found:
                told = slots.get(node.id, node.slots)
                found[node.id] = ScheduledNode(node=node, order=len(found), slots=told, told=bool(told))
    return found


def _distinct(tuples: Iterable[tuple[Node, ...]]) -> Iterable[tuple[Node, ...]]:
    """Each tuple object once: thousands of pieces share a few, and comparing nodes takes time."""
    return {id(each): each for each in tuples}.values()


def _pools(pieces: Sequence[BuildPiece], hosts: Mapping[str, ScheduledNode]) -> dict[BuildPiece, Pool]:
    """The pool of each piece; pieces of the same nodes have the same one."""
    pools: dict[frozenset[str], Pool] = {}
    of_tuple: dict[int, Pool] = {}
    for nodes in _distinct(piece.nodes for piece in pieces):
        names = frozenset(node.id for node in nodes)
        if names not in pools:
            pools[names] = Pool({name: host for name, host in hosts.items() if name in names})
        of_tuple[id(nodes)] = pools[names]
    pool_of = {piece: of_tuple[id(piece.nodes)] for piece in pieces}
    for piece, pool in pool_of.items():
        for node in piece.spare:
            pool.helped_by(hosts[node.id])
    return pool_of


def _set_tries(pool_of: Mapping[BuildPiece, Pool]) -> None:
    """How often each node may be lost in a row: as often as its pieces may be tried, or `TRIES` times in company."""
    retries: dict[Pool, int] = {}
    for piece, pool in pool_of.items():
        retries[pool] = max(retries.get(pool, 0), piece.target.retries)
    for pool, most in retries.items():
        for hosts in (list(pool.hosts.values()), [host for host in pool.helpers if not host.pools]):
            tries = TRIES if len(hosts) > 1 else 1 + most
            for host in hosts:
                host.tries = min(host.tries or tries, tries)
