"""Which platforms of a target are built on which nodes, and why. Pure: what only a node can tell comes in as facts."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from mpbake.base.codes import Code, Severity
from mpbake.base.platforms import can_execute, runs_natively
from mpbake.base.references import is_loopback, parse_fields, parse_reference
from mpbake.base.text import one_line
from mpbake.graph.delivery import delivery_of
from mpbake.graph.links import grouped_by_variant, link_platforms, linked_platforms, links_in, variant_key
from mpbake.model.bake_fields import deletes
from mpbake.model.drivers.rules import Ability
from mpbake.model.plan import CONTAINER_DRIVER, ENGINE_DRIVER, Emulation
from mpbake.model.steps import BuildPiece, Execution, PlacedPlatform
from mpbake.spec.drivers import unsupported_requests
from mpbake.spec.spec import Problem

_ONE_FILE = ("tar", "docker")

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Builder, Driver, Node, Target


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFacts:
    """What a node said of itself. `platforms` is in its own order: the first is what its hardware is.

    `slots` is how many things it builds at once; 0 where it did not say. One that was asked and did not answer is
    `silent`: nothing is known of it but that it cannot be counted on.
    """

    driver: Driver
    platforms: tuple[Platform, ...] = ()
    version: str = ""
    slots: int = 0
    silent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """What an engine said of itself. The classic image store holds one platform of an image at a time.

    `cpus` is 0 where it does not say.
    """

    platform: Platform
    containerd_store: bool
    cpus: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """The pieces of one target, why they cannot be built, and what is to be said of them."""

    pieces: tuple[BuildPiece, ...]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def place(target: Target, facts: Mapping[str, NodeFacts], only: Sequence[Platform] = ()) -> Placement:
    """Give every platform of `target` to the nodes of its builder that build it best.

    A node that declares a platform comes first, then one that runs it natively, then one that emulates it, and last
    one that was asked and does not answer. `facts` maps node ids to what is known; a node that is not in it has not
    been asked. `only`, if given, stands in for the platforms of the target. Platforms for which something else is
    built do not share a piece.
    """
    shares: dict[tuple[tuple[Node, ...], tuple[int, ...]], list[PlacedPlatform]] = {}
    wanted = tuple(only) or target.platforms or own_platform(target.builder, facts)
    problems = [*_unlinkable(target, wanted)]
    if not wanted:  # nor is it known whether a check is for none of them
        piece = _piece(target, target.builder.nodes[:1], [])
        return Placement(pieces=_delivered([piece]), problems=tuple(_unreachable_registries(target, [piece])))
    for platform in wanted:
        how, nodes = equal_nodes(target, platform, facts)
        if not nodes:
            problems.append(_no_node(target, platform, facts))
        elif target.builder.emulation is Emulation.FORBID and (
            how is Execution.EMULATED or _is_undeclared(target.builder, platform)
        ):
            problems.append(_forbidden(target, platform, facts))
        else:
            share = (nodes, variant_key(target, (platform,)))
            shares.setdefault(share, []).append(PlacedPlatform(platform=platform, how=how))
    pieces = tuple(_piece(target, nodes, placed, of=len(shares)) for (nodes, _), placed in shares.items())
    if len(pieces) > 1:
        siblings = tuple(dict.fromkeys(piece.node for piece in pieces))
        pieces = tuple(replace(piece, siblings=siblings) for piece in pieces)
    if target.builder.emulation is Emulation.ALLOW:
        pieces = tuple(replace(piece, spare=_spare(piece, facts)) for piece in pieces)
    pieces = _delivered(pieces)
    warnings = [*_never_run(target, {*target.platforms, *wanted}), *_emulation_warnings(target, pieces)]
    for each in _contradicted(pieces, facts):
        (problems if each.code.severity is Severity.ERROR else warnings).append(each)
    problems += _unreachable_registries(target, pieces)
    if len(pieces) > 1:
        problems += _not_splittable(target, pieces)
        warnings += _overwritten_caches(target, pieces)
    return Placement(pieces=pieces, problems=tuple(problems), warnings=tuple(warnings))


def _spare(piece: BuildPiece, facts: Mapping[str, NodeFacts]) -> tuple[Node, ...]:
    """The nodes that emulate all that `piece` builds natively, or that have not been asked whether they do."""
    ways = {Execution.EMULATED, Execution.UNKNOWN}
    others = [
        node for node in piece.target.builder.nodes if node not in piece.nodes and not is_unreachable(node, facts)
    ]
    if any(each.how is not Execution.NATIVE for each in piece.platforms):
        return ()
    return tuple(
        node for node in others if all(execution_on(node, each.platform, facts) in ways for each in piece.platforms)
    )


def nodes_to_probe(placements: Mapping[Target, Placement]) -> tuple[Node, ...]:
    """The nodes that must be asked before targets can be placed: those of builders that leave something open.

    `placements` are what can be said before anybody was asked.
    """
    found: dict[Node, None] = {}
    for target, placement in placements.items():
        if any(not piece.platforms or _is_open(piece) for piece in placement.pieces):
            found |= dict.fromkeys(target.builder.nodes)
    return tuple(found)


def _is_open(piece: BuildPiece) -> bool:
    return any(each.how is Execution.UNKNOWN for each in piece.platforms)


def own_platform(builder: Builder, facts: Mapping[str, NodeFacts]) -> tuple[Platform, ...]:
    """The native platform of a builder's first node, or nothing while it is not known."""
    first = builder.nodes[0]
    return first.platforms[:1] or (facts[first.id].platforms[:1] if first.id in facts else ())


