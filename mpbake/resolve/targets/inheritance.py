"""What a target takes over from others, and which table each of its values was written in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.platforms import parse_platform
from mpbake.base.references import parse_fields
from mpbake.resolve.names import UnknownReferences, topological_order
from mpbake.spec.attributes import Attribute, Merge
from mpbake.spec.plan_files import SETTING
from mpbake.spec.problem import Problem
from mpbake.spec.target_tables import ATTRIBUTES
from mpbake.spec.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.resolve.targets.overrides import SetOverride
    from mpbake.spec.plan_tables import PlanSpec

_BY_PLATFORM = "platform"
_ALONE = re.compile(r"\s*\{\{.*\}\}\s*", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class WrittenValue:
    """The value of an attribute as written, templates and all, and the key of the table that states it.

    A list or table that several tables had a part in names one for each entry: `entries` maps an entry's index or
    key to the key of a table, and to the index or key that it has there. A template in place of a whole list or table
    is one of these entries until it has been rendered: `whole` has the index or key of each, a number in either case.
    """

    value: Any
    table: KeyPath
    entries: Mapping[int | str, tuple[KeyPath, int | str]] = field(default_factory=dict)
    whole: frozenset[int | str] = frozenset()

    def spread(self, rendered: Any) -> tuple[Any, WrittenValue]:
        """`rendered`, the value without templates, in which what stood for a whole list or table is no entry any more.

        Where that has become neither, it stays alone, to be refused; but what the command line gives may be an item.
        """
        found: list[tuple[int | str, Any, tuple[KeyPath, int | str]]] = []
        for key, value in _pairs(rendered):
            table, there = self.entries[key]
            if key not in self.whole or (table[0] == SETTING and not isinstance(value, list)):
                found.append((key, value, (table, there)))
            elif type(value) is not type(rendered):
                return value, WrittenValue(value=value, table=table)
            else:
                found += [(inner, each, (table, inner)) for inner, each in _pairs(value)]
        if isinstance(rendered, dict):
            values: Any = {key: value for key, value, _ in found}
            return values, WrittenValue(value=values, table=self.table, entries={key: place for key, _, place in found})
        values = [value for _, value, _ in found]
        places: dict[int | str, tuple[KeyPath, int | str]] = {at: place for at, (_, _, place) in enumerate(found)}
        return values, WrittenValue(value=values, table=self.table, entries=places)

    def keeping(self, kept: Sequence[int]) -> WrittenValue:
        """The places of a list of which only the items at `kept` are left."""
        if not isinstance(self.value, list):
            return self
        entries: dict[int | str, tuple[KeyPath, int | str]]
        entries = {new: self.entries.get(old, (self.table, old)) for new, old in enumerate(kept)}
        return replace(self, entries=entries)

    def place(self, attribute: str, path: KeyPath) -> KeyPath:
        """Where in the file the value at `path`, below this attribute, stands."""
        if path and path[0] in self.entries:
            table, entry = self.entries[path[0]]
            return (*table, attribute, *path[1:]) if path[0] in self.whole else (*table, attribute, entry, *path[1:])
        return (*self.table, attribute, *path)


@dataclass(frozen=True, kw_only=True, slots=True)
class InheritedTable:
    """A table under `[targets]` with all that it states or inherits; `platforms` holds what single ones differ in."""

    table: str
    attributes: Mapping[str, WrittenValue]
    platforms: Mapping[Platform, Mapping[str, WrittenValue]] = field(default_factory=dict)

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

    def without(self, names: Iterable[str]) -> InheritedTable:
        """The same without some attributes, and without what single platforms differ in."""
        left = {name: each for name, each in self.attributes.items() if name not in names}
        return InheritedTable(table=self.table, attributes=left)

    def keeping(self, kept: Mapping[str, Sequence[int]]) -> InheritedTable:
        """The places of lists of which only some items are left."""
        attributes = {name: self.attributes[name].keeping(items) for name, items in kept.items()}
        return replace(self, attributes={**self.attributes, **attributes})

    def spread(self, rendered: Mapping[str, Any]) -> tuple[dict[str, Any], InheritedTable]:
        """`rendered` values of it with what stood for whole lists and tables, and where all of that was written."""
        spread = {
            name: self.attributes[name].spread(rendered[name]) for name in rendered if self.attributes[name].whole
        }
        values = {name: value for name, (value, _) in spread.items()}
        attributes = {name: written for name, (_, written) in spread.items()}
        return {**rendered, **values}, replace(self, attributes={**self.attributes, **attributes})

    def on(self, platform: Platform) -> InheritedTable:
        """What holds on `platform`."""
        return InheritedTable(table=self.table, attributes=_merged([self.attributes, self.platforms.get(platform, {})]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """A table under `[targets]` without what the command line sets: all that it states or inherits, and `defaults`."""

    stated: InheritedTable
    defaults: InheritedTable

    def family(self, settings: Sequence[SetOverride]) -> InheritedTable:
        """The family that the table makes with `settings`, the later above the earlier, the defaults below all."""
        own = with_overrides(self.stated, settings, self.defaults)
        return _combined_families(own.table, [_unset(self.defaults, settings), own])


def lineages(spec: PlanSpec, settings: Sequence[SetOverride], problems: list[Problem]) -> dict[str, Lineage]:
    """Every table under `[targets]` with what it inherits: left to right, own values last.

    What the command line sets is part of what a table states, so whoever inherits from it has it too.
    """
    defaults = _stated("", ("defaults", "target"), spec.defaults.target.written(), problems)
    found: dict[str, Lineage] = {}
    inherited: dict[str, InheritedTable] = {}
    for table in _inheritance_order(spec, problems):
        own = _stated(table, ("targets", table), spec.targets[table].written(), problems)
        parents = [inherited[name] for name in spec.targets[table].inherits if name in inherited]
        stated = _combined_families(table, [*parents, own])
        found[table] = Lineage(stated=stated, defaults=defaults)
        inherited[table] = _inheritable(with_overrides(stated, overrides_for(settings, table), defaults))
    return {table: found[table] for table in spec.targets}


def overrides_for(settings: Iterable[SetOverride], *names: str) -> list[SetOverride]:
    """Those of `settings` that one of `names` is meant by, in their order."""
    return [each for each in settings if any(map(each.matches, names))]


def with_overrides(family: InheritedTable, settings: Iterable[SetOverride], defaults: InheritedTable) -> InheritedTable:
    """`family` with what `settings` change in it.

    What is added to may come from `defaults`, where these would otherwise be replaced.
    """
    for setting in settings:
        replaces = setting.append and ATTRIBUTES[setting.attribute].merge is Merge.REPLACE
        base = _combined_families(family.table, [defaults, family]) if replaces else family
        special = dict(family.platforms)
        attributes = dict(family.attributes)
        name = setting.attribute
        if setting.platform is None:
            attributes[name] = _set(setting, base.attributes.get(name))
            special = {platform: _overruled(each, setting) for platform, each in special.items()}
        else:
            before = base.platforms.get(setting.platform, {})
            value = before.get(name) or (base.attributes.get(name) if replaces else None)
            special[setting.platform] = {**before, name: _set(setting, value)}
        family = InheritedTable(table=family.table, attributes=attributes, platforms=special)
    return family


def _unset(defaults: InheritedTable, settings: Iterable[SetOverride]) -> InheritedTable:
    """`defaults` without what `settings` give as a whole: lists and tables would else be added to."""
    for setting in settings:
        attributes, platforms = defaults.attributes, dict(defaults.platforms)
        if setting.platform is None:
            platforms = {platform: _overruled(each, setting) for platform, each in platforms.items()}
            attributes = attributes if setting.adds else _without(attributes, setting.attribute)
        elif not setting.adds and setting.platform in platforms:
            platforms[setting.platform] = _without(platforms[setting.platform], setting.attribute)
        defaults = InheritedTable(table=defaults.table, attributes=attributes, platforms=platforms)
    return defaults


def _overruled(special: Mapping[str, WrittenValue], setting: SetOverride) -> Mapping[str, WrittenValue]:
    """What still is different for a platform when `setting` has been made for all."""
    name = setting.attribute
    if name not in special or (setting.adds and ATTRIBUTES[name].merge is Merge.APPEND):
        return special
    before = special[name]
    if setting.adds and (isinstance(before.value, list | str) or before.whole):
        return {**special, name: _set(setting, before)}
    if setting.adds and isinstance(before.value, dict):
        left = {key: value for key, value in before.value.items() if key not in setting.value}
        return {**special, name: replace(before, value=left)}
    return _without(special, name)


def _without(attributes: Mapping[str, WrittenValue], name: str) -> dict[str, WrittenValue]:
    return {each: value for each, value in attributes.items() if each != name}


def _set(setting: SetOverride, before: WrittenValue | None) -> WrittenValue:
    """The value of an attribute after `setting`."""
    after = _given(setting)
    if before is None or not setting.adds:
        return after
    if isinstance(before.value, list) and any(entry.table == setting.key for entry in _entries(before)):
        return before  # a parent has been given it already
    declared = ATTRIBUTES[setting.attribute]
    merge = Merge.APPEND if declared.merge is Merge.REPLACE else declared.merge
    return _combined(replace(declared, merge=merge), before, after)


def _given(setting: SetOverride) -> WrittenValue:
    """What a setting itself states. A lone template that stands there for an item may as well give the whole list."""
    value = setting.value
    if not isinstance(value, list) or len(value) != 1 or not _ALONE.fullmatch(str(value[0])):
        return WrittenValue(value=value, table=setting.key)
    return WrittenValue(value=value, table=setting.key, entries={0: (setting.key, 0)}, whole=frozenset({0}))


def _inheritance_order(spec: PlanSpec, problems: list[Problem]) -> list[str]:
    """Parents before children. Cycles and unknown parents become problems; what is left is still ordered."""
    edges: dict[str, list[str]] = {}
    unknown = UnknownReferences(Code.UNKNOWN_TARGET, spec.targets)
    for name, target in spec.targets.items():
        edges[name] = [parent for parent in target.inherits if parent in spec.targets]
        for index, parent in enumerate(target.inherits):
            if parent not in spec.targets:
                key: KeyPath = ("targets", name, "inherits", index)
                problems.append(unknown.problem(parent, key))
    return topological_order(edges, lambda name: ("targets", name, "inherits"), problems)


def _stated(table: str, key: KeyPath, values: Mapping[str, Any], problems: list[Problem]) -> InheritedTable:
    """What a table itself states; `key` is where it stands."""
    platforms: dict[Platform, dict[str, WrittenValue]] = {}
    for written, special in values.get(_BY_PLATFORM, {}).items():
        platform = parse_platform(written)
        at: KeyPath = (*key, _BY_PLATFORM, written)
        if platform in platforms:
            message, hint = f"a second table for {platform}", "put them together"
            problems.append(Problem(code=Code.PLATFORM_TWICE, key=at, message=message, hint=hint))
        platforms[platform] = {name: WrittenValue(value=value, table=at) for name, value in special.items()}
    own = {name: WrittenValue(value=value, table=key) for name, value in values.items() if name != _BY_PLATFORM}
    return InheritedTable(table=table, attributes=own, platforms=platforms)


def _inheritable(family: InheritedTable) -> InheritedTable:
    own = {name for name in family.attributes if ATTRIBUTES[name].merge is Merge.OWN}
    return InheritedTable(table=family.table, attributes=family.without(own).attributes, platforms=family.platforms)


def _combined_families(table: str, members: Sequence[InheritedTable]) -> InheritedTable:
    """All that `members` state, the last first in rank."""
    platforms: dict[Platform, Mapping[str, WrittenValue]] = {}
    for member in members:
        for platform, special in member.platforms.items():
            platforms[platform] = _merged([platforms[platform], special]) if platform in platforms else special
    return InheritedTable(table=table, attributes=_merged([each.attributes for each in members]), platforms=platforms)


def _merged(tables: Iterable[Mapping[str, WrittenValue]]) -> dict[str, WrittenValue]:
    merged: dict[str, WrittenValue] = {}
    for attributes in tables:
        for name, value in attributes.items():
            merged[name] = _combined(ATTRIBUTES[name], merged[name], value) if name in merged else value
    return merged


def _combined(attribute: Attribute, before: WrittenValue, after: WrittenValue) -> WrittenValue:
    """Two values of one attribute, as its declaration says."""
    if attribute.merge in {Merge.REPLACE, Merge.OWN}:
        return after
    earlier, later = list(_entries(before)), list(_entries(after))
    appended = attribute.merge is Merge.APPEND
    entries = _appended(earlier, later) if appended else _last_of_each(attribute, [*earlier, *later])
    tables = attribute.merge is Merge.BY_KEY
    keys = [entry.key if tables and not entry.whole else at for at, entry in enumerate(entries)]
    values = [entry.value for entry in entries]
    return WrittenValue(
        value=dict(zip(keys, values, strict=True)) if tables else values,
        table=after.table,
        entries={key: (entry.table, entry.key) for key, entry in zip(keys, entries, strict=True)},
        whole=frozenset(key for key, entry in zip(keys, entries, strict=True) if entry.whole),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """An item of a list or a value of a table; `key` is its index or key where `table` states it.

    One that is `whole` is a template that stands there for the list or table itself.
    """

    key: int | str
    value: Any
    table: KeyPath
    whole: bool = False


def _entries(written: WrittenValue) -> Iterator[_Entry]:
    if isinstance(written.value, str):
        yield _Entry(key=0, value=written.value, table=written.table, whole=True)
        return
    for key, value in _pairs(written.value):
        table, there = written.entries.get(key, (written.table, key))
        yield _Entry(key=there, value=value, table=table, whole=key in written.whole)


def _pairs(value: Any) -> Iterable[tuple[int | str, Any]]:
    """The entries of a list or table by index or key."""
    return value.items() if isinstance(value, dict) else enumerate(value)


def _appended(before: Sequence[_Entry], after: Iterable[_Entry]) -> list[_Entry]:
    """Entries of a list and, after them, those of a later one, without what has come from the same place already.

    So parents of parents do not double each time. What else is there twice can be told only when it is rendered.
    """
    known = {(entry.table, entry.key) for entry in before}
    return [*before, *(entry for entry in after if (entry.table, entry.key) not in known)]


def _last_of_each(attribute: Attribute, entries: Sequence[_Entry]) -> list[_Entry]:
    """Of entries with one identity the last, in the place of the first.

    Where templates stand among them it keeps its own place: what they become must not come to stand after it.
    """
    identities = [_identity(attribute, entry) for entry in entries]
    found: dict[tuple[int | str | None, int], _Entry] = {}
    for at, (identity, entry) in enumerate(zip(identities, entries, strict=True)):
        key = (identity, at if identity is None else -1)
        if None in identities:
            found.pop(key, None)
        found[key] = entry
    return list(found.values())


def _identity(attribute: Attribute, entry: _Entry) -> int | str | None:
    """By what an entry replaces an earlier one; None where that is known only when it has been rendered."""
    if entry.whole:
        return None
    return entry.key if attribute.merge is Merge.BY_KEY else _identity_of_text(attribute, str(entry.value))


def _identity_of_text(attribute: Attribute, text: str) -> str | None:
    """The field by which an entry of a list is known; None where a template has a say in it."""
    if not MARKER.search(text):
        return _known_by(attribute, text)
    if "{%" in text:
        return None
    try:
        found = _known_by(attribute, _EXPRESSION.sub("{{", text))
    except ValueError:  # a template that makes sense only when it is rendered
        return None
    return None if MARKER.search(found) else found


def _known_by(attribute: Attribute, text: str) -> str:
    """What an entry without templates is known by. Raises ValueError where it is no list of fields."""
    if not attribute.identity:
        return text.partition("=")[0]
    return parse_fields(text).get(attribute.identity) or text


def last_by_identity(attribute: str, texts: Sequence[str]) -> list[int]:
    """Which of the rendered `texts` of an attribute count: of those with one identity the last, for the first."""
    declared = ATTRIBUTES[attribute]
    if declared.merge is not Merge.BY_FIELD:
        return list(range(len(texts)))
    return list({_known_by(declared, text): at for at, text in enumerate(texts)}.values())
