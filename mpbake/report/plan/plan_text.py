"""A plan as text for reviewers: deterministic, aligned, safe to print. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import abbreviated, columns, count, join_shared, one_line, shortened
from mpbake.graph.delivery import archives, possible_upload_tags
from mpbake.graph.links import linked_platforms
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
    step_subject,
    step_verb,
)
from mpbake.report.plan.probe_rows import change_rows, expected_text, node_rows, path_texts, tag_rows
from mpbake.report.plan.settings import setting_lines, variant_of
from mpbake.review.remarks import remarks_on, variants_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Check, Node, Target
    from mpbake.model.steps import Step
    from mpbake.review.plan_review import PlanReview

_AUTOMATIC = "`docker` or `docker-container` driver, chosen when the run starts"


_MOST_SUBJECTS = 3
_LONGEST_REMARK = 400


def plan_text(review: PlanReview) -> str:
    """Return what is unusual about a run, then its nodes, steps and warnings.

    The steps are in an order in which a run can execute them.
    """
    graph = review.graph
    nodes = graph.nodes
    lines = [
        f"plan: {count(len(graph.targets), 'target')}, {count(len(nodes), 'node')}, {count(len(graph.steps), 'step')}",
        f"plan id: {review.plan_id}",
        *_section("unusual", remark_rows(review.document)),
        *_section("nodes", [_node_row(node) for node in nodes]),
        *_section("nodes now", node_rows(review.document)),
        *_section("to create or correct (`mpbake builders up`)", change_rows(review.document)),
        *_section("steps", list(_every_step(graph, review.document))),
        *_section("linked targets", _linked_rows(graph, review.document)),
        *_section("tags now", tag_rows(review.document)),
        *_expected(review.document),
    ]
    if review.warnings:
        names = {target["name"] for target in review.document["targets"]}
        lines += ["", *(f"warning: {one_line(warning)}" for warning in join_shared(review.warnings, names))]
    return "\n".join(lines) + "\n"


def _section(title: str, rows: Sequence[Sequence[str]]) -> list[str]:
    return ["", title, *columns(rows, indent="  ")] if rows else []


def _expected(document: Mapping[str, Any]) -> list[str]:
    """Return the expected duration and the critical path, if earlier runs are recorded."""
    text = expected_text(document)
    return (
        ["", f"expected time: {text}", "critical path", *(f"  {step}" for step in path_texts(document))] if text else []
    )


def remark_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each remark on a plan document: its kind, its subjects, and its text."""
    return [
        [
            remark.kind,
            abbreviated(remark.subjects, most=_MOST_SUBJECTS),
            one_line(shortened(remark.text, _LONGEST_REMARK)),
        ]
        for remark in remarks_on(document)
    ]


