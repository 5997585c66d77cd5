"""The fields of values that are passed to buildx: secrets, attestations, outputs, caches, limits, networks and others.

The functions check such values, and find or replace local paths in the values. A check refuses only values that every
version of buildx refuses. If a check fails, it raises ValueError with a message for users; the second line of the
message is the hint.
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

_SECRET_FIELDS = ("id", "src", "source", "env", "type")
_SECRET_TYPES = ("file", "env")
_ATTESTATIONS = ("provenance", "sbom")
_POLICY_FIELDS = ("filename", "reset", "disabled", "strict", "log-level")
_POLICY_FLAGS = ("reset", "disabled", "strict")
_MODES = ("copy", "delete")
_OUTPUTS = ("cacheonly", "docker", "image", "local", "oci", "registry", "tar")
_CACHES = ("azblob", "gha", "inline", "local", "registry", "s3")
_NETWORKS = ("default", "host", "none")
_CALLS = ("build", "check", "lint", "outline", "targets")
_ENTITLEMENTS = ("device", "network.host", "security.insecure")
_FILE_OUTPUTS = ("docker", "oci", "tar")
_OUTPUT_FLAGS = (
    *("force-compression", "name-canonical", "oci-artifact", "oci-mediatypes", "platform-split", "push"),
    *("push-by-digest",),
    *("registry.insecure", "rewrite-timestamp", "store", "tar", "unpack"),
)
_LIMITS = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)
_LIMIT = re.compile(r"(?P<name>[^=]*)=(?:-?\d+|infinity)(?::(?:-?\d+|infinity))?")
_PATH_FIELDS = ("src", "source", "dest")
_SIZE = re.compile(r"\+?[\d.][\d.e+-]* ?[kmgtp]?i?b?", re.IGNORECASE)


class Paths(Enum):
    """The part of an attribute's value that is a local path. The path is relative to the folder of its plan file."""

    NONE = "none"
    CONTEXT = "the value, or each value of a table, unless it is remote"
    FIELDS = "the src, source and dest fields"
    SSH = "the files after the equals sign"


class PathAccess(Enum):
    """The use of the paths in an attribute by a build."""

    NEEDS = "reads the paths, and fails if a path does not exist"
    READS = "reads the paths that exist"
    WRITES = "writes the paths"


def paths_of(paths: Paths, value: Any) -> list[tuple[KeyPath, str]]:
    """Return the local paths in a value, each with its position in the value: a key of a table, an index of a list.

    `paths` says which part of the value is a path. Raises ValueError if a list of fields is malformed.
    """
    located: list[tuple[KeyPath, str]] = []

    def collect(position: KeyPath, path: str) -> str:
        located.append((position, path))
        return path

    map_paths(paths, value, collect)
    return located


def map_paths(paths: Paths, value: Any, convert: Callable[[KeyPath, str], str]) -> Any:
    """Return a copy of `value` in which `convert(position, path)` replaces each local path.

    `paths` says which part of the value is a path. Raises ValueError if a list of fields is malformed.
    """
    match value:
        case _ if paths is Paths.NONE:
            return value
        case dict():
            return {key: _map_in_text(paths, item, partial(convert, (key,))) for key, item in value.items()}
        case list():
            return [_map_in_text(paths, item, partial(convert, (index,))) for index, item in enumerate(value)]
        case _:
            return _map_in_text(paths, value, partial(convert, ()))


def _map_in_text(paths: Paths, text: str, convert: Callable[[str], str]) -> str:
    match paths:
        case Paths.CONTEXT:
            return convert(text) if text and is_local_context(text) else text
        case Paths.FIELDS:
            fields = parse_fields(text)
            converted = {name: convert(fields[name]) for name in _PATH_FIELDS if _is_path(name, fields)}
            return format_fields(fields | converted) if converted else text
        case Paths.SSH:
            name, equals, files = text.partition("=")
            return name + equals + ",".join(convert(file) for file in files.split(",") if file)
        case Paths.NONE:
            return text
        case _:
            assert_never(paths)


def _is_path(name: str, fields: Mapping[str, str]) -> bool:
    """Whether a field is a local path. With `type=env` a field is a variable, and `dest=-` is standard output."""
    return fields.get(name, "") not in ("", "-" if name == "dest" else "") and fields.get("type") != "env"


