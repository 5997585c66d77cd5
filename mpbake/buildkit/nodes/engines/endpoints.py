"""Resolves the endpoints of Docker engines. A docker context and a URL may name the same engine."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.buildkit.nodes.engines.contexts import certificates_of, host_of, inspect_context, inspect_context_in_use
from mpbake.resolve.builders.external import DOCKER_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.process.docker import Docker

DEFAULT_CONTEXT = "default"
"""The docker context for DOCKER_HOST or the default socket. buildx stores the context's URL instead of its name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """The engine at an endpoint: its URL, and the certificates of its docker context by name.

    In the URL of a unix socket, symlinks are resolved.
    """

    url: str
    certificates: Mapping[str, bytes]


class Endpoints:
    """Resolves endpoints as docker does in this `environment`. Thread-safe."""

    def __init__(self, docker: Docker, environment: Mapping[str, str]) -> None:
        self._docker = docker
        self._environment = environment
        self._context_in_use: dict[str, Any] | None = None
        self._asking = threading.Lock()

    def context_in_use(self) -> str:
        """Return the name of the docker context in use. The builder with the `docker` driver has the same name.

        Raises Unreachable if the context does not exist.
        """
        return DEFAULT_CONTEXT if self._environment.get("DOCKER_HOST") else str(self._in_use()["Name"])

    def in_use(self) -> str:
        """Return the endpoint of the engine in use as buildx stores it: a docker context, or the URL of `default`.

        Raises Unreachable if the context does not exist, and UsageError if buildx does not support the context.
        """
        context = self._in_use()
        if context["Name"] != DEFAULT_CONTEXT:
            return str(context["Name"])
        if context.get("TLSMaterial"):
            raise UsageError(
                "buildx makes no builder for an engine whose TLS is set by DOCKER_TLS_VERIFY and DOCKER_CERT_PATH",
                hint="make a docker context of these settings (docker context create NAME), then unset DOCKER_HOST and "
                "set DOCKER_CONTEXT=NAME",
            )
        return host_of(context)

    def address(self, endpoint: str) -> Address | None:
        """Return the engine at `endpoint`; None if `endpoint` names a docker context that does not exist.

        An empty endpoint means the engine in use. Raises Unreachable if the context in use does not exist.
        """
        if "://" in endpoint:
            return Address(url=_with_real_path(endpoint), certificates={})
        context = self._context(endpoint)
        if not context:
            return None
        return Address(url=_with_real_path(host_of(context)), certificates=certificates_of(context))

    def same(self, one: str, other: str) -> bool:
        """Whether two endpoints name the same engine. Neither endpoint may be empty."""
        if one == other:
            return True
        address = self.address(one) if one and other else None
        return address is not None and address == self.address(other)

    def _context(self, name: str) -> dict[str, Any] | None:
        """Inspect a docker context. The name is checked first, since it may come from an instance in a checkout."""
        if not name:
            return self._in_use()
        return inspect_context(self._docker, name) if DOCKER_NAME.fullmatch(name) else None

    def _in_use(self) -> dict[str, Any]:
        """Inspect the docker context in use. docker is called only once."""
        with self._asking:
            if self._context_in_use is None:
                self._context_in_use = inspect_context_in_use(self._docker)
            return self._context_in_use


def _with_real_path(url: str) -> str:
    """Return `url` with symlinks in the path of its unix socket resolved: /var/run is usually a link to /run."""
    scheme, _, path = url.partition("://")
    return f"unix://{os.path.realpath(path)}" if scheme == "unix" else url
