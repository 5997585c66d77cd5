"""Checks that mpbake created a resource before mpbake uses, changes or removes the resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.model.marks import VOLUME_LABEL
from mpbake.model.node_resources import context_name, docker_command, resource_word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node


class ForeignResource(UsageError):
    """mpbake did not make a resource that has the name of a declared node's resource."""


def adopt_command(builder: str) -> str:
    """Return the command that takes over a builder that was made by hand."""
    return f"mpbake builders up --adopt {builder}"


def docker_by_hand(node: Node) -> str:
    """Return the docker command for the engine of `node`. The node's docker context may have been removed again."""
    return "docker" if context_name(node) else docker_command(node)


def owned_resource(node: Node, resource: NodeResource | None, remove: str) -> NodeResource | None:
    """Return the `resource` of `node`; None if there is none.

    `remove` is the command that removes the resource by hand. Raises ForeignResource if mpbake neither created nor
    adopted the resource.
    """
    if resource is not None and not resource.mark:
        use_it = (
            "" if node.deploy else f", use its builder (external = true), take it over ({adopt_command(node.builder)})"
        )
        raise ForeignResource(
            f"{node.id}: mpbake did not make the {resource_word(node)} {resource.name}, and leaves it unchanged",
            hint=f"rename the builder or the node{use_it}, or remove it: {remove} {resource.name}",
        )
    return resource


def check_volume(node: Node, name: str, labels: Mapping[str, str] | None) -> None:
    """Raise ForeignResource if a volume of `node` lacks mpbake's label. `labels` is None if there is no volume."""
    if labels is not None and VOLUME_LABEL not in labels:
        raise ForeignResource(
            f"{node.id}: mpbake did not make the volume {name}, and leaves it unchanged",
            hint=f"rename the builder or the node, or remove the volume: {docker_by_hand(node)} volume rm {name}",
        )
