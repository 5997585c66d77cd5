"""The steps of a plan document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from mpbake.graph.delivery import archives, possible_upload_tags
from mpbake.graph.explain import placement_reason
from mpbake.graph.node_facts import driver_of
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Delivery, JoinArchives, Publish, Verify, step_verb
from mpbake.review.document.targets import platform_list

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Target
    from mpbake.model.steps import Step

    Facts = Mapping[str, NodeFacts]


def step_documents(graph: BuildGraph, facts: Facts) -> Iterator[dict[str, Any]]:
    """Yield the steps of a run in an order in which the run can execute them.

    `facts` are what nodes have reported, by their ids.
    """
    positions = {step: index for index, step in enumerate(graph.steps)}
    keys = [step.key for step in graph.steps]
    for step, key in zip(graph.steps, keys, strict=True):
        before = sorted(positions[earlier] for earlier in graph.before[step])
        after = [keys[index] for index in before]
        yield {"key": key, "kind": step_verb(step), **_details(step, facts), "after": after}


def _details(step: Step, facts: Facts) -> dict[str, Any]:
    match step:
        case BootstrapNode():
            return {"node": step.node.id}
        case BuildPiece():
            return _piece(step, facts)
        case JoinArchives():
            return {"target": step.target.name, "outputs": list(archives(step.target))}
        case CheckPiece():
            check = {"run": list(step.check.run), "stage": step.check.target}
            return {"target": step.target.name, "platforms": platform_list(step.platforms), **check}
        case Publish():
            return _publish(step, facts)
        case Verify():
            target = step.target
            return {"target": target.name, "platforms": platform_list(step.platforms), "tags": list(target.tags)}
        case _:
            assert_never(step)


def _publish(step: Publish, facts: Facts) -> dict[str, Any]:
    target = step.target
    in_engine = _may_be_in_engine(target, facts)
    return {
        "target": target.name,
        "tags": list(target.tags),
        "uploads": possible_upload_tags(target) if in_engine else [],
        "names": list(target.tags) if in_engine else [],
        "together": bool(step.order),
    }


def _may_be_in_engine(target: Target, facts: Facts) -> bool:
    """Return whether the image of `target` is built in the image store of an engine, as far as this is known."""
    return any(driver_of(node, facts).rules.may_be_engine for node in target.builder.nodes)


def _load(piece: BuildPiece, facts: Facts) -> str:
    """Return which platforms of a piece are loaded into the engine in use: `all`, only the `engine`'s own, or none.

    An image that an engine builds and pushes is in the store of this engine anyway, and only gets its tags there.
    """
    in_engine = all(driver_of(node, facts).rules.is_engine for node in piece.nodes)
    if not piece.target.load or piece.shared or (in_engine and piece.delivery is Delivery.UNTAGGED):
        return ""
    return "all" if piece.piece_count == 1 else "engine"


def _piece(piece: BuildPiece, facts: Facts) -> dict[str, Any]:
    return {
        "target": piece.target.name,
        "nodes": [node.id for node in piece.nodes],
        "platforms": [
            {
                "platform": str(placed.platform),
                "how": placed.execution.name.lower(),
                "why": placement_reason(piece, placed.platform, facts),
            }
            for placed in piece.platforms
        ],
        "delivery": piece.delivery.name.lower(),
        "load": _load(piece, facts),
        "shared": piece.shared,
        "spare": [node.id for node in piece.spare],
    }
