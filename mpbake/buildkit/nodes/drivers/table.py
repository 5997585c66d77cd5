"""The table of all drivers and their back ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.nodes.drivers.docker import DOCKER
from mpbake.buildkit.nodes.drivers.docker_container import DOCKER_CONTAINER
from mpbake.buildkit.nodes.drivers.external import EXTERNAL
from mpbake.buildkit.nodes.drivers.kubernetes import KUBERNETES
from mpbake.buildkit.nodes.drivers.remote import REMOTE
from mpbake.model.plan import Driver

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.drivers.back_end import BackEnd
    from mpbake.model.plan import Node

BACK_ENDS: dict[Driver, BackEnd] = {
    Driver.DOCKER: DOCKER,
    Driver.DOCKER_CONTAINER: DOCKER_CONTAINER,
    Driver.KUBERNETES: KUBERNETES,
    Driver.REMOTE: REMOTE,
    Driver.AUTOMATIC: DOCKER,  # until the engine in use has answered
    Driver.EXTERNAL: EXTERNAL,
}


def back_end_of(node: Node) -> BackEnd:
    """Return the back end of the driver of `node`."""
    return BACK_ENDS[node.driver]
