"""The table of all drivers and their back ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.nodes.drivers.deployed import DEPLOYED_BACK_END
from mpbake.buildkit.nodes.drivers.docker import DOCKER_BACK_END
from mpbake.buildkit.nodes.drivers.docker_container import DOCKER_CONTAINER_BACK_END
from mpbake.buildkit.nodes.drivers.external import EXTERNAL_BACK_END
from mpbake.buildkit.nodes.drivers.kubernetes import KUBERNETES_BACK_END
from mpbake.buildkit.nodes.drivers.remote import REMOTE_BACK_END
from mpbake.model.plan import Driver

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.drivers.back_end import BackEnd
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Node

BACK_ENDS: dict[Driver, BackEnd] = {
    Driver.DOCKER: DOCKER_BACK_END,
    Driver.DOCKER_CONTAINER: DOCKER_CONTAINER_BACK_END,
    Driver.KUBERNETES: KUBERNETES_BACK_END,
    Driver.REMOTE: REMOTE_BACK_END,
    Driver.DEPLOYED: DEPLOYED_BACK_END,
    Driver.AUTOMATIC: DOCKER_BACK_END,  # until the engine in use has answered
    Driver.EXTERNAL: EXTERNAL_BACK_END,
}


def back_end_of(node: Node) -> BackEnd:
    """Return the back end of the driver of `node`."""
    return BACK_ENDS[node.driver]


def cluster_of(docker: Docker, node: Node) -> str:
    """Return the URL of the Kubernetes cluster in which `node` would be created now; empty if unknown or none."""
    return back_end_of(node).cluster(docker)
