"""A plan as JSON for programs, with more facts than the text. `docs/plan-json.md` lists the fields. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.text import json_lines
from mpbake.graph.delivery import archives, possible_upload_tags
from mpbake.graph.links import linked_targets
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, Verify
from mpbake.report.plan.plan_text import step_verb

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Builder, Node, PlatformVariant, Target
    from mpbake.model.steps import Step

PLAN_FORMAT = 1
"""Version of the format. The version rises when a field is removed or changes meaning, but not for a new field."""

_SEPARATE = ("args", "labels", "contexts")
"""Attributes that are fields of a target instead of entries of `attributes`."""


def plan_json(graph: BuildGraph, warnings: Sequence[str] = ()) -> str:
    """Return the builders, targets and steps of a run as JSON, each on its own line.

    The steps are in an order in which a run can execute them.
    """
    lists: dict[str, Iterable[Any]] = {
        "builders": _builders(graph),
        "targets": _targets(graph),
        "steps": _steps(graph),
        "warnings": warnings,
    }
    fields = [f'"format": {PLAN_FORMAT}', *(f'"{name}": {json_lines(items)}' for name, items in lists.items())]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _builders(graph: BuildGraph) -> Iterator[dict[str, Any]]:
    """Yield the builders of a run, each with its used nodes, in the order of their bootstrap steps."""
    by_name = {target.builder.name: target.builder for target in graph.targets}
    used: dict[str, list[Node]] = {}
    for node in graph.nodes:
        used.setdefault(node.builder, []).append(node)
    return (_builder(by_name[name], nodes) for name, nodes in used.items())


def _builder(builder: Builder, nodes: Sequence[Node]) -> dict[str, Any]:
    return {
        "name": builder.name,
        "driver": builder.driver,
        "emulation": builder.emulation,
        "emulators": builder.emulators,
        "nodes": [
            {"id": node.id, "endpoint": node.endpoint, "platforms": _platform_list(node.platforms)} for node in nodes
        ],
    }


def _targets(graph: BuildGraph) -> Iterator[dict[str, Any]]:
    """Yield the targets of a run, then the targets that are only linked to."""
    own = dict.fromkeys(graph.targets)
    linked = dict.fromkeys(link for target in own for link in linked_targets(target) if link not in own)
    for target in (*own, *linked):
        yield _target(target, only_linked=target in linked)


def _target(target: Target, *, only_linked: bool) -> dict[str, Any]:
    return {
        "name": target.name,
        "description": target.description,
        "builder": target.builder.name,
        "platforms": _platform_list(target.platforms),
        "tags": target.tags,
        **_variant(target.on(())),
        "variants": {str(platform): _variant(variant) for platform, variant in target.variants.items()},
        "push": target.push,
        "push_options": target.push_options,
        "load": target.load,
        "outputs": target.outputs,
        "needs": [need.name for need in target.needs],
        "checks": [
            {"run": check.run, "target": check.target, "platforms": _platform_list(check.platforms)}
            for check in target.checks
        ],
        "only_linked": only_linked,
    }


def _variant(variant: PlatformVariant) -> dict[str, Any]:
    """Return the attributes whose values can differ between platforms."""
    attributes = variant.attributes
    links = {name: f"target:{link.name}" for name, link in variant.links.items()}
    fields = {
        "args": attributes.get("args", {}),
        "labels": attributes.get("labels", {}),
        "contexts": {**attributes.get("contexts", {}), **links},
        "attributes": {name: value for name, value in attributes.items() if name not in _SEPARATE},
    }
    return {**fields, "attributes": {name: value for name, value in attributes.items() if name not in fields}}


def _steps(graph: BuildGraph) -> Iterator[dict[str, Any]]:
    positions = {step: index for index, step in enumerate(graph.steps)}
    keys = [step.key for step in graph.steps]
    for step, key in zip(graph.steps, keys, strict=True):
        before = sorted(positions[earlier] for earlier in graph.before[step])
        yield {"key": key, "kind": step_verb(step), **_details(step), "after": [keys[index] for index in before]}


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
            return {"target": step.target.name, "platforms": _platform_list(step.platforms), **check}
        case Publish():
            target = step.target
            uploads = possible_upload_tags(target)
            return {"target": target.name, "tags": target.tags, "uploads": uploads, "together": bool(step.order)}
        case Verify():
            target = step.target
            return {"target": target.name, "platforms": _platform_list(step.platforms), "tags": target.tags}
        case _:
            assert_never(step)


def _piece(piece: BuildPiece) -> dict[str, Any]:
    return {
        "target": piece.target.name,
        "nodes": [node.id for node in piece.nodes],
        "platforms": [
            {"platform": str(placed.platform), "how": placed.execution.name.lower()} for placed in piece.platforms
        ],
        "delivery": piece.delivery.name.lower(),
        "shared": piece.shared,
        "spare": [node.id for node in piece.spare],
    }


def _platform_list(platforms: Iterable[Platform]) -> list[str]:
    return [str(platform) for platform in platforms]
