"""Read keys and certificates, and the contents of certificates: subject, usage, issuer and end."""

from __future__ import annotations

import math
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509 import (
    BasicConstraints,
    Certificate,
    DNSName,
    ExtendedKeyUsage,
    ExtensionNotFound,
    IPAddress,
    KeyUsage,
    SubjectAlternativeName,
    load_der_x509_certificate,
    load_pem_x509_certificates,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from mpbake.base.codes import Code
from mpbake.base.files import Kind, access_error, kind_of, read_bounded
from mpbake.base.text import count, one_line
from mpbake.certs.finding import PATH_HINT, PEM_HINT, UNREADABLE_HINT, UnusableFile

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import ObjectIdentifier

_WORTH_RENEWING = timedelta(days=1)
"""mpbake does not renew a certificate for less than this: a second command in a row changes nothing."""
_LARGEST = 1024 * 1024
"""The maximum size in bytes of a file of keys or certificates. All authorities of a system need 300 kB."""
_ENCRYPTED = "is encrypted, and BuildKit's client asks for no passphrase"
_DECRYPT_HINT = "remove the passphrase from a copy that only this user can read: openssl pkey -in KEY -out PLAIN"


# --- files ------------------------------------------------------------------------------------------------------------


def read_certificates(path: Path) -> list[Certificate]:
    """Return the certificates in a PEM file; at least one. Raises UnusableFile."""
    return parse_certificates(_read(path))


def read_private_key(path: Path) -> PrivateKeyTypes:
    """Return the private key in a PEM file. Raises UnusableFile, also for an encrypted key."""
    return parse_key(_read(path))


def _read(path: Path) -> bytes:
    name = one_line(str(path))
    if reason := access_error(path):
        raise UnusableFile(f"{name} cannot be read: {reason}", UNREADABLE_HINT, has_path=True)
    if kind_of(path) is Kind.NOTHING:
        raise UnusableFile(f"there is no file {name}", PATH_HINT, Code.MISSING_FILE, has_path=True)
    try:
        return read_bounded(path, pipe=False, most=_LARGEST)
    except OSError as error:
        raise UnusableFile(f"{name} cannot be read: {error.strerror}", UNREADABLE_HINT, has_path=True) from None


def parse_certificates(pem: bytes) -> list[Certificate]:
    """Return the certificates of a PEM text; at least one. Raises UnusableFile."""
    try:
        return load_pem_x509_certificates(pem)
    except ValueError:
        raise UnusableFile("is not a certificate", PEM_HINT) from None


def parse_key(pem: bytes) -> PrivateKeyTypes:
    """Return the private key of a PEM text. Raises UnusableFile, also for an encrypted key."""
    try:
        return load_pem_private_key(pem, password=None)
    except TypeError:
        raise UnusableFile(_ENCRYPTED, _DECRYPT_HINT) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableFile("is not a private key", PEM_HINT) from None


def parse_der(data: bytes) -> Certificate:
    """Return the certificate that a TLS connection has presented."""
    return load_der_x509_certificate(data)


# --- statements of a certificate --------------------------------------------------------------------------------------


def subject_of(certificate: Certificate) -> str:
    """Return the subject, printable: `CN=client`."""
    return one_line(certificate.subject.rfc4514_string())


def fingerprint_of(certificate: Certificate) -> str:
    """Return the SHA-256 fingerprint, as hexadecimal digits."""
    return certificate.fingerprint(SHA256()).hex()


def issuer_of(certificate: Certificate) -> str:
    """Return the subject of the authority that signed `certificate`, printable."""
    return one_line(certificate.issuer.rfc4514_string())


def is_authority(certificate: Certificate) -> bool:
    """Whether `certificate` may sign others. A stated key usage must include the signing of certificates."""
    try:
        is_ca = certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except (ExtensionNotFound, ValueError):
        return False
    try:
        return is_ca and certificate.extensions.get_extension_for_class(KeyUsage).value.key_cert_sign
    except ExtensionNotFound:
        return is_ca


def is_for(certificate: Certificate, usage: ObjectIdentifier) -> bool:
    """Whether `certificate` is for `usage`, an extended key usage.

    A certificate without stated usages is for every usage. buildx and BuildKit (in Go) apply the same rule.
    """
    try:
        usages = set(certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value)
    except ExtensionNotFound:
        return True
    except ValueError:
        return False
    return bool(usages & {usage, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def is_for_clients(certificate: Certificate) -> bool:
    """Whether `certificate` identifies clients."""
    return is_for(certificate, ExtendedKeyUsageOID.CLIENT_AUTH)


def is_for_servers(certificate: Certificate) -> bool:
    """Whether `certificate` identifies servers."""
    return is_for(certificate, ExtendedKeyUsageOID.SERVER_AUTH)


def usages_of(certificate: Certificate) -> tuple[str, ...]:
    """Return the usages of `certificate`: `CA`, or `server` and `client`."""
    if is_authority(certificate):
        return ("CA",)
    roles = {"server": is_for_servers(certificate), "client": is_for_clients(certificate)}
    return tuple(role for role, applies in roles.items() if applies)


def names_of(certificate: Certificate) -> tuple[str, ...]:
    """Return the host names and IP addresses in `certificate`, printable."""
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except (ExtensionNotFound, ValueError):
        return ()
    addresses = names.get_values_for_type(IPAddress)
    return tuple(one_line(str(name)) for name in (*names.get_values_for_type(DNSName), *addresses))


def uncovered(certificate: Certificate, hosts: Iterable[str]) -> tuple[str, ...]:
    """Return the `hosts` that `certificate` does not cover.

    The `*` of a name such as `*.example.com` stands for one label.
    """
    names = {name.lower() for name in names_of(certificate)}
    return tuple(host for host in hosts if not {_normal_host(host), f"*.{host.partition('.')[2]}".lower()} & names)


def _normal_host(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower()


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether the key of `issuer` has signed `certificate`."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def leads_to(chain: Iterable[Certificate], authorities: Iterable[Certificate]) -> bool:
    """Whether one of `authorities` has signed a certificate in `chain`."""
    authorities = list(authorities)
    return any(is_signed_by(certificate, authority) for certificate in chain for authority in authorities)


def fits(key: PrivateKeyTypes, certificate: Certificate) -> bool:
    """Whether `certificate` belongs to `key`."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return key.public_key().public_bytes(*form) == certificate.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return False


# --- validity ---------------------------------------------------------------------------------------------------------


def days_left(certificate: Certificate, now: datetime) -> int:
    """Return the number of whole days until `certificate` expires; negative if it has expired."""
    return math.floor((certificate.not_valid_after_utc - now) / timedelta(days=1))


def ends_soon(certificate: Certificate, now: datetime, days: int) -> bool:
    """Whether `certificate` is still valid, and expires within `days`."""
    return timedelta() < certificate.not_valid_after_utc - now < timedelta(days=days)


def is_worth_renewing(certificate: Certificate, new_end: datetime) -> bool:
    """Whether a new `certificate` that expires at `new_end` is valid for more than a day longer."""
    return new_end - certificate.not_valid_after_utc > _WORTH_RENEWING


def has_expired(certificate: Certificate, now: datetime) -> bool:
    """Whether `certificate` is no longer valid."""
    return now >= certificate.not_valid_after_utc


def end_text(certificate: Certificate, now: datetime) -> str:
    """Return when a valid certificate expires: `expires in 8 days, on 2026-12-08`."""
    return f"expires in {count(days_left(certificate, now), 'day')}, on {certificate.not_valid_after_utc:%Y-%m-%d}"
