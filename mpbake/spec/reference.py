"""The reference of `build.toml` in Markdown, made from the schema and the attributes of targets. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from mpbake.model.bake_fields import Paths
from mpbake.spec.schema import TEMPLATE_REFERENCE, plan_schema, table_name, table_of
from mpbake.spec.tables.attributes import Merge, version_text
from mpbake.spec.tables.plan_tables import PlanSpec
from mpbake.spec.tables.target_tables import attributes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.spec.tables.attributes import Attribute

_INTRODUCTION = """\
# Reference of build.toml

All tables of a plan and their keys. This page is generated from the code: `mpbake schema --format markdown` prints it.
Editors use the same facts from [build.schema.json](build.schema.json).

- *text*: you can also write a number, or `true` and `false`. mpbake keeps the notation, such as `8.10` or `0o755`,
  except for `_` and `+` in whole numbers.
- *template*: a single template, `"{{ … }}"`, can replace the whole value. Inside text you can use templates everywhere,
  except in the keys of a variable other than `default`.
- *From buildx X*: older releases of buildx do not support the key. mpbake checks the version before it starts anything.
- Unknown keys are errors. Local paths are relative to the folder of the file that contains them. The path of a
  Dockerfile is relative to the context.
"""
_INHERITANCE = """\
*Inherited* says how a value combines with the values that the target inherits. The order is: `[defaults.target]`, then
the `inherits` of the target from left to right, then the target itself. mpbake removes empty strings from lists. A
template for a whole list or table is rendered first, then appended or merged.
"""
_TYPES = {
    "string": "text",
    "boolean": "true or false",
    "integer": "whole number",
    "number": "number",
    "array": "list",
    "object": "table",
}
_PLURALS = {"list": "lists", "table": "tables"}
_TEXT = ["string", "number", "boolean"]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Section:
    """A table of the plan: the header without brackets, the schema, and whether the table is an item of a list."""

    header: str
    table: Mapping[str, Any]
    listed: bool = False

    @property
    def title(self) -> str:
        """Return the header with its brackets."""
        if not self.header:
            return "The top of the file"
        return f"[[{self.header}]]" if self.listed else f"[{self.header}]"


def reference_text(model: type[PlanSpec] = PlanSpec) -> str:
    """Return the reference: every table with its keys, in the order of the model."""
    schema = plan_schema(model)
    target, attributes = _targets(model)
    parts = [_INTRODUCTION]
    for section in _sections(_Section(header="", table=schema), schema["definitions"], target):
        parts += [f"## {section.title}\n", f"{section.table['description']}\n"]
        if section.table["title"] == target:
            parts += [_INHERITANCE, _key_rows(section.table, attributes, schema)]
        elif _is_most_of(section.table, schema["definitions"][target]):
            parts += [_same_keys(section.table, schema["definitions"][target])]
        else:
            parts += [_key_rows(section.table, {}, schema)]
    return "\n".join(parts)


def _targets(model: type[PlanSpec]) -> tuple[str, dict[str, Attribute]]:
    """Return the name of a target's table in the schema, and the attributes of targets."""
    target = get_args(model.model_fields["targets"].annotation)[-1]
    return table_name(target.__name__), attributes_of(target)


def _sections(section: _Section, definitions: Mapping[str, Mapping[str, Any]], target: str) -> Iterator[_Section]:
    """Yield `section` and the sections of its nested tables. Names that users choose are in capitals: `targets.NAME`.

    A table with most of the keys of `target` has no nested tables of its own.
    """
    yield section
    if section.table["title"] != target and _is_most_of(section.table, definitions[target]):
        return
    for key, value in section.table["properties"].items():
        header = f"{section.header}.{key}" if section.header else key
        values, items = value.get("additionalProperties"), value.get("items")
        for schema, nested in ((value, header), (values, f"{header}.NAME"), (items, header)):
            title = _table_in(schema)
            if title:
                subsection = _Section(header=nested, table=definitions[title], listed=schema is items)
                yield from _sections(subsection, definitions, target)


def _is_most_of(table: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Return whether `table` has only keys of `whole`, and more than half of them."""
    keys, known = table["properties"], whole["properties"]
    return len(keys) > len(known) / 2 and all(known.get(key) == schema for key, schema in keys.items())


def _same_keys(table: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    missing = ", ".join(f"`{key}`" for key in whole["properties"] if key not in table["properties"])
    return f"The same keys as in `[targets.NAME]`, without {missing}.\n"


def _table_in(schema: Any) -> str:
    """Return the name of the table that a value is or can be; empty if none."""
    if not isinstance(schema, dict):
        return ""
    references = (
        choice.get("$ref", "") for choice in (schema, *schema.get("anyOf", ())) if choice != TEMPLATE_REFERENCE
    )
    return next((reference.rpartition("/")[2] for reference in references if reference), "")


def _key_rows(table: Mapping[str, Any], attributes: Mapping[str, Attribute], root: Mapping[str, Any]) -> str:
    columns = ["key", "type", "default", *(["inherited"] if attributes else []), "meaning"]
    rows = [columns, ["---"] * len(columns)]
    for key, schema in table["properties"].items():
        default = "required" if key in table.get("required", ()) else _code(schema.get("default"))
        inherited = [_inherited(attributes[key])] if attributes else []
        rows.append(
            [f"`{key}`", _type(schema), default, *inherited, _meaning(table_of(schema, root), attributes.get(key))]
        )
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |\n" for row in rows)


def _code(value: Any) -> str:
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of a value in words."""
    match schema:
        case {"anyOf": choices}:
            return " or ".join(dict.fromkeys(_type(choice) for choice in choices))
        case {"$ref": _}:
            return "template" if schema == TEMPLATE_REFERENCE else "table"
        case {"const": _} | {"enum": _}:
            return ", ".join(_code(value) for value in schema.get("enum", [schema.get("const")]))
        case {"items": dict(items)} if items:
            return f"list of {_several(items)}"
        case {"additionalProperties": dict(values)}:
            return f"table of {_several(values)}"
        case {"type": "integer", "minimum": low, "maximum": high}:
            return f"whole number from {low} to {high}"
        case {"type": list(types)}:
            return "text" if types == _TEXT else ", ".join(_TYPES[name] for name in types)
        case {"type": str(name)}:
            return _TYPES.get(name, name)
        case _:
            return "any value"


def _several(schema: Mapping[str, Any]) -> str:
    """Return the type of the items of a list or table in words."""
    words = _type(schema)
    return f"({words})" if " or " in words else _PLURALS.get(words, words)


def _inherited(attribute: Attribute) -> str:
    if attribute.merge is Merge.BY_FIELD:
        return f"merged by {attribute.identity or 'name'}"
    return str(attribute.merge.value)


def _meaning(schema: Mapping[str, Any], attribute: Attribute | None) -> str:
    """Return the description of a key, with examples, the paths in its value and the first buildx."""
    meaning = str(schema.get("description", ""))
    examples = ", ".join(map(_code, _examples(schema)))
    if examples:
        meaning += f"; for example {examples}"
    if attribute and attribute.paths is not Paths.NONE:
        meaning += f". Local paths: {attribute.paths.value}"
    if attribute and any(attribute.since):
        meaning += f". From buildx {version_text(attribute.since)}"
    return meaning


def _examples(schema: Mapping[str, Any]) -> list[Any]:
    choices = [schema, *schema.get("anyOf", ())]
    parts = [part for choice in choices for part in (choice, choice.get("items", {}))]
    return [example for part in parts for example in part.get("examples", ())]