def execution_on(node: Node, platform: Platform, facts: Mapping[str, NodeFacts]) -> Execution | None:
    """How `node` builds `platform`; None when it cannot. A declaration counts as native."""
    if declares(node, platform):
        return Execution.NATIVE
    known = facts.get(node.id)
    if known is None or known.silent:
        return Execution.UNKNOWN
    if runs_natively(known.platforms, platform):
        return Execution.NATIVE
    return Execution.EMULATED if any(can_execute(each, platform) for each in known.platforms) else None


def is_unreachable(node: Node, facts: Mapping[str, NodeFacts]) -> bool:
    """Whether `node` was asked, and did not answer."""
    return node.id in facts and facts[node.id].silent


def declares(node: Node, platform: Platform) -> bool:
    """Whether the plan says of `node` that it runs `platform`, itself or as part of what it runs."""
    return any(can_execute(declared, platform) for declared in node.platforms)


def equal_nodes(
    target: Target, platform: Platform, facts: Mapping[str, NodeFacts]
) -> tuple[Execution, tuple[Node, ...]]:
    """How `platform` of `target` is built, and the equal nodes that build it best, the preferred first; maybe none."""
    how, nodes = _best_nodes(target.builder, platform, facts)
    return how, _by_preference(target, nodes)


def _best_nodes(builder: Builder, platform: Platform, facts: Mapping[str, NodeFacts]) -> tuple[Execution, list[Node]]:
    """The equal nodes that build `platform` best; none when nobody does."""
    ranked: dict[_Rank, list[tuple[Execution, Node]]] = {}
    for node in builder.nodes:
        how = execution_on(node, platform, facts)
        if how is not None:
            rank = (
                _Rank.DECLARED if declares(node, platform) else _rank(builder, how, silent=is_unreachable(node, facts))
            )
            ranked.setdefault(rank, []).append((how, node))
    if not ranked:
        return Execution.UNKNOWN, []
    best = ranked[min(ranked)]
    how, first = best[0]
    return how, [node for _, node in best if _abilities(node, facts) == _abilities(first, facts)]


class _Rank(IntEnum):
    """The order in which nodes are taken for a platform."""

    DECLARED = 0
    NATIVE = 1
    UNKNOWN = 2
    EMULATED = 3
    SILENT = 4


_RANKS = {Execution.NATIVE: _Rank.NATIVE, Execution.UNKNOWN: _Rank.UNKNOWN, Execution.EMULATED: _Rank.EMULATED}


