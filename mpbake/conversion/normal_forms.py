"""One form for all values of a bake target that mean the same to buildx and BuildKit. Pure.

Each function that normalises says why the forms mean the same. The order of a list is never changed, unless the
function says why.
"""

from __future__ import annotations

import json
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Callable, Iterable, Iterator, Mapping


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
        if not converted.get("tags"):
            converted |= {name: _without_push(converted[name]) for name in ("output",) if converted.get(name)}
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


HEREDOC = "<<"
"""The mark of a heredoc in a Dockerfile. Its lines are content, with their line ends."""


def _path(path: str) -> str:
    """Return a path without `./`, `x/..` and a final slash, as buildx cleans it. `cwd://` marks a local path."""
    return posixpath.normpath(path.removeprefix("cwd://") or ".")


def _dockerfile(text: str) -> str:
    """Return an inline Dockerfile with plain line ends, which mean the same outside of a heredoc (`<<`)."""
    return text if HEREDOC in text else text.replace("\r\n", "\n")


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
    `docker` with `push=true` is loaded and pushed (the docker driver does both).
    """
    if isinstance(entry, str) and is_folder_output(entry):
        yield {"type": "tar", "dest": "-"} if entry == "-" else {"type": "local", "dest": _path(entry)}
        return
    fields = _fields(entry)
    if fields.get("type") == "registry" or (fields.get("type") == "image" and is_set(fields, "push", default=False)):
        fields |= {"type": "image", "push": "true"}
    if fields.get("type") == "docker" and "push" in fields:
        push = fields.pop("push")
        if push and parse_flag(push):
            yield {"type": "image", "push": "true"}
    dest = fields.get("dest", "")
    yield fields if dest in ("", "-") else {**fields, "dest": _path(dest)}


def _without_push(outputs: list[Any]) -> list[Any]:
    """Return the outputs of a target without tags: buildx refuses to push an image that has no name."""
    return [output for output in outputs if not (isinstance(output, dict) and _is_unnamed_push(output))]


def _is_unnamed_push(fields: Mapping[str, str]) -> bool:
    return fields.get("type") == "image" and "name" not in fields and is_set(fields, "push", default=False)


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
    return _sorted(_entries(_cache)(entries))


def _outputs(entries: list[Any]) -> list[Any]:
    """Return outputs in one order: a build writes all of them, each to a place of its own."""
    return _sorted(_entries(_output)(entries))


def _sorted(entries: list[Any]) -> list[Any]:
    return sorted(entries, key=lambda entry: json.dumps(entry, sort_keys=True))


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
    "dockerfile-inline": _dockerfile,
    "output": _outputs,
    "cache-from": _caches,
    "cache-to": _caches,
    "secret": _secrets,
    "ssh": _agents,
    "attest": _attestations,
    "policy": _policies,
    "ulimits": _limits,
}
"""The functions that convert attributes to one form. All other attributes are compared as bake prints them."""
