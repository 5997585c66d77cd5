"""The back end of deployed `remote` nodes: mpbake makes the container of BuildKit itself, as BuildKit documents it.

Certificates, keys and the configuration of BuildKit are in a volume of their own, which the container mounts read-only.
They reach the engine through `docker cp`, as an archive on its standard input: no key is in a command line, in the
environment, or readable by another user of the machine.
"""

from __future__ import annotations

import contextlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, NodeMayBeInUse, Unreachable, UsageError
from mpbake.base.files import read_bounded
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_document
from mpbake.buildkit.nodes.causes import REFUSED, cause
from mpbake.buildkit.nodes.connection import check_connection
from mpbake.buildkit.nodes.drivers.back_end import BackEnd, ask_instance, ask_nothing, boot_instance
from mpbake.buildkit.nodes.drivers.containers import RUNNING, Containers, container_causes, image_causes
from mpbake.buildkit.nodes.drivers.remote import check_container
from mpbake.buildkit.nodes.failure_causes import docker_command, unreachable_by
from mpbake.buildkit.nodes.instances.declaration import declare, resource_mark, resource_settings
from mpbake.buildkit.nodes.ownership import check_volume
from mpbake.certs.finding import UNREADABLE_HINT
from mpbake.graph.preflight.certificates import check_certificates, deployment_findings, raise_faults, utc_now
from mpbake.model.drivers.deployed import deployment
from mpbake.model.marks import CONTAINER_LABEL, SETTING_LABEL
from mpbake.spec.files.toml_values import parse_toml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mpbake.buildkit.nodes.causes import Cause, Causes
    from mpbake.buildkit.nodes.drivers.back_end import Warnings
    from mpbake.buildkit.nodes.first_start import NodeStart
    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

