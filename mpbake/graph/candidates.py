"""Choose the candidate nodes for a platform of a target: the equal nodes that build the platform best. Pure."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import TYPE_CHECKING

from mpbake.graph.node_facts import declares, execution_on, is_unreachable, reported_platforms
from mpbake.model.plan import Emulation
from mpbake.model.steps import BuildPiece, Execution

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Builder, Node, Target


def equal_nodes(
    target: Target, platform: Platform, facts: Mapping[str, NodeFacts]
) -> tuple[Execution, tuple[Node, ...]]:
    """Return how `platform` of `target` is built, and the best nodes, all equal, the preferred node first.

    If no node can build the platform, no nodes are returned.
    """
    execution, nodes = _best_nodes(target.builder, platform, facts)
    return execution, _by_preference(target, nodes)


def _best_nodes(builder: Builder, platform: Platform, facts: Mapping[str, NodeFacts]) -> tuple[Execution, list[Node]]:
    """Return the equal nodes that build `platform` best: nodes of the best rank with equal abilities."""
    by_rank: dict[_Rank, list[tuple[Execution, Node]]] = {}
    for node in builder.nodes:
        execution = execution_on(node, platform, facts)
        if execution is not None:
            rank = _rank(node, platform, execution, builder, facts)
            by_rank.setdefault(rank, []).append((execution, node))
    if not by_rank:
        return Execution.UNKNOWN, []
    best = by_rank[min(by_rank)]
    execution, first = best[0]
    return execution, [node for _, node in best if _abilities(node, facts) == _abilities(first, facts)]


class _Rank(IntEnum):
    """The order in which nodes are chosen for a platform."""

    DECLARED = 0
    NATIVE = 1
    UNKNOWN = 2
    EMULATED = 3
    UNREACHABLE = 4


_RANKS = {Execution.NATIVE: _Rank.NATIVE, Execution.UNKNOWN: _Rank.UNKNOWN, Execution.EMULATED: _Rank.EMULATED}


def _rank(
    node: Node, platform: Platform, execution: Execution, builder: Builder, facts: Mapping[str, NodeFacts]
) -> _Rank:
    """Return the rank of `node` for `platform`.

    If emulation is forbidden, an unreachable node ranks as unknown, since it may be the only node that can build the
    platform.
    """
    if declares(node, platform):
        return _Rank.DECLARED
    forbids_emulation = builder.emulation is Emulation.FORBID
    if execution is Execution.UNKNOWN and is_unreachable(node, facts) and not forbids_emulation:
        return _Rank.UNREACHABLE
    return _RANKS[execution]


def _abilities(node: Node, facts: Mapping[str, NodeFacts]) -> frozenset[Platform]:
    return frozenset(node.platforms or reported_platforms(node, facts))


def _by_preference(target: Target, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Sort `nodes` by rendezvous hashing: targets prefer different nodes, and a new node changes few preferences.

    Targets that link to a common base prefer the same node, since the cache of this node contains the layers of the
    base.
    """
    base = cache_group(target).name

    def weight(node: Node) -> bytes:
        return hashlib.sha256(f"{base}\0{node.id}".encode()).digest()

    return tuple(sorted(nodes, key=weight)) if len(nodes) > 1 else tuple(nodes)


def cache_group(target: Target) -> Target:
    """Return the base of `target`: the end of the chain of first links, or `target` itself."""
    while target.links:
        target = next(iter(target.links.values()))
    return target


def spare_nodes(piece: BuildPiece, facts: Mapping[str, NodeFacts]) -> tuple[Node, ...]:
    """Return the nodes that emulate (or, if not probed, may emulate) all platforms that `piece` builds natively."""
    if any(placed.execution is not Execution.NATIVE for placed in piece.platforms):
        return ()
    executions = {Execution.EMULATED, Execution.UNKNOWN}
    return tuple(
        node
        for node in piece.target.builder.nodes
        if node not in piece.nodes
        and not is_unreachable(node, facts)
        and all(execution_on(node, placed.platform, facts) in executions for placed in piece.platforms)
    )
