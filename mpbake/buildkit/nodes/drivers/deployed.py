"""The back end of deployed `remote` nodes: mpbake itself makes the container, as BuildKit's documentation describes.

Certificates, keys and the configuration of BuildKit are in a separate volume, which the container mounts read-only.
mpbake copies these files to the engine with `docker cp`, as an archive on its standard input: no key is in a command
line, in the environment, or readable by another user of the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, NodeMayBeInUse, Unreachable
from mpbake.base.text import one_line
from mpbake.buildkit.nodes.causes import REFUSED, cause
from mpbake.buildkit.nodes.connection import check_connection
from mpbake.buildkit.nodes.drivers.back_end import INSPECT_TIMEOUT, BackEnd, ask_instance, ask_nothing, boot_instance
from mpbake.buildkit.nodes.drivers.container.causes import container_causes, image_causes
from mpbake.buildkit.nodes.drivers.container.containers import RUNNING, Containers
from mpbake.buildkit.nodes.drivers.container.files import archive
from mpbake.buildkit.nodes.drivers.deployed_container import (
    FOLDER,
    create_arguments,
    layout_of,
    node_files,
)
from mpbake.buildkit.nodes.drivers.remote import check_container
from mpbake.buildkit.nodes.engines.contexts import engine_of
from mpbake.buildkit.nodes.failure_causes import unreachable_by
from mpbake.buildkit.nodes.ownership import check_volume, docker_by_hand, owned_resource
from mpbake.buildkit.process.completed import CommandFailed
from mpbake.graph.preflight.certificates import check_certificates, deployment_findings, raise_faults
from mpbake.model.drivers.deployed import deployment, files_volume
from mpbake.model.marks import CONTAINER_LABEL
from mpbake.model.node_resources import docker_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mpbake.buildkit.nodes.causes import Cause, Causes
    from mpbake.buildkit.nodes.drivers.back_end import Warnings
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.nodes.instances.instances import Instances, ReadyNode
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.node_state import CacheRemoval, NodeResource
    from mpbake.model.plan import Node

_ESTABLISHED = "01"
"""The state of an open connection in /proc/net/tcp."""
_REPEATS_NAME = "Error: failed to start containers"
_POLL_SECONDS = 0.3
_OTHER_IMAGE = 'set deploy.image = "…" in the node to a BuildKit image that its host can pull'
_NO_CONTEXT = cause(
    r'context "(?P<context>[^"]*)"(: context| is) not found',
    "there is no docker context {context}",
    "correct deploy.host; docker context ls lists the contexts",
)
_NO_SOCKET_RIGHTS = cause(
    r"permission denied while trying to connect|dial unix \S+: connect: permission denied",
    "this user may not use Docker",
    "add this user to the group docker: sudo usermod -aG docker USER, then log in again; or correct deploy.host",
)
_NO_ENGINE = cause(
    r"cannot connect to the docker daemon|failed to connect to the docker API|docker daemon running"
    r"|error during connect|invalid (bind address|proto)|unable to parse docker host",
    "",
    "start the engine, or correct deploy.host; try: {docker} info",
)
_PORT_TAKEN = cause(
    r"port is already allocated|address already in use|failed to bind (host )?port",
    "its port is in use on the host",
    "stop the program that uses it, or change the port in the endpoint; try: {docker} ps",
)


def _causes(node: Node, far_host: str) -> tuple[Cause, ...]:
    """Return the causes of a failure on the host of a node."""
    no_context = () if "://" in node.engine else (_NO_CONTEXT,)
    no_engine = () if far_host else (_NO_SOCKET_RIGHTS, _NO_ENGINE)
    return (*no_context, *image_causes(_OTHER_IMAGE), _PORT_TAKEN, *no_engine, *container_causes(node, far_host))


def _client_causes(node: Node, _: str) -> tuple[Cause, ...]:
    """Return the causes of a failure of BuildKit itself, or of the connection to it."""
    hint = f"check its log ({{docker}} logs {deployment(node).container}), and `deploy` of the node in the plan"
    return (REFUSED, cause(r"", "", hint))


# --- the engine -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployedContainers(Containers):
    """Creates, starts, stops and removes the containers of deployed nodes."""

    causes: Causes = _causes

    def image(self, node: Node) -> str:
        """Return the image of the container of `node`."""
        return deployment(node).image

    def check_new(self, node: Node) -> None:
        """Check that mpbake can create the container of `node`, with its volumes and files. Raises as `create` does."""
        Containers.check_new(self, node)
        self._check_files(node)

    def _check_files(self, node: Node) -> dict[str, bytes]:
        """Return the files of `node`.

        Raises UsageError for an unusable file, and for a foreign volume or container of the same name.
        """
        files, name = node_files(node), files_volume(node)
        check_volume(node, name, self._labels_of_volume(node, name))
        owned_resource(node, self._find_named(node, name), f"{docker_by_hand(node)} rm -f")
        return files

    def fetch(self, node: Node, start: NodeStart) -> None:
        """Check that a new container can be created, and pull its image if necessary.

        The old container is kept until then.
        """
        self.check_new(node)
        Containers.fetch(self, node, start)

    def prepare(self, node: Node) -> None:
        """Create nothing: `create` creates the volumes, since it removes them again if the container does not start."""

    def create(self, node: Node) -> None:
        """Create and start the container of `node`. If it does not start, remove what this call has created.

        Raises UsageError, Unreachable.
        """
        files, volume = self._check_files(node), deployment(node).volume
        is_new = self._labels_of_volume(node, volume) is None
        Containers.prepare(self, node)
        try:
            self._copy_files(node, files)
            self._change(node, *create_arguments(node, files))
            self._start(node, deployment(node).container)
        except MpbakeError:
            self._clean(node, "container", "rm", "--force", deployment(node).container)
            self._clean(node, "volume", "rm", files_volume(node))
            if is_new:
                self._clean(node, "volume", "rm", volume)
            raise

    def _copy_files(self, node: Node, files: Mapping[str, bytes]) -> None:
        """Write `files` into a new volume, through a container that is never started."""
        self._remove_files(node)
        if not files:
            return
        volume = files_volume(node)
        self._make_volume(node, volume)
        mount = f"type=volume,source={volume},target={FOLDER},volume-nocopy"
        label = f"{CONTAINER_LABEL}=files"
        command = ("container", "create", "--name", volume, "--label", label, "--mount", mount, "--", self.image(node))
        try:
            self._change(node, *command)
            self._change(node, "container", "cp", "-", f"{volume}:{FOLDER}", given=archive(files, layout_of(node).user))
        finally:
            self._clean(node, "container", "rm", "--force", "--volumes", volume)

    def _remove_files(self, node: Node) -> None:
        """Remove the volume with the files of `node`, and the remains of an interrupted copy."""
        copier = self._find_named(node, files_volume(node))
        if copier is not None and copier.mark:
            self._must(node, lambda client: client.container.remove(copier.id, force=True, volumes=True))
        self._remove_volume(node, files_volume(node))

    def _clean(self, node: Node, *command: str) -> None:
        """Run a command that removes a resource, even if the user has cancelled."""
        self.docker.clean(list(command), endpoint=engine_of(node))

    def resume(self, node: Node, made: NodeResource) -> None:
        """Resume a paused container, and start a stopped one."""
        self._unpause(node, made)
        if self.is_stopped(made):
            self._start(node, made.id)

    def _start(self, node: Node, container: str) -> None:
        endpoint, timeout = engine_of(node), INSPECT_TIMEOUT
        try:
            self.docker.call(lambda client: client.container.start(container), endpoint=endpoint, timeout=timeout)
        except CommandFailed as failure:
            lines = failure.completed.stderr.splitlines()
            reason = "\n".join(line for line in lines if not line.startswith(_REPEATS_NAME))
            raise unreachable_by(self.causes, node, failure.completed, reason) from None

    def wait(self, node: Node, start: NodeStart) -> None:
        """Wait until BuildKit in the container answers, then check the connection from here. Raises Unreachable."""
        start.tell("waiting for BuildKit to answer")
        container = deployment(node).container
        command = ["container", "exec", container, "buildctl", "--addr", layout_of(node).socket, "debug", "workers"]
        while (asked := self._run(node, *command)).returncode:
            if start.is_over or not self.is_starting(node):
                reason = "BuildKit in its container does not answer" if start.is_over else "BuildKit does not start"
                raise unreachable_by(_client_causes, node, asked, reason)
            self.docker.pause(_POLL_SECONDS)
        check_connection(node)

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether a client is connected to BuildKit, through the container or through a port.

        Raises NodeMayBeInUse if the connections cannot be listed.
        """
        if Containers.is_used(self, node, made):
            return True
        port = dict(made.settings).get("port", "")
        if made.status != "running" or not port:
            return False
        listed = self._run(node, "container", "exec", made.id, "cat", "/proc/net/tcp", "/proc/net/tcp6")
        if "local_address" not in listed.stdout:
            by_hand = f"if no build runs, run: {docker_command(node)} rm --force {made.name}"
            message = f"{node.id}: mpbake cannot tell whether a build runs in {made.name}: {listed.error}"
            raise NodeMayBeInUse(message, hint=by_hand)
        return has_connection(listed.stdout, int(port))

    def remove(self, node: Node, made: NodeResource) -> None:
        """Stop and remove the container with its certificates and keys, but keep the volume with BuildKit's state."""
        Containers.remove(self, node, made)
        self._remove_files(node)

    def forget_cache(self, node: Node) -> CacheRemoval:
        """Remove the cache of `node`, if mpbake created the cache, and the remains of an interrupted start."""
        if self.find(node) is None:
            self._remove_files(node)
        return Containers.forget_cache(self, node)


