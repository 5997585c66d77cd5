"""The steps of a plan document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from mpbake.graph.delivery import archives, possible_upload_tags
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, Verify, step_verb
from mpbake.review.document.targets import platform_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.steps import Step


def step_documents(graph: BuildGraph) -> Iterator[dict[str, Any]]:
    """Yield the steps of a run in an order in which the run can execute them."""
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
            return {"target": step.target.name, "outputs": list(archives(step.target))}
        case CheckPiece():
            check = {"run": list(step.check.run), "stage": step.check.target}
            return {"target": step.target.name, "platforms": platform_list(step.platforms), **check}
        case Publish():
            target = step.target
            uploads = possible_upload_tags(target)
            return {"target": target.name, "tags": list(target.tags), "uploads": uploads, "together": bool(step.order)}
        case Verify():
            target = step.target
            return {"target": target.name, "platforms": platform_list(step.platforms), "tags": list(target.tags)}
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
