"""The subject of a review: a plan with everything that a format of `mpbake plan` may print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpbake.graph.dag import BuildGraph


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanReview:
    """The graph of a run, and its plan document."""

    graph: BuildGraph
    document: dict[str, Any]

    @property
    def plan_id(self) -> str:
        """The plan id."""
        return str(self.document["id"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the plan, then those about nodes that did not answer a probe."""
        return (*self.document["warnings"], *self.document.get("probe", {}).get("warnings", ()))
