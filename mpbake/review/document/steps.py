"""The steps of a plan document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from mpbake.graph.delivery import archives, possible_upload_tags
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Delivery, JoinArchives, Publish, Verify, step_verb
from mpbake.review.document.targets import platform_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Driver, Target
    from mpbake.model.steps import Step


def step_documents(graph: BuildGraph, drivers: Mapping[str, Driver]) -> Iterator[dict[str, Any]]:
    """Yield the steps of a run in an order in which the run can execute them.

    `drivers` maps the ids of nodes to their drivers, as far as mpbake has asked the engine.
    """
    positions = {step: index for index, step in enumerate(graph.steps)}
    keys = [step.key for step in graph.steps]
    for step, key in zip(graph.steps, keys, strict=True):
        before = sorted(positions[earlier] for earlier in graph.before[step])
        yield {
            "key": key,
            "kind": step_verb(step),
            **_details(step, drivers),
            "after": [keys[index] for index in before],
        }


def _details(step: Step, drivers: Mapping[str, Driver]) -> dict[str, Any]:
    match step:
        case BootstrapNode():
            return {"node": step.node.id}
        case BuildPiece():
            return _piece(step, drivers)
        case JoinArchives():
            return {"target": step.target.name, "outputs": list(archives(step.target))}
        case CheckPiece():
            check = {"run": list(step.check.run), "stage": step.check.target}
            return {"target": step.target.name, "platforms": platform_list(step.platforms), **check}
        case Publish():
            return _publish(step, drivers)
        case Verify():
            target = step.target
            return {"target": target.name, "platforms": platform_list(step.platforms), "tags": list(target.tags)}
        case _:
            assert_never(step)


def _publish(step: Publish, drivers: Mapping[str, Driver]) -> dict[str, Any]:
    target = step.target
    in_engine = _may_be_in_engine(target, drivers)
    return {
        "target": target.name,
        "tags": list(target.tags),
        "uploads": possible_upload_tags(target) if in_engine else [],
        "names": list(target.tags) if in_engine else [],
        "together": bool(step.order),
    }


def _may_be_in_engine(target: Target, drivers: Mapping[str, Driver]) -> bool:
    """Return whether the image of `target` is built in the image store of an engine, as far as this is known."""
    return any(drivers.get(node.id, node.driver).rules.may_be_engine for node in target.builder.nodes)


def _load(piece: BuildPiece, drivers: Mapping[str, Driver]) -> str:
    """Return which platforms of a piece are loaded into the engine in use: `all`, only the `engine`'s own, or none.

    An image that an engine builds and pushes is in the store of this engine anyway, and only gets its tags there.
    """
    in_engine = all(drivers.get(node.id, node.driver).rules.is_engine for node in piece.nodes)
    if not piece.target.load or piece.shared or (in_engine and piece.delivery is Delivery.UNTAGGED):
        return ""
    return "all" if piece.piece_count == 1 else "engine"


def _piece(piece: BuildPiece, drivers: Mapping[str, Driver]) -> dict[str, Any]:
    return {
        "target": piece.target.name,
        "nodes": [node.id for node in piece.nodes],
        "platforms": [
            {"platform": str(placed.platform), "how": placed.execution.name.lower()} for placed in piece.platforms
        ],
        "delivery": piece.delivery.name.lower(),
        "load": _load(piece, drivers),
        "shared": piece.shared,
        "spare": [node.id for node in piece.spare],
    }
