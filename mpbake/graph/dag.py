"""The build graph: a DAG of steps, made by small transforms and validated once. The only user of networkx."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import TYPE_CHECKING, assert_never

from mpbake.graph.delivery import archives
from mpbake.graph.links import grouped_by_variant, linked_platforms, linked_targets, variant_key
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    Execution,
    JoinArchives,
    PlacedPlatform,
    Publish,
    Step,
    Verify,
    bootstrapped_node,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import networkx as nx

    from mpbake.base.platforms import Platform
    from mpbake.graph.links import VariantKey
    from mpbake.model.plan import Node, Target

    Pool = frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildGraph:
    """Steps in a possible order of execution, and the dependency edges between these steps.

    When a build piece is ready, the scheduler picks one of the piece's equal nodes. In the graph a piece depends only
    on the bootstrap of its preferred node. Shared pieces and bootstraps run once on each used node, and not on unused
    nodes. `pools` maps each piece to the ids of its equal nodes.
    """

    targets: tuple[Target, ...]
    steps: tuple[Step, ...]
    before: Mapping[Step, tuple[Step, ...]]
    after: Mapping[Step, tuple[Step, ...]]
    pools: Mapping[BuildPiece, Pool]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that a run bootstraps, in the order of their steps."""
        bootstrapped = map(bootstrapped_node, self.steps)
        return tuple(node for node in bootstrapped if node is not None)


def with_dependencies(targets: Iterable[Target]) -> tuple[Target, ...]:
    """Return `targets` and all their direct and indirect dependencies, each target after its dependencies.

    A dependency is published before the target. Linked targets are left out unless they are also dependencies, but the
    dependencies of linked targets are included.
    """
    ordered: dict[Target, None] = {}
    stack: list[tuple[Target, Iterator[Target]]] = []
    for root in targets:
        stack.append((root, iter(_dependencies(root))))
        while stack:
            _target, remaining = stack[-1]
            following = next((dependency for dependency in remaining if dependency not in ordered), None)
            if following is None:
                ordered.setdefault(stack.pop()[0])
            else:
                stack.append((following, iter(_dependencies(following))))
    return tuple(ordered)


def _dependencies(target: Target) -> tuple[Target, ...]:
    """Return the targets to publish before `target` is built: its `needs`, and the `needs` of linked targets."""
    return tuple(dict.fromkeys(need for built in (target, *linked_targets(target)) for need in built.needs))


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The targets that a run builds, with their dependencies, in order.

    `only` maps each target that is built for some of its platforms to these platforms. With `together`,
    no tag moves before all targets are built.
    """

    targets: tuple[Target, ...]
    only: Mapping[Target, tuple[Platform, ...]]
    warnings: tuple[str, ...] = ()
    together: bool = False


def select_with_dependencies(chosen: Sequence[Target], platforms: Sequence[Platform] = ()) -> Selection:
    """Return `chosen` and all their dependencies. With `platforms`, `chosen` are built for these platforms only.

    Dependencies and linked targets keep all their platforms.
    """
    only = dict.fromkeys(chosen, tuple(platforms)) if platforms else {}
    warnings = []
    for target in only:
        left_out = [platform for platform in target.platforms if platform not in platforms]
        if target.push and left_out:
            warnings.append(_lost_platforms_warning(target, left_out))
    return Selection(targets=with_dependencies(chosen), only=only, warnings=tuple(warnings))


def _lost_platforms_warning(target: Target, left_out: Sequence[Platform]) -> str:
    names, tags = ", ".join(map(str, left_out)), ", ".join(target.tags)
    return f"{target.name}: --platform omits {names}: {tags} will lack them; add --no-push to only build"


def import_networkx() -> None:
    """Import networkx. The import takes a tenth of a second: a run uses a thread while waiting for docker."""
    importlib.import_module("networkx")


def build_graph(
    targets: Sequence[Target], pieces: Mapping[Target, Sequence[BuildPiece]], *, together: bool = False
) -> BuildGraph:
    """Return the graph of a run. `targets` are ordered by `with_dependencies`; `pieces` has the pieces of each target.

    With `together`, no tag moves before every target is built and has passed its checks.
    """
    import networkx as nx  # noqa: PLC0415 - see import_networkx

    draft = _Draft(targets=tuple(targets), pieces=pieces, graph=nx.DiGraph(), together=together)
    for transform in _TRANSFORMS:
        transform(draft)
    order = _order(draft)
    return BuildGraph(
        targets=draft.targets,
        steps=order,
        before={step: tuple(draft.graph.predecessors(step)) for step in order},
        after={step: tuple(draft.graph.successors(step)) for step in order},
        pools={step: draft.pool(step) for step in order if isinstance(step, BuildPiece)},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """An incomplete graph, which transforms extend.

    The nodes of the graph are steps; an edge means "must run after".
    """

    targets: tuple[Target, ...]
    pieces: Mapping[Target, Sequence[BuildPiece]]
    graph: nx.DiGraph[Step]
    together: bool
    steps: dict[Target, list[Step]] = field(default_factory=dict)
    publishes: dict[Target, Publish] = field(default_factory=dict)
    pools: dict[BuildPiece, Pool] = field(default_factory=dict)

    def build_pieces(self) -> list[BuildPiece]:
        return [step for step in self.graph if isinstance(step, BuildPiece)]

    def pool(self, piece: BuildPiece) -> Pool:
        """Return the ids of the equal nodes of `piece`, without their order of preference."""
        pool = self.pools.get(piece)
        if pool is None:
            pool = self.pools[piece] = frozenset(node.id for node in piece.nodes)
        return pool

    def last_steps(self, target: Target) -> Sequence[Step]:
        """Return the steps that must succeed before the dependents of `target` can start."""
        verifying = [step for step in self.steps.get(target, ()) if _phase(step) is _Phase.VERIFY]
        return verifying or self.building_steps(target)

    def building_steps(self, target: Target) -> list[Step]:
        """Return the steps after which `target` is built and has passed its checks."""
        return [step for step in self.steps.get(target, ()) if _phase(step) is _Phase.BUILD]

    def add(self, step: BuildPiece | JoinArchives | CheckPiece | Publish | Verify) -> None:
        """Add a step to the target's own steps. Shared pieces do not belong to the own steps."""
        self.graph.add_node(step)
        self.steps.setdefault(step.target, []).append(step)


