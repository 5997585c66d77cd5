"""How a node is to be trusted: TLS where it belongs, and nothing in the clear to another machine unless it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.references import has_host, is_loopback
from mpbake.model.plan import Driver
from mpbake.resolve.builders.node_options import alternatives_text
from mpbake.spec.spec import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.base.errors import KeyPath
    from mpbake.spec.spec import NodeSpec


def tls_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    """What is wrong with the way in which the node at `key` is to be reached."""
    tls = node.tls.written()
    where: KeyPath = (*key, "tls")
    if tls:
        yield from _tls_problems(where, driver, node)
    elif node.endpoint.startswith("tcp://") and not node.insecure and _is_elsewhere(node.endpoint):
        message = "is on another machine and has no TLS: whoever reaches its port can do anything there"
        yield Problem(code=Code.NO_TLS, key=(*key, "endpoint"), message=message, hint=driver.rules.endpoint.no_tls_hint)


def _tls_problems(key: KeyPath, driver: Driver, node: NodeSpec) -> Iterator[Problem]:
    tls = node.tls
    if not driver.rules.endpoint.takes_tls:
        others = [other for other in Driver if other.rules.endpoint.takes_tls]
        message, hint = f"the {driver} driver takes no tls", f"it belongs to driver = {alternatives_text(others)}"
        yield Problem(code=Code.TLS_MISPLACED, key=key, message=message, hint=hint)
    elif node.endpoint and not node.endpoint.startswith("tcp://"):
        message, hint = "only a node behind tcp:// has TLS", "take tls away"
        yield Problem(code=Code.TLS_MISPLACED, key=key, message=message, hint=hint)
    if bool(tls.cert) != bool(tls.key):
        message, hint = "cert and key belong together", "give both, or neither"
        yield Problem(code=Code.TLS_PAIR, key=key, message=message, hint=hint)
    elif tls.servername and driver.rules.endpoint.takes_tls and not driver.rules.endpoint.takes_servername:
        message = "docker takes no other name for an engine"
        hint = "use a name in the endpoint that the engine's certificate holds"
        yield Problem(code=Code.TLS_MISPLACED, key=(*key, "servername"), message=message, hint=hint)


def _is_elsewhere(endpoint: str) -> bool:
    """Whether an endpoint is surely another machine; one that can be none is another's complaint."""
    return has_host(endpoint) and not is_loopback(endpoint)
