"""A certificate authority and its certificates, checked by the TLS library of Python and by openssl."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpbake.base.errors import UsageError
from mpbake.certs.authority import Authority, CertificateRequest, KeyPair, make_authority
from mpbake.certs.node_files import CertificateRole
from mpbake.certs.reading import parse_certificates, parse_key

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SERVER = CertificateRequest(
    name="release/arm64", role=CertificateRole.SERVER, hosts=("build1.example.com", "10.0.0.5", "::1")
)
CLIENT = CertificateRequest(name="client", role=CertificateRole.CLIENT)


def opened(pair: KeyPair) -> Authority:
    return Authority(parse_certificates(pair.certificate), parse_key(pair.key))


def parsed(pair: KeyPair) -> x509.Certificate:
    return parse_certificates(pair.certificate)[0]


def extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    return certificate.extensions.get_extension_for_class(kind).value


@pytest.fixture(scope="module")
def root() -> KeyPair:
    return make_authority("mpbake test", NOW, days=3650)


def test_an_authority_signs_itself_and_issues_no_other_authority(root: KeyPair) -> None:
    certificate = parsed(root)
    certificate.verify_directly_issued_by(certificate)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=3650)


def test_a_certificate_names_the_hosts_and_the_usage_of_its_server(root: KeyPair) -> None:
    certificate = parsed(opened(root).issue(SERVER, NOW, days=90))
    certificate.verify_directly_issued_by(parsed(root))
    names = extension(certificate, x509.SubjectAlternativeName)
    assert names.get_values_for_type(x509.DNSName) == ["build1.example.com"]
    assert list(map(str, names.get_values_for_type(x509.IPAddress))) == ["10.0.0.5", "::1"]
    assert list(extension(certificate, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate.not_valid_after_utc == NOW + timedelta(days=90)


def test_a_certificate_lies_within_the_time_of_its_authority(root: KeyPair) -> None:
    certificate = parsed(opened(root).issue(CLIENT, NOW - timedelta(minutes=30), days=9999))
    assert certificate.not_valid_before_utc == parsed(root).not_valid_before_utc
    assert certificate.not_valid_after_utc == parsed(root).not_valid_after_utc


def test_a_key_can_be_used_again(root: KeyPair) -> None:
    first = opened(root).issue(CLIENT, NOW, days=1)
    second = opened(root).issue(CLIENT, NOW, days=2, key=first.key)
    assert second.key == first.key
    assert parsed(second).public_key() == parsed(first).public_key()
    assert opened(root).issue(CLIENT, NOW, days=2).key != first.key


@pytest.mark.parametrize(
    ("days", "message"),
    [(4000, "the authority expired on 2036-11-27\n  = move it"), (-1, "the authority is not valid before 2026-11-30")],
)
def test_an_authority_issues_only_while_it_is_valid(root: KeyPair, days: int, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        opened(root).issue(CLIENT, NOW + timedelta(days=days), days=1)


def test_a_file_of_several_authorities(root: KeyPair) -> None:
    old = make_authority("old", NOW, days=1)
    bundle = parse_certificates(old.certificate + root.certificate)
    issued = parsed(Authority(bundle, parse_key(root.key)).issue(CLIENT, NOW, days=90))
    issued.verify_directly_issued_by(parsed(root))


def test_a_key_of_another_authority(root: KeyPair) -> None:
    other = make_authority("other", NOW, days=1)
    with pytest.raises(UsageError, match="the key does not belong to the authority"):
        Authority(parse_certificates(root.certificate), parse_key(other.key))


def test_a_certificate_that_is_no_authority(root: KeyPair) -> None:
    with pytest.raises(UsageError, match='"CN=client" is not a certificate authority'):
        opened(opened(root).issue(CLIENT, NOW, days=1))


def foreign(key: Any, subject_key: bytes = b"", *, signer: Any = None) -> KeyPair:
    """An authority that another tool made, without a key usage, and with its own way to identify a key."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ünicode, Inc.")])
    builder = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if subject_key:
        builder = builder.add_extension(x509.SubjectKeyIdentifier(subject_key), critical=False)
    hashed = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    pem = serialization.Encoding.PEM
    return KeyPair(
        certificate=builder.sign(signer or key, hashed).public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["RSA", "P-384", "Ed25519"],
)
def test_an_authority_made_elsewhere(key: Any) -> None:
    pair = foreign(key)
    issued = parsed(opened(pair).issue(SERVER, NOW, days=1))
    issued.verify_directly_issued_by(parsed(pair))


def test_a_certificate_identifies_the_key_as_its_authority_does() -> None:
    pair = foreign(ec.generate_private_key(ec.SECP256R1()), b"another way")
    issued = parsed(opened(pair).issue(CLIENT, NOW, days=1))
    assert extension(issued, x509.AuthorityKeyIdentifier).key_identifier == b"another way"


def test_a_key_that_cannot_sign() -> None:
    pair = foreign(x25519.X25519PrivateKey.generate(), signer=ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(UsageError, match="the key of the authority cannot sign"):
        opened(pair)


def test_names_of_any_length_and_hosts_that_are_impossible(root: KeyPair) -> None:
    request = CertificateRequest(name="release/" + "x" * 90, role=CertificateRole.CLIENT)
    (name,) = parsed(opened(root).issue(request, NOW, days=1)).subject
    assert name.value == "release/" + "x" * 56
    request = CertificateRequest(name="n", role=CertificateRole.SERVER, hosts=("bücher.example",))
    with pytest.raises(UsageError, match=r"^a certificate cannot contain the host bücher\.example\n  = use its ASCII"):
        opened(root).issue(request, NOW, days=1)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_both_sides_of_a_connection_accept_each_other(tmp_path: Path, host: str) -> None:
    now = datetime.now(UTC)
    pair = make_authority("root", now, days=1)
    authority = opened(pair)
    request = CertificateRequest(name="node", role=CertificateRole.SERVER, hosts=("localhost", "127.0.0.1"))
    server = context(tmp_path, "server", ssl.PROTOCOL_TLS_SERVER, pair, authority.issue(request, now, days=1))
    client = context(tmp_path, "client", ssl.PROTOCOL_TLS_CLIENT, pair, authority.issue(CLIENT, now, days=1))
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


@pytest.mark.allow_subprocess
@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
@pytest.mark.parametrize(
    ("request_", "purpose", "accepted"),
    [
        (SERVER, "sslserver -verify_hostname build1.example.com", True),
        (SERVER, "sslserver -verify_ip 10.0.0.5", True),
        (SERVER, "sslserver -verify_hostname else.example.com", False),
        (SERVER, "sslclient", False),
        (CLIENT, "sslclient", True),
        (CLIENT, "sslserver", False),
    ],
)
def test_openssl_judges_in_the_same_way(
    root: KeyPair, tmp_path: Path, request_: CertificateRequest, purpose: str, *, accepted: bool
) -> None:
    (tmp_path / "ca.pem").write_bytes(root.certificate)
    (tmp_path / "own.pem").write_bytes(opened(root).issue(request_, NOW, days=30).certificate)
    at = str(int(NOW.timestamp()))
    command = ["openssl", "verify", "-x509_strict", "-attime", at, "-CAfile", "ca.pem", "-purpose", *purpose.split()]
    done = subprocess.run([*command, "own.pem"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) is accepted, done.stderr