class _Phase(Enum):
    """The phases of a target's work: each step belongs to one phase."""

    NODE = "make a node ready"
    BUILD = "build and check the target"
    PUBLISH = "move its tags"
    VERIFY = "verify its tags"


def _phase(step: Step) -> _Phase:
    match step:
        case BootstrapNode():
            return _Phase.NODE
        case BuildPiece() | JoinArchives() | CheckPiece():
            return _Phase.BUILD
        case Publish():
            return _Phase.PUBLISH
        case Verify():
            return _Phase.VERIFY
        case _:
            assert_never(step)


def _add_pieces(draft: _Draft) -> None:
    for target in draft.targets:
        for piece in draft.pieces[target]:
            draft.add(piece)


def _add_shared_links(draft: _Draft) -> None:
    """If several build pieces link to the same target, build that target first, once per node.

    If the target has its own piece for the same nodes, the linking pieces wait for this piece. If there are several
    nodes, the target is built again on the nodes that did not build this piece.
    """
    users: dict[tuple[Target, Pool, VariantKey], dict[BuildPiece, list[PlacedPlatform]]] = {}
    for piece in draft.build_pieces():
        pool = draft.pool(piece)
        for target, placed_platforms in _links(piece):
            key = (target, pool, variant_key(target, [placed.platform for placed in placed_platforms]))
            users.setdefault(key, {})[piece] = placed_platforms
    for (target, pool, _), linking in users.items():
        own = [piece for piece in draft.pieces.get(target, ()) if draft.pool(piece) == pool]
        draft.graph.add_edges_from((piece, user) for piece in own for user in linking)
        if len(linking) > 1 and not (own and len(pool) == 1):
            shared = _shared_piece(target, linking)
            draft.graph.add_edges_from((piece, shared) for piece in own)
            draft.graph.add_edges_from((shared, user) for user in linking)
    _order_shared_links(draft)


def _shared_piece(target: Target, linking: Mapping[BuildPiece, Sequence[PlacedPlatform]]) -> BuildPiece:
    """Return the piece that builds `target` for all pieces in `linking`, on any of their nodes."""
    every = [placed for placed_platforms in linking.values() for placed in placed_platforms]
    known = {placed.platform: placed for placed in every if placed.execution is not Execution.UNKNOWN}
    platforms = tuple(dict.fromkeys(known.get(placed.platform, placed) for placed in every))
    nodes = next(iter(linking)).nodes
    spare = tuple(dict.fromkeys(node for piece in linking for node in piece.spare))
    return BuildPiece(target=target, nodes=nodes, platforms=platforms, shared=True, spare=spare)


def _links(piece: BuildPiece) -> Iterator[tuple[Target, list[PlacedPlatform]]]:
    """Yield each linked target that `piece` builds, with the platforms, once for each variant of the target."""
    executions = {placed.platform: placed.execution for placed in piece.platforms}
    for target, wanted in linked_platforms(piece.target, tuple(executions)).items():
        for platforms in grouped_by_variant(target, wanted):
            yield (
                target,
                [
                    PlacedPlatform(platform=platform, execution=executions.get(platform, Execution.UNKNOWN))
                    for platform in platforms
                ],
            )


def _order_shared_links(draft: _Draft) -> None:
    """Order shared pieces: before a shared piece, run the pieces of its linked targets on the same nodes."""
    pieces = draft.build_pieces()
    by_pool: dict[tuple[Target, Pool], list[BuildPiece]] = {}
    for piece in pieces:
        by_pool.setdefault((piece.target, draft.pool(piece)), []).append(piece)
    for piece in pieces:
        for target in linked_targets(piece.target) if piece.shared else ():
            draft.graph.add_edges_from((base, piece) for base in by_pool.get((target, draft.pool(piece)), ()))


