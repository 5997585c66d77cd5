"""The subject of a review: a plan with everything that a format of `mpbake plan` may print."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mpbake.review.document.plan_document import map_texts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mpbake.graph.dag import BuildGraph


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanReview:
    """The graph of a run, and its plan document. `title` is what the command line names, such as a group."""

    graph: BuildGraph
    document: dict[str, Any]
    title: str = ""

    @property
    def plan_id(self) -> str:
        """The plan id."""
        return str(self.document["id"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings of the plan, then those about nodes that did not answer a probe."""
        return (*self.document["warnings"], *self.document.get("probe", {}).get("warnings", ()))

    def with_fields(self, fields: Mapping[str, Any], redact: Callable[[str], str]) -> PlanReview:
        """Return the review with further fields of its document, which do not belong to the plan id."""
        return replace(self, document=self.document | map_texts(dict(fields), redact))
