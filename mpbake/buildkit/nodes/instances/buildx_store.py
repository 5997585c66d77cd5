"""Reads and writes entries of buildx's store of builders, as whole files and under buildx's lock.

mpbake does not use `buildx create --append` for a builder with several nodes. `buildx create --append` waits for every
existing node, removes declared platforms from other nodes, and damages the entry if one node fails. Instead, buildx
creates each node in a separate store, and mpbake merges the entries into one.
"""

from __future__ import annotations

import base64
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
from mpbake.model.existing_builders import ExistingBuilder, ExistingNode
from mpbake.model.marks import split_mark
from mpbake.model.node_state import ADDED_FLAG, CERTIFICATE_OPTIONS, StoredBuilder, StoredNode
from mpbake.run.state.locks import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.model.plan import Builder, Node

_LOCK_SECONDS = 60.0
_SIGNATURE = {"MadeBy": "mpbake"}
"""The extra field in an entry that mpbake wrote. buildx ignores this field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildxStore:
    """A buildx store: the user's own, or a private one."""

    folder: Path

    def read(self, name: str) -> dict[str, Any] | None:
        """Return the entry of a builder; None if there is none. Raises MpbakeError if the entry cannot be read."""
        path = self._path(name)
        try:
            return dict(parse_json(path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise MpbakeError(
                f"{path} cannot be read: {error}", hint="remove it, or have buildx write it again"
            ) from None

    def put(self, name: str, entry: Mapping[str, Any]) -> None:
        """Write the entry of a builder, whole or not at all.

        Raises MpbakeError if the written entry cannot be verified.
        """
        path = self._path(name)
        with self._changing():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            # buildx treats every other file in this folder as a builder.
            write_whole(path, json.dumps(entry, separators=(",", ":")), within=self.folder)
        if self.read(name) != dict(entry):
            raise MpbakeError(
                f"{path} does not hold what was written", hint="check whether another program writes there"
            )

    def names(self) -> list[str]:
        """Return the names of all builders, sorted."""
        try:
            return sorted(path.name for path in (self.folder / "instances").iterdir() if path.is_file())
        except OSError:
            return []

    def remove(self, name: str) -> bool:
        """Remove the entry of a builder, and return whether there was one.

        The builder's containers or Deployments stay.
        """
        with self._changing():
            for folder in ("activity", "instances"):
                path = self.folder / folder / name.lower()
                existed = path.is_file()
                path.unlink(missing_ok=True)
        return existed

    def _path(self, name: str) -> Path:
        return self.folder / "instances" / name.lower()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        """Hold buildx's lock of the store during the block."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / ".lock").open("a") as lock:
                if not wait_for(lock, seconds=_LOCK_SECONDS):
                    message = f"{self.folder} is locked by a buildx command that does not end"
                    raise MpbakeError(
                        message, hint="end that command, such as docker buildx ls, which waits for dead nodes"
                    )
                yield
        except OSError as error:
            message = f"{error.filename or self.folder}: {error.strerror}"
            raise MpbakeError(message, hint="make it writable: buildx keeps its builders there") from error


def store_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the user's buildx store."""
    folder = environment.get("BUILDX_CONFIG")
    if folder:
        return Path(folder)
    docker = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME", "/"), ".docker")
    return Path(docker, "buildx")


def stored_entry(environment: Mapping[str, str], name: str) -> StoredBuilder | None:
    """Return the builder in the user's buildx store; None if there is none, or if mpbake cannot parse the entry."""
    try:
        entry = BuildxStore(folder=store_folder(environment)).read(name)
        return entry_of(entry) if entry else None
    except MpbakeError:
        return None


def entry_of(entry: Mapping[str, Any]) -> StoredBuilder:
    """Return the builder in an entry of buildx's store. Raises MpbakeError if mpbake cannot parse the entry."""
    try:
        nodes = tuple(_entry_node(node) for node in entry["Nodes"] or ())
        return StoredBuilder(driver=str(entry["Driver"]), nodes=nodes, signed=_SIGNATURE.items() <= entry.items())
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MpbakeError(f"an entry in buildx's store cannot be understood: {error!r}") from None


def existing_builder(name: str, entry: Mapping[str, Any]) -> ExistingBuilder:
    """Return all that an entry of buildx's store says about a builder. Raises MpbakeError as `entry_of` does."""
    stored = entry_of(entry)
    nodes = tuple(_existing_node(single, node) for single, node in zip(entry["Nodes"] or (), stored.nodes, strict=True))
    return ExistingBuilder(name=name, driver=stored.driver, nodes=nodes)


def _existing_node(entry: Mapping[str, Any], stored: StoredNode) -> ExistingNode:
    options = dict(entry["DriverOpts"] or {})
    split_mark(options)
    try:
        files = {str(path): base64.b64decode(data) for path, data in (entry.get("Files") or {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise MpbakeError(f"an entry in buildx's store cannot be understood: {error!r}") from None
    return ExistingNode(
        name=stored.name,
        endpoint=str(entry["Endpoint"]),
        platforms=stored.platforms,
        options=tuple(sorted(options.items())),
        flags=stored.flags,
        files=files,
    )


def _entry_node(entry: Mapping[str, Any]) -> StoredNode:
    options = dict(entry["DriverOpts"] or {})
    return StoredNode(
        name=str(entry["Name"]),
        endpoint=_endpoint(str(entry["Endpoint"])),
        platforms=tuple(str(platform_of_entry(platform)) for platform in entry["Platforms"] or ()),
        mark=split_mark(options),
        options=by_content(options),
        flags=_flags(entry["Flags"] or ()),
    )


def declared_node(node: Node, endpoint: str, options: Mapping[str, str]) -> StoredNode:
    """Return the node in the form in which buildx's store should contain it."""
    stored_options = dict(options)
    return StoredNode(
        name=node.buildx_name,
        endpoint=_endpoint(endpoint),
        platforms=tuple(map(str, node.platforms)),
        mark=split_mark(stored_options),
        options=by_content(stored_options),
        flags=_flags(node.flags),
    )


def merged_entry(builder: Builder, singles: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the entry of a builder, merged from buildx's entries of single nodes in the order of the plan."""
    nodes = [
        {**single["Nodes"][0], "Platforms": _declared_platforms(node)}
        for node, single in zip(builder.nodes, singles, strict=True)
    ]
    return {**singles[0], "Name": builder.name.lower(), "Nodes": nodes, **_SIGNATURE}


def by_content(options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the driver options, sorted, with a hash of each certificate's contents instead of the path.

    In another checkout, the same certificates have other paths.
    """
    shown = {name: _content(value) if name in CERTIFICATE_OPTIONS else value for name, value in options.items()}
    return tuple(sorted(shown.items()))


def _content(path: str) -> str:
    try:
        return hashlib.sha256(read_bounded(Path(path), pipe=False)).hexdigest()[:12]
    except OSError:
        return f"missing: {path}"


def _endpoint(endpoint: str) -> str:
    """Return an endpoint; empty if buildx invented the endpoint for a kubernetes node.

    An invented endpoint contains the name of the builder, and the path of the store owner's configuration.
    """
    return "" if endpoint.startswith("kubernetes://") else endpoint


def _flags(flags: Iterable[str]) -> tuple[str, ...]:
    return tuple(flag for flag in flags if flag != ADDED_FLAG)


def _declared_platforms(node: Node) -> list[dict[str, str]] | None:
    return [_platform_entry(platform) for platform in node.platforms] or None


def _platform_entry(platform: Platform) -> dict[str, str]:
    """Return a platform in the format of the OCI image specification."""
    entry = {"architecture": platform.architecture, "os": platform.os}
    return entry | ({"variant": platform.variant} if platform.variant else {})
