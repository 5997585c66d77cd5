"""A plan as JSON for programs: what the text says and more, under the names that `docs/plan-json.md` lists. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.text import json_lines
from mpbake.graph.delivery import archives, possible_upload_tags
from mpbake.graph.links import linked_targets
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, Verify
from mpbake.report.plan_text import step_verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Builder, Node, PlatformVariant, Target
    from mpbake.model.steps import Step

FORMAT = 1
"""Rises when a field goes away or changes its meaning; further fields may come at any time."""


def plan_json(graph: BuildGraph, warnings: Sequence[str] = ()) -> str:
    """Builders, targets and every step of a run in the order in which they can happen, each on a line of its own."""
    lists: dict[str, Iterable[Any]] = {
        "builders": _builders(graph),
        "targets": _targets(graph),
        "steps": _steps(graph),
        "warnings": warnings,
    }
    fields = [f'"format": {FORMAT}', *(f'"{name}": {json_lines(items)}' for name, items in lists.items())]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _builders(graph: BuildGraph) -> Iterator[dict[str, Any]]:
    """The builders of a run in the order of their steps, each with the nodes that it uses."""
    of = {target.builder.name: target.builder for target in graph.targets}
    used: dict[str, list[Node]] = {}
    for step in graph.steps:
        if isinstance(step, BootstrapNode):
            used.setdefault(step.node.builder, []).append(step.node)
    return (_builder(of[name], nodes) for name, nodes in used.items())


def _builder(builder: Builder, nodes: Sequence[Node]) -> dict[str, Any]:
    return {
        "name": builder.name,
        "driver": builder.driver,
        "emulation": builder.emulation,
        "nodes": [{"id": node.id, "endpoint": node.endpoint, "platforms": _names(node.platforms)} for node in nodes],
    }


def _targets(graph: BuildGraph) -> Iterator[dict[str, Any]]:
    """The targets of a run, then those that are only built within others."""
    own = dict.fromkeys(graph.targets)
    within = dict.fromkeys(each for target in own for each in linked_targets(target) if each not in own)
    for target in (*own, *within):
        yield _target(target, only_linked=target in within)


def _target(target: Target, *, only_linked: bool) -> dict[str, Any]:
    return {
        "name": target.name,
        "description": target.description,
        "builder": target.builder.name,
        "platforms": _names(target.platforms),
        "tags": target.tags,
        **_variant(target.on(())),
        "variants": {str(platform): _variant(variant) for platform, variant in target.variants.items()},
        "push": target.push,
        "push_options": target.push_options,
        "load": target.load,
        "outputs": target.outputs,
        "needs": [each.name for each in target.needs],
        "checks": [
            {"run": each.run, "target": each.target, "platforms": _names(each.platforms)} for each in target.checks
        ],
        "only_linked": only_linked,
    }


def _variant(variant: PlatformVariant) -> dict[str, Any]:
    """What is built for some platform."""
    attributes = variant.attributes
    links = {name: f"target:{link.name}" for name, link in variant.links.items()}
    fields = {
        "args": attributes.get("args", {}),
        "labels": attributes.get("labels", {}),
        "contexts": {**attributes.get("contexts", {}), **links},
    }
    return {**fields, "attributes": {name: value for name, value in attributes.items() if name not in fields}}


def _steps(graph: BuildGraph) -> Iterator[dict[str, Any]]:
    place = {step: index for index, step in enumerate(graph.steps)}
    keys = [step.key for step in graph.steps]
    for step, key in zip(graph.steps, keys, strict=True):
        before = sorted(place[each] for each in graph.before[step])
        yield {"key": key, "kind": step_verb(step), **_details(step), "after": [keys[at] for at in before]}


def _details(step: Step) -> dict[str, Any]:
    match step:
        case BootstrapNode():
            return {"node": step.node.id}
        case BuildPiece():
            return _piece(step)
        case JoinArchives():
            return {"target": step.target.name, "outputs": archives(step.target)}
        case CheckPiece():
            check = {"run": step.check.run, "stage": step.check.target}
            return {"target": step.target.name, "platforms": _names(step.platforms), **check}
        case Publish():
            target = step.target
            more = {"uploads": possible_upload_tags(target), "together": bool(step.order)}
            return {"target": target.name, "tags": target.tags, **more}
        case Verify():
            target = step.target
            return {"target": target.name, "platforms": _names(step.platforms), "tags": target.tags}
        case _:
            assert_never(step)


def _piece(piece: BuildPiece) -> dict[str, Any]:
    return {
        "target": piece.target.name,
        "nodes": [node.id for node in piece.nodes],
        "platforms": [{"platform": str(each.platform), "how": each.execution.name.lower()} for each in piece.platforms],
        "delivery": piece.delivery.name.lower(),
        "shared": piece.shared,
        "spare": [node.id for node in piece.spare],
    }


def _names(platforms: Iterable[Platform]) -> list[str]:
    return [str(each) for each in platforms]