def has_connection(sockets: str, port: int) -> bool:
    """Whether a client is connected to `port`, from the text of /proc/net/tcp."""
    rows = [line.split() for line in sockets.splitlines() if ":" in line]
    return any(row[1].endswith(f":{port:04X}") and row[3] == _ESTABLISHED for row in rows)


# --- for `mpbake builders` and `mpbake doctor` ------------------------------------------------------------------------


def _ask(instances: Instances, node: Node) -> ReadyNode:
    """Query a node whose container runs. The connection is checked first, so errors are those of a run.

    Raises Unreachable, UsageError.
    """
    try:
        check_connection(node)
    except Unreachable as error:
        raise _unreachable_port(node, error) from None
    return ask_instance(instances, node)


# --- in a run ---------------------------------------------------------------------------------------------------------


def _check(node: Node, now: Callable[[], datetime], _: Mapping[str, str]) -> Warnings:
    """Check the certificates of the client and, if they are on this machine, of the server.

    The state of the container shows whether the node answers. Only a new container needs the files of the server.
    """
    return (*check_certificates(node, now()), *raise_faults(node, deployment_findings(node, now())))


def _reach(
    docker: Docker, node: Node, now: Callable[[], datetime], environment: Mapping[str, str], start: NodeStart
) -> Warnings:
    """Check the certificates of the client, and the connection to a node.

    A node that answers needs no access to its host. If the node does not answer, query the host, and start a stopped
    container. Raises Unreachable with the reason, UsageError.
    """
    warnings = check_certificates(node, now())
    try:
        return (*warnings, *_check_answer(docker, node, now, environment))
    except Unreachable as error:
        _start_stopped(docker, node, start, error)
    return (*warnings, *_check_answer(docker, node, now, environment))


