"""buildx's own store of builders: entries come and go as whole files, under buildx's lock, and nothing else changes.

`buildx create --append` is no way to make a builder of several nodes: it waits for every node there is, takes declared
platforms away from other nodes, and damages the rest when one fails. So each node is made by buildx in a store of its
own, and the entry of the builder is put together from those.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError
from mpbake.base.files import read_bounded, write_whole
from mpbake.base.json_text import parse_json
from mpbake.base.platforms import Platform, platform_of_entry
from mpbake.model.marks import split_mark
from mpbake.model.node_state import ADDED_FLAG, CERTIFICATE_OPTIONS, StoredBuilder, StoredNode
from mpbake.run.state.locks import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.model.plan import Builder, Node

_PATIENCE = 60.0
_SIGNATURE = {"MadeBy": "mpbake"}
"""What an entry of mpbake's says besides; buildx passes over it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildxStore:
    """The store in a folder: the user's, or a private one."""

    folder: Path

    def read(self, name: str) -> dict[str, Any] | None:
        """What buildx keeps of a builder; None when it keeps nothing. Raises MpbakeError when it cannot be read."""
        path = self._path(name)
        try:
            return dict(parse_json(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise MpbakeError(
                f"{path} cannot be read: {error}", hint="remove it, or have buildx write it anew"
            ) from None

    def put(self, name: str, entry: Mapping[str, Any]) -> None:
        """Write a builder: it is there as a whole, or as it was. Raises MpbakeError when it does not read back."""
        path = self._path(name)
        with self._changing():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # What lies beside it is a builder to buildx.
            write_whole(path, json.dumps(entry, separators=(",", ":")), within=self.folder)
        if self.read(name) != dict(entry):
            raise MpbakeError(f"{path} does not hold what was written", hint="does something else write there?")

    def remove(self, name: str) -> bool:
        """Take a builder's entry out; what it refers to stays. Whether there was one."""
        with self._changing():
            for folder in ("activity", "instances"):
                path = self.folder / folder / name.lower()
                there = path.is_file()
                path.unlink(missing_ok=True)
        return there

    def _path(self, name: str) -> Path:
        return self.folder / "instances" / name.lower()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold the lock that buildx itself takes to change its store."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / ".lock").open("a") as lock:
                if not wait_for(lock, seconds=_PATIENCE):
                    message = f"{self.folder} is locked by a buildx command that does not end"
                    raise MpbakeError(message, hint="such as docker buildx ls, which waits for nodes that are dead")
                yield
        except OSError as error:
            message = f"{error.filename or self.folder}: {error.strerror}"
            raise MpbakeError(message, hint="buildx keeps its builders there: it must be writable") from error


def store_folder(environment: Mapping[str, str]) -> Path:
    """Where the user's buildx keeps its builders."""
    folder = environment.get("BUILDX_CONFIG")
    if folder:
        return Path(folder)
    docker = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME", "/"), ".docker")
    return Path(docker, "buildx")


def stored_entry(environment: Mapping[str, str], name: str) -> StoredBuilder | None:
    """What the user's buildx keeps of a builder; None when there is none, or none that can be understood."""
    try:
        found = BuildxStore(folder=store_folder(environment)).read(name)
        return entry_of(found) if found else None
    except MpbakeError:
        return None


def entry_of(found: Mapping[str, Any]) -> StoredBuilder:
    """What an entry in buildx's store says. Raises MpbakeError when it is no such entry."""
    try:
        nodes = tuple(_entry_node(each) for each in found["Nodes"] or ())
        return StoredBuilder(driver=str(found["Driver"]), nodes=nodes, signed=_SIGNATURE.items() <= found.items())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MpbakeError(f"an entry in buildx's store cannot be understood: {error!r}") from None


def _entry_node(found: Mapping[str, Any]) -> StoredNode:
    options = dict(found["DriverOpts"] or {})
    return StoredNode(
        name=str(found["Name"]),
        endpoint=_endpoint(str(found["Endpoint"])),
        platforms=tuple(str(platform_of_entry(each)) for each in found["Platforms"] or ()),
        mark=split_mark(options),
        options=by_content(options),
        flags=_flags(found["Flags"] or ()),
    )


def declared_node(node: Node, endpoint: str, options: Mapping[str, str]) -> StoredNode:
    """What the entry of a node is to say."""
    told = dict(options)
    return StoredNode(
        name=node.buildx_name,
        endpoint=_endpoint(endpoint),
        platforms=tuple(str(each) for each in node.platforms),
        mark=split_mark(told),
        options=by_content(told),
        flags=_flags(node.flags),
    )


def merged_entry(builder: Builder, singles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The entry of a builder, from those that buildx made of its single nodes, in the order of the plan."""
    nodes = [
        {**single["Nodes"][0], "Platforms": _fixed(node)} for node, single in zip(builder.nodes, singles, strict=True)
    ]
    return {**singles[0], "Name": builder.name.lower(), "Nodes": nodes, **_SIGNATURE}


def by_content(options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Driver options, sorted, with the content of certificates for their path: another checkout has them elsewhere."""
    shown = {name: _content(value) if name in CERTIFICATE_OPTIONS else value for name, value in options.items()}
    return tuple(sorted(shown.items()))


def _content(path: str) -> str:
    try:
        return hashlib.sha256(read_bounded(Path(path), pipe=False)).hexdigest()[:12]
    except OSError:
        return f"missing: {path}"


def _endpoint(endpoint: str) -> str:
    """What buildx makes up for kubernetes names the builder, and where the store's owner keeps his configuration."""
    return "" if endpoint.startswith("kubernetes://") else endpoint


def _flags(flags: Iterable[str]) -> tuple[str, ...]:
    return tuple(each for each in flags if each != ADDED_FLAG)


def _fixed(node: Node) -> list[dict[str, str]] | None:
    return [_as_json(each) for each in node.platforms] or None


def _as_json(platform: Platform) -> dict[str, str]:
    """As the image specification writes a platform."""
    found = {"architecture": platform.architecture, "os": platform.os}
    return found | ({"variant": platform.variant} if platform.variant else {})