FOLDER = "/etc/mpbake"
"""The folder in the container with the files of a node."""
_CONFIG = "buildkitd.toml"
_TLS_FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
_TLS_FLAGS = {"--tlscacert": "ca.pem", "--tlscert": "cert.pem", "--tlskey": "key.pem"}
_SERVER_KEY = ("deploy", "tls", "key")
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
_PORT_TAKEN = cause(
    r"port is already allocated|address already in use|failed to bind (host )?port",
    "its port is in use on the host",
    "stop the program that uses it, or change the port in the endpoint; try: {docker} ps",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Layout:
    """What differs between BuildKit with privileges and without: the user, the folder of its state, its socket."""

    user: int
    state: str
    socket: str
    options: tuple[str, ...]


_PRIVILEGED = _Layout(
    user=0,
    state="/var/lib/buildkit",
    socket="unix:///run/buildkit/buildkitd.sock",
    options=("--privileged",),
)
_ROOTLESS = _Layout(
    user=1000,
    state="/home/user/.local/share/buildkit",
    socket="unix:///run/user/1000/buildkit/buildkitd.sock",
    options=tuple(
        part
        for rule in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
        for part in ("--security-opt", rule)
    ),
)
"""As BuildKit documents it: without these rules, BuildKit itself cannot start the processes of a build."""


def _layout(node: Node) -> _Layout:
    return _ROOTLESS if deployment(node).rootless else _PRIVILEGED


def _causes(node: Node, far_host: str) -> tuple[Cause, ...]:
    """Return the causes of a failure on the host of a node."""
    no_context = () if "://" in node.engine else (_NO_CONTEXT,)
    return (*no_context, *image_causes(_OTHER_IMAGE), _PORT_TAKEN, *container_causes(node, far_host))


def _client_causes(node: Node, _: str) -> tuple[Cause, ...]:
    """Return the causes of a failure of BuildKit itself, or of the connection to it."""
    hint = f"check its log ({{docker}} logs {deployment(node).container}), and `deploy` of the node in the plan"
    return (REFUSED, cause(r"", "", hint))


# --- the container: pure ----------------------------------------------------------------------------------------------


def create_arguments(node: Node, files: Mapping[str, bytes]) -> list[str]:
    """Return the arguments of `docker` that create the container of `node`. `files` are the node's files by name."""
    deploy, layout = deployment(node), _layout(node)
    labels = {CONTAINER_LABEL: resource_mark(node)}
    labels |= {f"{SETTING_LABEL}{name}": value for name, value in resource_settings(node).items()}
    command = ["container", "create", "--name", deploy.container, "--restart", deploy.restart, *layout.options]
    for name, value in labels.items():
        command += ["--label", f"{name}={value}"]
    command += ["--mount", f"type=volume,source={deploy.volume},target={layout.state}"]
    if files:
        command += ["--mount", f"type=volume,source={_files_volume(node)},target={FOLDER},readonly"]
    if deploy.port:
        command += ["--publish", f"{deploy.port}:{deploy.port}"]
    return [*command, "--", deploy.image, *buildkitd_arguments(node, files)]


def buildkitd_arguments(node: Node, files: Mapping[str, bytes]) -> list[str]:
    """Return the flags of buildkitd. Without a port, clients use only the socket in the container."""
    port = deployment(node).port
    flags = ["--addr", _layout(node).socket]
    if _CONFIG in files:
        flags += ["--config", f"{FOLDER}/{_CONFIG}"]
    if port:
        flags += ["--addr", f"tcp://0.0.0.0:{port}"]
        flags += [part for flag, name in _TLS_FLAGS.items() for part in (flag, f"{FOLDER}/{name}")]
    return flags


def archive(files: Mapping[str, bytes], user: int) -> bytes:
    """Return a tar archive of `files`, which only `user` can read."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, user, user
            tar.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value of a configuration in which other files replace the files in `names`."""
    match value:
        case dict():
            return {key: _renamed(item, names) for key, item in value.items()}
        case list():
            return [_renamed(item, names) for item in value]
        case str():
            return names.get(value, value)
        case _:
            return value


# --- the files of a node ----------------------------------------------------------------------------------------------


def node_files(node: Node) -> dict[str, bytes]:
    """Return the files that the container of `node` needs, by name. Raises UsageError if one cannot be used."""
    files = {}
    tls = deployment(node).tls
    if tls.key:
        raise_faults(node, deployment_findings(node, utc_now(), required=True))
        files = {_TLS_FILES[name]: _content(node, path) for name, path in tls.files.items()}
    config = declare(node).config
    if config:
        names = {str(path): f"registry-{number}.pem" for number, path in enumerate(dict.fromkeys(node.config_names))}
        files |= {name: _content(node, Path(path)) for path, name in names.items()}
        table = _renamed(parse_toml(config, _CONFIG), {path: f"{FOLDER}/{name}" for path, name in names.items()})
        files[_CONFIG] = toml_document(table).encode()
    return files


def _content(node: Node, path: Path) -> bytes:
    try:
        return read_bounded(path, pipe=False)
    except OSError as error:
        message = f"{node.id}: {one_line(str(path))} cannot be read: {error.strerror}"
        raise UsageError(message, hint=UNREADABLE_HINT) from None


def _files_volume(node: Node) -> str:
    return f"{deployment(node).container}-files"


# --- the engine -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class DeployedContainers(Containers):
    """Creates, starts, stops and removes the containers of deployed nodes."""

    causes: Causes = _causes

    def image(self, node: Node) -> str:
        """Return the image of the container of `node`."""
        return deployment(node).image

    def check_new(self, node: Node) -> None:
        """Check that mpbake can create the container of `node`: its volumes and its files. Raises as `create` does."""
        Containers.check_new(self, node)
        self._check_files(node)

    def _check_files(self, node: Node) -> dict[str, bytes]:
        """Return the files of `node`. Raises UsageError, also if a foreign volume has the name of theirs."""
        files = node_files(node)
        check_volume(node, _files_volume(node), self._labels_of_volume(node, _files_volume(node)))
        return files

    def fetch(self, node: Node, start: NodeStart) -> None:
        """Check what a new container needs, and pull its image if necessary: then an old container may be removed."""
        self.check_new(node)
        Containers.fetch(self, node, start)

    def create(self, node: Node) -> None:
        """Create and start the container of `node`. If it does not start, remove it again.

        Raises UsageError, Unreachable.
        """
        files = self._check_files(node)
        self.prepare(node)  # a new container may have another volume
        try:
            self._copy_files(node, files)
            self._change(node, *create_arguments(node, files))
            self._start(node, deployment(node).container)
        except MpbakeError:
            with contextlib.suppress(Unreachable):
                self._change(node, "container", "rm", "--force", deployment(node).container)
                self._remove_volume(node, _files_volume(node))
            raise

    def _copy_files(self, node: Node, files: Mapping[str, bytes]) -> None:
        """Write `files` into a new volume, through a container that is never started."""
        volume = _files_volume(node)
        self._run(node, "container", "rm", "--force", "--volumes", volume)  # of an interrupted start
        self._remove_volume(node, volume)
        if not files:
            return
        self._make_volume(node, volume)
        mount = f"type=volume,source={volume},target={FOLDER},volume-nocopy"
        label = f"{CONTAINER_LABEL}=files"
        self._change(
            node, "container", "create", "--name", volume, "--label", label, "--mount", mount, "--", self.image(node)
        )
        try:
            self._change(node, "container", "cp", "-", f"{volume}:{FOLDER}", given=archive(files, _layout(node).user))
        finally:
            self._change(node, "container", "rm", "--force", "--volumes", volume)

    def resume(self, node: Node, made: NodeResource) -> None:
        """Resume a paused container, and start a stopped one."""
        self._unpause(node, made)
        if self.is_stopped(made):
            self._start(node, made.id)

    def _start(self, node: Node, container: str) -> None:
        started = self._run(node, "container", "start", container)
        if started.returncode:  # the last line of docker only repeats the name
            reason = "\n".join(line for line in started.stderr.splitlines() if not line.startswith(_REPEATS_NAME))
            raise unreachable_by(self.causes, node, started, reason)

    def wait(self, node: Node, start: NodeStart) -> None:
        """Wait until BuildKit in the container answers, then check the connection from here. Raises Unreachable."""
        start.tell("waiting for BuildKit to answer")
        container = deployment(node).container
        command = ["container", "exec", container, "buildctl", "--addr", _layout(node).socket, "debug", "workers"]
        while (asked := self._run(node, *command)).returncode:
            if start.is_over or not self.is_starting(node):
                reason = "BuildKit in its container does not answer" if start.is_over else "BuildKit does not start"
                raise unreachable_by(_client_causes, node, asked, reason)
            self.docker.pause(_POLL_SECONDS)
        check_connection(node)

    def is_used(self, node: Node, made: NodeResource) -> bool:
        """Whether a client is connected to BuildKit: through the container, or to its port.

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
        """Stop and remove the container with its certificates and keys, but keep the volume with its state."""
        Containers.remove(self, node, made)
        self._remove_volume(node, _files_volume(node))


def has_connection(sockets: str, port: int) -> bool:
    """Whether a client is connected to `port`, from the text of /proc/net/tcp."""
    rows = [line.split() for line in sockets.splitlines() if ":" in line]
    return any(row[1].endswith(f":{port:04X}") and row[3] == _ESTABLISHED for row in rows)


# --- in a run ---------------------------------------------------------------------------------------------------------


def _check(node: Node, now: Callable[[], datetime], _: Mapping[str, str]) -> Warnings:
    """Check the certificates of the client and of the server. Whether the node answers follows from its container.

    The server's key is needed only for a new container.
    """
    findings = deployment_findings(node, now(), required=True)
    return (
        *check_certificates(node, now()),
        *raise_faults(node, [finding for finding in findings if finding.key != _SERVER_KEY]),
    )


def _reach(
    docker: Docker, node: Node, now: Callable[[], datetime], environment: Mapping[str, str], start: NodeStart
) -> Warnings:
    """Check the certificates of the client, and the connection to a node.

    A node that answers needs no access to its host. Otherwise ask the host, and start the container if it is stopped.
    Raises Unreachable with the reason, UsageError.
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
        hint = f"its container runs on {host}: check the port and the firewall; or {node.driver.rules.log_hint(node)}"
        raise Unreachable(error.message, hint=hint)
    start.tell(f"starting its container on {host}")
    manager.resume(node, made)
    manager.wait(node, start)


def _manager(docker: Docker) -> DeployedContainers:
    return DeployedContainers(docker=docker)


DEPLOYED_BACK_END = BackEnd(
    causes=_client_causes,
    manager=_manager,
    survey=ask_nothing,
    ask=ask_instance,
    connect=boot_instance,
    check=_check,
    reach=_reach,
)