def _add_bootstraps(draft: _Draft) -> None:
    """Add a bootstrap for each node that may be used, before the pieces that prefer this node."""
    pieces = draft.build_pieces()
    first_of_pool: dict[Pool, BuildPiece] = {}
    for piece in pieces:
        first_of_pool.setdefault(draft.pool(piece), piece)
    bootstraps = {node.id: BootstrapNode(node=node) for piece in first_of_pool.values() for node in piece.nodes}
    draft.graph.add_nodes_from(bootstraps.values())
    draft.graph.add_edges_from((bootstraps[piece.node.id], piece) for piece in pieces)


def _add_joins(draft: _Draft) -> None:
    """Add a step that joins the OCI layouts from several pieces of a target, so that a layout has all platforms."""
    for target in draft.targets:
        pieces = draft.pieces[target]
        if len(pieces) > 1 and archives(target):
            draft.add(join := JoinArchives(target=target))
            draft.graph.add_edges_from((piece, join) for piece in pieces)


def _add_checks(draft: _Draft) -> None:
    """Add each check of a target, once for each build piece to check."""
    for target in draft.targets:
        checks = [check for piece in draft.pieces[target] for check in _checks(piece)]
        for check in checks:
            draft.add(check)
            draft.graph.add_edge(check.piece, check)


def _checks(piece: BuildPiece) -> Iterator[CheckPiece]:
    built = tuple(placed.platform for placed in piece.platforms)
    for number, check in enumerate(piece.target.checks, 1):
        platforms = tuple(platform for platform in built if not check.platforms or platform in check.platforms)
        if platforms or not built:
            yield CheckPiece(piece=piece, check=check, number=number, platforms=platforms)


def _add_publishing(draft: _Draft) -> None:
    order = _publishing_order(draft)
    for target in draft.targets:
        if target.push:
            publish = draft.publishes[target] = Publish(target=target, order=order)
            platforms = tuple(placed.platform for piece in draft.pieces[target] for placed in piece.platforms)
            verify = Verify(target=target, platforms=platforms)
            draft.graph.add_edges_from((step, publish) for step in draft.building_steps(target))
            draft.add(publish)
            draft.add(verify)
            draft.graph.add_edge(publish, verify)


def _add_shared_publishing(draft: _Draft) -> None:
    """With `together`, move tags one target after another, after all targets are built and checked."""
    chain = [draft.publishes[target] for target in _publishing_order(draft)]
    if chain:
        built = (step for target in draft.targets for step in draft.building_steps(target))
        draft.graph.add_edges_from((step, chain[0]) for step in built)
        draft.graph.add_edges_from(pairwise(chain))


def _publishing_order(draft: _Draft) -> tuple[Target, ...]:
    """Return the targets whose tags move together, each after its linked targets; empty without `together`."""
    if not draft.together:
        return ()
    place = {target: index for index, target in enumerate(draft.targets) if target.push}
    import networkx as nx  # noqa: PLC0415 - see import_networkx

    graph: nx.DiGraph[Target] = nx.DiGraph()
    graph.add_nodes_from(place)
    graph.add_edges_from((link, target) for target in place for link in linked_targets(target) if link in place)
    return tuple(nx.lexicographical_topological_sort(graph, key=place.__getitem__))


def _add_needs(draft: _Draft) -> None:
    """Start a piece only when all its dependencies are published and verified."""
    for piece in draft.build_pieces():
        for need in _dependencies(piece.target):
            draft.graph.add_edges_from((step, piece) for step in draft.last_steps(need))


_TRANSFORMS: tuple[Callable[[_Draft], None], ...] = (
    _add_pieces,
    _add_shared_links,
    _add_bootstraps,
    _add_joins,
    _add_checks,
    _add_publishing,
    _add_shared_publishing,
    _add_needs,
)


def _order(draft: _Draft) -> tuple[Step, ...]:
    """Sort the steps topologically. Ties are broken in reading order: nodes first, then targets in the plan's order.

    Raises networkx.NetworkXUnfeasible for a cycle, which a resolved plan cannot have.
    """
    rank = {target: index for index, target in enumerate(draft.targets)}

    def reading_order(step: Step) -> tuple[int, int, int]:
        match step:
            case BootstrapNode():
                return (0, 0, 0)
            case BuildPiece() | JoinArchives() | CheckPiece() | Publish() | Verify():
                return (1, rank.get(step.target, -1), _order_within_target(step))
            case _:
                assert_never(step)

    import networkx as nx  # noqa: PLC0415 - see import_networkx

    place = {step: index for index, step in enumerate(sorted(draft.graph, key=reading_order))}
    return tuple(nx.lexicographical_topological_sort(draft.graph, key=place.__getitem__))


def _order_within_target(step: BuildPiece | JoinArchives | CheckPiece | Publish | Verify) -> int:
    match step:
        case BuildPiece():
            return 0
        case JoinArchives():
            return 1
        case CheckPiece():
            return 2
        case Publish():
            return 3
        case Verify():
            return 4
        case _:
            assert_never(step)
