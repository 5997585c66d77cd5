"""The items of a target's lists that stay after rendering: without empty, repeated and replaced items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from mpbake.resolve.targets.merging import last_by_identity
from mpbake.spec.tables.attributes import Merge
from mpbake.spec.tables.target_tables import ATTRIBUTES, PlatformSpec, TargetSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.resolve.targets.inheritance import InheritedTable

Values = TypeVar("Values", TargetSpec, PlatformSpec)
_BY_FIELD = tuple(name for name, attribute in ATTRIBUTES.items() if attribute.merge is Merge.BY_FIELD)


def without_empty_items(values: Values, table: InheritedTable) -> tuple[Values, InheritedTable]:
    """Remove empty strings from lists."""
    lists = ((name, value) for name, value in values.written().items() if isinstance(value, list) and "" in value)
    kept = {name: [index for index, item in enumerate(items) if item != ""] for name, items in lists}
    return keep_items(values, table, kept)


def without_replaced_entries(values: TargetSpec, table: InheritedTable) -> tuple[TargetSpec, InheritedTable]:
    """Remove entries that a later entry replaces. With templates, such entries are known only after rendering."""
    written = values.written()
    kept = {name: last_by_identity(name, written[name]) for name in _BY_FIELD if name in written}
    return keep_items(
        values, table, {name: indices for name, indices in kept.items() if len(indices) < len(written[name])}
    )


def first_occurrences(items: Sequence[Any]) -> list[int]:
    """Return the index of the first occurrence of each distinct item; items may be tables."""
    first: dict[str, int] = {}
    for index, item in enumerate(items):
        first.setdefault(repr(item), index)
    return list(first.values())


def keep_items(
    values: Values, table: InheritedTable, indices: Mapping[str, Sequence[int]]
) -> tuple[Values, InheritedTable]:
    """Keep only the list items at `indices` (by attribute), in the values and in the sources."""
    if not indices:
        return values, table
    fields = {name: name.replace("-", "_") for name in indices}
    kept = {field: [getattr(values, field)[index] for index in indices[name]] for name, field in fields.items()}
    return values.model_copy(update=kept), table.keep_items(indices)
