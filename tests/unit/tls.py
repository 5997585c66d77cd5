"""BuildKit nodes that are only a port, with real certificates."""

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
    """A folder as scripts/testbed/certs.py fills it."""

    folder: Path

    def tls(self, *, without: str = "", servername: str = "") -> TlsFiles:
        """All that a plan says of the certificates, `without` some."""
        files = {"ca": "ca.crt", "cert": "client.crt", "key": "client.key"}
        given = {name: self.folder / file for name, file in files.items() if name not in without.split()}
        return TlsFiles(servername=servername, **given)

    def server(
        self, *, sends: bytes = b"settings", waits: bool = True, wants_client: bool = True, protocol: str | None = "h2"
    ) -> Serve:
        """A node that lets in who has a certificate of its own CA, and `says` something first, as HTTP/2 has it.

        It `waits` for the other side to go, which has `asked_for` a protocol.
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
        """A Docker engine behind TLS; a real one says nothing first, and is waited for."""
        return self.server(sends=sends, protocol=None)


def issued(
    certificates: Certificates,
    folder: Path,
    *,
    name: str = "client",
    usage: str = "",
    days: tuple[int, int] = (-1, 365),
) -> Certificates:
    """A copy of certificates in an empty folder, all of one authority of its own.

    That of `name` is for another `usage`, if given, and valid from and to so many `days` from now.
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
    """Say nothing until the other side goes."""
    while connection.recv(1024):
        pass


@contextlib.contextmanager
def serving(serve: Serve) -> Iterator[int]:
    """The port on which one connection is taken and served."""

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
