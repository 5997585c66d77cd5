"""The expected duration of a run and its critical path, from the records of earlier runs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.graph.estimates import Estimates, expectations, remaining_paths
from mpbake.model.steps import BuildPiece

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.estimates import Recorded
    from mpbake.model.steps import Step


def expected_document(graph: BuildGraph, recorded: Recorded, seconds: Callable[[], float]) -> dict[str, Any]:
    """Return the field `expected` of a plan document; empty if no build of the run is recorded.

    `seconds` returns the expected duration of the run with the slots of its nodes.
    """
    estimates = Estimates(recorded=recorded)
    pieces = [step for step in graph.steps if isinstance(step, BuildPiece)]
    usual = {piece.key: estimates.usual(piece) for piece in pieces}
    known = {key: round(duration) for key, duration in usual.items() if duration is not None}
    if not known:
        return {}
    path = critical_path(graph, expectations(graph, estimates))
    return {
        "seconds": round(seconds()),
        "builds": known,
        "unrecorded": len(pieces) - len(known),
        "path": [step.key for step in path],
    }


def critical_path(graph: BuildGraph, seconds: Mapping[Step, float]) -> list[Step]:
    """Return the steps of the longest path through the graph, without steps that take no time."""
    paths = remaining_paths(graph, seconds)
    path: list[Step] = []
    following = list(graph.steps)
    while following:
        path.append(max(following, key=paths.__getitem__))
        following = list(graph.after[path[-1]])
    return [step for step in path if seconds[step]]
