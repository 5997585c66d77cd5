"""Whether the certificates that a plan names can be right, found out before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.codes import Code, Severity
from mpbake.base.errors import UsageError
from mpbake.base.files import Kind, kind_of, read_bounded
from mpbake.base.text import count, one_line
from mpbake.model.plan import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from cryptography.x509 import Certificate

    from mpbake.model.plan import Node

_NEW = "have a new one issued"
_PEM = "it must hold PEM: text that begins with -----BEGIN"


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateFinding:
    """What is to be said of one of the files of `tls`, and what to do; the code tells how bad it is."""

    field: str
    message: str
    hint: str
    code: Code = Code.BAD_CERTIFICATE


class _Unreadable(Exception):
    """A file that cannot be taken for what it is to be."""

    def __init__(self, finding: CertificateFinding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def utc_now() -> datetime:
    """The date and time, for whoever is given no other."""
    return datetime.now(UTC)


def check_certificates(node: Node, now: datetime) -> tuple[str, ...]:
    """Check the files that `node` names for TLS; the warnings of it. Raises UsageError with every fault."""
    found = certificate_findings(node, now)
    faults = [each for each in found if each.code.severity is Severity.ERROR]
    if faults:
        raise UsageError("\n".join(_told(node, each) for each in faults), hint=faults[0].hint)
    return tuple(_told(node, each) for each in found)


def certificate_findings(node: Node, now: datetime) -> list[CertificateFinding]:
    """All that is to be said of the files that `node` names for TLS; after one that cannot be read, nothing more."""
    if node.tls == TlsFiles():
        return []
    try:
        authorities, chain = _read(node.tls)
    except _Unreadable as error:
        return [error.finding]
    faults = [*_of_authorities(authorities, now), *_of_client(chain, now)]
    return faults or list(_doubts(node, authorities, chain, now))


def end_warning(certificate: Certificate, now: datetime, days: int) -> Iterator[str]:
    """What is said of a `certificate` that comes to its end within `days`."""
    left = certificate.not_valid_after_utc - now
    if timedelta() < left < timedelta(days=days):
        yield f"expires in {count(left.days, 'day')}, on {certificate.not_valid_after_utc:%Y-%m-%d}"


def _told(node: Node, finding: CertificateFinding) -> str:
    return f"{node.id}: tls.{finding.field}: {finding.message}"


def read_der(data: bytes) -> Certificate:
    """The certificate that a TLS connection showed."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415

    return load_der_x509_certificate(data)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(tls: TlsFiles) -> tuple[list[Certificate], list[Certificate]]:
    """The authorities, and the client's certificate with what came along; its key is its own. Raises _Unreadable."""
    data = {name: _bytes(name, path) for name, path in tls.files.items()}
    authorities = _certificates("ca", data["ca"]) if "ca" in data else []
    chain = _certificates("cert", data["cert"]) if "cert" in data else []
    if chain and "key" in data:
        _check_key(data["key"], chain[0])
    return authorities, chain


def _bytes(field: str, path: Path) -> bytes:
    name = one_line(str(path))
    if kind_of(path) is Kind.NOTHING:
        hint = "paths count from the folder of the file that states them"
        raise _Unreadable(
            CertificateFinding(field=field, message=f"there is no file {name}", hint=hint, code=Code.MISSING_FILE)
        )
    try:
        return read_bounded(path, pipe=False)
    except OSError as error:
        hint = "it must be a file that this user may read"
        raise _Unreadable(
            CertificateFinding(field=field, message=f"{name} cannot be read: {error.strerror}", hint=hint)
        ) from None


def _certificates(field: str, data: bytes) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - slow, and most plans have none

    try:
        return load_pem_x509_certificates(data)
    except ValueError:
        raise _Unreadable(CertificateFinding(field=field, message="is no certificate", hint=_PEM)) from None


def _check_key(data: bytes, certificate: Certificate) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        hint = "take the passphrase away, on a copy that only this user can read: openssl pkey -in KEY -out PLAIN"
        message = "is encrypted, and BuildKit's client asks for no passphrase"
        raise _Unreadable(CertificateFinding(field="key", message=message, hint=hint)) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _Unreadable(CertificateFinding(field="key", message="is no private key", hint=_PEM)) from None
    if key.public_key() != certificate.public_key():
        hint = "name the key with which this certificate was asked for"
        raise _Unreadable(CertificateFinding(field="key", message="does not belong to tls.cert", hint=hint))


# --- judging ----------------------------------------------------------------------------------------------------------


def _of_authorities(authorities: Iterable[Certificate], now: datetime) -> Iterator[CertificateFinding]:
    for certificate in authorities:
        yield from _of_time("ca", certificate, now)
        if not _signs(certificate):
            hint = "name the certificate that signed the node's own"
            yield CertificateFinding(
                field="ca", message=f"{_subject(certificate)} is no certificate authority", hint=hint
            )


def _of_client(chain: Iterable[Certificate], now: datetime) -> Iterator[CertificateFinding]:
    for index, certificate in enumerate(chain):
        yield from _of_time("cert", certificate, now)
        if index == 0 and not _is_for_clients(certificate):
            hint = "have one issued for clients: extendedKeyUsage = clientAuth"
            yield CertificateFinding(field="cert", message=f"{_subject(certificate)} is not for clients", hint=hint)


def _of_time(field: str, certificate: Certificate, now: datetime) -> Iterator[CertificateFinding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= end:
        message = f"{_subject(certificate)} expired on {end:%Y-%m-%d}"
        yield CertificateFinding(field=field, message=message, hint=_NEW)
    elif now < begin:
        message = f"{_subject(certificate)} is not valid before {begin:%Y-%m-%d %H:%M} UTC"
        yield CertificateFinding(field=field, message=message, hint="is the clock of this machine right?")


def _doubts(
    node: Node, authorities: list[Certificate], chain: list[Certificate], now: datetime
) -> Iterator[CertificateFinding]:
    doubt = partial(CertificateFinding, code=Code.DOUBTFUL_CERTIFICATE)
    for field, certificates in (("ca", authorities), ("cert", chain)):
        for each in certificates:
            for said in end_warning(each, now, node.certificate_days):
                yield doubt(field=field, message=f"{_subject(each)} {said}", hint=_NEW)
    if chain and authorities and not _leads_to(chain, authorities):
        message = "is not signed by tls.ca: the node must trust another authority for its clients"
        yield doubt(field="cert", message=message, hint="name a certificate that tls.ca signed")


def _leads_to(chain: list[Certificate], authorities: list[Certificate]) -> bool:
    """Whether the last certificate that can be followed from the client's is signed by one of the authorities."""
    return any(_is_signed(each, authority) for each in chain for authority in authorities)


def _is_signed(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _signs(certificate: Certificate) -> bool:
    from cryptography.x509 import BasicConstraints, ExtensionNotFound  # noqa: PLC0415

    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except ExtensionNotFound:
        return False


def _is_for_clients(certificate: Certificate) -> bool:
    """Go, which buildx and BuildKit are written in, asks for the usage where any usages are stated."""
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    try:
        usages = set(certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value)
    except ExtensionNotFound:
        return True
    return bool(usages & {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def _subject(certificate: Certificate) -> str:
    return f'"{one_line(certificate.subject.rfc4514_string())}"'
