"""The build graph: a DAG of steps, made by small transforms and validated once. The only user of networkx."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

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
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import networkx as nx

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildGraph:
    """Steps in an order in which they can run, and what must come before each.

    Which of its equal nodes builds a piece is decided when it is ready. What only has to come before it there, shared
    pieces and a bootstrap, happens on the nodes that are used: once on each, and on no other. Of the bootstraps only
    that of a piece's preferred node stands before it.
    """

    targets: tuple[Target, ...]
    steps: tuple[Step, ...]
    before: Mapping[Step, tuple[Step, ...]]
    after: Mapping[Step, tuple[Step, ...]]


def with_dependencies(targets: Iterable[Target]) -> tuple[Target, ...]:
    """`targets` and all that must be wholly done before, each after what it waits for.

    Linked targets do not appear by themselves, since they are built within, but what they need does.
    """
    found: dict[Target, None] = {}
    stack: list[tuple[Target, Iterator[Target]]] = []
    for root in targets:
        stack.append((root, iter(_prerequisites(root))))
        while stack:
            _target, rest = stack[-1]
            following = next((each for each in rest if each not in found), None)
            if following is None:
                found.setdefault(stack.pop()[0])
            else:
                stack.append((following, iter(_prerequisites(following))))
    return tuple(found)


def _prerequisites(target: Target) -> tuple[Target, ...]:
    """What must be wholly done before `target` can be built: what it needs, and what those built within it need."""
    return tuple(dict.fromkeys(need for each in (target, *linked_targets(target)) for need in each.needs))


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What a run is to build: targets with all that they need, in order.

    `only` holds the platforms of those that are not to be built in all of theirs. `together` says that no tag moves
    before all of them are built.
    """

    targets: tuple[Target, ...]
    only: Mapping[Target, tuple[Platform, ...]]
    warnings: tuple[str, ...] = ()
    together: bool = False


def select_with_dependencies(chosen: Sequence[Target], platforms: Sequence[Platform] = ()) -> Selection:
    """`chosen` and all that they need; with `platforms`, `chosen` in these only.

    What they need or link to stays whole.
    """
    only = dict.fromkeys(chosen, tuple(platforms)) if platforms else {}
    partial = {target: [each for each in target.platforms if each not in platforms] for target in only if target.push}
    warnings = (_partial(target, left_out) for target, left_out in partial.items() if left_out)
    return Selection(targets=with_dependencies(chosen), only=only, warnings=tuple(warnings))


def _partial(target: Target, left_out: Sequence[Platform]) -> str:
    names, tags = ", ".join(map(str, left_out)), ", ".join(target.tags)
    return f"{target.name}: --platform leaves out {names}: {tags} will be without (or: --no-push)"


def import_networkx() -> None:
    """Import networkx, which takes a tenth of a second: a run calls this in a thread while it waits for docker."""
    importlib.import_module("networkx")


