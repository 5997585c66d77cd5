"""Checks of a node's TLS: only where it is supported, and no unencrypted connection to another machine by default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.references import has_host, is_loopback
from mpbake.model.plan import Driver
from mpbake.resolve.builders.node_options import alternatives_text
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.base.errors import KeyPath
    from mpbake.spec.builder_tables import NodeSpec

_WITH_TLS = (Driver.REMOTE, Driver.DOCKER_CONTAINER)


def tls_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    """Yield the problems of the connection to the node at `key`."""
    tls = node.tls.written()
    if tls:
        yield from _tls_problems((*key, "tls"), driver, node)
    elif node.endpoint.startswith("tcp://") and not node.insecure and _is_elsewhere(node.endpoint):
        message = "is on another machine without TLS: anyone who can reach its port has full control of it"
        yield Problem(code=Code.NO_TLS, key=(*key, "endpoint"), message=message, hint=_tls_hint(driver))


def _tls_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    tls = node.tls
    if driver not in _WITH_TLS:
        message, hint = (
            f"the {driver} driver does not support tls",
            f"remove it, or use driver = {alternatives_text(_WITH_TLS)}",
        )
        yield Problem(code=Code.TLS_MISPLACED, key=key, message=message, hint=hint)
    elif node.endpoint and not node.endpoint.startswith("tcp://"):
        message, hint = "tls is supported only for tcp:// endpoints", "remove tls"
        yield Problem(code=Code.TLS_MISPLACED, key=key, message=message, hint=hint)
    if bool(tls.cert) != bool(tls.key):
        message, hint = "cert and key must be set together", "set both, or neither"
        yield Problem(code=Code.TLS_PAIR, key=key, message=message, hint=hint)
    elif driver is Driver.DOCKER_CONTAINER and tls.servername:
        message = "servername is not supported for Docker endpoints"
        hint = "use a host name in the endpoint that the engine's certificate contains"
        yield Problem(code=Code.TLS_MISPLACED, key=(*key, "servername"), message=message, hint=hint)


def _tls_hint(driver: Driver) -> str:
    if driver is Driver.DOCKER:
        return "use a docker context with TLS or ssh://, or accept the risk with insecure = true"
    return "set tls = { ca, cert, key }, or accept the risk with insecure = true"


def _is_elsewhere(endpoint: str) -> bool:
    """Whether an endpoint is certainly on another machine. An invalid endpoint is reported elsewhere."""
    return has_host(endpoint) and not is_loopback(endpoint)