def _check_answer(docker: Docker, node: Node, now: Callable[[], datetime], environment: Mapping[str, str]) -> Warnings:
    warnings = check_connection(node, now, environment)
    check_container(docker, node)
    return warnings


def _start_stopped(docker: Docker, node: Node, start: NodeStart, error: Unreachable) -> None:
    """Start the stopped container of a node that does not answer, for the reason in `error`. Raises Unreachable."""
    manager, host = _manager(docker), one_line(deployment(node).host)
    try:
        made = manager.own(node)
    except Unreachable as unknown:
        hint = f"run `mpbake builders up {node.builder}` where {host} can be reached: {unknown.message}"
        raise Unreachable(error.message, hint="; or ".join(filter(None, [error.hint, hint]))) from None
    if made is None:
        message = f"node {node.id} is missing: no BuildKit is deployed on {host}"
        raise Unreachable(message, hint=f"deploy it: mpbake builders up {node.builder}")
    if made.status in RUNNING and not manager.is_paused(made):
        raise _unreachable_port(node, error)
    start.tell(f"starting its container on {host}")
    manager.resume(node, made)
    manager.wait(node, start)


def _unreachable_port(node: Node, error: Unreachable) -> Unreachable:
    """Return the error of a node that does not answer although its container runs."""
    host = one_line(deployment(node).host)
    hint = f"its container runs on {host}: check the port and the firewall; or {node.driver.rules.log_hint(node)}"
    return Unreachable(error.message, hint=hint)


def _manager(docker: Docker) -> DeployedContainers:
    return DeployedContainers(docker=docker)


DEPLOYED_BACK_END = BackEnd(
    causes=_client_causes,
    manager=_manager,
    survey=ask_nothing,
    ask=_ask,
    connect=boot_instance,
    check=_check,
    reach=_reach,
)
