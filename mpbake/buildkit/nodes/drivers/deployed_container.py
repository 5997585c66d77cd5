"""The container of a deployed BuildKit: the command that creates it, and the files that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.files import read_bounded
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_document
from mpbake.buildkit.nodes.instances.declaration import declare, resource_mark, resource_settings
from mpbake.certs.finding import UNREADABLE_HINT
from mpbake.graph.preflight.certificates import deployment_findings, raise_faults, utc_now
from mpbake.model.drivers.deployed import deployment, files_volume
from mpbake.model.marks import CONTAINER_LABEL, SETTING_LABEL
from mpbake.spec.files.toml_values import parse_toml, with_other_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.plan import Node

FOLDER = "/etc/mpbake"
"""The folder in the container with the files of a node."""
_CONFIG = "buildkitd.toml"
_TLS_FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
_TLS_FLAGS = {"--tlscacert": "ca.pem", "--tlscert": "cert.pem", "--tlskey": "key.pem"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The differences between BuildKit with and without privileges: the user, the folder of the state, the socket."""

    user: int
    state: str
    socket: str
    options: tuple[str, ...]


_PRIVILEGED = Layout(
    user=0,
    state="/var/lib/buildkit",
    socket="unix:///run/buildkit/buildkitd.sock",
    options=("--privileged",),
)
_ROOTLESS = Layout(
    user=1000,
    state="/home/user/.local/share/buildkit",
    socket="unix:///run/user/1000/buildkit/buildkitd.sock",
    options=tuple(
        part
        for rule in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
        for part in ("--security-opt", rule)
    ),
)
"""From BuildKit's documentation: without these options, a rootless BuildKit cannot start the processes of a build."""


def layout_of(node: Node) -> Layout:
    """Return the layout of the container of `node`."""
    return _ROOTLESS if deployment(node).rootless else _PRIVILEGED


def create_arguments(node: Node, files: Mapping[str, bytes]) -> list[str]:
    """Return the arguments of `docker` that create the container of `node`. `files` are the node's files by name."""
    deploy, layout = deployment(node), layout_of(node)
    labels = {CONTAINER_LABEL: resource_mark(node)}
    labels |= {f"{SETTING_LABEL}{name}": value for name, value in resource_settings(node).items()}
    command = ["container", "create", "--name", deploy.container, "--restart", deploy.restart, *layout.options]
    for name, value in labels.items():
        command += ["--label", f"{name}={value}"]
    command += ["--mount", f"type=volume,source={deploy.volume},target={layout.state}"]
    if files:
        command += ["--mount", f"type=volume,source={files_volume(node)},target={FOLDER},readonly"]
    if deploy.port:
        command += ["--publish", f"{deploy.port}:{deploy.port}"]
    return [*command, "--", deploy.image, *buildkitd_arguments(node, files)]


def buildkitd_arguments(node: Node, files: Mapping[str, bytes]) -> list[str]:
    """Return the flags of buildkitd. Without a port, clients use only the socket in the container."""
    port = deployment(node).port
    flags = ["--addr", layout_of(node).socket]
    if _CONFIG in files:
        flags += ["--config", f"{FOLDER}/{_CONFIG}"]
    if port:
        flags += ["--addr", f"tcp://0.0.0.0:{port}"]
        flags += [part for flag, name in _TLS_FLAGS.items() for part in (flag, f"{FOLDER}/{name}")]
    return flags


# --- the files of a node ----------------------------------------------------------------------------------------------


def node_files(node: Node) -> dict[str, bytes]:
    """Return the files that the container of `node` needs, by name. Raises UsageError for an unusable file."""
    files = {}
    tls = deployment(node).tls
    if tls.key:
        raise_faults(node, deployment_findings(node, utc_now(), required=True))
        files = {_TLS_FILES[name]: _content(node, path) for name, path in tls.files.items()}
    config = declare(node).config
    if config:
        names = {str(path): f"registry-{number}.pem" for number, path in enumerate(dict.fromkeys(node.config_names))}
        files |= {name: _content(node, Path(path)) for path, name in names.items()}
        table = with_other_texts(
            parse_toml(config, _CONFIG), {path: f"{FOLDER}/{name}" for path, name in names.items()}
        )
        files[_CONFIG] = toml_document(table).encode()
    return files


def _content(node: Node, path: Path) -> bytes:
    try:
        return read_bounded(path, pipe=False)
    except OSError as error:
        message = f"{node.id}: {one_line(str(path))} cannot be read: {error.strerror}"
        raise UsageError(message, hint=UNREADABLE_HINT) from None
