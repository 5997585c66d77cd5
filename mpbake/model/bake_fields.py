"""What values that go to buildx may say: secrets, attestations, outputs, caches, limits, networks and the like.

Only what no buildx takes is refused. Each check raises ValueError with a sentence for people; a second line of it is
the remedy. Whoever looks for paths of this machine in such values does so here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.base.references import format_fields, is_local_context, named_fields, parse_fields, parse_flag, split_fields
from mpbake.base.text import closest_name, did_you_mean, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath

_OF_SECRET = ("id", "src", "source", "env", "type")
_SECRETS = ("file", "env")
_ATTESTATIONS = ("provenance", "sbom")
_OF_POLICY = ("filename", "reset", "disabled", "strict", "log-level")
_FLAGS_OF_POLICIES = ("reset", "disabled", "strict")
_MODES = ("copy", "delete")
_OUTPUTS = ("cacheonly", "docker", "image", "local", "oci", "registry", "tar")
_CACHES = ("azblob", "gha", "inline", "local", "registry", "s3")
_NETWORKS = ("default", "host", "none")
_CALLS = ("build", "check", "lint", "outline", "targets")
_ENTITLEMENTS = ("device", "network.host", "security.insecure")
_FILES = ("docker", "oci", "tar")
_FLAGS_OF_OUTPUTS = (
    *("force-compression", "name-canonical", "oci-artifact", "oci-mediatypes", "platform-split", "push"),
    *("push-by-digest",),
    *("registry.insecure", "rewrite-timestamp", "store", "tar", "unpack"),
)
_LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)
_LIMIT = re.compile(r"(?P<name>[^=]*)=(?:-?\d+|infinity)(?::(?:-?\d+|infinity))?")
_FIELDS_OF_PATHS = ("src", "source", "dest")
_SIZE = re.compile(r"\+?[\d.][\d.e+-]* ?[kmgtp]?i?b?", re.IGNORECASE)


class Paths(Enum):
    """Which local paths an attribute holds; they count from the folder of the file that states them."""

    NONE = "none"
    CONTEXT = "the value, or each value of a table, unless it is remote"
    FIELDS = "the src, source and dest fields"
    SSH = "the files after the equals sign"


class PathAccess(Enum):
    """What a build does with the paths of an attribute."""

    NEEDS = "reads them, and fails where they are not there"
    READS = "reads what is there of them"
    WRITES = "makes them"


def paths_of(paths: Paths, value: Any) -> list[tuple[KeyPath, str]]:
    """The local paths in a value that holds `paths`, each after its place in it: a key of a table, an index of a list.

    Raises ValueError for fields that are none.
    """
    found: list[tuple[KeyPath, str]] = []

    def note(place: KeyPath, path: str) -> str:
        found.append((place, path))
        return path

    with_paths(paths, value, note)
    return found


def with_paths(paths: Paths, value: Any, moved: Callable[[KeyPath, str], str]) -> Any:
    """A value that holds `paths` with each local path as `moved` makes it, which is told its place, too.

    Raises ValueError for fields that are none.
    """
    match value:
        case _ if paths is Paths.NONE:
            return value
        case dict():
            return {key: _with_paths(paths, each, partial(moved, (key,))) for key, each in value.items()}
        case list():
            return [_with_paths(paths, each, partial(moved, (at,))) for at, each in enumerate(value)]
        case _:
            return _with_paths(paths, value, partial(moved, ()))


def _with_paths(paths: Paths, text: str, moved: Callable[[str], str]) -> str:
    match paths:
        case Paths.CONTEXT:
            return moved(text) if text and is_local_context(text) else text
        case Paths.FIELDS:
            fields = parse_fields(text)
            found = {name: moved(fields[name]) for name in _FIELDS_OF_PATHS if _is_path(name, fields)}
            return format_fields(fields | found) if found else text
        case Paths.SSH:
            name, equals, files = text.partition("=")
            return name + equals + ",".join(moved(each) for each in files.split(",") if each)
        case Paths.NONE:
            return text
        case _:
            assert_never(paths)


def _is_path(name: str, fields: Mapping[str, str]) -> bool:
    """Whether a field names something here: of the type env it is a variable, and `dest=-` is standard output."""
    return fields.get(name, "") not in ("", "-" if name == "dest" else "") and fields.get("type") != "env"


def check_secret(text: str) -> None:
    """`id=token,env=TOKEN`: a build secret."""
    fields = _pairs(split_fields(text), "id=token,env=TOKEN")
    for key in fields:
        if key not in _OF_SECRET:
            msg = f'unknown field "{short_name(key)}"\n{did_you_mean(key, _OF_SECRET, kind="fields")}'
            raise ValueError(msg)
    if not fields.get("id"):
        msg = "a secret needs an id\nfor example id=token,env=TOKEN"
        raise ValueError(msg)
    if "type" in fields:
        _check_type(fields["type"], _SECRETS)


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretSource:
    """Where buildx has a build secret from, if that may be an environment `variable`.

    With `or_file` only its id is given: where no variable of that name is set, it is the file of that name in the
    plan's folder.
    """

    variable: str = ""
    or_file: bool = False


def secret_source(text: str) -> SecretSource:
    """Where the secret of a right entry comes from, as buildx reads it: `src` of the type env is a variable, too."""
    fields = parse_fields(text)
    variable, source = fields.get("env", ""), fields.get("src") or fields.get("source", "")
    if not variable and not source:
        return SecretSource(variable=fields.get("id", ""), or_file=True)
    return SecretSource(variable=variable or (source if fields.get("type") == "env" else ""))


def check_attestation(text: str) -> None:
    """`type=provenance,mode=max`: an attestation; what else it says is BuildKit's affair."""
    fields = _typed(split_fields(text), "type=provenance,mode=max")
    _check_type(fields["type"], _ATTESTATIONS)
    if "disabled" in fields:
        _check_flag("disabled", fields["disabled"])


