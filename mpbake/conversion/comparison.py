"""Compare what `bake --print` prints for a bake file and for the export of the plan made from this file. Pure.

Two targets are equal if they build the same images: `normal_forms` says which values mean the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from mpbake.base.json_text import parse_json
from mpbake.conversion.normal_forms import Normaliser

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping


@dataclass(frozen=True, kw_only=True, slots=True)
class Printed:
    """The output of `bake --print`: the attributes of each target, and the members of each group."""

    targets: Mapping[str, Mapping[str, Any]]
    groups: Mapping[str, tuple[str, ...]]

    def without(self, names: Container[str]) -> Printed:
        """Return the same without some targets."""
        targets = {name: target for name, target in self.targets.items() if name not in names}
        groups = {
            group: tuple(member for member in members if member not in names) for group, members in self.groups.items()
        }
        return replace(self, targets=targets, groups=groups)

    def members(self, group: str) -> frozenset[str]:
        """Return the targets that a group selects, also through other groups. In its own group, a name is a target."""
        seen: set[str] = set()
        targets: set[str] = set()
        queue = [group]
        while queue:
            name = queue.pop()
            if name in self.groups and name not in seen:
                seen.add(name)
                queue += [member for member in self.groups[name] if member != name]
                targets |= {name} & {*self.groups[name]}
            elif name not in self.groups:
                targets.add(name)
        return frozenset(targets)


def parse_printed(text: str, *, without: Container[str] = ()) -> Printed:
    """Return the output of `bake --print`, without the groups in `without`.

    Raises ValueError, LookupError or TypeError if `text` is something else.
    """
    data = parse_json(text)
    targets = data["target"]
    groups = {
        name: tuple(member for member in group.get("targets") or () if member not in without)
        for name, group in (data.get("group") or {}).items()
        if name not in without
    }
    return Printed(targets=targets, groups=groups)


class Subject(StrEnum):
    """The kind of entry in a bake file that differs."""

    TARGET = "target"
    GROUP = "group"


Place: TypeAlias = tuple[Subject, str, str]
"""Where a difference is: the kind and the name of the entry, and its attribute."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A difference between the bake file and the plan. `name` is the name in the bake file.

    `attribute` is an attribute or one of its entries, such as `args.VERSION`; empty if the whole target or group exists
    only once. `original` and `imported` are the values as JSON; empty if there is no value.
    """

    subject: Subject
    name: str
    attribute: str
    original: str
    imported: str

    @property
    def place(self) -> Place:
        """Where the difference is."""
        return self.subject, self.name, self.attribute


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """The names in the plan by the names in the bake file; a name that is missing is the same in both.

    `templates` are targets of the bake file that the plan never builds.
    """

    targets: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    templates: frozenset[str] = frozenset()


def differences(original: Printed, imported: Printed, names: Names, machine: str) -> Iterator[Difference]:
    """Yield the differences between a bake file and its plan, both as bake prints them.

    `machine` is the platform of this machine, which the platform `local` stands for.
    """
    normalise = Normaliser(machine=machine)
    plan_names = {name: names.targets.get(name, name) for name in original.targets if name not in names.templates}
    for name, plan_name in plan_names.items():
        theirs, ours = original.targets[name], imported.targets.get(plan_name)
        if ours is None:
            yield _missing(Subject.TARGET, name, original="defined")
        else:
            yield from _target_differences(name, normalise.target(theirs), normalise.target(ours), names)
    for plan_name in sorted(imported.targets.keys() - set(plan_names.values())):
        yield _missing(Subject.TARGET, plan_name, imported="defined")
    yield from _group_differences(original, imported, names)


def _missing(subject: Subject, name: str, *, original: str = "", imported: str = "") -> Difference:
    return Difference(subject=subject, name=name, attribute="", original=original, imported=imported)


def _target_differences(
    name: str, original: Mapping[str, Any], imported: Mapping[str, Any], names: Names
) -> Iterator[Difference]:
    original = _with_renamed_links(original, names)
    for attribute in dict.fromkeys([*original, *imported]):
        theirs, ours = original.get(attribute), imported.get(attribute)
        if theirs == ours:
            continue
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for key in dict.fromkeys([*theirs, *ours]):
                if theirs.get(key, _ABSENT) != ours.get(key, _ABSENT):
                    yield _difference(name, f"{attribute}.{key}", theirs.get(key, _ABSENT), ours.get(key, _ABSENT))
        else:
            yield _difference(name, attribute, _ABSENT if theirs is None else theirs, _ABSENT if ours is None else ours)


_ABSENT = object()


def _difference(name: str, attribute: str, original: Any, imported: Any) -> Difference:
    return Difference(
        subject=Subject.TARGET,
        name=name,
        attribute=attribute,
        original="" if original is _ABSENT else _shown(original),
        imported="" if imported is _ABSENT else _shown(imported),
    )


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_LINK = "target:"


def _with_renamed_links(target: Mapping[str, Any], names: Names) -> Mapping[str, Any]:
    """Return a target of the bake file whose links have the names of the plan."""
    contexts = {
        name: f"{_LINK}{names.targets.get(context[len(_LINK) :], context[len(_LINK) :])}"
        for name, context in target.get("contexts", {}).items()
        if context.startswith(_LINK)
    }
    return {**target, "contexts": {**target["contexts"], **contexts}} if contexts else target


def _group_differences(original: Printed, imported: Printed, names: Names) -> Iterator[Difference]:
    """Yield the groups that select other targets. The order of members has no effect: bake builds them in parallel."""
    for name in original.groups:
        plan_name = names.groups.get(name, name)
        if plan_name not in imported.groups:
            if not original.members(name):
                continue  # bake refuses to build it: all of its members are missing
            yield _missing(Subject.GROUP, name, original=_shown(sorted(original.members(name))))
            continue
        theirs = {names.targets.get(member, member) for member in original.members(name)}
        ours = imported.members(plan_name)
        if theirs != ours:
            yield Difference(
                subject=Subject.GROUP,
                name=name,
                attribute="targets",
                original=_shown(sorted(theirs)),
                imported=_shown(sorted(ours)),
            )
