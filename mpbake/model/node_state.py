"""Values about nodes and builders: their actual state, their entries in buildx's store, and changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from mpbake.base.text import one_line

if TYPE_CHECKING:
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Node

Pairs = tuple[tuple[str, str], ...]
ADDED_FLAG = "--allow-insecure-entitlement=network.host"
"""The flag of buildkitd that buildx adds to every node by itself."""
CERTIFICATE_OPTIONS = ("cacert", "cert", "key")
"""Driver options that name certificates of a remote node."""


class CacheRemoval(Enum):
    """The result of removing the cache of a node. mpbake keeps foreign volumes: volumes that mpbake did not make."""

    NOTHING = "nothing"
    REMOVED = "removed"
    FOREIGN = "foreign"


class Action(StrEnum):
    """The effect of a change on a resource."""

    ADOPT = "adopt"
    CREATE = "create"
    DEPLOY = "deploy"
    REPLACE = "replace"
    CORRECT = "correct"
    START = "start"
    INSTALL = "install"
    REMOVE = "remove"

    @property
    def sign(self) -> str:
        """The sign in front of the change, as in a diff."""
        signs = {"adopt": "=", "replace": "±", "correct": "~", "start": ">", "remove": "-"}
        return signs.get(self, "+")


class ResourceKind(Enum):
    """A kind of resource that mpbake makes or installs for builders."""

    CONTEXT = "docker context"
    CONTAINER = "container"
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    VOLUME = "volume"
    ENTRY = "builder"
    EMULATORS = "emulators"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeResource:
    """The container or Deployment of a node, as its engine or cluster describes it.

    `mark` is empty if mpbake did not make the resource. `busy` says that a client is connected to a container: during a
    build, buildx runs a command in the container to connect to BuildKit. `settings` maps buildx's names of options to
    the values that the engine or cluster reports.
    """

    id: str
    name: str
    status: str
    mark: str
    busy: bool = False
    settings: Pairs = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredNode:
    """A node in buildx's store.

    `options` do not contain the mark. Options that name certificates hold a hash of the content instead of the path.
    """

    name: str
    endpoint: str
    platforms: tuple[str, ...] = ()
    options: Pairs = ()
    flags: tuple[str, ...] = ()
    mark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBuilder:
    """A builder in buildx's store. `signed`: mpbake wrote the entry, and buildx has not changed the entry since."""

    driver: str
    nodes: tuple[StoredNode, ...]
    signed: bool = field(default=False, compare=False)

    @property
    def is_ours(self) -> bool:
        """Whether mpbake made the builder: its entry is signed, or each of its nodes has mpbake's mark."""
        return self.signed or (bool(self.nodes) and all(node.mark for node in self.nodes))


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeState:
    """A declared node and its actual state.

    `mark` is the mark of the declaration, and `settings` are the values behind the mark. `foreign`: the resource, or
    without a resource its volume, was made by hand and can be adopted; the resource has its future mark. `context` says
    whether the docker context of the node is as declared; None if the node needs no context. `trouble` is the reason
    why the state is unknown; `silent` says that the node did not answer. `warnings` are about the certificates of the
    node.
    """

    node: Node
    mark: str = ""
    settings: Pairs = ()
    made: NodeResource | None = None
    foreign: bool = False
    context: bool | None = None
    trouble: str = ""
    silent: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One difference between the actual and the declared state."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        """Return the difference in the form `memory: 4g -> 8g`."""
        return f"{self.name}: {one_line(self.before) or '(none)'} -> {one_line(self.after) or '(none)'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One change and its reason. `node` is None for a change of the builder's entry in buildx's store.

    `settings` are the values of a deployment.
    """

    action: Action
    kind: ResourceKind
    name: str
    reason: str
    node: Node | None = None
    differences: tuple[Drift, ...] = ()
    settings: Pairs = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRow:
    """A declared node and its actual state, as one row of the table of `mpbake builders`.

    `reported` are the platforms of the node in the node's own order, starting with the platform of the hardware.
    `trouble` is the reason why the node cannot be used, with a hint; `silent` says that the node did not answer.
    `warnings` are about the certificates of the node.
    """

    node: Node
    status: str
    trouble: str = ""
    silent: bool = False
    version: str = ""
    reported: tuple[Platform, ...] = ()
    drift: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
