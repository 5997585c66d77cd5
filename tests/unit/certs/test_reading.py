"""What certificates state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpbake.certs.finding import UnusableFile
from mpbake.certs.reading import (
    days_left,
    is_authority,
    names_of,
    read_certificates,
    read_private_key,
    subject_of,
    uncovered,
    usages_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(*extensions: x509.ExtensionType, name: str = "x") -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder(issuer_name=subject, subject_name=subject, public_key=KEY.public_key(), serial_number=1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=10))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, hashes.SHA256())


def key_usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


AUTHORITY = x509.BasicConstraints(ca=True, path_length=None)
BOTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])


@pytest.mark.parametrize(
    ("extensions", "usages"),
    [
        ((), ("server", "client")),
        ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),), ("server", "client")),
        ((BOTH,), ("server", "client")),
        ((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]),), ()),
        ((AUTHORITY,), ("CA",)),
        ((AUTHORITY, key_usage(signs=True)), ("CA",)),
        ((AUTHORITY, key_usage(signs=False), BOTH), ("server", "client")),
    ],
)
def test_what_a_certificate_is_for(extensions: tuple[x509.ExtensionType, ...], usages: tuple[str, ...]) -> None:
    assert usages_of(certificate(*extensions)) == usages
    assert is_authority(certificate(*extensions)) == (usages == ("CA",))


def test_names_that_a_certificate_covers() -> None:
    names = [x509.DNSName("Build1.example.com"), x509.DNSName("*.wild.example")]
    addresses = [x509.IPAddress(address) for address in map(ip_address, ("10.0.0.5", "2001:db8::1"))]
    stated = certificate(x509.SubjectAlternativeName([*names, *addresses]))
    covered = ("build1.EXAMPLE.com", "a.wild.example", "10.0.0.5", "2001:DB8:0::1")
    assert uncovered(stated, covered) == ()
    others = ("example.com", "wild.example", "a.b.wild.example", "10.0.0.6", "::1")
    assert uncovered(stated, (*covered, *others)) == others
    assert uncovered(certificate(), ("x",)) == ("x",)


def test_no_control_character_reaches_a_terminal() -> None:
    stated = certificate(x509.SubjectAlternativeName([x509.DNSName("a\x1b[31mb")]), name="evil\x1b[2J\n")
    assert names_of(stated) == (r"a\x1b[31mb",)
    assert "\x1b" not in subject_of(stated)
    assert "\n" not in subject_of(stated)


@pytest.mark.parametrize(
    ("later", "days"),
    [(timedelta(), 10), (timedelta(hours=1), 9), (timedelta(days=10), 0), (timedelta(days=10, seconds=1), -1)],
)
def test_days_left(later: timedelta, days: int) -> None:
    assert days_left(certificate(), NOW + later) == days


@pytest.mark.parametrize("read", [read_certificates, read_private_key])
def test_a_folder_that_this_user_cannot_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object]
) -> None:
    def refuse(_: Path, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(UnusableFile) as caught:
        read(tmp_path / "x.pem")
    assert caught.value.message == f"{tmp_path}/x.pem cannot be read: Permission denied"
    assert caught.value.hint == "use a file that this user can read"
