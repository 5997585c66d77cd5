"""What a target takes over from others, and which table each of its values was written in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.references import parse_fields
from mpbake.resolve.naming import ordered, unknown
from mpbake.spec import ATTRIBUTES, Attribute, Merge, PlanSpec, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.errors import KeyPath


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The value of an attribute as written, templates and all, and the table that states it.

    A list or table that several tables had a part in names one for each entry: `entries` maps an entry's index or
    key to a table, and to the index or key that it has there.
    """

    value: Any
    table: str
    entries: Mapping[int | str, tuple[str, int | str]]

    def place(self, attribute: str, path: KeyPath) -> KeyPath:
        """Where in the file the value at `path`, below this attribute, stands."""
        if path and path[0] in self.entries:
            table, entry = self.entries[path[0]]
            return ("targets", table, attribute, entry, *path[1:])
        return ("targets", self.table, attribute, *path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A table under `[targets]` with all that it states or inherits."""

    table: str
    attributes: Mapping[str, Written]

    @property
    def raw(self) -> dict[str, Any]:
        """The values as written."""
        return {name: each.value for name, each in self.attributes.items()}

    def where(self, path: KeyPath) -> KeyPath:
        """Where in the file the value at `path` (an attribute, and what is below it) stands."""
        name = str(path[0]) if path else ""
        if name in self.attributes:
            return self.attributes[name].place(name, path[1:])
        return ("targets", self.table, *path)


def families(spec: PlanSpec, problems: list[Problem]) -> dict[str, Family]:
    """Every table under `[targets]`, templates included, with what it inherits: left to right, own values last."""
    found: dict[str, Family] = {}
    for table in _inheritance_order(spec, problems):
        parents = [found[name].attributes for name in spec.targets[table].inherits if name in found]
        own = {name: _written(table, value) for name, value in spec.targets[table].written().items()}
        found[table] = Family(table=table, attributes=_merge(parents, own))
    return {table: found[table] for table in spec.targets}


def _inheritance_order(spec: PlanSpec, problems: list[Problem]) -> list[str]:
    """Parents before children. Cycles and unknown parents become problems; what is left is still ordered."""
    edges: dict[str, list[str]] = {}
    for name, target in spec.targets.items():
        edges[name] = [parent for parent in target.inherits if parent in spec.targets]
        for index, parent in enumerate(target.inherits):
            if parent not in spec.targets:
                key: KeyPath = ("targets", name, "inherits", index)
                problems.append(unknown("target", parent, spec.targets, key))
    return ordered(edges, lambda name: ("targets", name, "inherits"), problems)


def _written(table: str, value: Any) -> Written:
    return Written(value=value, table=table, entries={})


def _merge(parents: Iterable[Mapping[str, Written]], own: Mapping[str, Written]) -> dict[str, Written]:
    merged: dict[str, Written] = {}
    for attributes in (*parents, own):
        for name, value in attributes.items():
            attribute = ATTRIBUTES[name]
            if attribute.merge is not Merge.OWN or attributes is own:
                merged[name] = _combined(attribute, merged[name], value) if name in merged else value
    return merged


def _combined(attribute: Attribute, before: Written, after: Written) -> Written:
    """Two values of one attribute, as its declaration says. A template in place of either replaces."""
    if attribute.merge is Merge.REPLACE or isinstance(after.value, str) or type(before.value) is not type(after.value):
        return after
    entries = [*_entries(before), *_entries(after)]
    if attribute.merge is not Merge.APPEND:
        entries = list({_identity(attribute, entry): entry for entry in entries}.values())
    tables = after.value.__class__ is dict
    return Written(
        value={entry.key: entry.value for entry in entries} if tables else [entry.value for entry in entries],
        table=after.table,
        entries={entry.key if tables else at: (entry.table, entry.key) for at, entry in enumerate(entries)},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """An item of a list or a value of a table; `key` is its index or key where `table` states it."""

    key: int | str
    value: Any
    table: str


def _entries(written: Written) -> Iterable[_Entry]:
    pairs = written.value.items() if isinstance(written.value, dict) else enumerate(written.value)
    for key, value in pairs:
        table, there = written.entries.get(key, (written.table, key))
        yield _Entry(key=there, value=value, table=table)


def _identity(attribute: Attribute, entry: _Entry) -> int | str:
    """By what an entry replaces an earlier one."""
    if attribute.merge is Merge.BY_KEY:
        return entry.key
    try:
        fields = parse_fields(entry.value)
    except ValueError:  # a template that makes sense only when it is rendered
        return str(entry.value)
    return fields.get(attribute.identity) or next(iter(fields), "")