def attestations_asked_for(entries: Iterable[str]) -> list[str]:
    """The types of what `attest` entries want to have attested, as `sbom`."""
    return [kind for kind, is_wanted in _attestations(entries) if is_wanted]


def attestations_declined(entries: Iterable[str]) -> list[str]:
    """The types of what `attest` entries do not want to have attested."""
    return [kind for kind, is_wanted in _attestations(entries) if not is_wanted]


def is_attested(entries: Iterable[str]) -> bool:
    """Whether an image with these `attest` entries has attestations: its provenance, unless they decline that."""
    return any({"provenance": True, **dict(_attestations(entries))}.values())


def _attestations(entries: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """The type of each entry, and whether it is wanted."""
    for fields in map(parse_fields, entries):
        if "type" in fields:
            yield fields["type"], not parse_flag(fields.get("disabled", "false"))


def check_output(text: str) -> None:
    """`type=local,dest=out`: an output."""
    parts = split_fields(text)
    if is_folder_output(text):
        return
    fields = _typed(parts, "type=local,dest=out")
    _check_type(fields["type"], _OUTPUTS, more=True)
    for key in fields:
        if key in _FLAGS_OF_OUTPUTS and fields[key]:
            _check_flag(key, fields[key])
    if fields["type"] == "local" and fields.get("mode"):
        _check_known("mode", fields["mode"], _MODES)


def check_destination(text: str) -> None:
    """`type=tar,dest=web.tar`: an output of one file says where; that of `docker` may be loaded instead."""
    fields = {"type": "tar", "dest": "-"} if text == "-" else {} if is_folder_output(text) else parse_fields(text)
    kind, dest = fields.get("type", ""), fields.get("dest", "")
    if kind in _FILES and (dest == "-" or not (dest or kind == "docker")):
        msg = f"names no file, and standard output is not handed on\nname one: type={kind},dest=web.tar"
        raise ValueError(msg)


def is_folder_output(output: str) -> bool:
    """Whether an `output` entry is only a path: it has no fields, or only one that is no type."""
    return "=" not in output or (split_fields(output) == [output] and not output.startswith("type="))


def pushes(output: str) -> bool:
    """Whether an `output` entry sends the image to a registry."""
    fields = {} if is_folder_output(output) else parse_fields(output)
    return fields.get("type") == "registry" or is_set(fields, "push", default=False)


def deletes(output: str) -> bool:
    """Whether an `output` entry deletes every file of its folder that the build did not make."""
    fields = {} if is_folder_output(output) else parse_fields(output)
    return fields.get("type") == "local" and fields.get("mode") == "delete"


def check_policy(text: str) -> None:
    """`filename=extra.rego,strict=true`: a policy for the sources of a build. A later buildx may know more fields."""
    for part in split_fields(text):  # there may be several of one name
        ((key, value),) = _pairs([part], "filename=extra.rego").items()
        _check_known("field", key, _OF_POLICY, more=True)
        if key in _FLAGS_OF_POLICIES:
            _check_flag(key, value)
        if key == "filename" and not value:
            msg = "filename names no file\nfor example filename=extra.rego"
            raise ValueError(msg)


def enforced_policies(policies: Iterable[str]) -> list[str]:
    """`policy` entries that a node without support for policies refuses, unless they say `strict` themselves.

    Such a node (BuildKit before 0.27) builds as if there were no policy.
    """
    entries = list(policies)
    if any({"strict", "disabled"} & parse_fields(entry).keys() for entry in entries):
        return entries
    return [f"{entry},strict=true" for entry in entries]


def is_set(fields: Mapping[str, str], key: str, *, default: bool) -> bool:
    """Whether a field of an output is true; without a value it is, for BuildKit."""
    value = fields.get(key)
    return default if value is None else not value or parse_flag(value)


def check_cache(text: str) -> None:
    """`type=registry,ref=registry.example.com/cache`: a cache. What has no fields at all names images."""
    parts = split_fields(text)
    if not any("=" in part for part in parts):
        return
    fields = _typed(parts, "type=registry,ref=registry.example.com/cache")
    _check_type(fields["type"], _CACHES, more=True)


def check_size(text: str) -> None:
    """`512m`, `1.5g`: an amount of memory."""
    if not _SIZE.fullmatch(text):
        msg = f'"{short_name(text)}" is not a size\nfor example 512m or 2g'
        raise ValueError(msg)


def check_network(text: str) -> None:
    """`none`: a network of RUN steps."""
    _check_known("network", text, _NETWORKS)


def check_call(text: str, *, more: bool = True) -> None:
    """`check`: what is done instead of a build. A frontend of somebody else's may know `more`."""
    _check_known("call", text.partition(",")[0], _CALLS, more=more)


def check_entitlement(text: str, *, more: bool = True) -> None:
    """`network.host`, `device=NAME`: a privilege. A later buildx may know `more`."""
    _check_known("entitlement", text.partition("=")[0], _ENTITLEMENTS, more=more)


def check_annotation(text: str) -> None:
    """`index:org.example.key=value`: an annotation."""
    if "=" not in text:
        msg = f'"{short_name(text)}" is no key=value\nfor example org.opencontainers.image.title=web'
        raise ValueError(msg)


def check_ulimit(text: str) -> None:
    """`nofile=1024`: something that has a limit; a later buildx may know more than `check_limit`."""
    if "=" not in text:
        check_limit(text)


def check_limit(text: str) -> None:
    """`nofile=1024:2048`: a soft limit, and a hard one."""
    found = _LIMIT.fullmatch(text)
    if found is None:
        msg = f'"{short_name(text)}" is not a limit\nfor example nofile=1024:2048'
        raise ValueError(msg)
    if found["name"] not in _LIMITS:
        msg = f'unknown limit "{short_name(found["name"])}"\n{did_you_mean(found["name"], _LIMITS, kind="limits")}'
        raise ValueError(msg)


def _pairs(parts: Sequence[str], example: str) -> dict[str, str]:
    """The fields by their keys, all of which have a value."""
    wrong = next((part for part in parts if "=" not in part), None)
    if wrong is not None:
        msg = f'"{short_name(wrong)}" is no key=value field\nfor example {example}'
        raise ValueError(msg)
    return named_fields(parts)


def _typed(parts: Sequence[str], example: str) -> dict[str, str]:
    """The fields of what has to say its type."""
    fields = _pairs(parts, example)
    if not fields.get("type"):
        near = next((key for key in fields if closest_name(key, ["type"])), "")
        remedy = did_you_mean(near, ["type"]) if near and near != "type" else f"for example {example}"
        msg = f"a type is missing\n{remedy}"
        raise ValueError(msg)
    return fields


def _check_flag(key: str, value: str) -> None:
    try:
        parse_flag(value)
    except ValueError as error:
        msg = f"{key}: {error}\nwrite {key}=true or {key}=false"
        raise ValueError(msg) from None


def _check_type(name: str, known: Iterable[str], *, more: bool = False) -> None:
    _check_known("type", name, known, more=more)


def _check_known(kind: str, name: str, known: Iterable[str], *, more: bool = False) -> None:
    """That `name` is `known`; where there may be `more`, that it does not look like one of these misspelt."""
    if name not in known and not (more and not closest_name(name, known)):
        msg = f'unknown {kind} "{short_name(name)}"\n{did_you_mean(name, known, kind=f"{kind}s")}'
        raise ValueError(msg)
