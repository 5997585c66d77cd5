"""Why each platform of a target is built where it is, as text for people. Pure: the same rules as `placement`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import columns
from mpbake.graph.placement import (
    cache_group,
    declaration_conflicts,
    declares,
    equal_nodes,
    execution_on,
    is_unreachable,
    own_platform,
)
from mpbake.model.plan import Emulation
from mpbake.model.steps import Execution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.placement import NodeFacts
    from mpbake.model.plan import Node, Target


def explain_placement(target: Target, facts: Mapping[str, NodeFacts], only: Sequence[Platform] = ()) -> str:
    """For each platform of `target`: every node of its builder, whether it builds it, and which was chosen, and why."""
    wanted = tuple(only) or target.platforms or own_platform(target.builder, facts)
    builder = target.builder
    lines = [f"{target.name} on builder {builder.name} ({builder.driver}, emulation: {builder.emulation})"]
    if not wanted:
        first = builder.nodes[0].id
        lines += ["", f"its platform is that of the first node, {first}, which only that can tell"]
    for platform in wanted:
        lines += ["", str(platform), *columns(_rows(target, platform, facts), indent="  ")]
    return "\n".join(lines) + "\n"


def _rows(target: Target, platform: Platform, facts: Mapping[str, NodeFacts]) -> list[list[str]]:
    how, equal = equal_nodes(target, platform, facts)
    rows = []
    for node in target.builder.nodes:
        own = execution_on(node, platform, facts)
        if own is None:
            verdict = "cannot build it"
        elif node in equal:
            verdict = _chosen(target, node, equal)
        else:
            verdict = f"not taken: {equal[0].id} {_better(equal[0], node, platform, (how, own), facts)}"
            helps = target.builder.emulation is Emulation.ALLOW and not is_unreachable(node, facts)
            if helps and how is Execution.NATIVE and own is not Execution.NATIVE:
                verdict += "; helps out if it can emulate and is done sooner"
        rows.append([node.id, _ability(node, platform, facts), verdict])
    return rows


def _ability(node: Node, platform: Platform, facts: Mapping[str, NodeFacts]) -> str:
    """What is known of a node and a platform."""
    if declares(node, platform):
        said = "declares it" if platform in node.platforms else f"declares {_names(node.platforms)}, which includes it"
        known = node.id in facts and declaration_conflicts(node, (platform,), facts[node.id])
        return f"{said}, but is itself {facts[node.id].platforms[0]}" if known else said
    others = f"declares {_names(node.platforms)}" if node.platforms else "declares nothing"
    match execution_on(node, platform, facts):
        case Execution.NATIVE:
            return f"{others}, but is itself {facts[node.id].platforms[0]}" if node.platforms else "runs it natively"
        case Execution.EMULATED:
            return f"is itself {facts[node.id].platforms[0]}, and emulates it"
        case None:
            return f"builds {_names(facts[node.id].platforms)} only"
        case _:
            return f"{others}; {'does not answer' if is_unreachable(node, facts) else 'not asked what it builds'}"


def _chosen(target: Target, node: Node, equal: Sequence[Node]) -> str:
    if len(equal) == 1:
        return "chosen: the best"
    if node is not equal[0]:
        return f"chosen: as good as {equal[0].id}, and takes over when that is busy or lost"
    base = cache_group(target)
    reason = "its cache, by the target's name" if base is target else f'the cache of "{base.name}", which it links to'
    return f"chosen, and preferred for {reason}"


def _better(
    best: Node, node: Node, platform: Platform, ways: tuple[Execution, Execution], facts: Mapping[str, NodeFacts]
) -> str:
    """Why `node` comes after `best`; `ways` are how these two build the platform."""
    how, own = ways
    if own is Execution.UNKNOWN and is_unreachable(node, facts) and not is_unreachable(best, facts):
        return "may answer" if how is Execution.UNKNOWN else "answers"
    if declares(best, platform) and not declares(node, platform):
        return "declares it"
    if how is own:
        return "stands first in the plan, and this one builds other platforms than that"
    return "runs it natively" if how is Execution.NATIVE else "may run it natively"


def _names(platforms: Iterable[Platform]) -> str:
    return ", ".join(map(str, platforms))
