"""The folders of buildx instances: builder entry, BuildKit configuration, and the user's logins.

An instance is a private buildx store that lists one node. The store may have come with a checkout, so mpbake compares
every value in the store with the declaration before buildx uses the store.
"""

from __future__ import annotations

import base64
import json
import shutil
import stat
from typing import TYPE_CHECKING, Any

from mpbake.base.files import read_bounded
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT
from mpbake.buildkit.nodes.engines.endpoints import Endpoints
from mpbake.buildkit.nodes.instances.buildx_store import BuildxStore, store_folder
from mpbake.buildkit.nodes.instances.declaration import create_arguments, declare
from mpbake.buildkit.nodes.node_errors import unusable
from mpbake.buildkit.process.completed import CommandFailed
from mpbake.model.node_state import ADDED_FLAG
from mpbake.spec.files.toml_values import same_values

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Node

_DEFAULT_CONFIG = "buildkitd.default.toml"
_CONFIG_FILE = "buildkitd.toml"
_LOGINS = "config"
_CLIENT_ID_FILE = ".buildNodeID"
"""The file with a client number that buildx creates once.

BuildKit receives only the changes in a folder since the last upload with the same client number.
"""


class InstanceFolders:
    """The folders of instances below `folder`. Several threads may use an object, each for different nodes."""

    def __init__(self, docker: Docker, folder: Path, environment: Mapping[str, str]) -> None:
        self.endpoints = Endpoints(docker, environment)
        self._docker = docker
        self._folder = folder
        self._environment = environment
        self._cleaned: set[Path] = set()

    def open(self, node: Node, *kept: str) -> Path:
        """Return the folder of `node`. Files of earlier runs are removed, except the `kept` files.

        The folder may have come with a checkout, and buildx reads many files in a store. Files of this run stay, since
        other threads may be using these files.
        """
        path = self._folder / node.folder_name
        if path not in self._cleaned:
            if not _is_real_folder(path):
                path.unlink(missing_ok=True)
            path.mkdir(mode=0o700, exist_ok=True)
            _clear(path, {path / name for name in (_CLIENT_ID_FILE, *kept)})
            self._link_logins(path)
            self._cleaned.add(path)
        return path

    def open_instance(self, node: Node) -> Path:
        """Return the folder of the instance of `node`. The folder may contain a wrong entry of an earlier run."""
        return self.open(node, f"instances/{node.buildx_name}")

    def write(self, node: Node, store: Path, endpoint: str, environment: Mapping[str, str]) -> None:
        """Write the entry of `node` into `store`, unless `store` contains exactly this entry.

        The node is not contacted.
        """
        if node.driver.rules.connects_on_create:
            # buildx would add nothing, and would connect twice before writing the entry.
            BuildxStore(folder=store).put(node.buildx_name, _entry(node, endpoint))
        elif not self._is_right(node, store, endpoint):
            self._create(node, store, endpoint, environment)

    def config(self, node: Node) -> str:
        """Return the buildkitd configuration for a new resource of `node`, as far as this machine knows it."""
        declared = declare(node).config
        takes_default = node.driver.rules.takes_default_config and not node.external
        default = self._default_config() if takes_default and not declared else None
        return default.read_text(encoding="utf-8", errors="replace") if default else declared

    def _is_right(self, node: Node, store: Path, endpoint: str) -> bool:
        """Whether the entry on disk is exactly the declared entry, as buildx reads the file.

        Go accepts `endpoint` for `Endpoint`, and merges the values of repeated names, so the entry must contain
        neither. Some differences are allowed: buildx itself adds flags, rewrites the configuration, and replaces the
        endpoint `default` by a URL. The user may have switched from a context to DOCKER_HOST, so two endpoints are
        equal if they lead to one engine.
        """
        path = store / "instances" / node.buildx_name
        try:
            stored = json.loads(read_bounded(path, pipe=False, link=False).decode(), object_pairs_hook=_unique_names)
            (single,) = stored["Nodes"]
            flags, files = list(single["Flags"] or ()), dict(single["Files"] or {})
            if self.endpoints.same(str(single["Endpoint"]), endpoint):
                endpoint = single["Endpoint"]
            is_configured = self._is_configured(node, files)
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return False
        declared = _entry(node, endpoint, flags, files)
        return (
            is_configured
            and [flag for flag in flags if flag != ADDED_FLAG] == list(declare(node).flags)
            and _as_text({"Dynamic": False, **stored}) == _as_text(declared)
        )

    def _is_configured(self, node: Node, files: Mapping[str, str]) -> bool:
        """Whether `files` contains buildx's copy of the configuration of `node`.

        buildx changes the format, and renames files that the configuration names. In the second case the result is
        False.
        """
        config = self.config(node)
        if not config or files.keys() != {_CONFIG_FILE}:
            return not config and not files
        return same_values(base64.b64decode(files[_CONFIG_FILE], validate=True).decode(), config)

    def _default_config(self) -> Path | None:
        """Return the user's default BuildKit configuration for containers; None if there is none."""
        path = store_folder(self._environment) / _DEFAULT_CONFIG
        return path if path.is_file() else None

    def _create(self, node: Node, store: Path, endpoint: str, environment: Mapping[str, str]) -> None:
        """Make buildx write the entry again. The container or Deployment of the node does not change."""
        _clear(store, {store / _CLIENT_ID_FILE})
        self._link_logins(store)
        config = self._default_config()
        if config is not None:
            shutil.copyfile(config, store / _DEFAULT_CONFIG)
        name = node.buildx_name
        flags = create_arguments(declare(node), store / _CONFIG_FILE)
        try:
            self._docker.call(
                lambda client: client.buildx.create_node(name, name, node.driver_name, *flags, endpoint=endpoint),
                environment=environment,
                timeout=INSPECT_TIMEOUT,
            )
        except CommandFailed as failure:
            raise unusable(node, failure.completed) from None

    def _link_logins(self, store: Path) -> None:
        """Link the user's logins for single repositories into `store`, where buildx looks for such logins."""
        logins = store_folder(self._environment) / _LOGINS
        if logins.is_dir():
            (store / _LOGINS).symlink_to(logins.absolute())


def _entry(
    node: Node, endpoint: str, flags: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return buildx's entry of a builder with this single node, in a form that every version since 0.13 can read."""
    single = {
        "Name": node.buildx_name,
        "Endpoint": endpoint,
        "Platforms": None,
        "DriverOpts": dict(declare(node).options) or None,
        "Flags": list(flags) or None,
        "Files": files or None,
    }
    return {"Name": node.buildx_name, "Driver": node.driver_name, "Nodes": [single], "Dynamic": False}


def _unique_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError if a name occurs twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError(pairs)
    return values


def _as_text(entry: Mapping[str, Any]) -> str:
    """Return the entry as text, for a comparison by buildx's rules: in Python, False equals 0."""
    return json.dumps(entry, sort_keys=True)


def _clear(folder: Path, kept: Collection[Path]) -> None:
    """Remove everything below `folder` except the `kept` regular files. Symlinks are not followed."""
    for path in folder.iterdir():
        if not _is_real_folder(path):
            if path not in kept or not stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
        elif any(path in file.parents for file in kept):
            _clear(path, kept)
        else:
            shutil.rmtree(path)


def _is_real_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
