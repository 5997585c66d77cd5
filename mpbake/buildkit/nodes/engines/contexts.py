"""The docker contexts that mpbake makes, since buildx connects to an engine with TLS only through a docker context."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Unreachable, UsageError
from mpbake.base.references import format_fields
from mpbake.base.text import without_colour
from mpbake.buildkit.nodes.engines.engine import engine_unreachable
from mpbake.buildkit.process.completed import CommandFailed
from mpbake.model.node_resources import context_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.process.docker import Docker
    from mpbake.model.plan import Node, TlsFiles

_TIMEOUT = 30.0
_DESCRIPTION = "made by mpbake"
"""The description of a context that mpbake made."""
_FILES = ("ca", "cert", "key")


def engine_of(node: Node) -> str:
    """Return the docker context or URL of the engine of `node`; empty for the engine in use."""
    return context_name(node) or node.engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Contexts:
    """Creates, corrects and removes docker contexts in the user's docker configuration."""

    docker: Docker

    def is_right(self, node: Node) -> bool:
        """Whether the context of `node` exists and matches the declaration, including the contents of the certificates.

        Raises UsageError if mpbake did not create the context.
        """
        context = self._find(context_name(node))
        if not context:
            return False
        _check_owner(node, context)
        return host_of(context) == node.endpoint and certificates_of(context) == _contents(node.tls)

    def has(self, name: str) -> bool:
        """Whether a docker context with this name exists."""
        return bool(self._find(name))

    def ensure(self, node: Node) -> bool:
        """Create or correct the context of `node`, if the node needs one. Return whether the context is new.

        Raises UsageError, Unreachable.
        """
        name = context_name(node)
        if not name or self.is_right(node):
            return False
        existed = self.remove(node)
        created = self.docker.run(
            ["context", "create", name, "--description", _DESCRIPTION, "--docker", _endpoint(node)], timeout=_TIMEOUT
        )
        if created.returncode:
            raise Unreachable(f"{node.id}: the docker context {name} cannot be made: {without_colour(created.error)}")
        return not existed

    def remove(self, node: Node, name: str = "") -> bool:
        """Remove the context of `node`, or the context `name`. Return whether the context existed.

        Raises UsageError if mpbake did not create the context.
        """
        context = self._find(name or context_name(node))
        if not context:
            return False
        _check_owner(node, context)
        try:
            self.docker.call(lambda client: client.context.remove(context["Name"], force=True), timeout=_TIMEOUT)
        except CommandFailed:
            return False
        return True

    def _find(self, name: str) -> dict[str, Any]:
        """Return docker's description of a context; empty if there is none."""
        return (inspect_context(self.docker, name) if name else None) or {}


def inspect_context(docker: Docker, name: str) -> dict[str, Any] | None:
    """Return docker's description of a context; None if the context does not exist."""
    inspected = docker.run(["context", "inspect", name], timeout=_TIMEOUT)
    return None if inspected.returncode else _single(inspected.stdout)


def inspect_context_in_use(docker: Docker) -> dict[str, Any]:
    """Return docker's description of the context in use. Raises Unreachable if the context does not exist."""
    inspected = docker.run(["context", "inspect"], timeout=_TIMEOUT)
    if inspected.returncode:
        raise engine_unreachable(inspected.stderr)
    return _single(inspected.stdout)


def _single(stdout: str) -> dict[str, Any]:
    (context,) = json.loads(stdout)
    return dict(context)


def host_of(context: Mapping[str, Any]) -> str:
    """Return the URL of a context's engine. If DOCKER_HOST has a short form, docker returns the full URL."""
    return str(context["Endpoints"].get("docker", {}).get("Host", ""))


def certificates_of(context: Mapping[str, Any]) -> dict[str, bytes]:
    """Return docker's copies of the certificates of a context, by name."""
    folder = Path(context["Storage"]["TLSPath"], "docker")
    return {name: (folder / f"{name}.pem").read_bytes() for name in _FILES if (folder / f"{name}.pem").is_file()}


def _check_owner(node: Node, context: dict[str, Any]) -> None:
    """Raise UsageError if mpbake did not make the context."""
    if context["Metadata"].get("Description") != _DESCRIPTION:
        name = context["Name"]
        raise UsageError(
            f"{node.id}: mpbake did not make the docker context {name}, and leaves it unchanged",
            hint=f"rename the builder or the node, or remove it: docker context rm {name}",
        )


def _endpoint(node: Node) -> str:
    """Return the value of the `--docker` option, which docker reads as a line of CSV."""
    return format_fields({"host": node.endpoint, **{name: str(path) for name, path in node.tls.files.items()}})


def _contents(tls: TlsFiles) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in tls.files.items()}
