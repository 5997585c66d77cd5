"""The JSON Schema of `build.toml`, made from the models of `spec`: what editors and validators know of a plan. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mpbake.spec.plan_tables import PlanSpec
from mpbake.spec.value_types import TEMPLATE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of all dialects the newest that both taplo and tombi read; it knows `definitions`, and nothing beside a `$ref`.
DIALECT = "http://json-schema.org/draft-07/schema#"
TEMPLATE = {"$ref": "#/definitions/template"}

_REFERENCE = "#/definitions/"
_NOTHING: tuple[Any, ...] = ("", [], {}, None)


def schema_text() -> str:
    """The schema as a file: the same bytes for the same models."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


def plan_schema(model: type[PlanSpec] = PlanSpec) -> dict[str, Any]:
    """The schema of a plan whose tables `model` describes."""
    found = model.model_json_schema(by_alias=True, ref_template=f"{_REFERENCE}{{model}}")
    tables = {table_name(each): _table(schema, table_name(each)) for each, schema in sorted(found["$defs"].items())}
    template = {"title": "template", "description": "A template: {{ expression }} or {% statement %}."}
    return {
        "$schema": DIALECT,
        **_table(found, "build.toml"),
        "definitions": {**tables, "template": {**template, **TEMPLATE_SCHEMA}},
    }


def table_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The table that a reference leads to; any other schema is itself."""
    found: Mapping[str, Any] = schema
    if "$ref" in schema:
        found = root["definitions"][schema["$ref"].removeprefix(_REFERENCE)]
    return found


def table_name(model: str) -> str:
    """`BuilderDefaultsSpec` is `builder-defaults` in the schema."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", model.removesuffix("Spec")).lower()


def _table(table: Mapping[str, Any], title: str) -> dict[str, Any]:
    """The schema of a table, its keys in the model's order."""
    return {
        "title": title,
        "description": table["description"],
        "type": "object",
        "additionalProperties": False,
        **{name: table[name] for name in ("required",) if name in table},
        "properties": {name: _value(each) for name, each in table["properties"].items()},
    }


def _value(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a value, in an order for readers.

    Left out: titles that repeat the key, defaults that say nothing, null, which TOML does not know, and whatever
    stands beside a reference: the table that it leads to describes itself.
    """
    if schema == TEMPLATE_SCHEMA:
        return dict(TEMPLATE)
    if "$ref" in schema:
        return {"$ref": _REFERENCE + table_name(schema["$ref"].removeprefix(_REFERENCE))}
    found = {name: schema[name] for name in ("description", "type") if name in schema}
    found |= {name: each for name, each in schema.items() if name not in {"title", "default", "anyOf"}}
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), dict):
            found[name] = _value(found[name])
    choices = [choice for each in schema.get("anyOf", ()) for choice in _choices(_value(each))]
    if choices:
        found |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    if schema.get("default") not in _NOTHING:
        found["default"] = schema["default"]
    return found


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    if schema == {"type": "null"}:
        return []
    choices: list[dict[str, Any]] = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return choices
