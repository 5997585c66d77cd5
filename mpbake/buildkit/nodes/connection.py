"""Checks the connection to a node, and the node's certificates, before anything is created or started.

buildx itself would try for 20 seconds to reach BuildKit without a message, and docker reports connection errors in Go's
terms.
"""

from __future__ import annotations

import socket
import ssl
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mpbake.base.errors import Unreachable, UsageError
from mpbake.base.references import is_loopback
from mpbake.base.text import one_line
from mpbake.certs.finding import RENEW_HINT
from mpbake.graph.preflight.certificates import check_certificates, presented_warnings, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from urllib.parse import SplitResult

    from mpbake.model.plan import Node, TlsFiles

_TIMEOUT = 5.0
_REFUSAL_SECONDS = 1.0
"""Seconds to wait until the node rejects the client certificate. In TLS 1.3 the rejection follows the handshake."""

_CLIENT_CERTIFICATE_HINT = "set tls.cert to a client certificate that the node's own CA signed"
_NO_CERTIFICATE = ("it may require a client certificate", "set tls.cert and tls.key")
_NO_TLS_HINT = "start its {daemon} with {flags}--tlscert, --tlskey and --tlscacert, and check the port"
_OTHER_SERVER_NAME = "set tls.servername to a name in it, or issue a certificate with this {}"
_OTHER_AUTHORITY = ("is signed by an authority other than tls.ca", "set tls.ca to the authority that signed it")
_ENGINE_NAME_HINT = "use a name in the endpoint that it contains, or issue a certificate with this name"
"""The hint for Docker endpoints, where `servername` is not supported."""

_VERIFY: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        9: ("is not valid yet", "check the clocks of both machines"),
        10: ("has expired", "issue a new certificate for it, and restart its {daemon}"),
        18: ("is self-signed, not signed by tls.ca", "set tls.ca to that certificate, or issue a new certificate"),
        19: _OTHER_AUTHORITY,
        20: _OTHER_AUTHORITY,
        21: _OTHER_AUTHORITY,
        26: ("is not for servers", "issue a certificate for servers: extendedKeyUsage = serverAuth"),
        62: ("does not contain the name {name}", _OTHER_SERVER_NAME.format("name")),
        64: ("does not contain the address {name}", _OTHER_SERVER_NAME.format("address")),
    }
)
"""Messages and hints for an invalid certificate of the node, by OpenSSL's error code: X509_V_ERR_…."""

_DEPLOYED_HINTS: Mapping[int, str] = MappingProxyType(
    {
        **dict.fromkeys((10, 62, 64), "run `mpbake certs issue`, then `mpbake builders up`"),
        **dict.fromkeys((18, 19, 20, 21), "run `mpbake builders up`, or set tls.ca to the authority that signed it"),
        26: "run `mpbake certs issue --rekey`, then `mpbake builders up`",
    }
)
"""Hints for the same codes, for a node that mpbake deploys."""

_UNKNOWN_AUTHORITY = (18, 19, 20, 21)
_OTHER_NAME = (62, 64)

_ALERTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "alert certificate required": ("requires a client certificate", "set tls.cert and tls.key"),
        "alert handshake failure": (
            "requires a client certificate, or another version of TLS",
            _CLIENT_CERTIFICATE_HINT,
        ),
        "alert certificate expired": (
            "says that tls.cert has expired",
            f"{RENEW_HINT}; check the clocks of both machines",
        ),
        "alert unknown ca": ("does not know the authority that signed tls.cert", _CLIENT_CERTIFICATE_HINT),
        "alert bad certificate": ("does not accept tls.cert", _CLIENT_CERTIFICATE_HINT),
        "alert unsupported certificate": ("does not accept tls.cert for a client", _CLIENT_CERTIFICATE_HINT),
        "wrong version number": ("does not speak TLS at that port", _NO_TLS_HINT),
        "record layer failure": ("does not speak TLS at that port", _NO_TLS_HINT),
    }
)
"""Messages and hints for a node that rejects the client certificate.

The keys are TLS alerts, as they appear at the end of OpenSSL's reasons.
"""


def check_node(node: Node, now: Callable[[], datetime], environment: Mapping[str, str]) -> tuple[str, ...]:
    """Check the certificates of `node` and the connection to it. Return warnings.

    Raises Unreachable if the node does not answer, UsageError for a wrong certificate.
    """
    return (*check_certificates(node, now()), *check_connection(node, now, environment))


def check_connection(
    node: Node, now: Callable[[], datetime] = utc_now, environment: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """Connect to `node` as buildx or docker would do in this `environment`. Return warnings.

    Raises Unreachable if the node does not answer, UsageError for a wrong certificate.
    """
    try:
        url = urlsplit(node.endpoint)
        if url.scheme == "tcp" and url.hostname and not _is_left_to_docker(node, url, environment):
            with socket.create_connection((url.hostname, url.port or 1234), timeout=_TIMEOUT) as connection:
                if node.tls.ca or node.tls.cert:
                    return _check_tls(node, connection, node.tls.servername or url.hostname, now)
        elif url.scheme == "unix" and not _is_engine(node):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_TIMEOUT)
                connection.connect(url.path)
    except (OSError, ValueError) as error:
        message = f"node {node.id} does not answer at {one_line(node.endpoint)}: {_system_reason(error)}"
        raise Unreachable(message, hint=_connection_hint(node, error)) from None
    return ()


