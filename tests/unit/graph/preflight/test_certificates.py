"""Faulty certificates: mpbake reports them before a run touches anything, with a message and a hint for each."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from testbed.certs import ensure_certificates

from mpbake.base.errors import UsageError
from mpbake.graph.preflight.certificates import certificates_end, check_certificates
from mpbake.model.plan import Driver, Node, TlsFiles
from tests.unit.plans import text
from tests.unit.tls import Certificates, issued

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.now(UTC)
PEM = "use a PEM file: text that begins with -----BEGIN"


def node_with(tls: TlsFiles) -> Node:
    return Node(builder="release", name="arm", driver=Driver.REMOTE, endpoint="tcp://far:1234", tls=tls)


def refusal(tls: TlsFiles, now: datetime = NOW) -> str:
    with pytest.raises(UsageError) as caught:
        check_certificates(node_with(tls), now)
    return str(caught.value)


def changed(tls: TlsFiles, name: str, path: Path) -> TlsFiles:
    changes: dict[str, Any] = {name: path}
    return replace(tls, **changes)


def test_all_is_well(certificates: Certificates) -> None:
    assert check_certificates(node_with(certificates.tls()), NOW) == ()
    assert check_certificates(node_with(certificates.tls(without="cert key")), NOW) == ()
    assert check_certificates(node_with(TlsFiles()), NOW) == ()


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_file_that_is_missing(certificates: Certificates, tmp_path: Path, name: str) -> None:
    command = "init" if name == "ca" else "issue"
    assert refusal(changed(certificates.tls(), name, tmp_path / "no\n")) == (
        f"release/arm: tls.{name}: there is no file {tmp_path}/no\\n\n"
        f"  = make it with `mpbake certs {command}`, or correct the path: "
        "it is relative to the folder of the file that contains it"
    )


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
@pytest.mark.parametrize(
    ("file", "why"), [("/dev/zero", "it is a device"), ("pipe", "it is a pipe"), ("huge", "it is larger than 1 MB")]
)
def test_a_file_without_end(certificates: Certificates, tmp_path: Path, name: str, file: str, why: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 1 << 40)
    assert refusal(changed(certificates.tls(), name, tmp_path / file)) == (
        f"release/arm: tls.{name}: {tmp_path / file} cannot be read: {why}\n  = use a file that this user can read"
    )


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_file_that_cannot_be_read(certificates: Certificates, tmp_path: Path, name: str) -> None:
    assert refusal(changed(certificates.tls(), name, tmp_path)) == (
        f"release/arm: tls.{name}: {tmp_path} cannot be read: Is a directory\n  = use a file that this user can read"
    )


@pytest.mark.parametrize(("name", "what"), [("ca", "certificate"), ("cert", "certificate"), ("key", "private key")])
@pytest.mark.parametrize("content", ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_that_holds_something_else(
    certificates: Certificates, tmp_path: Path, name: str, what: str, content: str
) -> None:
    (tmp_path / "x").write_text(content)
    message = refusal(changed(certificates.tls(), name, tmp_path / "x"))
    assert message == f"release/arm: tls.{name}: is not a {what}\n  = {PEM}"


def test_a_key_of_another_certificate(certificates: Certificates, tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    assert refusal(replace(certificates.tls(), key=tmp_path / "client.key")) == text("""
        release/arm: tls.key: does not belong to tls.cert
          = set tls.key to the key of tls.cert
        """)


def test_a_key_behind_a_passphrase(certificates: Certificates, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key((certificates.folder / "client.key").read_bytes(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "locked.key").write_bytes(locked)
    assert refusal(replace(certificates.tls(), key=tmp_path / "locked.key")) == text("""
        release/arm: tls.key: is encrypted, and BuildKit's client asks for no passphrase
          = remove the passphrase from a copy that only this user can read: openssl pkey -in KEY -out PLAIN
        """)


def test_a_certificate_that_has_expired(certificates: Certificates, tmp_path: Path) -> None:
    tls = issued(certificates, tmp_path, days=(-9, -2)).tls()
    assert refusal(tls) == text(f"""
        release/arm: tls.cert: "CN=client" expired on {NOW - timedelta(days=2):%Y-%m-%d}
          = run `mpbake certs issue`, or renew it with the tool that made it
        """)


def test_a_certificate_of_tomorrow(certificates: Certificates, tmp_path: Path) -> None:
    message = refusal(issued(certificates, tmp_path, days=(2, 9)).tls())
    assert message.startswith('release/arm: tls.cert: "CN=client" is not valid before ')
    assert message.endswith("\n  = check the clock of this machine")


def test_every_fault_is_told(certificates: Certificates) -> None:
    message = refusal(certificates.tls(), NOW + timedelta(days=900))
    faults = [line for line in message.splitlines() if not line.startswith("  = ")]
    assert [line.partition(": ")[2].partition(":")[0] for line in faults] == ["tls.ca", "tls.cert"]
    assert len(message.splitlines()) == 4, "each fault has its own hint"


def test_a_certificate_for_servers(certificates: Certificates, tmp_path: Path) -> None:
    assert refusal(issued(certificates, tmp_path, usage="server").tls()) == text("""
        release/arm: tls.cert: "CN=client" is not a client certificate
          = set tls.cert to one for clients (extendedKeyUsage = clientAuth), as `mpbake certs issue` makes
        """)


def test_an_authority_that_is_none(certificates: Certificates) -> None:
    assert refusal(replace(certificates.tls(), ca=certificates.folder / "server.crt")) == text("""
        release/arm: tls.ca: "CN=server" is not a certificate authority
          = set tls.ca to the certificate that signed the node's own
        """)


def test_a_client_of_another_authority_is_warned_of(certificates: Certificates, tmp_path: Path) -> None:
    """This may be intended: the node may trust one authority for clients, and have its own certificate from another."""
    ensure_certificates(tmp_path)
    tls = replace(certificates.tls(), ca=tmp_path / "ca.crt")
    assert check_certificates(node_with(tls), NOW) == (
        "release/arm: tls.cert: is not signed by tls.ca, so the node must trust another authority for its clients",
    )


@pytest.mark.parametrize(("days", "left"), [(31, None), (29, "28 days"), (2, "1 day"), (1, "0 days")])
def test_a_certificate_that_ends_soon(certificates: Certificates, tmp_path: Path, days: int, left: str | None) -> None:
    tls = issued(certificates, tmp_path, days=(-1, days)).tls()
    end = NOW + timedelta(days=days)
    warnings = check_certificates(node_with(tls), datetime.now(UTC))
    assert warnings == (
        () if left is None else (f'release/arm: tls.cert: "CN=client" expires in {left}, on {end:%Y-%m-%d}',)
    )
    assert check_certificates(replace(node_with(tls), certificate_days=0), NOW) == ()


def test_the_first_end(certificates: Certificates, tmp_path: Path) -> None:
    tls = issued(certificates, tmp_path, days=(-1, 9)).tls()
    (end,) = {certificates_end(node_with(tls)), certificates_end(node_with(replace(tls, ca=None)))}
    assert end is not None
    assert abs(end - NOW - timedelta(days=9)) < timedelta(hours=1)
    assert certificates_end(node_with(TlsFiles())) is None
    assert certificates_end(node_with(replace(tls, key=tmp_path / "none"))) is None
