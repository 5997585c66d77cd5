"""Read a plan document that somebody saved. mpbake obeys nothing in it, and checks its shape before using it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mpbake.review.document.plan_document import DOCUMENT_FORMAT, UNIDENTIFIED, plan_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.model.steps import StepVerb
    from mpbake.review.document.plan_document import Document

    Shape = Mapping[str, Callable[[Any], bool]]
    """The fields that must be present in an object, each with a check of its value."""

_MAX_DEPTH = 60
"""The maximum depth of nested values. A plan has about ten levels."""
_SAVE_AGAIN = "save the plan again: mpbake plan -o plan.json"


def read_document(text: str) -> dict[str, Any]:
    """Return the plan document in the text of a saved plan, with its id computed again. Raises as `parse_document`."""
    document = parse_document(text)
    return {**document, "id": plan_id(document)}


def parse_document(text: str) -> dict[str, Any]:
    """Return the plan document in the text of a saved plan, with the id that the text states.

    Raises ValueError with a message for users, whose second line is the hint. The message quotes nothing of the text.
    """
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ValueError(f"is not the JSON of a plan\n{_SAVE_AGAIN}") from None
    if not isinstance(document, dict) or "format" not in document:
        raise ValueError(f"is not the JSON of a plan\n{_SAVE_AGAIN}")
    if not _is_int(document["format"]) or document["format"] != DOCUMENT_FORMAT:
        problem = f"is not a plan in format {DOCUMENT_FORMAT}, the only one that this mpbake supports"
        raise ValueError(f"{problem}\n{_SAVE_AGAIN}")
    is_odd = _is_odd({name: value for name, value in document.items() if name not in UNIDENTIFIED})
    problem = "null, or values that are nested too deeply" if is_odd else _wrong_part(document)
    if problem:
        raise ValueError(f"is not a complete plan: {problem}\n{_SAVE_AGAIN}")
    return document


def _refuse_constant(_: str) -> None:
    """Raise ValueError for NaN and Infinity, which are not JSON."""
    raise ValueError


def _is_odd(value: Any, depth: int = 0) -> bool:
    """Whether a value contains null, which no plan document has, or is nested too deeply."""
    if depth > _MAX_DEPTH or value is None:
        return True
    if isinstance(value, (dict, list)):
        return any(_is_odd(entry, depth + 1) for entry in (value.values() if isinstance(value, dict) else value))
    return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, str) for entry in value)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_text_table(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values())


def _is_attributes(value: Any) -> bool:
    """Whether a value is a table of attributes, whose secrets, ssh keys and entitlements are lists."""
    return isinstance(value, dict) and all(
        isinstance(value.get(name, []), list) for name in ("secret", "ssh", "entitlements")
    )


def _is_placed(value: Any) -> bool:
    """Whether a value is the list of the platforms of a build."""
    return isinstance(value, list) and all(
        isinstance(entry, dict) and _is_text(entry.get("platform")) and _is_text(entry.get("how")) for entry in value
    )


_VARIANT: Shape = {"contexts": _is_text_table, "attributes": _is_attributes, "args": _is_table, "labels": _is_table}
_NODE: Shape = {"id": _is_name}
_SHAPES: Mapping[str, tuple[str, Shape]] = {
    "grants": ("allow", {"allow": _is_text, "users": _is_texts}),
    "registries": ("name", {"name": _is_text, "uses": _is_texts}),
    "builders": ("name", {"name": _is_name, "nodes": lambda value: isinstance(value, list)}),
    "targets": (
        "name",
        {"name": _is_name, "builder": _is_text, "needs": _is_texts, "variants": _is_table, **_VARIANT},
    ),
    "steps": ("key", {"key": _is_name, "kind": _is_text, "after": _is_texts}),
}
_STEPS: Mapping[StepVerb, Shape] = {
    "bootstrap": {"node": _is_text},
    "build": {"target": _is_text, "nodes": _is_texts, "spare": _is_texts, "platforms": _is_placed},
    "join": {"target": _is_text},
    "check": {"target": _is_text},
    "publish": {"target": _is_text, "tags": _is_texts},
    "verify": {"target": _is_text},
}


def _wrong_part(document: Document) -> str:
    """Return the first part of a document that is missing or has a wrong shape; empty if there is none."""
    if not _is_texts(document.get("warnings")):
        return "warnings"
    for name, (key, shape) in _SHAPES.items():
        items = document.get(name)
        if not isinstance(items, list) or not all(_has(item, shape) for item in items):
            return name
        if len({item[key] for item in items}) < len(items):
            return f"two {name} with one {key}"
    return next(_wrong_details(document), "")


def _wrong_details(document: Document) -> Iterator[str]:
    """Yield the kinds of items that have parts with a wrong shape."""
    nodes = [node for builder in document["builders"] for node in builder["nodes"]]
    if not all(_has(node, _NODE) for node in nodes):
        yield "nodes"
    elif len({node["id"] for node in nodes}) < len(nodes):
        yield "two nodes with one id"
    if not all(_has(variant, _VARIANT) for target in document["targets"] for variant in target["variants"].values()):
        yield "variants of targets"
    if not all(step["kind"] in _STEPS and _has(step, _STEPS[step["kind"]]) for step in document["steps"]):
        yield "steps"


def _has(item: Any, shape: Shape) -> bool:
    """Whether an item is a table with the fields of `shape`."""
    return isinstance(item, dict) and all(name in item and is_valid(item[name]) for name, is_valid in shape.items())
