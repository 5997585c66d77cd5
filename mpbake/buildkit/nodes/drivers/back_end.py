"""The interface of a driver's back end: how to query a node, and how to manage the node's resource."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mpbake.buildkit.nodes.connection import check_node

if TYPE_CHECKING:
    from datetime import datetime

    from mpbake.buildkit.nodes.causes import Causes
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.nodes.instances.instances import Instances, ReadyNode
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.existing_builders import ExistingNode
    from mpbake.model.node_state import CacheRemoval, NodeResource
    from mpbake.model.plan import Node

Warnings = tuple[str, ...]
NodeCheck = Callable[["Node", Callable[[], "datetime"], Mapping[str, str]], Warnings]
"""A function that checks a node now, in an environment.

The function returns warnings, and raises Unreachable, UsageError.
"""
INSPECT_TIMEOUT = 60.0
"""Seconds within which docker, buildx or kubectl must answer a query about a node."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Blockage:
    """A reason why the resource of a node will not become ready by itself.

    mpbake gives up the start when the reason has existed for `patience` seconds.
    """

    reason: str
    patience: float = 0.0


class ResourceManager(Protocol):
    """Finds, prepares, stops and removes the resources that mpbake creates for nodes, such as containers."""

    @property
    def docker(self) -> Docker:
        """The docker command."""

    @property
    def can_stop(self) -> bool:
        """Whether `stop` has an effect."""

    def find(self, node: Node) -> NodeResource | None:
        """Return the resource of `node`; None if there is none. Raises Unreachable."""

    def own(self, node: Node) -> NodeResource | None:
        """Return the resource of `node`; None if there is none.

        Raises Unreachable, and UsageError if the resource is foreign.
        """

    def foreign(self, node: Node, existing: ExistingNode) -> NodeResource | None:
        """Return a resource of `node` that was made by hand, with the mark that `adopt` gives it; None for none.

        `existing` describes the node in buildx's store. Raises Unreachable, and UsageError for an unusable file.
        """

    def adopt(self, node: Node, made: NodeResource | None) -> None:
        """Mark `made`, the resource that `foreign` returned, and its cache as mpbake's. Builds are not disturbed.

        Raises Unreachable.
        """

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether a build runs in the resource. Raises Unreachable, and NodeMayBeInUse if the answer is unknown."""

    def is_starting(self, node: Node) -> bool:
        """Whether the resource of `node` is starting without an error so far."""

    def blockage(self, node: Node) -> Blockage | None:
        """Return why the resource of `node` will not become ready; None if no reason is known."""

    def daemons(self, node: Node) -> frozenset[str]:
        """Return an id of each running BuildKit of `node`; empty if no id is known, or if `serves` needs no ids."""

    def serves(self, node: Node, daemons: frozenset[str]) -> bool:
        """Whether any of the `daemons` still runs and has a client; True if the answer is unknown."""

    def is_stopped(self, made: NodeResource) -> bool:
        """Whether nothing runs in the resource."""

    def check_new(self, node: Node) -> None:
        """Check that the resource of `node` can be created. Raises UsageError, Unreachable."""

    def fetch(self, node: Node, start: NodeStart) -> None:
        """Pull the image of `node` if necessary. Raises ImageUnavailable, Unreachable."""

    def pulled_image(self, node: Node) -> str:
        """Return the image that is pulled when the resource starts; empty if it is unknown, or if `fetch` pulls it."""

    def check_replacement(self, node: Node) -> None:
        """Check that a new resource could replace the existing one, without changes. Raises UsageError, Unreachable."""

    def prepare(self, node: Node) -> None:
        """Create everything that must exist before buildx creates the resource of `node`.

        Raises as `check_new` does.
        """

    def create(self, node: Node) -> None:
        """Create and start the resource of `node`, if buildx does not do that itself when the node starts.

        `prepare` has been called once for the node. Raises UsageError, Unreachable.
        """

    def resume(self, node: Node, made: NodeResource) -> None:
        """Resume or start a resource that buildx does not start: a paused container, a scaled-down Deployment."""

    def wait(self, node: Node, start: NodeStart) -> None:
        """Wait until a started resource accepts connections, if buildx would not report why it does not.

        Raises Unreachable, and UsageError for a wrong certificate.
        """

    def stop(self, node: Node, made: NodeResource) -> None:
        """Stop the resource; the next run starts it again."""

    def remove(self, node: Node, made: NodeResource) -> None:
        """Stop and remove the resource. Keep its cache if the driver can."""

    def remove_leftovers(self, node: Node) -> tuple[str, ...]:
        """If the resource of `node` does not exist, remove its remains.

        Return the kinds and names of the removed remains.
        """

    def forget_cache(self, node: Node) -> CacheRemoval:
        """Remove the cache of `node`, if mpbake created the cache."""

    def end_of_log(self, node: Node) -> str:
        """Return the end of the log of `node`, or the reason why the node does not run; empty if neither is known."""


def _is_shared_by_none(_: Node) -> bool:
    return False


def _no_cluster(_: Docker) -> str:
    return ""


def _reach(
    _: Docker, node: Node, now: Callable[[], datetime], environment: Mapping[str, str], __: NodeStart
) -> Warnings:
    return check_node(node, now, environment)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackEnd:
    """The back end of one driver. For the nodes of some drivers, mpbake creates no resource.

    `causes`: return the causes to look for in an error of a node.
    `manager`: return the manager of the nodes' resources; None if the nodes need no resource.
    `check`: check the connection to a node and its certificates before `mpbake builders` looks at the node.
    `reach`: check connection and certificates in a run, before `connect`; may start a stopped node. Raises as `ask`.
    `survey`: check a node without a resource, and change nothing. Raises Unreachable, UsageError.
    `ask`: return a node that should be running, with its facts. Raises Unreachable, UsageError.
    `connect`: return a node without a resource, ready for builds. Raises Unreachable, UsageError.
    `is_shared`: whether plans that declare no builder share the node.
    `cluster`: return the URL of the cluster in which a node would be created now; empty if unknown or none.
    """

    causes: Causes
    manager: Callable[[Docker], ResourceManager | None]
    survey: Callable[[Instances, Node], object]
    ask: Callable[[Instances, Node], ReadyNode]
    connect: Callable[[Instances, Node, NodeStart], ReadyNode]
    is_shared: Callable[[Node], bool] = _is_shared_by_none
    cluster: Callable[[Docker], str] = _no_cluster
    check: NodeCheck = check_node
    reach: Callable[[Docker, Node, Callable[[], datetime], Mapping[str, str], NodeStart], Warnings] = _reach


def no_manager(_: Docker) -> None:
    """Return None, for drivers whose nodes need no resource."""


def ask_instance(instances: Instances, node: Node) -> ReadyNode:
    """Query a node through its own buildx instance, as declared."""
    return instances.ask(instances.write(node))


def boot_instance(instances: Instances, node: Node, start: NodeStart) -> ReadyNode:
    """Start a node through its own buildx instance, as declared."""
    return instances.boot(instances.write(node), start)


def ask_nothing(instances: Instances, node: Node) -> None:
    """Check nothing, for drivers whose resource manager checks the nodes."""
