"""Docker contexts of mpbake's own: the only way in which buildx reaches an engine by TLS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Unreachable, UsageError
from mpbake.base.references import format_fields
from mpbake.base.text import without_colour
from mpbake.buildkit.nodes.engine import engine_unreachable
from mpbake.model.node_resources import context_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Node, TlsFiles

_TIMEOUT = 30.0
_OURS = "made by mpbake"
_FILES = ("ca", "cert", "key")


def engine_of(node: Node) -> str:
    """How docker reaches the engine of `node`: by the name of a context or by URL; empty for the engine in use."""
    return context_name(node) or node.endpoint


@dataclass(frozen=True, kw_only=True, slots=True)
class Contexts:
    """Makes, corrects and removes docker contexts in the user's own configuration."""

    docker: Docker

    def is_right(self, node: Node) -> bool:
        """Whether the context of `node` is there and says what the plan says, file by file.

        Raises UsageError when mpbake did not make it.
        """
        found = self._find(context_name(node))
        if not found:
            return False
        _must_be_ours(node, found)
        return host_of(found) == node.endpoint and certificates_of(found) == _contents(node.tls)

    def has(self, name: str) -> bool:
        """Whether there is a context of this name."""
        return bool(self._find(name))

    def ensure(self, node: Node) -> bool:
        """See to it that the context of `node`, if it needs one, is as declared; whether there was none.

        Raises UsageError, Unreachable.
        """
        name = context_name(node)
        if not name or self.is_right(node):
            return False
        was_there = self.remove(node)
        found = self.docker.run(
            ["context", "create", name, "--description", _OURS, "--docker", _endpoint(node)], timeout=_TIMEOUT
        )
        if found.returncode:
            raise Unreachable(f"{node.id}: the docker context {name} cannot be made: {without_colour(found.error)}")
        return not was_there

    def remove(self, node: Node, name: str = "") -> bool:
        """Remove the context of `node`, or that of this `name`, if it is there and mpbake's; whether it was."""
        found = self._find(name or context_name(node))
        if not found:
            return False
        _must_be_ours(node, found)
        return not self.docker.run(["context", "rm", "--force", found["Name"]], timeout=_TIMEOUT).returncode

    def _find(self, name: str) -> dict[str, Any]:
        """What docker knows of the context; nothing when there is none."""
        return (inspect_context(self.docker, name) if name else None) or {}


def inspect_context(docker: Docker, name: str) -> dict[str, Any] | None:
    """Return what docker keeps of a context; None when it does not exist."""
    found = docker.run(["context", "inspect", name], timeout=_TIMEOUT)
    return None if found.returncode else _single(found.stdout)


def inspect_context_in_use(docker: Docker) -> dict[str, Any]:
    """Return what docker keeps of the context in use. Raises Unreachable when that does not exist."""
    found = docker.run(["context", "inspect"], timeout=_TIMEOUT)
    if found.returncode:
        raise engine_unreachable(found.stderr)
    return _single(found.stdout)


def _single(stdout: str) -> dict[str, Any]:
    (context,) = json.loads(stdout)
    return dict(context)


def host_of(context: Mapping[str, Any]) -> str:
    """Return the URL of the engine that a context leads to; docker has replaced a short form of DOCKER_HOST by it."""
    return str(context["Endpoints"].get("docker", {}).get("Host", ""))


def certificates_of(context: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the certificates that docker keeps for a context, by name."""
    folder = Path(context["Storage"]["TLSPath"], "docker")
    return {name: (folder / f"{name}.pem").read_bytes() for name in _FILES if (folder / f"{name}.pem").is_file()}


def _must_be_ours(node: Node, found: dict[str, Any]) -> None:
    if found["Metadata"].get("Description") != _OURS:
        message = f"{node.id}: a docker context {found['Name']} exists that mpbake did not make; it is left as it is"
        raise UsageError(
            message, hint=f"rename the builder or the node, or remove it: docker context rm {found['Name']}"
        )


def _endpoint(node: Node) -> str:
    """The `--docker` option, which docker reads as a line of CSV."""
    return format_fields({"host": node.endpoint, **{name: str(path) for name, path in node.tls.files.items()}})


def _contents(tls: TlsFiles) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in tls.files.items()}
