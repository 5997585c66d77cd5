"""Problems and warnings of placements. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.references import is_loopback, parse_fields, parse_reference
from mpbake.base.text import one_line
from mpbake.graph.links import link_platforms, linked_platforms, links_in
from mpbake.graph.node_facts import declaration_conflicts, declares, is_unreachable, reported_platforms
from mpbake.model.bake_fields import deletes
from mpbake.model.drivers.rules import Ability
from mpbake.model.plan import Emulation
from mpbake.model.steps import Execution
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Builder, Node, Target
    from mpbake.model.steps import BuildPiece

_ONE_FILE_OUTPUTS = ("tar", "docker")
"""Types of outputs that write one file."""


def _problem_of_target(code: Code, target: Target, path: KeyPath, message: str, hint: str = "") -> Problem:
    return Problem(code=code, key=target.source_key(path), message=f"{target.name}: {message}", hint=hint)


# --- platforms that no node may build ---------------------------------------------------------------------------------


def unplaceable(
    target: Target, platform: Platform, execution: Execution | None, facts: Mapping[str, NodeFacts]
) -> Problem | None:
    """Return a problem if no node may build `platform`. `execution` is how the best nodes build it, or None."""
    if execution is None:
        return _no_node(target, platform, facts)
    if target.builder.emulation is not Emulation.FORBID:
        return None
    emulated = execution is Execution.EMULATED or _is_undeclared(target.builder, platform)
    return _forbidden(target, platform, facts) if emulated else None


def _no_node(target: Target, platform: Platform, facts: Mapping[str, NodeFacts]) -> Problem:
    builder = target.builder
    hint = "add a node for it, remove the platform, or install an emulator: `mpbake doctor` prints the command"
    if builder.emulators:
        hint = f"install the emulators that the plan asks for: mpbake builders up {builder.name}"
    message = f'no node of builder "{builder.name}" builds {platform} ({_platforms_by_node(builder, facts)})'
    return replace(_problem_of_target(Code.NO_NODE, target, ("platforms",), message, hint), culprit=str(platform))


def _forbidden(target: Target, platform: Platform, facts: Mapping[str, NodeFacts]) -> Problem:
    builder = target.builder
    message = f'builder "{builder.name}" forbids emulation, and has no native node for {platform}'
    hint = 'add a native node, or set emulation = "warn"'
    if _is_undeclared(builder, platform):
        hint = 'add a native node, add the platform to a node that runs it natively, or set emulation = "warn"'
    hint += f" (nodes: {_platforms_by_node(builder, facts)})"
    return replace(
        _problem_of_target(Code.EMULATION_FORBIDDEN, target, ("platforms",), message, hint), culprit=str(platform)
    )


def _is_undeclared(builder: Builder, platform: Platform) -> bool:
    """Whether every node declares its platforms, but none declares `platform`. Such nodes need no probe."""
    return all(node.platforms and not declares(node, platform) for node in builder.nodes)


def _platforms_by_node(builder: Builder, facts: Mapping[str, NodeFacts]) -> str:
    def known(node: Node) -> str:
        unknown = "does not answer" if is_unreachable(node, facts) else "not known"
        return ", ".join(map(str, node.platforms or reported_platforms(node, facts))) or unknown

    return "; ".join(f"{node.name}: {known(node)}" for node in builder.nodes)


def missing_link_platforms(target: Target, wanted: Sequence[Platform]) -> Iterator[Problem]:
    """Yield a problem for each link, also of linked targets, whose target lacks a platform that `wanted` needs."""
    if not _may_lack_platforms(target, wanted):
        return
    for user, platforms in {target: tuple(wanted), **linked_platforms(target, wanted)}.items():
        for context, link, needed in links_in(user, platforms):
            missing = [platform for platform in needed if not link_platforms(link, (platform,))]
            if missing:
                names = ", ".join(map(str, missing))
                message = f'links to "{link.name}" (context {context}), which is not built for {names}'
                hint = f"add the platform to {link.name}"
                yield _problem_of_target(Code.LINK_LACKS_PLATFORM, user, ("contexts", context), message, hint)


def _may_lack_platforms(target: Target, wanted: Sequence[Platform]) -> bool:
    """Whether a linked target might lack a platform.

    If all linked targets with several platforms declare the same platforms, no walk through the links is necessary. A
    target that declares at most one platform serves all platforms.
    """
    needed = {*wanted, *(platform for declared in target.platforms_of_links for platform in declared)}
    return any(len(declared) > 1 and not needed <= {*declared} for declared in target.platforms_of_links)


# --- pieces -----------------------------------------------------------------------------------------------------------


def declaration_conflicts_of(pieces: Iterable[BuildPiece], facts: Mapping[str, NodeFacts]) -> Iterator[Problem]:
    """Yield a problem for each node of `pieces` that declares a platform of a piece but does not run it natively."""
    for piece in pieces:
        target, platforms = piece.target, [placed.platform for placed in piece.platforms]
        is_forbidden = target.builder.emulation is Emulation.FORBID
        for node in piece.nodes:
            if node.id not in facts or not declaration_conflicts(node, platforms, facts[node.id]):
                continue
            (message,) = declaration_conflicts(node, node.platforms, facts[node.id])
            if is_forbidden:
                hint = f'correct the platforms of {node.id}: builder "{node.builder}" forbids emulation'
                yield _problem_of_target(Code.EMULATION_FORBIDDEN, target, ("platforms",), message, hint)
            else:
                yield Problem(code=Code.EMULATED, key=target.source_key(("platforms",)), message=message)


def unsplittable(target: Target, pieces: Sequence[BuildPiece]) -> Iterator[Problem]:
    """Yield the requests of `target` that are impossible if its platforms are built in several `pieces`."""
    if len(pieces) < 2:
        return
    if target.push and target.builder.driver.rules.abilities.parts is Ability.NO:
        message = f"the {target.builder.driver} driver cannot push it, since its platforms {_reason_for_split(pieces)}"
        hint = 'use a builder with driver = "docker-container" or "remote", which can join build pieces'
        yield _problem_of_target(Code.SPLIT_PUSH, target, ("push",), message, hint)
    for output in target.outputs:
        if parse_fields(output).get("type") in _ONE_FILE_OUTPUTS:
            message = f"its output {one_line(output)} is one file, but its platforms {_reason_for_split(pieces)}"
            hint = "use type=local, which writes a folder for each platform, or build one platform with --platform"
            yield _problem_of_target(Code.SPLIT_OUTPUT, target, ("output",), message, hint)
        if deletes(output):
            reason = _reason_for_split(pieces)
            message = f"its output {one_line(output)} would delete other platforms' files: its platforms {reason}"
            hint = "remove mode=delete, or build all platforms on one node"
            yield _problem_of_target(Code.SPLIT_OUTPUT, target, ("output",), message, hint)


def _reason_for_split(pieces: Sequence[BuildPiece]) -> str:
    """Return why the platforms of a target are built in several pieces, as a predicate of "its platforms"."""
    nodes = dict.fromkeys(piece.node.name for piece in pieces)
    return f"are built on several nodes ({', '.join(nodes)})" if len(nodes) > 1 else "differ and are built separately"


def unreachable_registries(target: Target, pieces: Iterable[BuildPiece]) -> Iterator[Problem]:
    """Yield a problem for each registry of this machine to which a node of another machine has to push."""
    names = dict.fromkeys(parse_reference(tag).registry for tag in target.tags if target.push)
    registries = [name for name in names if is_loopback(f"//{name}")]
    if not registries:
        return
    nodes = dict.fromkeys(node for piece in pieces for node in piece.nodes if is_on_other_machine(node))
    for node in nodes:
        for registry in registries:
            meaning = "on the node, that address is the node itself"
            message = f"node {node.id} ({node.endpoint}) cannot push to {registry}: {meaning}"
            hint = "name the registry by an address that both machines reach, or build on a node of this machine"
            problem = _problem_of_target(Code.LOOPBACK_REGISTRY, target, ("tags",), message, hint)
            yield replace(problem, culprit=registry)


def is_on_other_machine(node: Node) -> bool:
    """Whether `node` is surely on another machine. An ssh configuration can map a plain host name to any machine."""
    scheme, _, address = node.endpoint.partition("://")
    host = address.rpartition("@")[2]
    is_address = scheme == "tcp" or (scheme == "ssh" and ("." in host or "[" in host))
    return is_address and not is_loopback(node.endpoint)


# --- warnings ---------------------------------------------------------------------------------------------------------


def checks_that_never_run(target: Target, platforms: Collection[Platform]) -> Iterator[Problem]:
    """Yield a warning for each check that is for none of `platforms`, which are all platforms of the target."""
    for index, check in enumerate(target.checks):
        if check.platforms and not set(check.platforms) & set(platforms):
            names = ", ".join(map(str, check.platforms))
            message = f"this check never runs: the target is not built for {names}"
            hint = "remove `platforms` from the check to run it for every platform of the target"
            yield _problem_of_target(Code.CHECK_NEVER_RUN, target, ("checks", index, "platforms"), message, hint)


def emulated_platforms(target: Target, pieces: Iterable[BuildPiece]) -> Iterator[Problem]:
    """Yield a warning for each piece with emulated platforms, unless the builder allows emulation."""
    if target.builder.emulation is Emulation.ALLOW:
        return
    for piece in pieces:
        emulated = [str(placed.platform) for placed in piece.platforms if placed.execution is Execution.EMULATED]
        if emulated:
            message = f"{', '.join(emulated)} emulated on {piece.node.id}: 5 to 10 times slower than native"
            yield _problem_of_target(Code.EMULATED, target, ("platforms",), message)


def overwritten_caches(target: Target, pieces: Sequence[BuildPiece]) -> Iterator[Problem]:
    """Yield a warning for each exported cache that several `pieces` write."""
    variants = [target.on([placed.platform for placed in piece.platforms]) for piece in pieces]
    writers = Counter(entry for variant in variants for entry in dict.fromkeys(variant.attributes.get("cache-to", ())))
    for entry, count in writers.items():
        if count > 1 and parse_fields(entry).get("type") != "inline":
            message = f"its builds overwrite each other's cache {one_line(entry)}: only the last one stays"
            hint = "give each platform a cache of its own: put {{ platform.slug }} into its name"
            yield replace(_problem_of_target(Code.SHARED_CACHE, target, ("cache-to",), message, hint), culprit=entry)
