"""The nodes of a run: pools, lost nodes, and the shared pieces that each node has built."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeGuard, assert_never

from mpbake.base.platforms import can_execute
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, Verify
from mpbake.run.schedule.pools import Pool
from mpbake.run.schedule.scheduled_node import NodeStatus, ScheduledNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node, Target
    from mpbake.model.steps import Step

MAX_LOSSES = 4
"""A node that has an equal node fails after this many losses in a row."""
FIRST_BACKOFF = 2.0
"""Seconds before a lost node is retried. Each further loss in a row doubles this time."""


class Fleet:
    """The nodes, by id, on which a run may build pieces, and the pools of these nodes.

    `slots` maps node ids to the number of pieces that a node builds at once, if that is known. `place` maps each step
    to its position in the graph.
    """

    def __init__(self, graph: BuildGraph, slots: Mapping[str, int], place: Mapping[Step, int]) -> None:
        pieces = [step for step in graph.steps if isinstance(step, BuildPiece)]
        self._nodes = _scheduled_nodes(pieces, graph.pools, slots)
        self._pool_of = _pools(pieces, graph.pools, self._nodes)
        self.pools = tuple(dict.fromkeys(self._pool_of.values()))
        _set_max_losses(self._pool_of)
        self._shared_bases = {
            piece: tuple(sorted(filter(_is_shared, graph.before[piece]), key=place.__getitem__)) for piece in pieces
        }
        self._shared_pieces_of = _shared_pieces_by_target(pieces)
        self._lost: dict[ScheduledNode, None] = {}

    # --- nodes and pools ------------------------------------------------------------------------------------------

    @property
    def required(self) -> list[ScheduledNode]:
        """The required nodes, without which the run fails. Nodes that only emulate for other nodes are left out."""
        return [node for node in self._nodes.values() if node.declared.required and node.pools]

    def node(self, declared: Node) -> ScheduledNode:
        """Return the state of the node `declared` in this run."""
        return self._nodes[declared.id]

    def node_of(self, step: BootstrapNode | BuildPiece | CheckPiece) -> ScheduledNode:
        """Return the node on which `step` was started."""
        return self._nodes[_declared_node(step).id]

    def node_or_none(self, step: Step) -> ScheduledNode | None:
        """Return the node on which `step` was started, or None for a step that uses no node."""
        match step:
            case BootstrapNode() | BuildPiece() | CheckPiece():
                return self.node_of(step)
            case JoinArchives() | Publish() | Verify():
                return None
            case _:
                assert_never(step)

    def pool_of(self, piece: BuildPiece) -> Pool:
        """Return the pool of the nodes of `piece`."""
        return self._pool_of[piece]

    def spare_nodes(self, piece: BuildPiece) -> list[ScheduledNode]:
        """Return the nodes that can emulate `piece` and its shared bases, or have not reported their platforms yet."""
        nodes = [self.node(declared) for declared in piece.spare]
        needed = (piece, *self._shared_bases[piece])
        return [
            node
            for node in nodes
            if node.status is not NodeStatus.FAILED and all(_may_build(node, other) for other in needed)
        ]

    # --- shared pieces that nodes have built --------------------------------------------------------------------------

    def shared_bases(self, piece: BuildPiece) -> tuple[BuildPiece, ...]:
        """Return the shared pieces that `piece` needs on its node, in build order."""
        return self._shared_bases[piece]

    def first_missing_base(self, piece: BuildPiece, node: ScheduledNode) -> BuildPiece | None:
        """Return the first of the shared bases of `piece` that `node` has not built."""
        return next((base for base in self._shared_bases[piece] if base not in node.built), None)

    def missing_bases(self, piece: BuildPiece, node: ScheduledNode) -> list[BuildPiece]:
        """Return the shared bases of `piece` that `node` has not built, in build order."""
        return [base for base in self._shared_bases[piece] if base not in node.built]

    def note_built(self, started: BuildPiece) -> None:
        """Record that the node of `started` answers and has built this piece, which other pieces may share."""
        node = self.node_of(started)
        node.losses = 0
        node.built |= {shared for shared in self._shared_pieces_of.get(started.target, ()) if _covers(started, shared)}

    def can_take(self, node: ScheduledNode, piece: BuildPiece) -> bool:
        """Whether `node` has room for `piece`, or is building a shared base for which `piece` can wait on `node`."""
        if node.status is NodeStatus.UP and self.first_missing_base(piece, node) in node.building:
            return len(node.parked) < node.slots if node.slots else node.has_room
        return node.has_room

    # --- lost nodes -----------------------------------------------------------------------------------------------

    @property
    def retry_times(self) -> list[float]:
        """The times at which lost nodes that have work to do are retried."""
        return [node.retry_at for node in self._lost if node.checks or _has_queued_pieces(node)]

    def lose(self, node: ScheduledNode, now: float) -> bool:
        """Record a loss of `node`.

        Return True if `node` is required or was lost too often. Otherwise start a backoff, and return False.
        """
        node.outages += 1
        node.losses += 1
        node.built.clear()
        if node.losses >= node.max_losses or node.declared.required:
            return True
        node.status = NodeStatus.LOST
        node.retry_at = now + FIRST_BACKOFF * 2 ** (node.losses - 1)
        self._lost[node] = None
        return False

    def fail(self, node: ScheduledNode) -> None:
        """Stop using `node` for good. A required node closes its pools."""
        node.status = NodeStatus.FAILED
        for pool in node.pools:
            pool.closed = pool.closed or node.declared.required

    def take_retried(self, now: float) -> list[ScheduledNode]:
        """Return the lost nodes whose backoff has ended, and mark them as usable."""
        retried = [node for node in self._lost if node.retry_at <= now]
        for node in retried:
            del self._lost[node]
            node.status = NodeStatus.UNUSED
        return retried

    def stop_retrying(self) -> None:
        """Stop retrying lost nodes."""
        self._lost.clear()

    def cannot_start(self, piece: BuildPiece) -> bool:
        """Whether `piece` must not start again: no node is left for the piece, or a required node is lost."""
        pool = self._pool_of[piece]
        return pool.closed or (pool.lost and not self.spare_nodes(piece))

    def pieces_that_cannot_start(self, pools: Iterable[Pool]) -> list[BuildPiece]:
        """Return the pieces of `pools` that must not start again."""
        affected = set(pools)
        pieces = [piece for piece, pool in self._pool_of.items() if pool in affected] if affected else []
        return [piece for piece in pieces if self.cannot_start(piece)]


def piece_of(step: BuildPiece | CheckPiece) -> BuildPiece:
    """Return a piece itself, or the piece that a check tests."""
    match step:
        case BuildPiece():
            return step
        case CheckPiece():
            return step.piece
        case _:
            assert_never(step)


def _declared_node(step: BootstrapNode | BuildPiece | CheckPiece) -> Node:
    match step:
        case BuildPiece() | BootstrapNode():
            return step.node
        case CheckPiece():
            return step.piece.node
        case _:
            assert_never(step)


def _has_queued_pieces(node: ScheduledNode) -> bool:
    return any(pool.queue for pool in (*node.pools, *node.helped_pools))


def _is_shared(step: Step) -> TypeGuard[BuildPiece]:
    return isinstance(step, BuildPiece) and step.shared


def _may_build(node: ScheduledNode, piece: BuildPiece) -> bool:
    """Whether `node` can build all platforms of `piece`, natively or emulated, or has not reported yet."""
    reported = node.platforms
    return reported is None or all(
        any(can_execute(own, placed.platform) for own in reported) for placed in piece.platforms
    )


def _covers(piece: BuildPiece, shared: BuildPiece) -> bool:
    """Whether a node that has built `piece` has thereby built `shared`, a piece of the same target."""
    return {placed.platform for placed in piece.platforms} >= {placed.platform for placed in shared.platforms}


def _shared_pieces_by_target(pieces: Iterable[BuildPiece]) -> dict[Target, list[BuildPiece]]:
    by_target: dict[Target, list[BuildPiece]] = {}
    for piece in filter(_is_shared, pieces):
        by_target.setdefault(piece.target, []).append(piece)
    return by_target


def _scheduled_nodes(
    pieces: Sequence[BuildPiece], pools: Mapping[BuildPiece, frozenset[str]], slots: Mapping[str, int]
) -> dict[str, ScheduledNode]:
    """Return the nodes of all pieces in the order of their first mention, and then the spare nodes.

    All pieces of a pool name the same nodes, so one piece of each pool is enough: thousands of pieces share a few
    large pools.
    """
    first_of_pool: dict[frozenset[str], BuildPiece] = {}
    for piece in pieces:
        first_of_pool.setdefault(pools[piece], piece)
    nodes: dict[str, ScheduledNode] = {}
    own = (piece.nodes for piece in first_of_pool.values())
    for declared_nodes in (*own, *(piece.spare for piece in pieces)):
        for declared in declared_nodes:
            if declared.id not in nodes:
                known = slots.get(declared.id, declared.slots)
                nodes[declared.id] = ScheduledNode(
                    declared=declared, order=len(nodes), slots=known, slots_known=bool(known)
                )
    return nodes


def _pools(
    pieces: Sequence[BuildPiece], ids_of: Mapping[BuildPiece, frozenset[str]], nodes: Mapping[str, ScheduledNode]
) -> dict[BuildPiece, Pool]:
    """Return the pool of each piece. Pieces with the same nodes have the same pool."""
    pools: dict[frozenset[str], Pool] = {}
    for ids in dict.fromkeys(ids_of[piece] for piece in pieces):
        pools[ids] = Pool({name: node for name, node in nodes.items() if name in ids})
    pool_of = {piece: pools[ids_of[piece]] for piece in pieces}
    for piece, pool in pool_of.items():
        for declared in piece.spare:
            pool.add_helper(nodes[declared.id])
    return pool_of


def _set_max_losses(pool_of: Mapping[BuildPiece, Pool]) -> None:
    """Set how often in a row each node may be lost.

    A node with an equal node may be lost `MAX_LOSSES` times, any other node as often as its pieces may be tried.
    """
    retries: dict[Pool, int] = {}
    for piece, pool in pool_of.items():
        retries[pool] = max(retries.get(pool, 0), piece.target.retries)
    for pool, most in retries.items():
        for nodes in (list(pool.nodes.values()), [node for node in pool.helpers if not node.pools]):
            max_losses = MAX_LOSSES if len(nodes) > 1 else 1 + most
            for node in nodes:
                node.max_losses = min(node.max_losses or max_losses, max_losses)
