"""Keys and certificates for BuildKit nodes that require a client certificate."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DAY = dt.timedelta(days=1)
_SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Authority:
    """A certificate authority whose key is never stored."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def create(cls) -> Authority:
        """Return a new, self-signed authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("mpbake testbed CA")
        only_signs = x509.BasicConstraints(ca=True, path_length=0)
        certificate = (
            _builder(name, name, key)
            .add_extension(only_signs, critical=True)
            .add_extension(_SIGNS_CERTIFICATES, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        return cls(key=key, certificate=certificate.sign(key, hashes.SHA256()))

    def issue(
        self,
        name: str,
        usage: x509.ObjectIdentifier,
        *,
        days: tuple[int, int] = (-1, 365),
        organization: str = "",
        addresses: Sequence[str] = ("127.0.0.1",),
    ) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """Return a key and its certificate for localhost and the IP `addresses`, with one extended key usage.

        `days` is its range of validity.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        numbers = [x509.IPAddress(ipaddress.IPv4Address(address)) for address in addresses]
        here = (x509.DNSName("localhost"), *numbers)
        certificate = (
            _builder(_name(name, organization), self.certificate.subject, key, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(here), critical=False)
            # Python 3.13 refuses a certificate that does not name the key that signed it.
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return key, certificate.sign(self.key, hashes.SHA256())


def ensure_certificates(folder: Path) -> None:
    """Write ca.crt, server.crt, server.key, client.crt and client.key, unless valid ones exist."""
    last = folder / "client.crt"  # this file is written last
    if last.exists() and _still_valid(last):
        return
    authority = Authority.create()
    write_certificate(folder / "ca.crt", authority.certificate)
    for name, usage in (
        ("server", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key, certificate = authority.issue(name, usage)
        write_key(folder / f"{name}.key", key)
        write_certificate(folder / f"{name}.crt", certificate)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: tuple[int, int] = (-1, 365)
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + days[0] * _DAY)
        .not_valid_after(now + days[1] * _DAY)
    )


def _name(common: str, organization: str = "") -> x509.Name:
    names = {NameOID.ORGANIZATION_NAME: organization, NameOID.COMMON_NAME: common}
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in names.items() if value])


def _still_valid(file: Path) -> bool:
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    return certificate.not_valid_after_utc > dt.datetime.now(dt.UTC) + _DAY


def write_certificate(file: Path, certificate: x509.Certificate) -> None:
    """Write a certificate as PEM."""
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a key as PEM that only its owner can read."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(pem)
