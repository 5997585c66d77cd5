"""What a target takes over from others, and which table each of its values was written in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mpbake.codes import Code
from mpbake.platforms import parse_platform
from mpbake.references import parse_fields
from mpbake.resolve.naming import Unknowns, ordered
from mpbake.spec import ATTRIBUTES, Attribute, Merge, PlanSpec, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.errors import KeyPath
    from mpbake.platforms import Platform
    from mpbake.resolve.settings import Setting

_BY_PLATFORM = "platform"


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """The value of an attribute as written, templates and all, and the key of the table that states it.

    A list or table that several tables had a part in names one for each entry: `entries` maps an entry's index or
    key to the key of a table, and to the index or key that it has there.
    """

    value: Any
    table: KeyPath
    entries: Mapping[int | str, tuple[KeyPath, int | str]] = field(default_factory=dict)

    def keeping(self, kept: Sequence[int]) -> Written:
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
            return (*table, attribute, entry, *path[1:])
        return (*self.table, attribute, *path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """A table under `[targets]` with all that it states or inherits; `platforms` holds what single ones differ in."""

    table: str
    attributes: Mapping[str, Written]
    platforms: Mapping[Platform, Mapping[str, Written]] = field(default_factory=dict)

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

    def without(self, names: Iterable[str]) -> Family:
        """The same without some attributes, and without what single platforms differ in."""
        left = {name: each for name, each in self.attributes.items() if name not in names}
        return Family(table=self.table, attributes=left)

    def keeping(self, kept: Mapping[str, Sequence[int]]) -> Family:
        """The places of lists of which only some items are left."""
        attributes = {name: self.attributes[name].keeping(items) for name, items in kept.items()}
        return replace(self, attributes={**self.attributes, **attributes})

    def on(self, platform: Platform) -> Family:
        """What holds on `platform`."""
        return Family(table=self.table, attributes=_merged([self.attributes, self.platforms.get(platform, {})]))


def families(spec: PlanSpec, settings: Sequence[Setting], problems: list[Problem]) -> dict[str, Family]:
    """Every table under `[targets]`, templates included, with what it inherits: left to right, own values last.

    What the command line sets is part of what a table states, so whoever inherits from it has it too.
    """
    defaults = _stated("", ("defaults", "target"), spec.defaults.target.written(), problems)
    found: dict[str, Family] = {}
    for table in _inheritance_order(spec, problems):
        own = _stated(table, ("targets", table), spec.targets[table].written(), problems)
        parents = [_inheritable(found[name]) for name in spec.targets[table].inherits if name in found]
        family = _combined_families(table, [*parents, own])
        found[table] = with_settings(family, [each for each in settings if each.matches(table)], defaults)
    return {
        table: _combined_families(table, [_unset(defaults, settings, table), found[table]]) for table in spec.targets
    }


def with_settings(family: Family, settings: Iterable[Setting], defaults: Family | None = None) -> Family:
    """`family` with what `settings` change in it.

    What is added to may come from `defaults`, where these would otherwise be replaced.
    """
    for setting in settings:
        replaces = setting.append and ATTRIBUTES[setting.attribute].merge is Merge.REPLACE
        base = _combined_families(family.table, [defaults, family]) if defaults and replaces else family
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
        family = Family(table=family.table, attributes=attributes, platforms=special)
    return family


def _unset(defaults: Family, settings: Iterable[Setting], table: str) -> Family:
    """`defaults` without what settings give `table` as a whole: lists and tables would else be added to."""
    for setting in settings:
        if not setting.matches(table):
            continue
        attributes, platforms = defaults.attributes, dict(defaults.platforms)
        if setting.platform is None:
            platforms = {platform: _overruled(each, setting) for platform, each in platforms.items()}
            attributes = attributes if setting.adds else _without(attributes, setting.attribute)
        elif not setting.adds and setting.platform in platforms:
            platforms[setting.platform] = _without(platforms[setting.platform], setting.attribute)
        defaults = Family(table=defaults.table, attributes=attributes, platforms=platforms)
    return defaults


def _overruled(special: Mapping[str, Written], setting: Setting) -> Mapping[str, Written]:
    """What still is different for a platform when `setting` has been made for all."""
    name = setting.attribute
    if name not in special or (setting.adds and ATTRIBUTES[name].merge is Merge.APPEND):
        return special
    before = special[name]
    if setting.adds and isinstance(before.value, list):
        return {**special, name: _set(setting, before)}
    if setting.adds and isinstance(before.value, dict):
        left = {key: value for key, value in before.value.items() if key not in setting.value}
        return {**special, name: replace(before, value=left)}
    return _without(special, name)


def _without(attributes: Mapping[str, Written], name: str) -> dict[str, Written]:
    return {each: value for each, value in attributes.items() if each != name}


def _set(setting: Setting, before: Written | None) -> Written:
    """The value of an attribute after `setting`."""
    after = Written(value=setting.value, table=setting.key)
    if before is None or not setting.adds:
        return after
    if isinstance(before.value, list) and any(entry.table == setting.key for entry in _entries(before)):
        return before  # a parent has been given it already
    declared = ATTRIBUTES[setting.attribute]
    merge = Merge.APPEND if declared.merge is Merge.REPLACE else declared.merge
    return _combined(Attribute(merge=merge, identity=declared.identity), before, after)


def _inheritance_order(spec: PlanSpec, problems: list[Problem]) -> list[str]:
    """Parents before children. Cycles and unknown parents become problems; what is left is still ordered."""
    edges: dict[str, list[str]] = {}
    unknown = Unknowns(Code.UNKNOWN_TARGET, spec.targets)
    for name, target in spec.targets.items():
        edges[name] = [parent for parent in target.inherits if parent in spec.targets]
        for index, parent in enumerate(target.inherits):
            if parent not in spec.targets:
                key: KeyPath = ("targets", name, "inherits", index)
                problems.append(unknown.problem(parent, key))
    return ordered(edges, lambda name: ("targets", name, "inherits"), problems)


def _stated(table: str, key: KeyPath, values: Mapping[str, Any], problems: list[Problem]) -> Family:
    """What a table itself states; `key` is where it stands."""
    platforms: dict[Platform, dict[str, Written]] = {}
    for written, special in values.get(_BY_PLATFORM, {}).items():
        platform = parse_platform(written)
        at: KeyPath = (*key, _BY_PLATFORM, written)
        if platform in platforms:
            message, hint = f"a second table for {platform}", "put them together"
            problems.append(Problem(code=Code.PLATFORM_TWICE, key=at, message=message, hint=hint))
        platforms[platform] = {name: Written(value=value, table=at) for name, value in special.items()}
    own = {name: Written(value=value, table=key) for name, value in values.items() if name != _BY_PLATFORM}
    return Family(table=table, attributes=own, platforms=platforms)


def _inheritable(family: Family) -> Family:
    own = {name for name in family.attributes if ATTRIBUTES[name].merge is Merge.OWN}
    return Family(table=family.table, attributes=family.without(own).attributes, platforms=family.platforms)


def _combined_families(table: str, members: Sequence[Family]) -> Family:
    """All that `members` state, the last first in rank."""
    platforms: dict[Platform, Mapping[str, Written]] = {}
    for member in members:
        for platform, special in member.platforms.items():
            platforms[platform] = _merged([platforms[platform], special]) if platform in platforms else special
    return Family(table=table, attributes=_merged([each.attributes for each in members]), platforms=platforms)


def _merged(tables: Iterable[Mapping[str, Written]]) -> dict[str, Written]:
    merged: dict[str, Written] = {}
    for attributes in tables:
        for name, value in attributes.items():
            merged[name] = _combined(ATTRIBUTES[name], merged[name], value) if name in merged else value
    return merged


def _combined(attribute: Attribute, before: Written, after: Written) -> Written:
    """Two values of one attribute, as its declaration says. A template in place of either replaces."""
    replaces = attribute.merge in {Merge.REPLACE, Merge.OWN}
    if replaces or isinstance(after.value, str) or type(before.value) is not type(after.value):
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
    table: KeyPath


def _entries(written: Written) -> Iterator[_Entry]:
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
