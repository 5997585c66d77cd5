"""Compare what `bake --print` prints for a bake file and for the export of the plan made from this file. Pure.

Two targets are equal if they build the same images. Values that differ only in form are normalised first; each function
that normalises says why the forms mean the same. The order of lists is never changed, unless the function says why.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from mpbake.base.json_text import parse_json
from mpbake.base.platforms import ARCHITECTURES, parse_platform
from mpbake.base.references import (
    format_fields,
    is_local_context,
    parse_fields,
    parse_flag,
    parse_reference,
    split_fields,
)
from mpbake.model.bake_fields import enforced_policies, is_folder_output, is_set

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Normaliser:
    """Converts the attributes of a target to one form for each meaning. `machine` is the platform of this machine."""

    machine: str

    def target(self, target: Mapping[str, Any]) -> dict[str, Any]:
        """Return the attributes of a target in their normal form.

        An empty value means the same as no value: bake resolves inheritance before it prints, and BuildKit has the same
        default for both. For `no-cache` and `pull`, this is `false`.
        """
        converted = {name: self._attribute(name, value) for name, value in target.items()}
        if converted.get("dockerfile-inline"):
            converted.pop("dockerfile", None)  # buildx builds the inline Dockerfile, and reads no file
        if converted.get("call") not in (None, "", "build"):
            converted.pop("output", None)  # another method of the frontend makes no image
        return {name: value for name, value in converted.items() if value not in ("", [], {}, None, False)}

    def _attribute(self, name: str, value: Any) -> Any:
        if name == "platforms" and isinstance(value, list):
            return self._platforms(value)
        normalise = _NORMAL_FORMS.get(name)
        return value if normalise is None or value is None else normalise(value)

    def _platforms(self, platforms: list[str]) -> list[str]:
        """Return the platforms in containerd's form, each once, in their order.

        An entry may list several platforms. buildx replaces `local` by the platform of this machine, and adds the
        machine's operating system to an architecture alone.
        """
        names = [name.strip() for entry in platforms for name in entry.split(",")]
        return list(dict.fromkeys(self._platform(name) for name in names))

    def _platform(self, name: str) -> str:
        if name in ARCHITECTURES and self.machine:
            name = f"{self.machine.partition('/')[0]}/{name}"
        try:
            return self.machine if name == "local" and self.machine else str(parse_platform(name))
        except ValueError:
            return name


def _path(path: str) -> str:
    """Return a path without `./`, `x/..` and a final slash, as buildx cleans it. `cwd://` marks a local path."""
    return posixpath.normpath(path.removeprefix("cwd://") or ".")


def _context(context: str) -> str:
    """Return a build context. Only the paths of local folders are cleaned."""
    is_path = context.startswith("cwd://") or (context != "" and is_local_context(context))
    return _path(context) if is_path else context


def _contexts(contexts: Mapping[str, str]) -> dict[str, str]:
    return {name: _context(context) for name, context in contexts.items()}


def _without_null(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without null: buildx does not pass such an entry. An empty text is a value of its own."""
    return {key: value for key, value in table.items() if value is not None}


def _unique(entries: list[Any]) -> list[Any]:
    """Return a list without repeated entries: the first of them has the same effect as all of them."""
    return [entry for index, entry in enumerate(entries) if entry not in entries[:index]]


def _tags(entries: list[str]) -> list[str]:
    """Return each tag once, in one form: `web` is `docker.io/library/web:latest`."""
    return _unique([_tag(entry) for entry in entries])


def _tag(text: str) -> str:
    try:
        return parse_reference(text).canonical
    except ValueError:
        return text


def _annotations(entries: list[str]) -> list[str]:
    """Return annotations without repeated entries: of several values for one key, buildx uses the last one."""
    return _unique(entries[::-1])[::-1]


def _tags(tags: list[str]) -> list[str]:
    """Return each image name once, with its tag: without one, it is `latest`."""
    return _unique([_tag(tag) for tag in tags])


def _tag(tag: str) -> str:
    try:
        return str(parse_reference(tag))
    except ValueError:
        return tag