def _every_step(graph: BuildGraph, document: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the rows of all steps. The settings of a target are at its first build piece, for each of its variants."""
    targets = {target["name"]: target for target in document["targets"]}
    told: set[int] = set()
    for number, step in enumerate(graph.steps, 1):
        settings: list[str] = []
        if isinstance(step, BuildPiece):
            variant = variant_of(targets[step.target.name], [placed.platform for placed in step.platforms])
            settings = [] if id(variant) in told else setting_lines(variant)
            told.add(id(variant))
        yield from _step_rows(number, step, settings)


def _node_row(node: Node) -> list[str]:
    if node.driver.rules.is_automatic:
        return [node.id, _AUTOMATIC, "", ""]
    platforms = ", ".join(map(str, node.platforms)) or "platforms: what the node reports"
    endpoint = one_line(node.endpoint) or node.driver.rules.endpoint.when_empty
    return [node.id, node.driver_name, endpoint, platforms]


def _linked_rows(graph: BuildGraph, document: Mapping[str, Any]) -> list[list[str]]:
    """Return a row for each target that is built within the steps of other targets only, if it has settings."""
    built = {step.target.name for step in graph.steps if isinstance(step, BuildPiece)}
    linked = [target for target in document["targets"] if target["name"] not in built]
    lines = {
        target["name"]: [line for variant in variants_of(target) for line in setting_lines(variant)]
        for target in linked
    }
    return [[name, "; ".join(dict.fromkeys(own))] for name, own in lines.items() if own]


def _step_rows(number: int, step: Step, settings: Sequence[str]) -> list[list[str]]:
    """Return a row for a step, then a row for each of its settings, further tags, outputs and notes."""
    first, *others = _details(step)
    row = [f"{number:>3}", step_verb(step), step_subject(step), first]
    return [row, *(["", "", "", detail] for detail in (*settings, *others))]


def _details(step: Step) -> list[str]:
    match step:
        case BootstrapNode():
            return [_bootstrap(step.node)]
        case BuildPiece():
            return _piece_details(step)
        case JoinArchives():
            return [f"output {one_line(archive)}" for archive in archives(step.target)]
        case CheckPiece():
            platforms = ", ".join(map(str, step.platforms)) or "the node's own platform"
            return [f"{platforms}: {check_text(step.check)}"]
        case Publish():
            together = ["when every target of the run is built and checked"] if step.order else []
            return [*(f"tag {tag}" for tag in step.target.tags), *together]
        case Verify():
            platforms = count(len(step.platforms), "platform") if step.platforms else "its platform"
            return [f"{platforms}, {count(len(step.target.tags), 'tag')}, one digest"]
        case _:
            assert_never(step)


def _bootstrap(node: Node) -> str:
    """Return how a run bootstraps a node: the run creates the node, or only contacts the node."""
    rules = node.driver.rules
    return rules.external_start_text if node.external else rules.start_text


def check_text(check: Check) -> str:
    """Return the command of a check in shell notation, or the name of its stage."""
    return one_line(shlex.join(check.run)) if check.run else f"stage {one_line(check.target)}"


def _piece_details(piece: BuildPiece) -> list[str]:
    lines = [f"{_executions(piece)} on {_node_names(piece)}"]
    if piece.spare:
        spare = " or ".join(node.id for node in piece.spare)
        lines.append(f"or EMULATED on {spare}, if it can and finishes sooner")
    platforms = [placed.platform for placed in piece.platforms]
    links = [_linked(link, own, platforms) for link, own in linked_platforms(piece.target, platforms).items()]
    if links:
        lines.append(f"with {', '.join(links)} (linked)")
    if piece.shared:
        cache = "the cache of each node that is used" if len(piece.nodes) > 1 else "the node's cache"
        return [*lines, f"into {cache}, for targets that link to it"]
    return [*lines, *_results(piece)]


def _linked(link: Target, own: Sequence[Platform], platforms: Sequence[Platform]) -> str:
    """Return the name of a linked target, followed by its `own` platforms unless `platforms` contains all of them."""
    return link.name if set(own) <= set(platforms) else f"{link.name} for {', '.join(map(str, own))}"


def _node_names(piece: BuildPiece) -> str:
    """Return the names of the equal nodes of a build piece.

    The run chooses one of these nodes when the piece is ready.
    """
    first, *others = (node.id for node in piece.nodes)
    return " or ".join([f"{first} (preferred)", *others]) if others else first


def _executions(piece: BuildPiece) -> str:
    """Return the platforms of a build piece, each marked as native or emulated."""
    if not piece.platforms:
        return "the node's own platform"
    executions = {placed.execution for placed in piece.platforms}
    if len(executions) == 1:
        return f"{platform_list(piece).replace(',', ', ')} {_execution(executions.pop())}"
    return ", ".join(f"{placed.platform} {_execution(placed.execution)}" for placed in piece.platforms)


def _execution(how: Execution) -> str:
    match how:
        case Execution.NATIVE:
            return "native"
        case Execution.EMULATED:
            return "EMULATED"
        case Execution.UNKNOWN:
            return "(native or emulated: not known yet)"
        case _:
            assert_never(how)


def _results(piece: BuildPiece) -> list[str]:
    target = piece.target
    lines = []
    if piece.delivery is Delivery.UNTAGGED:
        lines += _pushes(piece)
    if target.load:
        lines.append(_load(piece))
    joined = archives(target) if piece.piece_count > 1 else ()
    lines += [f"output {one_line(output)}{' (a part)' if output in joined else ''}" for output in target.outputs]
    return lines or ["no output: stays in the build cache (push, load or output would keep it)"]


def _pushes(piece: BuildPiece) -> list[str]:
    """Return how a build piece is pushed.

    A builder with the `docker` driver builds whole targets only, and cannot push without a tag.
    """
    uploads = possible_upload_tags(piece.target) if piece.piece_count == 1 else []
    if piece.target.builder.driver.rules.is_engine:
        return [f"push as {tag}" for tag in uploads]
    return [
        "push by digest, without a tag",
        *(f"or push as {tag}, if the `docker` driver builds it" for tag in uploads),
    ]


def _load(piece: BuildPiece) -> str:
    if piece.piece_count > 1:
        return "load into the engine in use, if that has this platform"
    several = ": all platforms, or its own if it holds one at a time" if len(piece.platforms) > 1 else ""
    return f"load into the engine in use{several}"