def _system_reason(error: OSError | ValueError) -> str:
    """Return the system's text for an error without the error number, such as `Connection refused`."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return one_line(text)


def _is_engine(node: Node) -> bool:
    return node.driver.rules.endpoint.is_engine


def _is_left_to_docker(node: Node, url: SplitResult, environment: Mapping[str, str]) -> bool:
    """Whether docker must reach the engine itself: at a default port, or through a proxy."""
    return _is_engine(node) and (url.port is None or _is_proxied(node.endpoint, environment))


def _is_proxied(endpoint: str, environment: Mapping[str, str]) -> bool:
    """Whether docker uses a proxy according to the environment.

    Go uses no proxy for the local machine, nor for an exception in `no_proxy`.
    """
    variables = {name.lower(): value for name, value in environment.items() if value}
    if is_loopback(endpoint) or not any(variables.get(f"{scheme}_proxy") for scheme in ("http", "https", "all")):
        return False
    host = urlsplit(endpoint).hostname or ""
    exceptions = [name.strip().lower() for name in variables.get("no_proxy", "").split(",") if name.strip()]
    return not any(name in {"*", host} or host.endswith(f".{name.lstrip('.')}") for name in exceptions)


def _daemon(node: Node) -> str:
    return "dockerd" if _is_engine(node) else "buildkitd"


def _connection_hint(node: Node, error: Exception) -> str:
    match error:
        case PermissionError():
            return "check the permissions and the group of that socket"
        case FileNotFoundError():
            return "start buildkitd there: it makes the socket"
        case socket.gaierror():
            return "check the name of the host in the endpoint, and in DNS"
        case TimeoutError():
            return "check that the machine is up, and its firewall"
        case _:
            return f"check that {_daemon(node)} runs there, and that the port is open to this machine"


def _check_tls(node: Node, connection: socket.socket, name: str, now: Callable[[], datetime]) -> tuple[str, ...]:
    try:
        with _context(node).wrap_socket(connection, server_hostname=name) as channel:
            own = channel.getpeercert(binary_form=True) or b""
            is_refused = _refuses(channel)
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(node, name, error) from None
    except ssl.SSLError as error:
        raise _refusal(node, _reason(error)) from None
    if is_refused:
        raise _closed_connection(node)
    ends = presented_warnings(own, now(), node.certificate_days)
    return tuple(f"{node.id}: the node's own certificate {warning}" for warning in ends)


def _untrusted(node: Node, name: str, error: ssl.SSLCertVerificationError) -> UsageError:
    problem, hint = _VERIFY.get(
        error.verify_code, (f"is not accepted: {error.verify_message}", _CLIENT_CERTIFICATE_HINT)
    )
    if error.verify_code in _UNKNOWN_AUTHORITY and not node.tls.ca:
        problem, hint = (
            "is signed by an authority that this machine does not know",
            "set tls.ca to the authority that signed it",
        )
    if error.verify_code in _OTHER_NAME and _is_engine(node):
        hint = _ENGINE_NAME_HINT
    if node.deploy is not None:
        hint = _DEPLOYED_HINTS.get(error.verify_code, hint)
    message = f"the certificate of node {node.id} {problem.format(name=one_line(name))}"
    return UsageError(message, hint=hint.format(daemon=_daemon(node)))


def _refusal(node: Node, reason: str) -> UsageError:
    known = (explanation for alert, explanation in _ALERTS.items() if reason.endswith(alert))
    problem, hint = next(known, ("refuses the TLS connection", _CLIENT_CERTIFICATE_HINT))
    flags = "--tlsverify, " if _is_engine(node) else ""
    return UsageError(f"node {node.id} {problem} ({reason})", hint=hint.format(daemon=_daemon(node), flags=flags))


def _closed_connection(node: Node) -> UsageError:
    """Return the error for a node that closes the connection instead of reporting the problem with a certificate."""
    problem, hint = ("it may not trust tls.cert", _CLIENT_CERTIFICATE_HINT) if node.tls.cert else _NO_CERTIFICATE
    return UsageError(f"node {node.id} closes the TLS connection at once: {problem}", hint=hint)


def _refuses(channel: ssl.SSLSocket) -> bool:
    channel.settimeout(_REFUSAL_SECONDS)
    try:
        return not channel.recv(1)
    except TimeoutError:
        return False  # the node waits for the first request, so it has accepted the certificate


def _context(node: Node) -> ssl.SSLContext:
    tls: TlsFiles = node.tls
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
        if tls.cert and tls.key:
            context.load_cert_chain(
                tls.cert, tls.key, password=""
            )  # an empty password prevents a prompt: buildx supports no password
    except ssl.SSLError as error:
        message = f"the certificates for node {node.id} cannot be used: {_reason(error)}"
        raise UsageError(message, hint="set tls.key to the key of tls.cert, and use PEM files") from None
    if not _is_engine(node):  # docker uses HTTP/1.1 for an engine, without ALPN
        context.set_alpn_protocols(["h2"])
    # buildx is written in Go, which checks certificates less strictly than Python.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's reason in words: "tlsv13 alert certificate required" for `TLSV13_ALERT_CERTIFICATE_REQUIRED`."""
    return (error.reason or str(error)).lower().replace("_", " ")