def _fields(entry: str | Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of an entry. Old buildx prints entries as CSV, new buildx as objects with values as text."""
    if isinstance(entry, str):
        return parse_fields(entry)
    return {key: _text(value) for key, value in entry.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _entries(convert: Callable[[Any], Iterable[dict[str, Any]]]) -> Callable[[list[Any]], list[Any]]:
    """Return a function that converts each entry of a list to one or more tables of fields.

    An entry that is not a list of fields stays as it is.
    """

    def normalise(entries: list[Any]) -> list[Any]:
        converted: list[Any] = []
        for entry in entries:
            try:
                converted += convert(entry)
            except ValueError:
                converted.append(entry)
        return _unique(converted)

    return normalise


def _output(entry: str | Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield an output. A path alone is a local folder, and `-` alone is an archive on standard output.

    `registry` is an `image` with `push=true`: the same image is pushed. Only with `image`, a node may also unpack it.
    """
    if isinstance(entry, str) and is_folder_output(entry):
        yield {"type": "tar", "dest": "-"} if entry == "-" else {"type": "local", "dest": _path(entry)}
        return
    fields = _fields(entry)
    if fields.get("type") == "registry" or (fields.get("type") == "image" and is_set(fields, "push", default=False)):
        fields |= {"type": "image", "push": "true"}
    dest = fields.get("dest", "")
    yield fields if dest in ("", "-") else {**fields, "dest": _path(dest)}


def _cache(entry: str | Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the caches of an entry. Fields without `=` are images, each a cache of its own in a registry."""
    images = split_fields(entry) if isinstance(entry, str) else []
    if images and not any("=" in image for image in images):
        yield from ({"type": "registry", "ref": image} for image in images)
        return
    fields = _fields(entry)
    yield fields | {name: _path(fields[name]) for name in ("src", "dest") if fields.get(name)}


def _caches(entries: list[Any]) -> list[Any]:
    """Return caches in one order: a build looks into all of them. buildx changes the order if it drops an entry."""
    return sorted(_entries(_cache)(entries), key=_shown)


def _secrets(entries: list[Any]) -> Any:
    """Return the secrets by id: an id has one source, the last one, and the order of ids has no effect."""
    return _by_id(entries, _secret)


def _secret(entry: str | Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the id and the source of a secret. With `type=env`, `src` is a variable; `source` is short for `src`."""
    fields = _fields(entry)
    kind, source = fields.get("type", ""), fields.get("src") or fields.get("source", "")
    variable = fields.get("env") or (source if kind == "env" else "")
    path = "" if kind == "env" else source
    known = {"env": variable, "src": path and _path(path)}
    others = {name: text for name, text in fields.items() if name not in _SECRET_FIELDS}
    return fields["id"], {name: text for name, text in known.items() if text} | others


_SECRET_FIELDS = frozenset({"id", "type", "src", "source", "env"})


def _agents(entries: list[Any]) -> Any:
    """Return the ssh agents and keys by id, as `_secrets` does."""
    return _by_id(entries, _agent)


def _agent(entry: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the id and the other fields of `default=key`, or of the object form."""
    if isinstance(entry, str):
        name, _, paths = entry.partition("=")
        entry = {"id": name, "paths": [path for path in paths.split(",") if path]}
    others = {name: value for name, value in entry.items() if name not in {"id", "paths"}}
    return entry["id"], {"paths": [_path(path) for path in entry.get("paths") or ()]} | others


def _by_id(entries: list[Any], convert: Callable[[Any], tuple[str, Any]]) -> Any:
    try:
        return dict(map(convert, entries))
    except (ValueError, KeyError):
        return entries


def _attestations(entries: list[Any]) -> Any:
    """Return the attestations by type: each type has one entry, the last one, and the order of types has no effect.

    `disabled=false` is the default.
    """
    try:
        fields = [_fields(entry) for entry in entries]
        return {entry["type"]: _without_default(entry) for entry in fields}
    except (ValueError, KeyError):
        return entries


def _without_default(fields: dict[str, str]) -> dict[str, str]:
    is_default = "disabled" in fields and not parse_flag(fields["disabled"])
    return {name: value for name, value in fields.items() if not (name == "disabled" and is_default)}


def _policies(entries: list[Any]) -> list[Any]:
    """Return the policies as mpbake exports them.

    If no entry sets `strict` or `disabled`, mpbake adds `strict=true`, so that an old BuildKit does not ignore them.
    """
    try:
        texts = [entry if isinstance(entry, str) else format_fields(_fields(entry)) for entry in entries]
        return [parse_fields(entry) for entry in enforced_policies(texts)]
    except ValueError:
        return entries


def _limits(limits: list[str]) -> dict[str, str]:
    """Return the limits by name: buildx uses the last value of a name, and the order of names has no effect."""
    return {name: value for name, _, value in (limit.partition("=") for limit in limits)}


_NORMAL_FORMS: Mapping[str, Callable[[Any], Any]] = {
    "args": _without_null,
    "labels": _without_null,
    "extra-hosts": _without_null,
    "annotations": _annotations,
    "tags": _tags,
    "entitlements": _unique,
    "no-cache-filter": _unique,
    "context": _context,
    "contexts": _contexts,
    "dockerfile": _path,
    "output": _entries(_output),
    "cache-from": _caches,
    "cache-to": _caches,
    "secret": _secrets,
    "ssh": _agents,
    "attest": _attestations,
    "policy": _policies,
    "ulimits": _limits,
}
"""The functions that convert attributes to one form. All other attributes are compared as bake prints them."""
