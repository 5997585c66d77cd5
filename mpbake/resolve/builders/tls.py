"""Check a node's TLS: only where TLS is supported, and by default no unencrypted connection to another machine."""

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
    from mpbake.spec.tables.builder_tables import NodeSpec


def tls_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    """Yield the problems of the connection to the node at `key`.

    Deployed nodes have stricter rules, which another check covers.
    """
    tls = node.tls.written()
    if tls:
        yield from _tls_problems((*key, "tls"), driver, node)
    elif "deploy" in node.written():
        return
    elif node.endpoint.startswith("tcp://") and not node.insecure and _is_elsewhere(node.endpoint):
        message = "is on another machine without TLS"
        yield Problem(code=Code.NO_TLS, key=(*key, "endpoint"), message=message, hint=driver.rules.endpoint.no_tls_hint)


def _tls_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    tls = node.tls
    if not driver.rules.endpoint.takes_tls:
        others = [other for other in Driver if other.rules.endpoint.takes_tls and other.rules.is_declarable]
        message = f"the {driver} driver does not support tls"
        hint = f"remove it, or use driver = {alternatives_text(others)}"
        yield Problem(code=Code.TLS_MISPLACED, key=key, message=message, hint=hint)
    elif node.endpoint and not node.endpoint.startswith("tcp://"):
        message, hint = "tls is supported only for tcp:// endpoints", "remove tls"
        yield Problem(code=Code.TLS_MISPLACED, key=key, message=message, hint=hint)
    if bool(tls.cert) != bool(tls.key):
        message, hint = "cert and key must be set together", "set both, or neither"
        yield Problem(code=Code.TLS_PAIR, key=key, message=message, hint=hint)
    elif tls.servername and driver.rules.endpoint.takes_tls and not driver.rules.endpoint.takes_servername:
        message = "servername is not supported for Docker endpoints"
        hint = "use a host name in the endpoint that the engine's certificate contains"
        yield Problem(code=Code.TLS_MISPLACED, key=(*key, "servername"), message=message, hint=hint)


def _is_elsewhere(endpoint: str) -> bool:
    """Whether an endpoint is certainly on another machine. False for an invalid endpoint: another check reports it."""
    return has_host(endpoint) and not is_loopback(endpoint)
