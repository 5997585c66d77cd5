"""A plan as text for people who review it: deterministic, aligned, safe to print. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import columns, count, join_shared, one_line, shortened
from mpbake.base.toml_text import toml_value
from mpbake.graph.delivery import archives, possible_upload_tags
from mpbake.graph.links import linked_platforms, linked_targets
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    Delivery,
    Execution,
    JoinArchives,
    Publish,
    Verify,
    platform_list,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Check, Node, Plan, Target, Variable
    from mpbake.model.steps import Step

_AUTOMATIC = "the engine's own builder, or a local docker-container: decided at run"


def plan_text(graph: BuildGraph, warnings: Sequence[str] = ()) -> str:
    """Every step of a run in the order in which they can happen, and the nodes that they use."""
    nodes = [step.node for step in graph.steps if isinstance(step, BootstrapNode)]
    lines = [
        f"plan: {count(len(graph.targets), 'target')}, {count(len(nodes), 'node')}, {count(len(graph.steps), 'step')}",
        "",
        "nodes",
        *columns([_node_row(node) for node in nodes], indent="  "),
        "",
        "steps",
        *columns([row for number, step in enumerate(graph.steps, 1) for row in _step_rows(number, step)], indent="  "),
    ]
    if warnings:
        names = {target.name for target in (*graph.targets, *linked_targets(*graph.targets))}
        lines += ["", *(f"warning: {one_line(each)}" for each in join_shared(warnings, names))]
    return "\n".join(lines) + "\n"


def _node_row(node: Node) -> list[str]:
    if node.driver.rules.is_automatic:
        return [node.id, _AUTOMATIC, "", ""]
    platforms = ", ".join(map(str, node.platforms)) or "platforms: what the node reports"
    return [node.id, str(node.driver), one_line(node.endpoint) or "the engine in use", platforms]


def _step_rows(number: int, step: Step) -> list[list[str]]:
    """One row for a step; further tags, outputs and notes stand in rows of their own below it."""
    first, *rest = _details(step)
    rows = [[f"{number:>3}", step_verb(step), step_subject(step), first]]
    return rows + [["", "", "", each] for each in rest]


def step_verb(step: Step) -> str:
    """What a step does, in one word."""
    match step:
        case BootstrapNode():
            return "bootstrap"
        case BuildPiece():
            return "build"
        case JoinArchives():
            return "join"
        case CheckPiece():
            return "check"
        case Publish():
            return "publish"
        case Verify():
            return "verify"
        case _:
            assert_never(step)


def step_subject(step: Step) -> str:
    """What a step does it to."""
    return step.node.id if isinstance(step, BootstrapNode) else step.target.name


def _details(step: Step) -> list[str]:
    match step:
        case BootstrapNode():
            return [_bootstrap(step.node)]
        case BuildPiece():
            return _piece_details(step)
        case JoinArchives():
            return [f"output {one_line(each)}" for each in archives(step.target)]
        case CheckPiece():
            return [f"{_in(step)}: {check_text(step.check)}"]
        case Publish():
            together = ["when every target of the run is built and checked"] if step.order else []
            return [*(f"tag {tag}" for tag in step.target.tags), *together]
        case Verify():
            platforms = count(len(step.platforms), "platform") if step.platforms else "its platform"
            return [f"{platforms}, {count(len(step.target.tags), 'tag')}, one digest"]
        case _:
            assert_never(step)


def _bootstrap(node: Node) -> str:
    """What is done to have a node that answers: mpbake makes some, others are only asked."""
    rules = node.driver.rules
    return rules.external_start_text if node.external else rules.start_text


def check_text(check: Check) -> str:
    """What a check does: the command as one would type it, or the stage."""
    return one_line(shlex.join(check.run)) if check.run else f"stage {one_line(check.target)}"


def _in(step: CheckPiece) -> str:
    return ", ".join(map(str, step.platforms)) or "the node's own platform"


def _piece_details(piece: BuildPiece) -> list[str]:
    lines = [f"{_placed(piece)} on {_where(piece)}"]
    if piece.spare:
        spare = " or ".join(node.id for node in piece.spare)
        lines.append(f"or EMULATED on {spare}, if it can, when that is done sooner")
    platforms = [each.platform for each in piece.platforms]
    links = [_linked(link, own, platforms) for link, own in linked_platforms(piece.target, platforms).items()]
    if links:
        lines.append(f"with {', '.join(links)} (linked)")
    if piece.shared:
        cache = "the cache of each node that is used" if len(piece.nodes) > 1 else "the node's cache"
        return [*lines, f"into {cache}, for those who link to it"]
    return [*lines, *_results(piece)]


def _linked(link: Target, own: Sequence[Platform], platforms: Sequence[Platform]) -> str:
    """Its name, and what it is built for where that is something else."""
    return link.name if set(own) <= set(platforms) else f"{link.name} for {', '.join(map(str, own))}"


def _where(piece: BuildPiece) -> str:
    """The equal nodes; which of them builds the piece is decided when it is ready."""
    first, *others = (node.id for node in piece.nodes)
    return " or ".join([f"{first} (preferred)", *others]) if others else first


def _placed(piece: BuildPiece) -> str:
    if not piece.platforms:
        return "the node's own platform"
    ways = {each.how for each in piece.platforms}
    if len(ways) == 1:
        return f"{platform_list(piece).replace(',', ', ')} {_way(ways.pop())}"
    return ", ".join(f"{each.platform} {_way(each.how)}" for each in piece.platforms)


def _way(how: Execution) -> str:
    match how:
        case Execution.NATIVE:
            return "native"
        case Execution.EMULATED:
            return "EMULATED"
        case Execution.UNKNOWN:
            return "(native or emulated: not known yet)"


def _results(piece: BuildPiece) -> list[str]:
    target = piece.target
    lines = []
    if piece.delivery is Delivery.UNTAGGED:
        lines += _pushes(piece)
    if target.load:
        lines.append(_load(piece))
    joined = archives(target) if piece.of > 1 else ()
    lines += [f"output {one_line(each)}{' (a part)' if each in joined else ''}" for each in target.outputs]
    return lines or ["no output: stays in the build cache (push, load or output would keep it)"]


def _pushes(piece: BuildPiece) -> list[str]:
    """How a build pushes: an engine's own builder, which builds whole targets only, cannot push without a tag."""
    uploads = possible_upload_tags(piece.target) if piece.of == 1 else []
    if piece.target.builder.driver.rules.is_engine:
        return [f"push as {each}" for each in uploads]
    return [
        "push by digest, without a tag",
        *(f"or push as {each}, if the engine's own builder builds it" for each in uploads),
    ]


