"""A plan as JSON for programs: the plan document. `docs/plan-json.md` lists the fields. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.json_text import printed_json
from mpbake.base.text import json_lines

if TYPE_CHECKING:
    from mpbake.review.plan_review import PlanReview


def plan_json(review: PlanReview) -> str:
    """Return the plan document as JSON. Each entry of a list is on its own line."""
    fields = (f"{printed_json(name)}: {_field(value)}" for name, value in review.document.items())
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _field(value: Any) -> str:
    return json_lines(value) if isinstance(value, list) else printed_json(value)
