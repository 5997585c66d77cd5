"""The back end of the `docker` driver: the builder that is part of every Docker engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.nodes.causes import REFUSED, engine_causes
from mpbake.buildkit.nodes.drivers.back_end import BackEnd, no_manager
from mpbake.buildkit.nodes.drivers.external import external_causes

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.causes import Cause
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.nodes.instances.instances import Instances, ReadyNode
    from mpbake.model.plan import Node


def _causes(node: Node, far_host: str) -> tuple[Cause, ...]:
    """Return the causes of a failure of a node.

    If buildx's store lacks the builder, buildx takes the builder's name for a docker context.
    """
    return external_causes(node, far_host) if node.missing else (REFUSED, *engine_causes(far_host))


def _ask(instances: Instances, node: Node) -> ReadyNode:
    return instances.ask_engine(node)


def _connect(instances: Instances, node: Node, _: NodeStart) -> ReadyNode:
    return instances.ask_engine(node)


DOCKER_BACK_END = BackEnd(causes=_causes, manager=no_manager, survey=_ask, ask=_ask, connect=_connect)
