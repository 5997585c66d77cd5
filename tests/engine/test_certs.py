"""Certificates by `mpbake certs` on a real node, which refuses all others; each has its own message."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from mpbake.certs.authority import Authority, CertificateRequest, make_authority
from mpbake.certs.node_files import CertificateRole
from mpbake.certs.reading import parse_certificates, parse_key, read_certificates, read_private_key
from mpbake.certs.store import create_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Mpbake

pytestmark = pytest.mark.one_release

_FILES = 'ca = "certs/ca.crt"'
_CLIENT = 'cert = "certs/client.crt", key = "certs/client.key"'
_DEPLOY = 'deploy = { host = "none", tls = { cert = "certs/server.crt", key = "certs/server.key" } }'


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A plan in a folder, with one node whose certificates mpbake has issued."""

    folder: Path
    image: str
    port: int = 1234

    def write(self, *, tls: str = f"{_FILES}, {_CLIENT}", deploy: str = "") -> None:
        """Write the plan; `deploy` makes mpbake issue the certificate of the server."""
        (self.folder / "build.toml").write_text(f"""
version = 1
[builders.b]
driver = "remote"
[builders.b.nodes.far]
endpoint = "tcp://127.0.0.1:{self.port}"
platforms = ["linux/amd64"]
tls = {{ {tls} }}
{deploy}
[targets.web]
builder = "b"
dockerfile-inline = "FROM {self.image}"
platforms = ["linux/amd64"]
""")


@pytest.fixture
def release(testbed: Testbed, mpbake: Mpbake, unique: str, tmp_path: Path) -> Iterator[Release]:
    """A plan, and a node that runs with the certificates of `mpbake certs`."""
    image = testbed.env()["BASE_IMAGE"]
    Release(folder=tmp_path, image=image).write(deploy=_DEPLOY)
    mpbake("certs", "init", "--ca-key", "vault/ca.key")
    issued = mpbake("certs", "issue", "--ca-key", "vault/ca.key").stdout
    assert "issued  certs/server.crt  until" in issued
    assert "server 127.0.0.1" in issued
    node = testbed.add_node_with(unique, tmp_path / "certs")
    yield Release(folder=tmp_path, image=image, port=node.settings.port)
    node.stop()


def is_admitted(release: Release, cert: str = "", key: str = "") -> bool:
    """Whether the node speaks to a client with these files, without mpbake."""
    context = ssl.create_default_context(cafile=str(release.folder / "certs/ca.crt"))
    context.set_alpn_protocols(["h2"])
    if cert:
        context.load_cert_chain(release.folder / cert, release.folder / key)
    with socket.create_connection(("127.0.0.1", release.port), timeout=10) as connection:
        try:
            with context.wrap_socket(connection, server_hostname="127.0.0.1") as channel:
                channel.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
                return bool(channel.recv(1))
        except (ssl.SSLError, ConnectionError):
            return False


def test_certificates_work_and_all_others_are_refused(release: Release, mpbake: Mpbake) -> None:
    release.write()
    mpbake("run", "web")
    assert is_admitted(release, "certs/client.crt", "certs/client.key")

    make_attackers(release.folder)
    attacks = {
        _FILES: ("", "node b/far closes the TLS connection at once: it may require a client certificate"),
        f'{_FILES}, cert = "certs/server.crt", key = "certs/server.key"': (
            "certs/server",
            '"CN=b/far" is not a client certificate',
        ),
        f'{_FILES}, cert = "other.crt", key = "other.key"': (
            "other",
            "node b/far closes the TLS connection at once: it may not trust tls.cert",
        ),
        f'{_FILES}, cert = "old.crt", key = "old.key"': ("old", "run `mpbake certs issue`"),
    }
    for tls, (files, message) in attacks.items():
        assert not is_admitted(release, *((f"{files}.crt", f"{files}.key") if files else ())), files
        release.write(tls=tls)
        assert message in mpbake("run", "web", code=3).stderr


def make_attackers(folder: Path) -> None:
    """Write the client certificate of another authority, and one that has expired."""
    now = datetime.now(UTC)
    root = make_authority("other", now, days=1)
    other = Authority(parse_certificates(root.certificate), parse_key(root.key))
    own = Authority(read_certificates(folder / "certs/ca.crt"), read_private_key(folder / "vault/ca.key"))
    attackers = (("other", other, now, 1), ("old", own, now - timedelta(minutes=30), 0))
    for name, authority, begin, days in attackers:
        pair = authority.issue(CertificateRequest(name=name, role=CertificateRole.CLIENT), begin, days)
        create_pair(pair, folder / f"{name}.crt", folder / f"{name}.key")
