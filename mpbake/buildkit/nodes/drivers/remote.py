"""The back end of the remote driver: a BuildKit at an address, which mpbake does not start."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from mpbake.base.errors import Unreachable
from mpbake.base.text import one_line
from mpbake.buildkit.nodes.causes import REFUSED, cause
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT, BackEnd, ask_instance, boot_instance, no_manager
from mpbake.buildkit.nodes.failure_causes import unreachable_by

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.causes import Cause
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.nodes.instances.instances import Instances, ReadyNode
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Node

_ADDRESS_CAUSE = cause(r"", "", "check the address, and that BuildKit runs there")
_POD = cause(r"", "no pod {host} answers", "check that the pod and BuildKit in it run; try: {look}")
_REMOTE_TLS = cause(r"", "", "check the address, and that the certificates belong together and have not expired")


def remote_causes(node: Node, _: str) -> tuple[Cause, ...]:
    """Return the causes of a failure to reach BuildKit at the endpoint of `node`."""
    if node.endpoint.startswith("kube-pod://"):
        return (_POD,)
    return (REFUSED, _REMOTE_TLS if node.tls.is_set else _ADDRESS_CAUSE)


def check_container(docker: Docker, node: Node) -> None:
    """If the endpoint of `node` names a container, check that the container runs. Raises Unreachable.

    buildx would try for 20 seconds, and would not report the reason.
    """
    scheme, _, rest = node.endpoint.partition("://")
    if scheme != "docker-container":
        return
    name, _, query = rest.partition("?")
    command = ["container", "inspect", "--format", "{{.State.Status}}", "--", name]
    context = dict(parse_qsl(query)).get("context", "")
    inspected = docker.run(command, endpoint=context, timeout=INSPECT_TIMEOUT)
    status = inspected.stdout.strip()
    if inspected.returncode and "no such container" not in inspected.stderr.lower():
        raise unreachable_by(remote_causes, node, inspected)
    if status != "running":
        problem = f"is {status}" if status else "does not exist"
        message = f"node {node.id} cannot be used: the container {one_line(name)} {problem}"
        hint = 'start it; a plan makes containers with driver = "docker-container"'
        if status == "paused":
            hint = f"resume it: {one_line(shlex.join(['docker', 'unpause', name]))}"
        raise Unreachable(message, hint=hint)


def _connect(instances: Instances, node: Node, start: NodeStart) -> ReadyNode:
    check_container(instances.docker, node)
    return boot_instance(instances, node, start)


def _survey(instances: Instances, node: Node) -> None:
    check_container(instances.docker, node)


REMOTE_BACK_END = BackEnd(causes=remote_causes, manager=no_manager, survey=_survey, ask=ask_instance, connect=_connect)