def _rank(builder: Builder, how: Execution, *, silent: bool) -> _Rank:
    """The rank of a node that does not declare the platform.

    Where emulation is forbidden, a silent node may still be the only one that is allowed to build it.
    """
    if how is Execution.UNKNOWN and silent and builder.emulation is not Emulation.FORBID:
        return _Rank.SILENT
    return _RANKS[how]


def _abilities(node: Node, facts: Mapping[str, NodeFacts]) -> frozenset[Platform]:
    known = facts[node.id].platforms if node.id in facts else ()
    return frozenset(node.platforms or known)


def _by_preference(target: Target, nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Rendezvous hashing: each target has a node of its own choice, and a new node moves few of them.

    Targets that link to a common base choose as it does: its layers are then in one cache.
    """
    base = cache_group(target).name

    def weight(node: Node) -> bytes:
        return hashlib.sha256(f"{base}\0{node.id}".encode()).digest()

    return tuple(sorted(nodes, key=weight)) if len(nodes) > 1 else tuple(nodes)


def cache_group(target: Target) -> Target:
    """What `target` is built upon: the first that it links to, and what that links to, down to the last."""
    while target.links:
        target = next(iter(target.links.values()))
    return target


def _piece(target: Target, nodes: Sequence[Node], placed: Sequence[PlacedPlatform], of: int = 1) -> BuildPiece:
    return BuildPiece(target=target, nodes=tuple(nodes), platforms=tuple(placed), of=of)


def _delivered(pieces: Iterable[BuildPiece]) -> tuple[BuildPiece, ...]:
    """The pieces of a target, each with what is to be done with its image."""
    return tuple(replace(piece, delivery=delivery_of(piece)) for piece in pieces)


def _problem(code: Code, target: Target, path: KeyPath, message: str, hint: str = "") -> Problem:
    """A problem of `target` with what it says at `path`."""
    return Problem(code=code, key=target.where(path), message=f"{target.name}: {message}", hint=hint)


def _never_run(target: Target, platforms: Collection[Platform]) -> Iterable[Problem]:
    """Checks that are for none of the `platforms` of their target, be they built now or not."""
    for index, check in enumerate(target.checks):
        if check.platforms and not set(check.platforms) & set(platforms):
            names = ", ".join(map(str, check.platforms))
            message = f"is not built for {names}: check {index + 1} never runs"
            hint = "a check without platforms is for all of its target's"
            path = ("checks", index, "platforms")
            yield _problem(Code.CHECK_NEVER_RUN, target, path, message, hint)


def _emulation_warnings(target: Target, pieces: Iterable[BuildPiece]) -> Iterable[Problem]:
    if target.builder.emulation is Emulation.ALLOW:
        return
    for piece in pieces:
        emulated = [str(each.platform) for each in piece.platforms if each.how is Execution.EMULATED]
        if emulated:
            message = f"{', '.join(emulated)} emulated on {piece.node.id}: 5 to 10 times slower than native"
            yield _problem(Code.EMULATED, target, ("platforms",), message)


def _contradicted(pieces: Iterable[BuildPiece], facts: Mapping[str, NodeFacts]) -> Iterable[Problem]:
    """What nodes that were asked say against the declarations by which they were chosen."""
    for piece in pieces:
        target, platforms = piece.target, [each.platform for each in piece.platforms]
        is_forbidden = target.builder.emulation is Emulation.FORBID
        for node in piece.nodes:
            if node.id not in facts or not declaration_conflicts(node, platforms, facts[node.id]):
                continue
            (message,) = declaration_conflicts(node, node.platforms, facts[node.id])
            if is_forbidden:
                hint = f'correct the platforms of {node.id}; builder "{node.builder}" says emulation = "forbid"'
                yield _problem(Code.EMULATION_FORBIDDEN, target, ("platforms",), message, hint)
            else:
                yield Problem(code=Code.EMULATED, key=target.where(("platforms",)), message=message)


def _no_node(target: Target, platform: Platform, facts: Mapping[str, NodeFacts]) -> Problem:
    builder = target.builder
    hint = "add a node for it, take the platform away, or have a node emulate it (QEMU, registered with binfmt_misc)"
    message = f'no node of builder "{builder.name}" builds {platform} ({_what_each_builds(builder, facts)})'
    return replace(_problem(Code.NO_NODE, target, ("platforms",), message, hint), culprit=str(platform))


def _forbidden(target: Target, platform: Platform, facts: Mapping[str, NodeFacts]) -> Problem:
    builder = target.builder
    message = (
        f'builder "{builder.name}" forbids emulation, and none of its nodes builds {platform} natively '
        f"({_what_each_builds(builder, facts)})"
    )
    hint = 'add a native node, or set emulation = "warn"'
    if _is_undeclared(builder, platform):
        hint = 'add a native node, or the platform to a node that runs it natively, or set emulation = "warn"'
    return replace(_problem(Code.EMULATION_FORBIDDEN, target, ("platforms",), message, hint), culprit=str(platform))


def _is_undeclared(builder: Builder, platform: Platform) -> bool:
    """Whether every node says what it runs, and none of them says `platform`: what is declared need not be asked."""
    return all(node.platforms and not declares(node, platform) for node in builder.nodes)


def _not_splittable(target: Target, pieces: Sequence[BuildPiece]) -> Iterable[Problem]:
    """What cannot be done with a target whose platforms are not built together."""
    if target.push and target.builder.driver.rules.abilities.parts is Ability.NO:
        message = f"cannot be pushed by the {target.builder.driver} driver, since its platforms {_apart(pieces)}"
        hint = "the engine's own builder cannot join them: use docker-container or remote"
        yield _problem(Code.SPLIT_PUSH, target, ("push",), message, hint)
    for output in target.outputs:
        fields = parse_fields(output)
        if fields.get("type") in _ONE_FILE:
            message = f"its output {one_line(output)} is one file, but its platforms {_apart(pieces)}"
            hint = "use type=local, which writes a folder for each platform, or build one with --platform"
            yield _problem(Code.SPLIT_OUTPUT, target, ("output",), message, hint)
        if deletes(output):
            message = f"its output {one_line(output)} would delete other platforms' files: they {_apart(pieces)}"
            hint = "take mode=delete away, or build all platforms on one node"
            yield _problem(Code.SPLIT_OUTPUT, target, ("output",), message, hint)


def _apart(pieces: Sequence[BuildPiece]) -> str:
    """Why the platforms of a target are not built together."""
    nodes = dict.fromkeys(piece.node.name for piece in pieces)
    return f"are built on several nodes ({', '.join(nodes)})" if len(nodes) > 1 else "differ, and are built one by one"


def _unreachable_registries(target: Target, pieces: Iterable[BuildPiece]) -> Iterable[Problem]:
    """Registries of this machine that a node of another machine is to push to: it would look for them at home."""
    nodes = dict.fromkeys(node for piece in pieces for node in piece.nodes if _is_elsewhere(node))
    registries = dict.fromkeys(parse_reference(tag).registry for tag in target.tags if target.push)
    for node in nodes:
        for registry in registries:
            if is_loopback(f"//{registry}"):
                message = f"node {node.id} ({node.endpoint}) cannot push to {registry}, which is this machine to each"
                hint = "name the registry as both machines know it, or build on a node of this one"
                yield replace(_problem(Code.LOOPBACK_REGISTRY, target, ("tags",), message, hint), culprit=registry)


def _is_elsewhere(node: Node) -> bool:
    """Whether a node is surely on another machine; a plain name after `ssh://` may be any that ssh's settings give."""
    scheme, _, address = node.endpoint.partition("://")
    host = address.rpartition("@")[2]
    named = scheme == "tcp" or (scheme == "ssh" and ("." in host or "[" in host))
    return named and not is_loopback(node.endpoint)


def _overwritten_caches(target: Target, pieces: Iterable[BuildPiece]) -> Iterable[Problem]:
    variants = [target.on([each.platform for each in piece.platforms]) for piece in pieces]
    writers = Counter(entry for each in variants for entry in dict.fromkeys(each.attributes.get("cache-to", ())))
    for entry, times in writers.items():
        if times > 1 and parse_fields(entry).get("type") != "inline":
            message = f"its builds all write the cache {one_line(entry)}; what the last of them wrote stays"
            hint = "give each platform a cache of its own: put {{ platform.slug }} into its name"
            yield replace(_problem(Code.SHARED_CACHE, target, ("cache-to",), message, hint), culprit=entry)


def _what_each_builds(builder: Builder, facts: Mapping[str, NodeFacts]) -> str:
    def known(node: Node) -> str:
        reported = facts[node.id].platforms if node.id in facts else ()
        unknown = "does not answer" if is_unreachable(node, facts) else "not known"
        return ", ".join(str(each) for each in node.platforms or reported) or unknown

    return "; ".join(f"{node.name}: {known(node)}" for node in builder.nodes)


def _unlinkable(target: Target, wanted: Sequence[Platform]) -> Iterable[Problem]:
    """Links, also of linked targets, to those that lack a platform which is needed for `wanted`."""
    if not _may_lack_some(target, wanted):
        return
    for user, platforms in {target: tuple(wanted), **linked_platforms(target, wanted)}.items():
        for context, link, needing in links_in(user, platforms):
            missing = [each for each in needing if not link_platforms(link, (each,))]
            if missing:
                names = ", ".join(map(str, missing))
                message = f'links to "{link.name}" (context {context}), which is not built for {names}'
                hint = f"add the platform to {link.name}"
                yield _problem(Code.LINK_LACKS_PLATFORM, user, ("contexts", context), message, hint)


def _may_lack_some(target: Target, wanted: Sequence[Platform]) -> bool:
    """Whether a link may lack a platform: where all that declare several declare the same, nobody need go through them.

    One that declares none or a single one serves all.
    """
    needed = {*wanted, *(platform for declared in target.declared_within for platform in declared)}
    return any(len(declared) > 1 and not needed <= {*declared} for declared in target.declared_within)


def declaration_conflicts(node: Node, platforms: Iterable[Platform], facts: NodeFacts) -> tuple[str, ...]:
    """What a node's own word says against its declaration: those of `platforms` that it does not run natively."""
    if not node.platforms or not facts.platforms:
        return ()
    declared = [each for each in platforms if declares(node, each)]
    wrong = [each for each in declared if not runs_natively(facts.platforms, each)]
    if not wrong:
        return ()
    emulated = all(any(can_execute(each, platform) for each in facts.platforms) for platform in wrong)
    what = "they are emulated there" if len(wrong) > 1 else "it is emulated there"
    consequence = f"{what}, 5 to 10 times slower" if emulated else "such builds will fail there"
    return (f"{node.id} declares {', '.join(map(str, wrong))} but is itself {facts.platforms[0]}: {consequence}",)


def default_driver(targets: Collection[Target], engine: EngineFacts) -> Driver:
    """The driver of the default builder: the engine's own where it can do all that `targets` ask for.

    With the containerd image store it can; with the classic one it builds one platform at a time, its own, and has no
    cache export and no archive of an OCI layout. With neither can it push parts that are joined later.
    """
    targets = tuple(targets)
    if any(target.push and _is_in_parts(target) for target in targets):
        return CONTAINER_DRIVER
    if engine.containerd_store or all(_is_simple(target, engine.platform) for target in targets):
        return ENGINE_DRIVER
    return CONTAINER_DRIVER


def _is_in_parts(target: Target) -> bool:
    """Whether platforms differ, so that they are built one by one even on one node."""
    return len(grouped_by_variant(target, target.platforms)) > 1


def _is_simple(target: Target, own: Platform) -> bool:
    """Whether an engine with the classic image store, which is itself `own`, can do all that `target` asks for."""
    if target.push and target.outputs:
        return False
    lacking = unsupported_requests(target, target.platforms, ENGINE_DRIVER, containerd_store=False)
    return all(can_execute(own, each) for each in target.platforms) and next(lacking, None) is None
