"""Values that are none: they do not count as written, so inherited values apply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.resolve.targets.inheritance import InheritedTable
    from mpbake.resolve.targets.merging import WrittenValue
    from mpbake.resolve.values import ValueRenderer


def present_values(
    table: InheritedTable, rendered: Mapping[str, Any], scope: Mapping[str, Any], renderer: ValueRenderer
) -> tuple[dict[str, Any], InheritedTable]:
    """Return the `rendered` values of `table` in which no attribute, and no entry of a table, is None.

    An inherited value replaces None; without an inherited value, the attribute or entry is left out. In a list, an
    empty string replaces None, so that indices still match the plan.
    """
    if not any(map(_contains_none, rendered.values())):
        return dict(rendered), table
    values: dict[str, Any] = {}
    attributes = dict(table.attributes)
    for name, value in rendered.items():
        attribute = _Attribute(name=name, scope=scope, renderer=renderer)
        present, attributes[name] = attribute.present(value, attributes[name])
        if present is not None:
            values[name] = present
    return values, replace(table, attributes=attributes)


def _contains_none(value: Any) -> bool:
    match value:
        case dict():
            return None in value.values()
        case list():
            return None in value
        case _:
            return value is None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attribute:
    """An attribute whose inherited values may have to be rendered."""

    name: str
    scope: Mapping[str, Any]
    renderer: ValueRenderer

    def present(self, value: Any, written: WrittenValue) -> tuple[Any, WrittenValue]:
        """Return the value without None, and where the value is written."""
        while value is None and written.inherited is not None:
            written = written.inherited
            value, written = written.expand(self._rendered(written, written.value))
        match value:
            case dict():
                return self._present_entries(value, written)
            case list():
                return ["" if item is None else item for item in value], written
            case _:
                return value, written

    def _present_entries(self, table: Mapping[str, Any], written: WrittenValue) -> tuple[dict[str, Any], WrittenValue]:
        entries = {key: self._present_entry(key, value, written) for key, value in table.items()}
        sources = {key: source for key, (_, source) in entries.items()}
        values = {key: value for key, (value, _) in entries.items() if value is not None}
        return values, replace(written, sources={key: sources[key].source(key) for key in values})

    def _present_entry(self, key: str, value: Any, written: WrittenValue) -> tuple[Any, WrittenValue]:
        source = written
        while value is None and source.inherited is not None:
            source = source.inherited
            if isinstance(source.value, dict) and key in source.value:
                value = self._rendered(source, source.value[key], key)
        return value, source

    def _rendered(self, written: WrittenValue, value: Any, *path: str) -> Any:
        return self.renderer.render(value, self.scope, lambda below: written.key_of(self.name, (*path, *below)))
