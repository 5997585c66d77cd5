"""Preflight checks of certificates: whether the files that a plan names for TLS can work.

`mpbake.certs` checks the files. This package is slow to import, so the import happens only if a node has certificates.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.text import one_line
from mpbake.model.plan import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.certs.finding import CertificateFinding
    from mpbake.model.plan import Node


def utc_now() -> datetime:
    """Return the current date and time."""
    return datetime.now(UTC)


def certificate_findings(node: Node, now: datetime) -> list[CertificateFinding]:
    """Return all findings about the files of `tls` of `node`."""
    if node.tls == TlsFiles():
        return []
    from mpbake.certs.checks import client_findings  # noqa: PLC0415 - slow, and most plans have no certificates

    return client_findings(node, now)


def deployment_findings(node: Node, now: datetime, *, required: bool = False) -> list[CertificateFinding]:
    """Return all findings about the files of the BuildKit that mpbake deploys for `node`.

    Missing files are reported only with `required`, since a machine that never deploys the node does not need the
    files.
    """
    if node.deploy is None:
        return []
    from mpbake.certs.checks import server_findings  # noqa: PLC0415 - as above

    return server_findings(node, now, required=required)


def certificates_end(node: Node) -> datetime | None:
    """Return when the first certificate of `tls` expires; None without certificates, or if a file is unusable."""
    if node.tls == TlsFiles():
        return None
    from mpbake.certs.checks import first_end  # noqa: PLC0415 - as above

    return first_end(node)


def check_certificates(node: Node, now: datetime) -> tuple[str, ...]:
    """Check the files of `tls` of `node`, and return warnings. Raises UsageError with every fault."""
    return raise_faults(node, certificate_findings(node, now))


def raise_faults(node: Node, findings: Sequence[CertificateFinding]) -> tuple[str, ...]:
    """Return the warnings in `findings` about the files of `node`. Raises UsageError with every fault."""
    faults = [finding for finding in findings if finding.is_error]
    if faults:
        raise UsageError.joined([UsageError(f"{node.id}: {fault}", hint=fault.hint) for fault in faults])
    return tuple(f"{node.id}: {finding}" for finding in findings)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 fingerprints of the certificates in a PEM file, shortened. Raises UsageError."""
    from mpbake.certs.finding import UnusableFile  # noqa: PLC0415 - as above
    from mpbake.certs.reading import fingerprint_of, read_certificates  # noqa: PLC0415

    try:
        return ", ".join(f"SHA-256 {fingerprint_of(certificate)[:16]}" for certificate in read_certificates(path))
    except UnusableFile as error:
        raise UsageError(f"{one_line(str(path))}: {error.message}", hint=error.hint) from None


def presented_warnings(certificate: bytes, now: datetime, days: int) -> tuple[str, ...]:
    """Return a warning if the certificate that a server has presented, in DER, expires within `days`."""
    from mpbake.certs.reading import end_text, ends_soon, parse_der  # noqa: PLC0415 - as above

    presented = parse_der(certificate)
    return (end_text(presented, now),) if ends_soon(presented, now, days) else ()