def check_secret(text: str) -> None:
    """Check a build secret, such as `id=token,env=TOKEN`."""
    fields = _pairs(split_fields(text), "id=token,env=TOKEN")
    for key in fields:
        if key not in _SECRET_FIELDS:
            msg = f'unknown field "{short_name(key)}"\n{did_you_mean(key, _SECRET_FIELDS, kind="fields")}'
            raise ValueError(msg)
    if not fields.get("id"):
        msg = "a secret needs an id\nwrite it like id=token,env=TOKEN"
        raise ValueError(msg)
    if "type" in fields:
        _check_type(fields["type"], _SECRET_TYPES)


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretSource:
    """The source of a build secret: the environment variable `variable`, or a file if `variable` is empty.

    With `or_file` the entry has only an id: buildx reads the variable of that name or, if the variable is not set, the
    file of that name in the plan's folder.
    """

    variable: str = ""
    or_file: bool = False


def secret_source(text: str) -> SecretSource:
    """Return the source of a valid secret entry by buildx's rules: with `type=env`, `src` is a variable, too."""
    fields = parse_fields(text)
    variable, source = fields.get("env", ""), fields.get("src") or fields.get("source", "")
    if not variable and not source:
        return SecretSource(variable=fields.get("id", ""), or_file=True)
    return SecretSource(variable=variable or (source if fields.get("type") == "env" else ""))


def check_attestation(text: str) -> None:
    """Check `type` and `disabled` of an attestation, such as `type=provenance,mode=max`; BuildKit checks the rest."""
    fields = _typed(split_fields(text), "type=provenance,mode=max")
    _check_type(fields["type"], _ATTESTATIONS)
    if "disabled" in fields:
        _check_flag("disabled", fields["disabled"])


def enabled_attestations(entries: Iterable[str]) -> list[str]:
    """Return the types of attestations, such as `sbom`, that `attest` entries enable."""
    return [kind for kind, is_enabled in _attestations(entries) if is_enabled]


def disabled_attestations(entries: Iterable[str]) -> list[str]:
    """Return the types of attestations that `attest` entries disable."""
    return [kind for kind, is_enabled in _attestations(entries) if not is_enabled]


