"""Divide a target into build pieces: which nodes build which platforms. Pure: `facts` holds the reports of nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.codes import Severity
from mpbake.graph import placement_problems
from mpbake.graph.candidates import equal_nodes, spare_nodes
from mpbake.graph.delivery import delivery_of
from mpbake.graph.links import variant_key
from mpbake.graph.node_facts import own_platform
from mpbake.model.plan import Emulation
from mpbake.model.steps import BuildPiece, Execution, PlacedPlatform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.links import VariantKey
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Node, Target
    from mpbake.spec.problem import Problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """The build pieces of one target, the problems that prevent its build, and warnings."""

    pieces: tuple[BuildPiece, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def place(target: Target, facts: Mapping[str, NodeFacts], only: Sequence[Platform] = ()) -> Placement:
    """Assign every platform of `target` to the best nodes of the builder.

    For each platform, nodes that declare the platform come first, then nodes that run it natively, then nodes that
    emulate it, and last unreachable nodes. `facts` maps node ids to the reports of nodes; a node without a report has
    not been probed. `only`, if not empty, replaces the platforms of the target. Platforms with different variants do
    not share a piece.
    """
    wanted = tuple(only) or target.platforms or own_platform(target.builder, facts)
    if not wanted:  # with unknown platforms, it is also unknown whether a check never runs
        piece = _with_delivery(BuildPiece(target=target, nodes=target.builder.nodes[:1]))
        problems = tuple(placement_problems.unreachable_registries(target, [piece]))
        return Placement(pieces=(piece,), problems=problems)
    pieces, unplaced = _pieces(target, wanted, facts)
    conflicts = tuple(placement_problems.declaration_conflicts_of(pieces, facts))
    problems = (
        *placement_problems.missing_link_platforms(target, wanted),
        *unplaced,
        *(problem for problem in conflicts if problem.code.severity is Severity.ERROR),
        *placement_problems.unreachable_registries(target, pieces),
        *placement_problems.unsplittable(target, pieces),
    )
    warnings = (
        *placement_problems.checks_that_never_run(target, {*target.platforms, *wanted}),
        *placement_problems.emulated_platforms(target, pieces),
        *(problem for problem in conflicts if problem.code.severity is Severity.WARNING),
        *placement_problems.overwritten_caches(target, pieces),
    )
    return Placement(pieces=pieces, problems=problems, warnings=warnings)


def _pieces(
    target: Target, wanted: Sequence[Platform], facts: Mapping[str, NodeFacts]
) -> tuple[tuple[BuildPiece, ...], list[Problem]]:
    """Return the pieces that build the `wanted` platforms, and a problem for each platform that no node builds."""
    groups: dict[tuple[tuple[Node, ...], VariantKey], list[PlacedPlatform]] = {}
    problems = []
    for platform in wanted:
        execution, nodes = equal_nodes(target, platform, facts)
        problem = placement_problems.unplaceable(target, platform, execution if nodes else None, facts)
        if problem:
            problems.append(problem)
        else:
            group = (nodes, variant_key(target, (platform,)))
            groups.setdefault(group, []).append(PlacedPlatform(platform=platform, execution=execution))
    pieces = [
        BuildPiece(target=target, nodes=nodes, platforms=tuple(placed), piece_count=len(groups))
        for (nodes, _), placed in groups.items()
    ]
    siblings = tuple(dict.fromkeys(piece.node for piece in pieces)) if len(pieces) > 1 else ()
    may_emulate = target.builder.emulation is Emulation.ALLOW
    return tuple(
        replace(_with_delivery(piece), siblings=siblings, spare=spare_nodes(piece, facts) if may_emulate else ())
        for piece in pieces
    ), problems


def _with_delivery(piece: BuildPiece) -> BuildPiece:
    return replace(piece, delivery=delivery_of(piece))


def nodes_to_probe(placements: Mapping[Target, Placement]) -> tuple[Node, ...]:
    """Return the nodes to probe before targets can be placed: the nodes of builders with uncertain placements.

    `placements` are the placements without any facts.
    """
    nodes: dict[Node, None] = {}
    for target, placement in placements.items():
        if any(not piece.platforms or _is_open(piece) for piece in placement.pieces):
            nodes |= dict.fromkeys(target.builder.nodes)
    return tuple(nodes)


def _is_open(piece: BuildPiece) -> bool:
    return any(placed.execution is Execution.UNKNOWN for placed in piece.platforms)
