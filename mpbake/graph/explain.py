"""Explain as text why a node is chosen for each platform of a target. Pure; the rules come from `candidates`."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import columns
from mpbake.graph.candidates import cache_group, equal_nodes
from mpbake.graph.node_facts import declaration_conflicts, declares, execution_on, is_unreachable, own_platform
from mpbake.model.plan import Emulation
from mpbake.model.steps import Execution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Node, Target
    from mpbake.model.steps import BuildPiece


def explain_placement(target: Target, facts: Mapping[str, NodeFacts], only: Sequence[Platform] = ()) -> str:
    """Return, for each platform of `target`, the nodes of its builder: abilities, choice, and reasons."""
    wanted = tuple(only) or target.platforms or own_platform(target.builder, facts)
    builder = target.builder
    lines = [f"{target.name} on builder {builder.name} ({builder.driver}, emulation: {builder.emulation})"]
    if not wanted:
        first = builder.nodes[0].id
        lines += ["", f"it is built for the native platform of the first node, {first}, which is not known yet"]
    for platform in wanted:
        lines += ["", str(platform), *columns(_node_rows(target, platform, facts), indent="  ")]
    return "\n".join(lines) + "\n"


def placement_reason(piece: BuildPiece, platform: Platform, facts: Mapping[str, NodeFacts]) -> str:
    """Return why the preferred node of `piece` builds `platform`, such as `release/arm declares it`."""
    node = piece.node
    ability = f"{node.id} {_ability(node, platform, facts)}"
    return f"{ability}; preferred for {_cache_reason(piece.target)}" if len(piece.nodes) > 1 else ability


def _node_rows(target: Target, platform: Platform, facts: Mapping[str, NodeFacts]) -> list[list[str]]:
    _, equal = equal_nodes(target, platform, facts)
    return [
        [node.id, _ability(node, platform, facts), _choice(target, node, platform, equal, facts)]
        for node in target.builder.nodes
    ]


def _ability(node: Node, platform: Platform, facts: Mapping[str, NodeFacts]) -> str:
    """Return, as text, how `node` builds `platform`, as far as known."""
    if declares(node, platform):
        declared = (
            "declares it"
            if platform in node.platforms
            else f"declares {_platform_names(node.platforms)}, which includes it"
        )
        conflicts = node.id in facts and declaration_conflicts(node, (platform,), facts[node.id])
        return f"{declared}, but runs {facts[node.id].platforms[0]} natively" if conflicts else declared
    others = f"declares {_platform_names(node.platforms)}" if node.platforms else "declares nothing"
    execution = execution_on(node, platform, facts)
    match execution:
        case Execution.NATIVE:
            return (
                f"{others}, but runs {facts[node.id].platforms[0]} natively" if node.platforms else "runs it natively"
            )
        case Execution.EMULATED:
            return f"runs {facts[node.id].platforms[0]} natively, and emulates it"
        case None:
            return f"builds {_platform_names(facts[node.id].platforms)} only"
        case Execution.UNKNOWN:
            return f"{others}; {'does not answer' if is_unreachable(node, facts) else 'not probed yet'}"
        case _:
            assert_never(execution)


def _choice(
    target: Target, node: Node, platform: Platform, equal: Sequence[Node], facts: Mapping[str, NodeFacts]
) -> str:
    """Return whether `node` is chosen for `platform`, and why. `equal` are the chosen nodes."""
    execution = execution_on(node, platform, facts)
    if execution is None:
        return "cannot build it"
    if node in equal:
        return _reason_for(target, node, equal)
    choice = f"not chosen: {equal[0].id} {_advantage(equal[0], node, platform, facts)}"
    may_help = target.builder.emulation is Emulation.ALLOW and not is_unreachable(node, facts)
    best_is_native = execution_on(equal[0], platform, facts) is Execution.NATIVE
    if may_help and best_is_native and execution is not Execution.NATIVE:
        choice += "; spare node: builds it if it can emulate and is faster"
    return choice


def _reason_for(target: Target, node: Node, equal: Sequence[Node]) -> str:
    if len(equal) == 1:
        return "chosen: best node"
    if node is not equal[0]:
        return f"chosen: equal to {equal[0].id}, and takes over if that is busy or lost"
    return f"chosen, and preferred for {_cache_reason(target)}"


def _cache_reason(target: Target) -> str:
    base = cache_group(target)
    return "its cache, by the target's name" if base is target else f'the cache of "{base.name}", which it links to'


def _advantage(best: Node, node: Node, platform: Platform, facts: Mapping[str, NodeFacts]) -> str:
    """Return, as a predicate, why `best` is preferred to `node`."""
    best_execution, execution = (execution_on(candidate, platform, facts) for candidate in (best, node))
    if execution is Execution.UNKNOWN and is_unreachable(node, facts) and not is_unreachable(best, facts):
        return "may answer" if best_execution is Execution.UNKNOWN else "answers"
    if declares(best, platform) and not declares(node, platform):
        return "declares it"
    if best_execution is execution:
        return "comes first in the plan, and this node builds other platforms"
    return "runs it natively" if best_execution is Execution.NATIVE else "may run it natively"


def _platform_names(platforms: Iterable[Platform]) -> str:
    return ", ".join(map(str, platforms))
