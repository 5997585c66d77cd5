"""A certificate authority: its own certificate, and certificates for nodes and clients. Pure: bytes in, bytes out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mpbake.base.errors import UsageError
from mpbake.base.text import one_line
from mpbake.certs.finding import AUTHORITY_HINT
from mpbake.certs.node_files import CertificateRole
from mpbake.certs.reading import fits, has_expired, is_authority, parse_key, subject_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import (
        CertificateIssuerPrivateKeyTypes,
        CertificatePublicKeyTypes,
        PrivateKeyTypes,
    )

_CLOCK_SKEW = timedelta(hours=1)
"""The time before its issue from which on a certificate is valid, since the clock of a node may be slow."""
_LONGEST_NAME = 64
"""The maximum number of characters of a common name in a certificate (RFC 5280)."""
_USAGES = {
    CertificateRole.SERVER: ExtendedKeyUsageOID.SERVER_AUTH,
    CertificateRole.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH,
}
_SIGNING_KEYS = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
    dsa.DSAPrivateKey,
)
_KEYS_WITHOUT_HASH = (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
"""Keys whose signatures include a hash function."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyPair:
    """A certificate and its private key, both in PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateRequest:
    """A certificate to be issued: its common name, its usage, and the host names and IP addresses of a server."""

    name: str
    role: CertificateRole
    hosts: tuple[str, ...] = ()


class Authority:
    """Issues certificates with the key of an authority."""

    def __init__(self, certificates: Sequence[x509.Certificate], key: PrivateKeyTypes) -> None:
        """Select the certificate that belongs to `key`: the file of an authority may contain several certificates.

        Raises UsageError if no certificate belongs to the key, or if the selected certificate may not sign others.
        """
        own = next((certificate for certificate in certificates if fits(key, certificate)), None)
        if own is None:
            raise UsageError("the key does not belong to the authority", hint="name its own key: --ca-key PATH")
        if not is_authority(own):
            message = f'"{subject_of(own)}" is not a certificate authority'
            raise UsageError(message, hint="set tls.ca to a certificate authority, as `mpbake certs init` makes")
        if not isinstance(key, _SIGNING_KEYS):
            raise UsageError("the key of the authority cannot sign", hint="use a key of RSA, ECDSA or EdDSA")
        self.certificate = own
        self._key = cast("CertificateIssuerPrivateKeyTypes", key)

    def issue(self, request: CertificateRequest, now: datetime, days: int, key: bytes = b"") -> KeyPair:
        """Return a certificate for `request` and its key.

        The certificate is valid for `days`, but not longer than the authority. `key` is an existing key in PEM, which
        the certificate then uses. Raises UsageError if the authority is not valid now, or for a host that a certificate
        cannot contain.
        """
        self.check_validity(now)
        end = min(now + timedelta(days=days), self.certificate.not_valid_after_utc)
        begin = max(now - _CLOCK_SKEW, self.certificate.not_valid_before_utc)
        key = key or new_key()
        public = cast("CertificatePublicKeyTypes", parse_key(key).public_key())
        builder = (
            _builder(request.name, public)
            .not_valid_before(begin)
            .not_valid_after(end)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_USAGES[request.role]]), critical=False)
            .add_extension(_key_identifier(self.certificate), critical=False)
        )
        if request.hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in request.hosts])
            builder = builder.add_extension(names, critical=False)
        return KeyPair(certificate=_signed(builder, self._key), key=key)

    def check_validity(self, now: datetime) -> None:
        """Raise UsageError if the authority is not valid now."""
        if has_expired(self.certificate, now):
            message = f"the authority expired on {self.certificate.not_valid_after_utc:%Y-%m-%d}"
            raise UsageError(message, hint=AUTHORITY_HINT)
        if now < self.certificate.not_valid_before_utc:
            message = f"the authority is not valid before {self.certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
            raise UsageError(message, hint="check the clock of this machine")


def make_authority(name: str, now: datetime, days: int) -> KeyPair:
    """Return the key and the self-signed certificate of a new authority that is valid for `days`.

    The new authority can issue certificates of nodes and clients, but no certificate of another authority.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(name, key.public_key())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .issuer_name(_subject(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
    )
    return KeyPair(certificate=_signed(builder, key), key=_key_text(key))


def new_key() -> bytes:
    """Return a new private key in PEM."""
    return _key_text(ec.generate_private_key(ec.SECP256R1()))


def _builder(name: str, key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _signed(builder: x509.CertificateBuilder, key: CertificateIssuerPrivateKeyTypes) -> bytes:
    algorithm = None if isinstance(key, _KEYS_WITHOUT_HASH) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.PEM)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one_line(name)[:_LONGEST_NAME])])


def _key_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Return the identifier of the authority's key.

    Different tools compute the identifier in different ways, so the certificate's own value is used.
    """
    try:
        stated = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        key = cast("rsa.RSAPublicKey", authority.public_key())  # every key that can sign
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(stated)


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
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        message = f"a certificate cannot contain the host {one_line(host)}"
        raise UsageError(message, hint="use its ASCII form in the endpoint, such as xn--bcher-kva.example") from None


def _key_text(key: ec.EllipticCurvePrivateKey) -> bytes:
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
