"""The rules of the docker-container driver: BuildKit in a container that mpbake makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.model.drivers.rules import Abilities, Ability, DriverRules, EndpointRules, ResourceRules
from mpbake.model.marks import add_mark_variable
from mpbake.model.node_state import ResourceKind

if TYPE_CHECKING:
    from mpbake.model.plan import Node


def container_name(node: Node) -> str:
    """Return the name that buildx gives to the container of `node`."""
    return f"buildx_buildkit_{node.buildx_name}"


def _volume_name(node: Node) -> str:
    """Return the name that buildx gives to the volume with the cache of `node`."""
    return f"{container_name(node)}_state"


def _context_name(node: Node) -> str:
    """Return the name of the docker context of `node`: buildx supports TLS to an engine only through a context."""
    return f"mpbake-{node.buildx_name}" if node.tls.is_set else ""


DOCKER_CONTAINER = DriverRules(
    name="docker-container",
    abilities=Abilities(contexts=Ability.YES),
    endpoint=EndpointRules(schemes=("ssh", "tcp", "unix"), is_engine=True, takes_tls=True),
    resource=ResourceRules(
        kind=lambda _: ResourceKind.CONTAINER,
        name=container_name,
        keeps_cache=lambda _, wanted: wanted,
        add_mark=add_mark_variable,
        volume=_volume_name,
        context=_context_name,
    ),
    takes_default_config=True,
    log_hint=lambda node: f"look at its log: docker logs {container_name(node)}",
)
