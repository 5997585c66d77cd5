"""The JSON Schema of `build.toml` for editors and validators, made from the models of the tables. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from mpbake.spec.tables.plan_tables import PlanSpec
from mpbake.spec.tables.value_types import TEMPLATE_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

# The newest dialect that both taplo and tombi support. It has `definitions`, and ignores keywords beside `$ref`.
DIALECT = "http://json-schema.org/draft-07/schema#"
TEMPLATE_REFERENCE = {"$ref": "#/definitions/template"}

_DEFINITIONS = "#/definitions/"
_EMPTY_DEFAULTS: tuple[Any, ...] = ("", [], {}, None)


def schema_text() -> str:
    """Return the text of the schema file: the same bytes for the same models."""
    return json.dumps(plan_schema(), indent=2, ensure_ascii=False) + "\n"


def plan_schema(model: type[PlanSpec] = PlanSpec) -> dict[str, Any]:
    """Return the schema of a plan whose tables `model` describes."""
    generated = model.model_json_schema(by_alias=True, ref_template=f"{_DEFINITIONS}{{model}}")
    definitions = {
        table_name(name): _table_schema(schema, table_name(name)) for name, schema in sorted(generated["$defs"].items())
    }
    template = {"title": "template", "description": "A template: {{ expression }} or {% statement %}."}
    return {
        "$schema": DIALECT,
        **_table_schema(generated, "build.toml"),
        "definitions": {**definitions, "template": {**template, **TEMPLATE_SCHEMA}},
    }


def table_of(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the table to which `schema` refers; if `schema` is not a reference, return `schema` unchanged."""
    if "$ref" not in schema:
        return schema
    table: Mapping[str, Any] = root["definitions"][schema["$ref"].removeprefix(_DEFINITIONS)]
    return table


def table_name(model: str) -> str:
    """Return the name of a model in the schema: `builder-defaults` for `BuilderDefaultsSpec`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", model.removesuffix("Spec")).lower()


def _table_schema(table: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Return the schema of a table, with its keys in the order of the model."""
    return {
        "title": title,
        "description": table["description"],
        "type": "object",
        "additionalProperties": False,
        **{name: table[name] for name in ("required",) if name in table},
        "properties": {name: _value(schema) for name, schema in table["properties"].items()},
    }


def _value(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a value, with its keywords in an order for readers.

    The result omits titles that repeat the key, empty defaults, `null` (not in TOML), and keywords beside a reference
    (the table has its own description).
    """
    if schema == TEMPLATE_SCHEMA:
        return dict(TEMPLATE_REFERENCE)
    if "$ref" in schema:
        return {"$ref": _DEFINITIONS + table_name(schema["$ref"].removeprefix(_DEFINITIONS))}
    value = {name: schema[name] for name in ("description", "type") if name in schema}
    value |= {name: keyword for name, keyword in schema.items() if name not in {"title", "default", "anyOf"}}
    for name in ("items", "additionalProperties"):
        if isinstance(value.get(name), dict):
            value[name] = _value(value[name])
    choices = [choice for option in schema.get("anyOf", ()) for choice in _choices(_value(option))]
    if choices:
        value |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    if schema.get("default") not in _EMPTY_DEFAULTS:
        value["default"] = schema["default"]
    return value


def _choices(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas of a choice, without null and without nested choices."""
    if schema == {"type": "null"}:
        return []
    choices: list[dict[str, Any]] = schema["anyOf"] if schema.keys() == {"anyOf"} else [schema]
    return choices