def _attestations(entries: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield the type of each entry, and whether it is enabled."""
    for fields in map(parse_fields, entries):
        if "type" in fields:
            yield fields["type"], not parse_flag(fields.get("disabled", "false"))


def check_output(text: str) -> None:
    """Check an output, such as `type=local,dest=out`."""
    parts = split_fields(text)
    if is_folder_output(text):
        return
    fields = _typed(parts, "type=local,dest=out")
    _check_type(fields["type"], _OUTPUTS, allow_unknown=True)
    for key in fields:
        if key in _OUTPUT_FLAGS and fields[key]:
            _check_flag(key, fields[key])
    if fields["type"] == "local" and fields.get("mode"):
        _check_known("mode", fields["mode"], _MODES)


def check_destination(text: str) -> None:
    """Check that an output that writes one file, such as `type=tar,dest=web.tar`, names the file.

    A `docker` output without `dest` is loaded into the engine instead.
    """
    fields = {"type": "tar", "dest": "-"} if text == "-" else {} if is_folder_output(text) else parse_fields(text)
    kind, dest = fields.get("type", ""), fields.get("dest", "")
    if kind in _FILE_OUTPUTS and (dest == "-" or not (dest or kind == "docker")):
        problem = "writing to standard output is not supported" if dest == "-" else "dest is missing"
        msg = f"{problem}\nname a file: type={kind},dest=web.tar"
        raise ValueError(msg)


def is_folder_output(output: str) -> bool:
    """Whether an `output` entry is only a path: without any `=`, or with a single field other than `type=`."""
    return "=" not in output or (split_fields(output) == [output] and not output.startswith("type="))


def pushes(output: str) -> bool:
    """Whether an `output` entry pushes the image to a registry."""
    fields = {} if is_folder_output(output) else parse_fields(output)
    return fields.get("type") == "registry" or is_set(fields, "push", default=False)


def deletes(output: str) -> bool:
    """Whether an `output` entry deletes all files in its folder that are not part of the result."""
    fields = {} if is_folder_output(output) else parse_fields(output)
    return fields.get("type") == "local" and fields.get("mode") == "delete"


def check_policy(text: str) -> None:
    """Check a source policy, such as `filename=extra.rego,strict=true`. Later versions of buildx may add fields."""
    for part in split_fields(text):  # a field may occur several times
        ((key, value),) = _pairs([part], "filename=extra.rego").items()
        _check_known("field", key, _POLICY_FIELDS, allow_unknown=True)
        if key in _POLICY_FLAGS:
            _check_flag(key, value)
        if key == "filename" and not value:
            msg = "filename is empty\nwrite it like filename=extra.rego"
            raise ValueError(msg)


def enforced_policies(policies: Iterable[str]) -> list[str]:
    """Add `strict=true` to `policy` entries, unless an entry sets `strict` or `disabled`.

    A node without support for policies (BuildKit before 0.27) refuses strict policies, and silently ignores policies
    that are not strict.
    """
    entries = list(policies)
    if any({"strict", "disabled"} & parse_fields(entry).keys() for entry in entries):
        return entries
    return [f"{entry},strict=true" for entry in entries]


def is_set(fields: Mapping[str, str], key: str, *, default: bool) -> bool:
    """Whether a boolean field of an output is true. BuildKit takes a field without a value as true."""
    value = fields.get(key)
    return default if value is None else not value or parse_flag(value)


def check_cache(text: str) -> None:
    """Check a cache, such as `type=registry,ref=registry.example.com/cache`. An entry without `=` lists images."""
    parts = split_fields(text)
    if not any("=" in part for part in parts):
        return
    fields = _typed(parts, "type=registry,ref=registry.example.com/cache")
    _check_type(fields["type"], _CACHES, allow_unknown=True)


def check_size(text: str) -> None:
    """Check an amount of memory, such as `512m` or `1.5g`."""
    if not _SIZE.fullmatch(text):
        msg = f'"{short_name(text)}" is not a size\nwrite it like 512m or 2g'
        raise ValueError(msg)


def check_network(text: str) -> None:
    """Check the network of RUN steps, such as `none`."""
    _check_known("network", text, _NETWORKS)


def check_call(text: str, *, allow_unknown: bool = True) -> None:
    """Check the value of `call`, such as `check`: the frontend method that runs instead of a build.

    With `allow_unknown`, accept unknown names that do not look like typos: a foreign frontend may have other methods.
    """
    _check_known("call", text.partition(",")[0], _CALLS, allow_unknown=allow_unknown)


def check_entitlement(text: str, *, allow_unknown: bool = True) -> None:
    """Check an entitlement, such as `network.host` or `device=NAME`.

    With `allow_unknown`, accept unknown names that do not look like typos: a later buildx may support other names.
    """
    _check_known("entitlement", text.partition("=")[0], _ENTITLEMENTS, allow_unknown=allow_unknown)


def check_annotation(text: str) -> None:
    """Check an annotation, such as `index:org.example.key=value`."""
    if "=" not in text:
        msg = f'"{short_name(text)}" is not key=value\nwrite it like org.opencontainers.image.title=web'
        raise ValueError(msg)


def check_ulimit(text: str) -> None:
    """Check that a ulimit has a value. Later versions of buildx may support more limits than `check_limit` knows."""
    if "=" not in text:
        check_limit(text)


def check_limit(text: str) -> None:
    """Check a ulimit with its soft limit and, optionally, its hard limit, such as `nofile=1024:2048`."""
    match = _LIMIT.fullmatch(text)
    if match is None:
        msg = f'"{short_name(text)}" is not a limit\nwrite it like nofile=1024:2048'
        raise ValueError(msg)
    if match["name"] not in _LIMITS:
        msg = f'unknown limit "{short_name(match["name"])}"\n{did_you_mean(match["name"], _LIMITS, kind="limits")}'
        raise ValueError(msg)


def _pairs(parts: Sequence[str], example: str) -> dict[str, str]:
    """Return the fields by key. Raises ValueError if a field has no value."""
    wrong = next((part for part in parts if "=" not in part), None)
    if wrong is not None:
        msg = f'"{short_name(wrong)}" is not a key=value field\nwrite it like {example}'
        raise ValueError(msg)
    return named_fields(parts)


def _typed(parts: Sequence[str], example: str) -> dict[str, str]:
    """Return the fields by key. Raises ValueError if `type` is missing."""
    fields = _pairs(parts, example)
    if not fields.get("type"):
        similar = next((key for key in fields if closest_name(key, ["type"])), "")
        hint = did_you_mean(similar, ["type"]) if similar and similar != "type" else f"write it like {example}"
        msg = f"a type is missing\n{hint}"
        raise ValueError(msg)
    return fields


def _check_flag(key: str, value: str) -> None:
    try:
        parse_flag(value)
    except ValueError as error:
        msg = f"{key}: {error}\nwrite {key}=true or {key}=false"
        raise ValueError(msg) from None


def _check_type(name: str, known: Iterable[str], *, allow_unknown: bool = False) -> None:
    _check_known("type", name, known, allow_unknown=allow_unknown)


def _check_known(kind: str, name: str, known: Iterable[str], *, allow_unknown: bool = False) -> None:
    """Raise ValueError if `name` is not `known`; with `allow_unknown`, only if `name` looks like a typo."""
    if name not in known and not (allow_unknown and not closest_name(name, known)):
        msg = f'unknown {kind} "{short_name(name)}"\n{did_you_mean(name, known, kind=f"{kind}s")}'
        raise ValueError(msg)
