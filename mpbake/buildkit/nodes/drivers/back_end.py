"""The interface of a driver's back end: how to ask a node of the driver, and who keeps what mpbake makes for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.buildkit.nodes.causes import Causes
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.nodes.instances.instances import Instances, ReadyNode
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.node_state import CacheRemoval, NodeResource
    from mpbake.model.plan import Node

INSPECT_TIMEOUT = 60.0
"""Seconds within which docker, buildx or kubectl must answer a question about a node."""


class ResourceManager(Protocol):
    """Finds, prepares, stops and removes the resources that mpbake makes for nodes, such as containers."""

    @property
    def docker(self) -> Docker:
        """The docker command."""

    @property
    def can_stop(self) -> bool:
        """Whether `stop` has an effect."""

    def find(self, node: Node) -> NodeResource | None:
        """Return the resource of `node`; None if there is none. Raises Unreachable."""

    def own(self, node: Node) -> NodeResource | None:
        """Return the resource of `node`, as `find` does. Raises UsageError if mpbake did not make it, Unreachable."""

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether a build runs in the resource. Raises NodeMayBeInUse if that is unknown, Unreachable."""

    def is_starting(self, node: Node) -> bool:
        """Whether the resource of `node` is starting without an error so far."""

    def is_stopped(self, made: NodeResource) -> bool:
        """Whether nothing runs in the resource."""

    def check_new(self, node: Node) -> None:
        """Check that the resource of `node` can be made. Raises UsageError, Unreachable."""

    def fetch(self, node: Node, start: NodeStart) -> None:
        """Pull the image of `node` if that is necessary. Raises ImageUnavailable, Unreachable."""

    def prepare(self, node: Node) -> None:
        """Make what must exist before buildx makes the resource of `node`. Raises as `check_new` does."""

    def resume(self, node: Node, made: NodeResource) -> None:
        """Resume a paused resource, which buildx does not start."""

    def stop(self, node: Node, made: NodeResource) -> None:
        """Stop the resource; the next run starts it again."""

    def remove(self, node: Node, made: NodeResource) -> None:
        """Stop and remove the resource. Its cache stays if it can."""

    def forget_cache(self, node: Node) -> CacheRemoval:
        """Remove the cache of `node`, if mpbake made it."""

    def end_of_log(self, node: Node) -> str:
        """Return the end of the log of `node`, or why it does not run; empty if nothing is known."""


def _is_shared_by_none(_: Node) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class BackEnd:
    """The back end of one driver.

    `causes`: return the causes to look for in an error of a node.
    `manager`: return the manager of what mpbake makes for nodes; None if it makes nothing.
    `survey`: check a node for which mpbake makes nothing, without changing anything. Raises Unreachable, UsageError.
    `ask`: return a node that should be running, and what it reports. Raises Unreachable, UsageError.
    `connect`: return a node for which mpbake makes nothing, ready for builds. Raises Unreachable, UsageError.
    `is_shared`: whether plans that declare no builder share the node.
    """

    causes: Causes
    manager: Callable[[Docker], ResourceManager | None]
    survey: Callable[[Instances, Node], object]
    ask: Callable[[Instances, Node], ReadyNode]
    connect: Callable[[Instances, Node, NodeStart], ReadyNode]
    is_shared: Callable[[Node], bool] = _is_shared_by_none


def no_manager(_: Docker) -> None:
    """Return None: mpbake makes nothing for nodes of the driver."""


def ask_instance(instances: Instances, node: Node) -> ReadyNode:
    """Ask a node through its own buildx instance, as declared."""
    return instances.ask(instances.write(node))


def boot_instance(instances: Instances, node: Node, start: NodeStart) -> ReadyNode:
    """Boot a node through its own buildx instance, as declared."""
    return instances.boot(instances.write(node), start)


def ask_nothing(instances: Instances, node: Node) -> None:
    """Check nothing: the manager of the driver looks at its nodes."""
