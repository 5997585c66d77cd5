"""Fake BuildKit nodes that only accept connections, with real certificates."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from testbed.certs import Authority

from mpbake.model.plan import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Serve = Callable[[socket.socket], None]
    """What a node does with a connection, which is closed after it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificates:
    """A folder with the files that scripts/testbed/certs.py writes."""

    folder: Path

    def tls(self, *, without: str = "", servername: str = "") -> TlsFiles:
        """Return the `tls` of a node in a plan, `without` some of its files."""
        files = {"ca": "ca.crt", "cert": "client.crt", "key": "client.key"}
        given = {name: self.folder / file for name, file in files.items() if name not in without.split()}
        return TlsFiles(servername=servername, **given)

    def server(
        self, *, sends: bytes = b"settings", waits: bool = True, wants_client: bool = True, protocol: str | None = "h2"
    ) -> Serve:
        """Return a node that admits clients with a certificate of its own CA. It first `sends` bytes, as HTTP/2 does.

        With `waits`, the node waits until the client ends the connection. The client must have asked for `protocol`.
        """
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.folder / "ca.crt"))
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED if wants_client else ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as channel:
                assert channel.selected_alpn_protocol() == protocol
                channel.sendall(sends)
                if waits:
                    channel.recv(1)
                else:
                    channel.unwrap()

        return serve

    def engine(self, *, sends: bytes = b"?") -> Serve:
        """Return a Docker engine behind TLS. A real engine sends nothing first, and the check waits in vain."""
        return self.server(sends=sends, protocol=None)


def issued(
    certificates: Certificates,
    folder: Path,
    *,
    name: str = "client",
    usage: str = "",
    days: tuple[int, int] = (-1, 365),
) -> Certificates:
    """Return a copy of certificates in an empty folder, issued by a new authority.

    The certificate of `name` has the extended key `usage`, if given. Its validity begins and ends so many `days` from
    now.
    """
    shutil.copytree(certificates.folder, folder, dirs_exist_ok=True)
    authority = Authority.create()
    (folder / "ca.crt").write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))
    for role in ("server", "client"):
        meant = usage if usage and role == name else role
        oid = ExtendedKeyUsageOID.SERVER_AUTH if meant == "server" else ExtendedKeyUsageOID.CLIENT_AUTH
        key, certificate = authority.issue(role, oid, days=days if role == name else (-1, 365))
        (folder / f"{role}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / f"{role}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return Certificates(folder=folder)


def silent(connection: socket.socket) -> None:
    """Send nothing until the client ends the connection."""
    while connection.recv(1024):
        pass


@contextlib.contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """Yield the port on which the node accepts and serves one connection."""

    def accept() -> None:
        connection, _ = server.accept()
        with connection:
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)
        assert not thread.is_alive()
