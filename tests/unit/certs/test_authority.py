"""A certificate authority and its certificates, checked by Python's TLS library and by mpbake's own checks."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from mpbake.base.errors import UsageError
from mpbake.certs.authority import Authority, CertificateRequest, KeyPair, Usage, make_authority
from mpbake.graph.preflight.certificates import certificate_findings
from mpbake.model.plan import Driver, Node, TlsFiles

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SERVER = CertificateRequest(name="release/arm64", usage=Usage.SERVER, hosts=("build1.example.com", "10.0.0.5"))
CLIENT = CertificateRequest(name="client", usage=Usage.CLIENT)


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return make_authority("mpbake test", NOW, days=3650)


def test_an_authority_signs_itself_and_issues_no_other_authority(authority: KeyPair) -> None:
    certificate = authority.parsed
    certificate.verify_directly_issued_by(certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=3650)


def test_a_certificate_names_the_hosts_and_the_usage_of_its_server(authority: KeyPair) -> None:
    certificate = Authority(authority).issue(SERVER, NOW, days=90).parsed
    certificate.verify_directly_issued_by(authority.parsed)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["build1.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("10.0.0.5")]
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate.not_valid_after_utc == NOW + timedelta(days=90)


def test_a_certificate_ends_with_its_authority(authority: KeyPair) -> None:
    certificate = Authority(authority).issue(CLIENT, NOW, days=9999).parsed
    assert certificate.not_valid_after_utc == authority.parsed.not_valid_after_utc


def test_an_expired_authority_issues_nothing(authority: KeyPair) -> None:
    with pytest.raises(UsageError, match=r"^the authority expired on 2036-11-27\n  = make a new authority: mpbake"):
        Authority(authority).issue(CLIENT, NOW + timedelta(days=4000), days=1)


def test_a_key_of_another_authority(authority: KeyPair) -> None:
    other = make_authority("other", NOW, days=1)
    with pytest.raises(UsageError, match="does not belong to its certificate"):
        Authority(KeyPair(certificate=authority.certificate, key=other.key))


def test_an_encrypted_key_and_no_key(authority: KeyPair) -> None:
    key = serialization.load_pem_private_key(authority.key, password=None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    for pem, message in ((encrypted, "the key of the authority is encrypted"), (b"x", "is not a private key in PEM")):
        with pytest.raises(UsageError, match=message):
            Authority(KeyPair(certificate=authority.certificate, key=pem))


def test_mpbake_accepts_what_it_issues_for_a_client(authority: KeyPair, tmp_path: Path) -> None:
    pair = Authority(authority).issue(CLIENT, NOW, days=90)
    files = {"ca": authority.certificate, "cert": pair.certificate, "key": pair.key}
    for name, pem in files.items():
        (tmp_path / name).write_bytes(pem)
    tls = TlsFiles(ca=tmp_path / "ca", cert=tmp_path / "cert", key=tmp_path / "key")
    node = Node(builder="release", name="arm64", driver=Driver.REMOTE, endpoint="tcp://10.0.0.5:1234", tls=tls)
    assert certificate_findings(node, NOW) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_both_sides_of_a_connection_accept_each_other(tmp_path: Path, host: str) -> None:
    now = datetime.now(UTC)
    root = make_authority("root", now, days=1)
    issued = Authority(root)
    request = CertificateRequest(name="node", usage=Usage.SERVER, hosts=("localhost", "127.0.0.1"))
    server = context(tmp_path, "server", ssl.PROTOCOL_TLS_SERVER, root, issued.issue(request, now, days=1))
    client = context(tmp_path, "client", ssl.PROTOCOL_TLS_CLIENT, root, issued.issue(CLIENT, now, days=1))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with server.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(b"hello")

        thread = threading.Thread(target=serve)
        thread.start()
        with (
            socket.create_connection(listener.getsockname()) as connection,
            client.wrap_socket(connection, server_hostname=host) as secured,
        ):
            assert secured.recv(5) == b"hello"
        thread.join()


def context(folder: Path, name: str, protocol: int, root: KeyPair, pair: KeyPair) -> ssl.SSLContext:
    """Return the TLS settings of one side. It trusts `root`, and requires a certificate from the other side."""
    (folder / f"{name}.pem").write_bytes(pair.certificate + pair.key)
    settings = ssl.SSLContext(protocol)
    settings.verify_mode = ssl.CERT_REQUIRED
    settings.load_verify_locations(cadata=root.certificate.decode())
    settings.load_cert_chain(folder / f"{name}.pem")
    return settings
