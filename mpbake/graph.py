"""The build graph: a DAG of steps, made by small transforms and validated once. The only user of networkx."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import networkx as nx

from mpbake.placement import alike, linked_platforms, side
from mpbake.steps import BootstrapNode, BuildPiece, Delivery, How, Placed, Publish, Step, Verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.plan import Target
    from mpbake.platforms import Platform


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

    def of(self, target: Target) -> tuple[Step, ...]:
        """The steps that build and publish `target`, without those that only serve its links."""
        return tuple(step for step in self.steps if not isinstance(step, BootstrapNode) and step.target is target)


def needed(targets: Iterable[Target]) -> tuple[Target, ...]:
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


def linked(target: Target) -> tuple[Target, ...]:
    """Every target that is built within `target`, nearest first."""
    found: dict[Target, None] = {}
    queue = list(target.every_link)
    for each in queue:
        if each not in found:
            found[each] = None
            queue += each.every_link
    return tuple(found)


def _prerequisites(target: Target) -> tuple[Target, ...]:
    """What must be wholly done before `target` can be built: what it needs, and what those built within it need."""
    return tuple(dict.fromkeys(need for each in (target, *linked(target)) for need in each.needs))


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What a run is to build: targets with all that they need, in order.

    `only` holds the platforms of those that are not to be built in all of theirs.
    """

    targets: tuple[Target, ...]
    only: Mapping[Target, tuple[Platform, ...]]
    warnings: tuple[str, ...] = ()


def selection(chosen: Sequence[Target], platforms: Sequence[Platform] = ()) -> Selection:
    """`chosen` and all that they need; with `platforms`, `chosen` in these only.

    What they need or link to stays whole.
    """
    only = dict.fromkeys(chosen, tuple(platforms)) if platforms else {}
    partial = {target: [each for each in target.platforms if each not in platforms] for target in only if target.push}
    warnings = (_partial(target, left_out) for target, left_out in partial.items() if left_out)
    return Selection(targets=needed(chosen), only=only, warnings=tuple(warnings))


def _partial(target: Target, left_out: Sequence[Platform]) -> str:
    names, tags = ", ".join(map(str, left_out)), ", ".join(target.tags)
    return f"{target.name}: --platform leaves out {names}: {tags} will be without (or: --no-push)"


def build_graph(targets: Sequence[Target], pieces: Mapping[Target, Sequence[BuildPiece]]) -> BuildGraph:
    """The graph of a run. `targets` as `needed` gives them; `pieces` holds the placement of each."""
    draft = _Draft(targets=tuple(targets), pieces=pieces, graph=nx.DiGraph(), verifies={})
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
    verifies: dict[Target, Verify]

    def build_pieces(self) -> list[BuildPiece]:
        return [step for step in self.graph if isinstance(step, BuildPiece)]

    def last_steps(self, target: Target) -> Sequence[Step]:
        """What has to be over for `target` to be wholly done."""
        return [self.verifies[target]] if target in self.verifies else self.pieces[target]


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
    users: dict[tuple[Target, frozenset[str], tuple[int, ...]], dict[BuildPiece, list[Placed]]] = {}
    for piece in draft.build_pieces():
        for target, placed in _links(piece):
            key = (target, _pool(piece), side(target, [each.platform for each in placed]))
            users.setdefault(key, {})[piece] = placed
    for (target, pool, _), pieces in users.items():
        own = [piece for piece in draft.pieces.get(target, ()) if _pool(piece) == pool]
        draft.graph.add_edges_from((each, piece) for each in own for piece in pieces)
        if len(pieces) > 1 and not (own and len(pool) == 1):
            platforms = tuple(dict.fromkeys(each for placed in pieces.values() for each in placed))
            shared = BuildPiece(target=target, nodes=next(iter(pieces)).nodes, platforms=platforms, shared=True)
            draft.graph.add_edges_from((each, shared) for each in own)
            draft.graph.add_edges_from((shared, piece) for piece in pieces)
    _order_shared_links(draft)


def _links(piece: BuildPiece) -> Iterator[tuple[Target, list[Placed]]]:
    """The targets that are built within a piece, and how; what differs from platform to platform several times."""
    how = {each.platform: each.how for each in piece.platforms}
    for target, wanted in linked_platforms(piece.target, tuple(how)).items():
        for platforms in alike(target, wanted):
            yield target, [Placed(platform=each, how=how.get(each, How.UNKNOWN)) for each in platforms]


def _order_shared_links(draft: _Draft) -> None:
    """What a shared piece links to is built before it where it has a piece for those nodes, shared or its own."""
    pieces = draft.build_pieces()
    at: dict[tuple[Target, frozenset[str]], list[BuildPiece]] = {}
    for piece in pieces:
        at.setdefault((piece.target, _pool(piece)), []).append(piece)
    for piece in pieces:
        for target in linked(piece.target) if piece.shared else ():
            draft.graph.add_edges_from((each, piece) for each in at.get((target, _pool(piece)), ()))


def _add_bootstraps(draft: _Draft) -> None:
    """Only nodes that may be used, each before the pieces that prefer it."""
    pieces = draft.build_pieces()
    nodes = {id(piece.nodes): piece.nodes for piece in pieces}.values()
    bootstraps = {node.id: BootstrapNode(node=node) for equal in nodes for node in equal}
    draft.graph.add_nodes_from(bootstraps.values())
    draft.graph.add_edges_from((bootstraps[piece.node.id], piece) for piece in pieces)


def _add_publishing(draft: _Draft) -> None:
    for target in draft.targets:
        pieces = draft.pieces[target]
        if not target.push:
            continue
        ends: Sequence[Step] = pieces
        if any(piece.delivery is Delivery.UNTAGGED for piece in pieces):
            publish = Publish(target=target)
            draft.graph.add_edges_from((piece, publish) for piece in pieces)
            ends = [publish]
        verify = draft.verifies[target] = Verify(target=target, platforms=_planned(pieces))
        draft.graph.add_edges_from((end, verify) for end in ends)


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
    _add_publishing,
    _add_needs,
)


def _order(draft: _Draft) -> tuple[Step, ...]:
    """Topological; ties are broken as a reviewer reads: nodes first, then target by target in the plan's order.

    Raises networkx.NetworkXUnfeasible on a cycle, which resolving has made impossible.
    """
    rank = {target: index for index, target in enumerate(draft.targets)}
    kinds = (BuildPiece, Publish, Verify)

    def reading_order(step: Step) -> tuple[int, int, int]:
        if isinstance(step, BootstrapNode):
            return (0, 0, 0)
        return (1, rank.get(step.target, -1), kinds.index(type(step)))

    place = {step: index for index, step in enumerate(sorted(draft.graph, key=reading_order))}
    return tuple(nx.lexicographical_topological_sort(draft.graph, key=place.__getitem__))
