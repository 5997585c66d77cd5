"""The diff of two plans as JSON for programs. `docs/review.md` lists the fields. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mpbake.base.json_text import printed_json
from mpbake.base.text import json_lines

if TYPE_CHECKING:
    from mpbake.review.diff.plan_diff import ItemDiff, PlanDiff

DIFF_FORMAT = 1
"""Version of the format. The version rises when a field is removed or changes meaning, but not for a new field."""
_ITEMS = ("targets", "builders", "nodes", "steps")


def diff_json(diff: PlanDiff) -> str:
    """Return all changes as JSON. Each entry of a list is on its own line."""
    values: dict[str, Any] = {"format": DIFF_FORMAT, "differs": bool(diff), **asdict(diff)}
    values |= {name: [_item(item) for item in getattr(diff, name)] for name in _ITEMS}
    fields = (f"{printed_json(name)}: {_field(value)}" for name, value in values.items())
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _field(value: Any) -> str:
    return json_lines(value) if isinstance(value, (list, tuple)) else printed_json(value)


def _item(item: ItemDiff) -> dict[str, Any]:
    return {"state": item.state, **asdict(item)}
