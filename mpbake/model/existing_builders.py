"""Values about a builder that exists in buildx's store, with everything that buildx knows about its nodes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.node_state import Pairs

CONFIG_FILE = "buildkitd.toml"
"""buildx's name for the configuration of buildkitd among the files of a node."""
CONFIG_FOLDER = "/etc/buildkit"
"""The folder of a node's container or pod into which buildx copies the files of the node."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingNode:
    """A node of a builder, as buildx's store describes it.

    `platforms` are those that were given when the node was created. `options` do not contain mpbake's mark, and hold
    the paths of certificates. `flags` do not contain the flag that buildx adds. `files` maps the path of each file
    below `CONFIG_FOLDER` to its content: the configuration of buildkitd, and the certificates that it names.
    """

    name: str
    endpoint: str
    platforms: tuple[str, ...] = ()
    options: Pairs = ()
    flags: tuple[str, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingBuilder:
    """A builder of buildx. A builder that is part of a Docker engine has the driver `docker`, and one node."""

    name: str
    driver: str
    nodes: tuple[ExistingNode, ...]
