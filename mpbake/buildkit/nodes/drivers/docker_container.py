"""The back end of the docker-container driver: containers that buildx creates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.nodes.drivers.back_end import BackEnd, ask_instance, ask_nothing, boot_instance
from mpbake.buildkit.nodes.drivers.container.causes import container_causes
from mpbake.buildkit.nodes.drivers.container.containers import Containers
from mpbake.resolve import DEFAULT_BUILDER, DEFAULT_NODE

if TYPE_CHECKING:
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Node


def _manager(docker: Docker) -> Containers:
    return Containers(docker=docker)


def _is_shared(node: Node) -> bool:
    """Whether the container of `node` belongs to the default builder, which all plans without a builder share.

    The name of the container decides, even if a plan itself declares a builder of this name.
    """
    return node.buildx_name == f"{DEFAULT_BUILDER}-{DEFAULT_NODE}"


DOCKER_CONTAINER_BACK_END = BackEnd(
    causes=container_causes,
    manager=_manager,
    survey=ask_nothing,
    ask=ask_instance,
    connect=boot_instance,
    is_shared=_is_shared,
)
