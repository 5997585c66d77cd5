"""Preflight checks of certificates: whether the files that a plan names for TLS can work."""

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

PATH_HINT = "correct the path: it is relative to the folder of the file that contains it"
"""The hint for a file that does not exist."""
RENEW_HINT = "issue a new certificate"
"""The hint for a certificate that has expired, or soon expires."""
UNREADABLE_HINT = "use a file that this user can read"
_PEM = "use a PEM file: text that begins with -----BEGIN"


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateFinding:
    """An error or a warning about one file of `tls`, with a hint. `field` names the file; the code has the severity."""

    field: str
    message: str
    hint: str
    code: Code = Code.BAD_CERTIFICATE


class _Unreadable(Exception):
    """A file that does not hold what its field requires."""

    def __init__(self, finding: CertificateFinding) -> None:
        super().__init__(finding.message)
        self.finding = finding


def utc_now() -> datetime:
    """Return the current date and time."""
    return datetime.now(UTC)


def check_certificates(node: Node, now: datetime) -> tuple[str, ...]:
    """Check the TLS files of `node`, and return warnings. Raises UsageError with every fault."""
    findings = certificate_findings(node, now)
    faults = [finding for finding in findings if finding.code.severity is Severity.ERROR]
    if faults:
        raise UsageError("\n".join(_message(node, fault) for fault in faults), hint=faults[0].hint)
    return tuple(_message(node, finding) for finding in findings)


def certificate_findings(node: Node, now: datetime) -> list[CertificateFinding]:
    """Return all findings about the TLS files of `node`. If a file is unreadable, that is the only finding."""
    if node.tls == TlsFiles():
        return []
    try:
        authorities, chain = _read(node.tls)
    except _Unreadable as error:
        return [error.finding]
    faults = [*_authority_faults(authorities, now), *_client_faults(chain, now)]
    return faults or list(_doubts(node, authorities, chain, now))


def end_warning(certificate: Certificate, now: datetime, days: int) -> Iterator[str]:
    """Yield a warning if `certificate` expires within `days`."""
    left = certificate.not_valid_after_utc - now
    if timedelta() < left < timedelta(days=days):
        yield f"expires in {count(left.days, 'day')}, on {certificate.not_valid_after_utc:%Y-%m-%d}"


def certificates_end(node: Node) -> datetime | None:
    """Return when the first of the certificates in the TLS files of `node` ends; None if there is none to read."""
    try:
        authorities, chain = _read(node.tls)
    except _Unreadable:
        return None
    return min((certificate.not_valid_after_utc for certificate in (*authorities, *chain)), default=None)


def _message(node: Node, finding: CertificateFinding) -> str:
    return f"{node.id}: tls.{finding.field}: {finding.message}"


def read_der(data: bytes) -> Certificate:
    """Return the certificate that a TLS connection has presented."""
    from cryptography.x509 import load_der_x509_certificate  # noqa: PLC0415

    return load_der_x509_certificate(data)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(tls: TlsFiles) -> tuple[list[Certificate], list[Certificate]]:
    """Return the authorities and the client's certificate chain. Raises _Unreadable, also if the key does not fit."""
    data = {name: _bytes(name, path) for name, path in tls.files.items()}
    authorities = _certificates("ca", data["ca"]) if "ca" in data else []
    chain = _certificates("cert", data["cert"]) if "cert" in data else []
    if chain and "key" in data:
        _check_key(data["key"], chain[0])
    return authorities, chain


def _unreadable(field: str, message: str, hint: str, code: Code = Code.BAD_CERTIFICATE) -> _Unreadable:
    return _Unreadable(CertificateFinding(field=field, message=message, hint=hint, code=code))


def _bytes(field: str, path: Path) -> bytes:
    name = one_line(str(path))
    if kind_of(path) is Kind.NOTHING:
        raise _unreadable(field, f"there is no file {name}", PATH_HINT, Code.MISSING_FILE)
    try:
        return read_bounded(path, pipe=False)
    except OSError as error:
        message, hint = f"{name} cannot be read: {error.strerror}", UNREADABLE_HINT
        raise _unreadable(field, message, hint) from None