def _load(piece: BuildPiece) -> str:
    if piece.of > 1:
        return "load into the engine in use, if it is of this platform"
    several = ": all platforms, or its own where it holds one at a time" if len(piece.platforms) > 1 else ""
    return f"load into the engine in use{several}"


def list_text(plan: Plan) -> str:
    """Groups and targets with what they are, and variables with what gives them their values."""
    groups = [
        [f"{group.name}", _first_line(group.description) or _names(group.targets)] for group in plan.groups.values()
    ]
    targets = [[target.name, _about(target)] for target in plan.targets.values()]
    lines = []
    if groups:
        lines += ["groups", *columns(groups, indent="  "), ""]
    lines += ["targets", *columns(targets, indent="  ")] if targets else ["no targets"]
    if plan.variables:
        rows = [row for each in plan.variables for row in _variable_rows(each)]
        lines += ["", "variables", *(shortened(line, _WIDTH) for line in columns(rows, indent="  "))]
    return "\n".join(lines) + "\n"


_WIDTH = 80


def _variable_rows(variable: Variable) -> list[list[str]]:
    """What a variable is for, if the plan says so, and below it what gives its value, whatever that is now."""
    described = [text] if (text := _first_line(variable.description)) else []
    names = [variable.name] + [""] * len(described)
    return [list(row) for row in zip(names, [*described, _source(variable)], strict=True)]


def _source(variable: Variable) -> str:
    given = f"{one_line(variable.env)} or --var" if variable.env else "--var"
    if variable.sensitive:
        return f"sensitive: from {given}"
    if variable.default is None:
        return f"no default: from {given}"
    default = one_line(toml_value(variable.default))
    return f"{default}, or from {one_line(variable.env)}" if variable.env else default


def _names(targets: Sequence[Target]) -> str:
    return ", ".join(target.name for target in targets)


def _about(target: Target) -> str:
    platforms = ", ".join(map(str, target.platforms)) or "the node's own platform"
    return _first_line(target.description) or f"{platforms} on {target.builder.name}"


def _first_line(text: str) -> str:
    return one_line(text.strip().partition("\n")[0])
