"""The reference of `build.toml` in Markdown, made from its schema and the declared attributes of targets. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from mpbake.model.bake_fields import Paths
from mpbake.spec.attributes import Merge, version_text
from mpbake.spec.plan_tables import PlanSpec
from mpbake.spec.schema import TEMPLATE, plan_schema, table_name, table_of
from mpbake.spec.target_tables import attributes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.spec.attributes import Attribute

_INTRODUCTION = """\
# Reference of build.toml

Every table of a plan with its keys, made by `mpbake schema --format markdown` from what mpbake itself checks plans
with. Editors get the same from [build.schema.json](build.schema.json).

- *text* may be written as a number or as `true` and `false` too: it is taken as it is written,
  `8.10` or `0o755`, but for the `_` and the `+` of whole numbers.
- *template* means that one template, `"{{ … }}"`, may stand for the whole value. Inside of text a template may stand
  anywhere, except in `inherits` and in what a variable says beside its default.
- Where a buildx is named, an older one does not know the key: what needs it ends before it starts.
- Unknown keys are errors. Local paths count from the folder of the file that states them, a Dockerfile's from its
  context.
"""
_INHERITANCE = """\
*Inherited* says what becomes of a value when a target takes over another with `inherits`: what `[defaults.target]`
says comes first, then the parents from left to right, own values last. An empty string in a list is dropped.
A template for a whole list or table is added or merged as what it becomes.
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
    """One table of the plan: how its header is written, and its schema. Of one in a list there may be several."""

    header: str
    table: Mapping[str, Any]
    listed: bool = False

    @property
    def title(self) -> str:
        """The header with its brackets."""
        if not self.header:
            return "The top of the file"
        return f"[[{self.header}]]" if self.listed else f"[{self.header}]"


def reference_text(model: type[PlanSpec] = PlanSpec) -> str:
    """Every table with its keys, in the model's order."""
    schema = plan_schema(model)
    target, attributes = _targets(model)
    parts = [_INTRODUCTION]
    for section in _sections(_Section(header="", table=schema), schema["definitions"], target):
        parts += [f"## {section.title}\n", f"{section.table['description']}\n"]
        if section.table["title"] == target:
            parts += [_INHERITANCE, _rows(section.table, attributes, schema)]
        elif _is_most_of(section.table, schema["definitions"][target]):
            parts += [_same_keys(section.table, schema["definitions"][target])]
        else:
            parts += [_rows(section.table, {}, schema)]
    return "\n".join(parts)


def _targets(model: type[PlanSpec]) -> tuple[str, dict[str, Attribute]]:
    """What the schema calls the table of a target, and its attributes."""
    target = get_args(model.model_fields["targets"].annotation)[-1]
    return table_name(target.__name__), attributes_of(target)


def _sections(section: _Section, definitions: Mapping[str, Mapping[str, Any]], target: str) -> Iterator[_Section]:
    """`section` and all below it; what the user names is written in capitals: `targets.NAME`.

    What is most of a `target` has nothing below it that a target has not.
    """
    yield section
    if section.table["title"] != target and _is_most_of(section.table, definitions[target]):
        return
    for key, value in section.table["properties"].items():
        below = f"{section.header}.{key}" if section.header else key
        values, items = value.get("additionalProperties"), value.get("items")
        for schema, header in ((value, below), (values, f"{below}.NAME"), (items, below)):
            title = _table_in(schema)
            if title:
                found = _Section(header=header, table=definitions[title], listed=schema is items)
                yield from _sections(found, definitions, target)


def _is_most_of(table: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """Whether `table` has no keys but those of `whole`, and more of them than not."""
    keys, known = table["properties"], whole["properties"]
    return len(keys) > len(known) / 2 and all(known.get(key) == schema for key, schema in keys.items())


def _same_keys(table: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    missing = ", ".join(f"`{key}`" for key in whole["properties"] if key not in table["properties"])
    return f"The same keys as in `[targets.NAME]`, without {missing}.\n"


def _table_in(schema: Any) -> str:
    """The name of the table that a value is, or may be; empty for none."""
    if not isinstance(schema, dict):
        return ""
    references = (each.get("$ref", "") for each in (schema, *schema.get("anyOf", ())) if each != TEMPLATE)
    return next((each.rpartition("/")[2] for each in references if each), "")


def _rows(table: Mapping[str, Any], attributes: Mapping[str, Attribute], root: Mapping[str, Any]) -> str:
    columns = ["key", "type", "default", *(["inherited"] if attributes else []), "meaning"]
    rows = [columns, ["---"] * len(columns)]
    for key, schema in table["properties"].items():
        default = "required" if key in table.get("required", ()) else _code(schema.get("default"))
        inherited = [_inherited(attributes[key])] if attributes else []
        rows.append(
            [f"`{key}`", _type(schema), default, *inherited, _meaning(table_of(schema, root), attributes.get(key))]
        )
    return "".join(f"| {' | '.join(each.replace('|', chr(92) + '|') for each in row)} |\n" for row in rows)


def _code(value: Any) -> str:
    return "" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"


def _type(schema: Mapping[str, Any]) -> str:
    """What a value may be, in words."""
    match schema:
        case {"anyOf": choices}:
            return " or ".join(dict.fromkeys(_type(each) for each in choices))
        case {"$ref": _}:
            return "template" if schema == TEMPLATE else "table"
        case {"const": _} | {"enum": _}:
            return ", ".join(_code(each) for each in schema.get("enum", [schema.get("const")]))
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
    """`_type` of what a list or table holds."""
    found = _type(schema)
    return f"({found})" if " or " in found else _PLURALS.get(found, found)


def _inherited(attribute: Attribute) -> str:
    if attribute.merge is Merge.BY_FIELD:
        return f"merged by {attribute.identity or 'name'}"
    return str(attribute.merge.value)


def _meaning(schema: Mapping[str, Any], attribute: Attribute | None) -> str:
    """The description, with examples and what in the value is a path."""
    found = str(schema.get("description", ""))
    examples = ", ".join(map(_code, _examples(schema)))
    if examples:
        found += f"; for example {examples}"
    if attribute and attribute.paths is not Paths.NONE:
        found += f". Local paths: {attribute.paths.value}"
    if attribute and any(attribute.since):
        found += f". From buildx {version_text(attribute.since)}"
    return found


def _examples(schema: Mapping[str, Any]) -> list[Any]:
    inner = [schema, *schema.get("anyOf", ())]
    return [
        example for each in inner for example in (*each.get("examples", ()), *each.get("items", {}).get("examples", ()))
    ]