def _certificates(field: str, data: bytes) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 - slow, and most plans have none

    try:
        return load_pem_x509_certificates(data)
    except ValueError:
        raise _unreadable(field, "is not a certificate", _PEM) from None


def _check_key(data: bytes, certificate: Certificate) -> None:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        hint = "remove the passphrase from a copy that only this user can read: openssl pkey -in KEY -out PLAIN"
        raise _unreadable("key", "is encrypted, and BuildKit's client asks for no passphrase", hint) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unreadable("key", "is not a private key", _PEM) from None
    if key.public_key() != certificate.public_key():
        raise _unreadable("key", "does not belong to tls.cert", "set tls.key to the key of tls.cert")


# --- findings ---------------------------------------------------------------------------------------------------------


def _authority_faults(authorities: Iterable[Certificate], now: datetime) -> Iterator[CertificateFinding]:
    for certificate in authorities:
        yield from _validity_faults("ca", certificate, now)
        if not _is_authority(certificate):
            message = f"{_subject(certificate)} is not a certificate authority"
            yield CertificateFinding(
                field="ca", message=message, hint="set tls.ca to the certificate that signed the node's own"
            )


def _client_faults(chain: Iterable[Certificate], now: datetime) -> Iterator[CertificateFinding]:
    for index, certificate in enumerate(chain):
        yield from _validity_faults("cert", certificate, now)
        if index == 0 and not _is_for_clients(certificate):
            message = f"{_subject(certificate)} is not a client certificate"
            hint = "issue a certificate for clients: extendedKeyUsage = clientAuth"
            yield CertificateFinding(field="cert", message=message, hint=hint)


def _validity_faults(field: str, certificate: Certificate, now: datetime) -> Iterator[CertificateFinding]:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= end:
        message = f"{_subject(certificate)} expired on {end:%Y-%m-%d}"
        yield CertificateFinding(field=field, message=message, hint=RENEW_HINT)
    elif now < begin:
        message = f"{_subject(certificate)} is not valid before {begin:%Y-%m-%d %H:%M} UTC"
        yield CertificateFinding(field=field, message=message, hint="check the clock of this machine")


def _doubts(
    node: Node, authorities: list[Certificate], chain: list[Certificate], now: datetime
) -> Iterator[CertificateFinding]:
    doubt = partial(CertificateFinding, code=Code.DOUBTFUL_CERTIFICATE)
    for field, certificates in (("ca", authorities), ("cert", chain)):
        for certificate in certificates:
            for warning in end_warning(certificate, now, node.certificate_days):
                yield doubt(field=field, message=f"{_subject(certificate)} {warning}", hint=RENEW_HINT)
    if chain and authorities and not _leads_to(chain, authorities):
        message = "is not signed by tls.ca, so the node must trust another authority for its clients"
        yield doubt(field="cert", message=message, hint="set tls.cert to a certificate that tls.ca signed")


def _leads_to(chain: list[Certificate], authorities: list[Certificate]) -> bool:
    """Whether one of the authorities has signed a certificate of the client's chain."""
    return any(_is_signed(certificate, authority) for certificate in chain for authority in authorities)


def _is_signed(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_authority(certificate: Certificate) -> bool:
    from cryptography.x509 import BasicConstraints, ExtensionNotFound  # noqa: PLC0415

    try:
        return certificate.extensions.get_extension_for_class(BasicConstraints).value.ca
    except ExtensionNotFound:
        return False


def _is_for_clients(certificate: Certificate) -> bool:
    """Whether `certificate` is valid for clients. buildx and BuildKit (in Go) check usages if stated."""
    from cryptography.x509 import ExtendedKeyUsage, ExtensionNotFound  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    try:
        usages = set(certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value)
    except ExtensionNotFound:
        return True
    return bool(usages & {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def _subject(certificate: Certificate) -> str:
    return f'"{one_line(certificate.subject.rfc4514_string())}"'
