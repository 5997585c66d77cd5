"""A certificate authority: its own certificate, and certificates for nodes and clients. Pure: bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import cached_property
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpbake.base.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

_CLOCK_SKEW = timedelta(hours=1)
"""How long before its issue a certificate is valid: the clock of a node may be slow."""


class Usage(Enum):
    """What a certificate is for."""

    SERVER = ExtendedKeyUsageOID.SERVER_AUTH
    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes

    @cached_property
    def parsed(self) -> x509.Certificate:
        """The certificate."""
        return x509.load_pem_x509_certificate(self.certificate)


@dataclass(frozen=True, kw_only=True)
class CertificateRequest:
    """A certificate to be issued: its common name, what it is for, and the host names and IP addresses of a server."""

    name: str
    usage: Usage
    hosts: tuple[str, ...] = ()


class Authority:
    """Issues certificates with the key of an authority."""

    def __init__(self, pair: KeyPair) -> None:
        """Raises UsageError if the key is encrypted, or does not belong to the certificate."""
        self._certificate = pair.parsed
        self._key = _signing_key(pair.key)
        if self._key.public_key() != self._certificate.public_key():
            raise UsageError("the key of the authority does not belong to its certificate", hint="name its own key")

    def issue(self, request: CertificateRequest, now: datetime, days: int) -> KeyPair:
        """Return a new key with a certificate for `request`, valid for `days`, at most as long as the authority is.

        Raises UsageError if the authority has expired.
        """
        end = min(now + timedelta(days=days), self._certificate.not_valid_after_utc)
        if end <= now:
            hint = "make a new authority: mpbake certs init"
            raise UsageError(f"the authority expired on {end:%Y-%m-%d}", hint=hint)
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(request.name, key.public_key(), now, end)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([request.usage.value]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._certificate.public_key()),  # type: ignore[arg-type]
                critical=False,
            )
        )
        if request.hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in request.hosts])
            builder = builder.add_extension(names, critical=False)
        return _pair(builder.sign(self._key, hashes.SHA256()), key)


def make_authority(name: str, now: datetime, days: int) -> KeyPair:
    """Return the key and the self-signed certificate of a new authority that is valid for `days`.

    It can issue certificates of nodes and clients, but no further authority.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(name, key.public_key(), now, now + timedelta(days=days))
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def _builder(name: str, key: ec.EllipticCurvePublicKey, now: datetime, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_usage(**granted: bool) -> x509.KeyUsage:
    usages = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{usage: granted.get(usage, False) for usage in usages})


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    return KeyPair(
        certificate=certificate.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
    )


def _signing_key(pem: bytes) -> CertificateIssuerPrivateKeyTypes:
    try:
        key: Any = serialization.load_pem_private_key(pem, password=None)
    except TypeError:
        hint = "remove the passphrase from a copy that only you can read: openssl pkey -in KEY -out COPY"
        raise UsageError("the key of the authority is encrypted", hint=hint) from None
    except ValueError:
        raise UsageError("the key of the authority is not a private key in PEM", hint="name its key file") from None
    return key  # type: ignore[no-any-return]
