"""Tables of targets with inherited attributes, and changes of the tables by `--set`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.platforms import parse_platform
from mpbake.resolve.bound_text import bound
from mpbake.resolve.targets.merging import WrittenValue, merge_attributes, merge_values
from mpbake.spec.problem import Problem
from mpbake.spec.tables.attributes import Merge
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.resolve.bound_text import Binding
    from mpbake.resolve.targets.overrides import SetOverride

_BY_PLATFORM = "platform"
_LONE_TEMPLATE = re.compile(r"\s*\{\{.*\}\}\s*", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class InheritedTable:
    """A table under `[targets]` with its own and its inherited attributes.

    `platforms` holds the attributes that differ on single platforms.
    """

    name: str
    attributes: Mapping[str, WrittenValue]
    platforms: Mapping[Platform, Mapping[str, WrittenValue]] = field(default_factory=dict)

    @property
    def raw(self) -> dict[str, Any]:
        """The values as written."""
        return {name: written.value for name, written in self.attributes.items()}

    def key_of(self, path: KeyPath) -> KeyPath:
        """Return the key in the plan of the value at `path`, which starts with an attribute."""
        name = str(path[0]) if path else ""
        if name in self.attributes:
            return self.attributes[name].key_of(name, path[1:])
        return ("targets", self.name, *path)

    def without(self, names: Iterable[str]) -> InheritedTable:
        """Return the table without the attributes `names` and without all differences of single platforms."""
        remaining = {name: written for name, written in self.attributes.items() if name not in names}
        return InheritedTable(name=self.name, attributes=remaining)

    def keep_items(self, indices: Mapping[str, Sequence[int]]) -> InheritedTable:
        """Return the table; keep only the sources of the list items at `indices` (by attribute)."""
        attributes = {name: self.attributes[name].keep_items(kept) for name, kept in indices.items()}
        return replace(self, attributes={**self.attributes, **attributes})

    def expand(self, rendered: Mapping[str, Any]) -> tuple[dict[str, Any], InheritedTable]:
        """Replace each placeholder in the `rendered` values by its rendered entries; see `WrittenValue.expand`."""
        expanded = {
            name: self.attributes[name].expand(rendered[name])
            for name in rendered
            if self.attributes[name].placeholders
        }
        values = {name: value for name, (value, _) in expanded.items()}
        attributes = {name: written for name, (_, written) in expanded.items()}
        return {**rendered, **values}, replace(self, attributes={**self.attributes, **attributes})

    @property
    def entry_count(self) -> int:
        """The number of entries in all lists and tables."""
        tables = (self.attributes, *self.platforms.values())
        values = [written.value for attributes in tables for written in attributes.values()]
        return sum(len(value) for value in values if isinstance(value, list | dict))

    @property
    def has_matrix(self) -> bool:
        """Whether the table has a matrix.

        An empty table does not count as a matrix; an empty list counts as an (invalid) matrix.
        """
        return "matrix" in self.attributes and bool(self.attributes["matrix"].value != {})

    def bound(self, binding: Binding) -> InheritedTable:
        """Return the table; its templates use the values of `binding` wherever the table is inherited."""

        def bind(attributes: Mapping[str, WrittenValue]) -> dict[str, WrittenValue]:
            values = {name: bound(written.value, binding) for name, written in attributes.items()}
            return {name: replace(attributes[name], value=value) for name, value in values.items()}

        platforms = {platform: bind(attributes) for platform, attributes in self.platforms.items()}
        return InheritedTable(name=self.name, attributes=bind(self.attributes), platforms=platforms)

    def on(self, platform: Platform) -> InheritedTable:
        """Return the attributes that apply on `platform`."""
        attributes = merge_attributes([self.attributes, self.platforms.get(platform, {})])
        return InheritedTable(name=self.name, attributes=attributes)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TableLayers:
    """A table under `[targets]` before `--set`: own and inherited attributes, and `defaults` of lower precedence.

    Two layers are equal only if they are the same object.
    """

    stated: InheritedTable
    defaults: InheritedTable

    def merged(self, overrides: Sequence[SetOverride]) -> InheritedTable:
        """Merge the defaults, the table and `overrides`, in this order; later values win."""
        table = with_overrides(self.stated, overrides, self.defaults)
        return merged_tables(table.name, [_without_overridden(self.defaults, overrides), table])


def overrides_for(overrides: Iterable[SetOverride], *names: str) -> list[SetOverride]:
    """Return the `overrides` that match one of `names`, in their order."""
    return [override for override in overrides if any(map(override.matches, names))]


def with_overrides(table: InheritedTable, overrides: Iterable[SetOverride], defaults: InheritedTable) -> InheritedTable:
    """Apply `overrides` to `table`.

    If the merge rule of an attribute is replacement, `+=` adds to the value of the table or, without one, to the value
    from `defaults`.
    """
    for override in overrides:
        replaces = override.append and ATTRIBUTES[override.attribute].merge is Merge.REPLACE
        base = merged_tables(table.name, [defaults, table]) if replaces else table
        platforms = dict(table.platforms)
        attributes = dict(table.attributes)
        name = override.attribute
        if override.platform is None:
            attributes[name] = _overridden(base.attributes.get(name), override)
            platforms = {platform: _after_override(written, override) for platform, written in platforms.items()}
        else:
            on_platform = base.platforms.get(override.platform, {})
            before = on_platform.get(name) or (base.attributes.get(name) if replaces else None)
            platforms[override.platform] = {**on_platform, name: _overridden(before, override)}
        table = InheritedTable(name=table.name, attributes=attributes, platforms=platforms)
    return table


def _without_overridden(defaults: InheritedTable, overrides: Iterable[SetOverride]) -> InheritedTable:
    """Return `defaults` without the attributes that `overrides` replace: a merge would keep lists and tables."""
    for override in overrides:
        attributes, platforms = defaults.attributes, dict(defaults.platforms)
        if override.platform is None:
            platforms = {platform: _after_override(written, override) for platform, written in platforms.items()}
            attributes = attributes if override.adds else _without(attributes, override.attribute)
        elif not override.adds and override.platform in platforms:
            platforms[override.platform] = _without(platforms[override.platform], override.attribute)
        defaults = InheritedTable(name=defaults.name, attributes=attributes, platforms=platforms)
    return defaults


def _after_override(on_platform: Mapping[str, WrittenValue], override: SetOverride) -> Mapping[str, WrittenValue]:
    """Return the attributes that still differ on a platform after `override` is applied to all platforms."""
    name = override.attribute
    if name not in on_platform or (override.adds and ATTRIBUTES[name].merge is Merge.APPEND):
        return on_platform
    before = on_platform[name]
    if override.adds and (isinstance(before.value, list | str) or before.placeholders):
        return {**on_platform, name: _overridden(before, override)}
    if override.adds and isinstance(before.value, dict):
        remaining = {key: value for key, value in before.value.items() if key not in override.value}
        return {**on_platform, name: replace(before, value=remaining)}
    return _without(on_platform, name)


def _without(attributes: Mapping[str, WrittenValue], name: str) -> dict[str, WrittenValue]:
    return {attribute: written for attribute, written in attributes.items() if attribute != name}


def _overridden(before: WrittenValue | None, override: SetOverride) -> WrittenValue:
    """Return the value of an attribute after `override`."""
    after = _value_of_override(override)
    if before is None or not override.adds:
        return after
    if before.has_items_of(override.key):
        return before  # inherited from a parent to which the override was applied
    attribute = ATTRIBUTES[override.attribute]
    merge = Merge.APPEND if attribute.merge is Merge.REPLACE else attribute.merge
    return merge_values(replace(attribute, merge=merge), before, after)


def _value_of_override(override: SetOverride) -> WrittenValue:
    """Return the value that an override states. A lone template as the only item may render to the whole list."""
    value = override.value
    if not isinstance(value, list) or len(value) != 1 or not _LONE_TEMPLATE.fullmatch(str(value[0])):
        return WrittenValue(value=value, table_key=override.key)
    return WrittenValue(
        value=value, table_key=override.key, sources={0: (override.key, 0)}, placeholders=frozenset({0})
    )


def stated_table(name: str, key: KeyPath, values: Mapping[str, Any], problems: list[Problem]) -> InheritedTable:
    """Return the table `name` with only its own values; `key` is the table's key in the plan."""
    platforms: dict[Platform, dict[str, WrittenValue]] = {}
    for platform_text, attributes in values.get(_BY_PLATFORM, {}).items():
        platform = parse_platform(platform_text)
        platform_key: KeyPath = (*key, _BY_PLATFORM, platform_text)
        if platform in platforms:
            message, hint = f"a second table for {platform}", "merge the two tables"
            problems.append(Problem(code=Code.PLATFORM_TWICE, key=platform_key, message=message, hint=hint))
        platforms[platform] = {
            attribute: WrittenValue(value=value, table_key=platform_key) for attribute, value in attributes.items()
        }
    own = {
        attribute: WrittenValue(value=value, table_key=key)
        for attribute, value in values.items()
        if attribute != _BY_PLATFORM
    }
    return InheritedTable(name=name, attributes=own, platforms=platforms)


def inheritable(table: InheritedTable) -> InheritedTable:
    """Return the attributes of a table that other tables inherit."""
    own = {name for name in table.attributes if ATTRIBUTES[name].merge is Merge.OWN}
    return InheritedTable(name=table.name, attributes=table.without(own).attributes, platforms=table.platforms)


def merged_tables(name: str, tables: Sequence[InheritedTable]) -> InheritedTable:
    """Merge `tables` into one table called `name`; a later table wins over an earlier table."""
    platforms: dict[Platform, Mapping[str, WrittenValue]] = {}
    for table in tables:
        for platform, attributes in table.platforms.items():
            earlier = platforms.get(platform)
            platforms[platform] = attributes if earlier is None else merge_attributes([earlier, attributes])
    attributes = merge_attributes([table.attributes for table in tables])
    return InheritedTable(name=name, attributes=attributes, platforms=platforms)