def build_graph(
    targets: Sequence[Target], pieces: Mapping[Target, Sequence[BuildPiece]], *, together: bool = False
) -> BuildGraph:
    """The graph of a run. `targets` as `needed` gives them; `pieces` holds the placement of each.

    With `together`, no tag moves before every target is built and has passed its checks.
    """
    import networkx as nx  # noqa: PLC0415 - see import_networkx

    draft = _Draft(
        targets=tuple(targets),
        pieces=pieces,
        graph=nx.DiGraph(),
        joins={},
        checks={},
        publishes={},
        verifies={},
        together=together,
    )
    for transform in _TRANSFORMS:
        transform(draft)
    order = _order(draft)
    return BuildGraph(
        targets=draft.targets,
        steps=order,
        before={step: tuple(draft.graph.predecessors(step)) for step in order},
        after={step: tuple(draft.graph.successors(step)) for step in order},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """The graph while it is being made. Nodes are steps; an edge means "must happen after"."""

    targets: tuple[Target, ...]
    pieces: Mapping[Target, Sequence[BuildPiece]]
    graph: nx.DiGraph[Step]
    joins: dict[Target, JoinArchives]
    checks: dict[Target, list[CheckPiece]]
    publishes: dict[Target, Publish]
    verifies: dict[Target, Verify]
    together: bool

    def build_pieces(self) -> list[BuildPiece]:
        return [step for step in self.graph if isinstance(step, BuildPiece)]

    def last_steps(self, target: Target) -> Sequence[Step]:
        """What has to be over for `target` to be wholly done."""
        return [self.verifies[target]] if target in self.verifies else self.finished(target)

    def finished(self, target: Target) -> list[Step]:
        """What has to be over for `target` to be built, and to have passed its checks."""
        join = [self.joins[target]] if target in self.joins else []
        return [*self.pieces[target], *join, *self.checks.get(target, ())]


def _add_pieces(draft: _Draft) -> None:
    for target in draft.targets:
        draft.graph.add_nodes_from(draft.pieces[target])


def _pool(piece: BuildPiece) -> frozenset[str]:
    """What tells its set of equal nodes from others, whichever of them it prefers."""
    return frozenset(node.id for node in piece.nodes)


def _add_shared_links(draft: _Draft) -> None:
    """A target that several pieces link to is built before them, once on each node: none of them builds it again.

    Where it has a piece of its own for those nodes, they wait for that; it is built again on the nodes where it was
    not, if there are any.
    """
    users: dict[tuple[Target, frozenset[str], tuple[int, ...]], dict[BuildPiece, list[PlacedPlatform]]] = {}
    for piece in draft.build_pieces():
        pool = _pool(piece)
        for target, placed in _links(piece):
            key = (target, pool, variant_key(target, [each.platform for each in placed]))
            users.setdefault(key, {})[piece] = placed
    for (target, pool, _), pieces in users.items():
        own = [piece for piece in draft.pieces.get(target, ()) if _pool(piece) == pool]
        draft.graph.add_edges_from((each, piece) for each in own for piece in pieces)
        if len(pieces) > 1 and not (own and len(pool) == 1):
            every = [each for placed in pieces.values() for each in placed]
            known = {each.platform: each for each in every if each.how is not Execution.UNKNOWN}
            platforms = tuple(dict.fromkeys(known.get(each.platform, each) for each in every))
            nodes = next(iter(pieces)).nodes
            spare = tuple(dict.fromkeys(node for each in pieces for node in each.spare))
            shared = BuildPiece(target=target, nodes=nodes, platforms=platforms, shared=True, spare=spare)
            draft.graph.add_edges_from((each, shared) for each in own)
            draft.graph.add_edges_from((shared, piece) for piece in pieces)
    _order_shared_links(draft)


def _links(piece: BuildPiece) -> Iterator[tuple[Target, list[PlacedPlatform]]]:
    """The targets that are built within a piece, and how; what differs from platform to platform several times."""
    how = {each.platform: each.how for each in piece.platforms}
    for target, wanted in linked_platforms(piece.target, tuple(how)).items():
        for platforms in grouped_by_variant(target, wanted):
            yield target, [PlacedPlatform(platform=each, how=how.get(each, Execution.UNKNOWN)) for each in platforms]


def _order_shared_links(draft: _Draft) -> None:
    """What a shared piece links to is built before it where it has a piece for those nodes, shared or its own."""
    pieces = draft.build_pieces()
    at: dict[tuple[Target, frozenset[str]], list[BuildPiece]] = {}
    for piece in pieces:
        at.setdefault((piece.target, _pool(piece)), []).append(piece)
    for piece in pieces:
        for target in linked_targets(piece.target) if piece.shared else ():
            draft.graph.add_edges_from((each, piece) for each in at.get((target, _pool(piece)), ()))


def _add_bootstraps(draft: _Draft) -> None:
    """Only nodes that may be used, each before the pieces that prefer it."""
    pieces = draft.build_pieces()
    nodes = {id(piece.nodes): piece.nodes for piece in pieces}.values()
    bootstraps = {node.id: BootstrapNode(node=node) for equal in nodes for node in equal}
    draft.graph.add_nodes_from(bootstraps.values())
    draft.graph.add_edges_from((bootstraps[piece.node.id], piece) for piece in pieces)


def _add_joins(draft: _Draft) -> None:
    """Archives of an OCI layout hold all that was built, in however many pieces."""
    for target in draft.targets:
        pieces = draft.pieces[target]
        if len(pieces) > 1 and archives(target):
            join = draft.joins[target] = JoinArchives(target=target)
            draft.graph.add_edges_from((piece, join) for piece in pieces)


def _add_checks(draft: _Draft) -> None:
    """Each check of a target once for each piece that it is for."""
    for target in draft.targets:
        found = [each for piece in draft.pieces[target] for each in _checks(piece)]
        draft.graph.add_edges_from((check.piece, check) for check in found)
        draft.checks[target] = found


def _checks(piece: BuildPiece) -> Iterator[CheckPiece]:
    built = tuple(each.platform for each in piece.platforms)
    for number, check in enumerate(piece.target.checks, 1):
        platforms = tuple(each for each in built if not check.platforms or each in check.platforms)
        if platforms or not built:
            yield CheckPiece(piece=piece, check=check, number=number, platforms=platforms)


def _add_publishing(draft: _Draft) -> None:
    order = _publishing_order(draft)
    for target in draft.targets:
        pieces = draft.pieces[target]
        if not target.push:
            continue
        publish = draft.publishes[target] = Publish(target=target, order=order)
        verify = draft.verifies[target] = Verify(target=target, platforms=_planned(pieces))
        draft.graph.add_edges_from((end, publish) for end in draft.finished(target))
        draft.graph.add_edge(publish, verify)


def _add_together(draft: _Draft) -> None:
    """Tags move one target after another, once all targets are finished."""
    chain = [draft.publishes[target] for target in _publishing_order(draft)]
    if chain:
        draft.graph.add_edges_from((end, chain[0]) for target in draft.targets for end in draft.finished(target))
        draft.graph.add_edges_from(pairwise(chain))


def _publishing_order(draft: _Draft) -> tuple[Target, ...]:
    """The pushing targets of a run whose tags move together, each after those that it links to."""
    if not draft.together:
        return ()
    place = {target: index for index, target in enumerate(draft.targets) if target.push}
    import networkx as nx  # noqa: PLC0415 - see import_networkx

    graph: nx.DiGraph[Target] = nx.DiGraph()
    graph.add_nodes_from(place)
    graph.add_edges_from((link, target) for target in place for link in linked_targets(target) if link in place)
    return tuple(nx.lexicographical_topological_sort(graph, key=place.__getitem__))


def _planned(pieces: Iterable[BuildPiece]) -> tuple[Platform, ...]:
    return tuple(placed.platform for piece in pieces for placed in piece.platforms)


def _add_needs(draft: _Draft) -> None:
    """A piece starts when all that it needs is wholly done, verification included."""
    for piece in draft.build_pieces():
        for need in _prerequisites(piece.target):
            draft.graph.add_edges_from((end, piece) for end in draft.last_steps(need))


_TRANSFORMS: tuple[Callable[[_Draft], None], ...] = (
    _add_pieces,
    _add_shared_links,
    _add_bootstraps,
    _add_joins,
    _add_checks,
    _add_publishing,
    _add_together,
    _add_needs,
)


def _order(draft: _Draft) -> tuple[Step, ...]:
    """Topological; ties are broken as a reviewer reads: nodes first, then target by target in the plan's order.

    Raises networkx.NetworkXUnfeasible on a cycle, which resolving has made impossible.
    """
    rank = {target: index for index, target in enumerate(draft.targets)}
    kinds = (BuildPiece, JoinArchives, CheckPiece, Publish, Verify)

    def reading_order(step: Step) -> tuple[int, int, int]:
        if isinstance(step, BootstrapNode):
            return (0, 0, 0)
        return (1, rank.get(step.target, -1), kinds.index(type(step)))

    import networkx as nx  # noqa: PLC0415 - see import_networkx

    place = {step: index for index, step in enumerate(sorted(draft.graph, key=reading_order))}
    return tuple(nx.lexicographical_topological_sort(draft.graph, key=place.__getitem__))
