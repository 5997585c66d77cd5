"""Whether a remote node can be reached and trusted, asked before buildx is: it would try for 20 seconds, in silence."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mpbake.errors import Unreachable, UsageError
from mpbake.text import one_line

if TYPE_CHECKING:
    from mpbake.plan import Node, Tls

_TIMEOUT = 5.0
_CLIENT = "tls.cert must be a client certificate that the node's own CA signed"
_LATE = 1.0
"""Seconds in which a node may still refuse a client certificate: in TLS 1.3 it does so after the handshake."""


def check_connection(node: Node) -> None:
    """Connect as buildx will. Raises Unreachable where nobody answers, UsageError for a wrong certificate."""
    _check_files(node)
    try:
        url = urlsplit(node.endpoint)
        if url.scheme == "tcp" and url.hostname:
            with socket.create_connection((url.hostname, url.port or 1234), timeout=_TIMEOUT) as connection:
                if node.tls.ca or node.tls.cert:
                    _check_tls(node, connection, node.tls.servername or url.hostname)
        elif url.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_TIMEOUT)
                connection.connect(url.path)
    except (OSError, ValueError) as error:
        message = f"node {node.id} does not answer at {one_line(node.endpoint)}: {one_line(str(error))}"
        raise Unreachable(message, hint="is buildkitd running there, and is the port open to this machine?") from None


def _check_files(node: Node) -> None:
    for name, path in (("ca", node.tls.ca), ("cert", node.tls.cert), ("key", node.tls.key)):
        if path is not None and not path.is_file():
            message = f"{node.id}: tls.{name}: there is no file {one_line(str(path))}"
            raise UsageError(message, hint="paths count from the plan's folder")


def _check_tls(node: Node, connection: socket.socket, name: str) -> None:
    context = _context(node)
    try:
        with context.wrap_socket(connection, server_hostname=name) as channel:
            refused = _refuses(channel)
    except ssl.SSLCertVerificationError as error:
        message = f"the certificate of node {node.id} is not accepted: {error.verify_message or error.reason}"
        raise UsageError(
            message, hint="tls.ca must be what signed it, and its names must hold the endpoint's"
        ) from None
    except ssl.SSLError as error:
        message = f"node {node.id} refuses the TLS connection: {_words(error)}"
        raise UsageError(message, hint=_CLIENT) from None
    if refused:
        raise UsageError(f"node {node.id} closes the TLS connection at once", hint=_CLIENT)


def _refuses(channel: ssl.SSLSocket) -> bool:
    channel.settimeout(_LATE)
    try:
        return not channel.recv(1)
    except TimeoutError:
        return False  # it waits for what buildx will say: all is well


def _context(node: Node) -> ssl.SSLContext:
    tls: Tls = node.tls
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
        if tls.cert and tls.key:
            context.load_cert_chain(tls.cert, tls.key, password="")  # never ask at the terminal: buildx takes none
    except ssl.SSLError as error:
        message = f"the certificates for node {node.id} cannot be used: {_words(error)}"
        raise UsageError(message, hint="tls.key must belong to tls.cert, and all files must be PEM") from None
    context.set_alpn_protocols(["h2"])
    # Python asks more of a certificate than Go, which is what buildx is written in.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def _words(error: ssl.SSLError) -> str:
    """OpenSSL's reason in words: `TLSV13_ALERT_CERTIFICATE_REQUIRED` is "tlsv13 alert certificate required"."""
    return (error.reason or str(error)).lower().replace("_", " ")
