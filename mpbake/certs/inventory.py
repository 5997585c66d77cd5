"""The certificates that a plan names, with their contents and their status, for `mpbake certs show`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.certs.checks import client_findings, server_findings
from mpbake.certs.finding import UnusableFile
from mpbake.certs.node_files import CertificateRole, server_files
from mpbake.certs.reading import (
    days_left,
    ends_soon,
    has_expired,
    issuer_of,
    names_of,
    read_certificates,
    subject_of,
    usages_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from cryptography.x509 import Certificate

    from mpbake.certs.finding import CertificateFinding
    from mpbake.model.plan import Node


class CertificateStatus(StrEnum):
    """Whether a certificate can be used now."""

    VALID = "valid"
    ENDS_SOON = "ends soon"
    EXPIRED = "expired"
    NOT_YET_VALID = "not yet valid"
    MISSING = "missing"
    UNUSABLE = "unusable"
    """The file cannot be read, or does not contain a certificate."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Validity:
    """The contents of a certificate. `days` is the number of days until it expires, negative afterwards."""

    subject: str
    issuer: str
    usages: tuple[str, ...]
    names: tuple[str, ...]
    begin: datetime
    end: datetime
    days: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateRow:
    """A certificate that the plan names, or one of several in a file of authorities.

    `role` is the purpose for which the plan names it, and `nodes` are the ids of the nodes. `stated` holds the contents
    of the certificate; None if the certificate does not exist or cannot be read.
    """

    path: Path
    role: CertificateRole
    nodes: tuple[str, ...]
    status: CertificateStatus
    stated: Validity | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateInventory:
    """The certificates of a plan, and the errors and warnings about the certificates by the ids of the nodes."""

    rows: tuple[CertificateRow, ...]
    findings: tuple[tuple[str, CertificateFinding], ...]


def inventory(nodes: Sequence[Node], now: datetime) -> CertificateInventory:
    """Return the certificates that the plan names for `nodes`, each once: authorities, clients, servers."""
    named: dict[tuple[CertificateRole, Path], list[Node]] = {}
    for node in nodes:
        for key in _named(node):
            named.setdefault(key, []).append(node)
    order = list(CertificateRole)
    rows = (
        row
        for role, path in sorted(named, key=lambda key: order.index(key[0]))
        for row in _rows(role, path, named[role, path], now)
    )
    return CertificateInventory(rows=tuple(rows), findings=tuple(_findings(nodes, now)))


def _named(node: Node) -> Iterator[tuple[CertificateRole, Path]]:
    """Yield the certificates that the plan names for a node, by role."""
    server = server_files(node)
    paths = (
        (CertificateRole.AUTHORITY, node.tls.ca),
        (CertificateRole.AUTHORITY, server and server.ca),
        (CertificateRole.CLIENT, node.tls.cert),
        (CertificateRole.SERVER, server and server.cert),
    )
    yield from dict.fromkeys((role, path) for role, path in paths if path)


def _rows(role: CertificateRole, path: Path, nodes: Sequence[Node], now: datetime) -> Iterator[CertificateRow]:
    ids = tuple(node.id for node in nodes)
    try:
        certificates = read_certificates(path)
    except UnusableFile as error:
        status = CertificateStatus.MISSING if error.code is Code.MISSING_FILE else CertificateStatus.UNUSABLE
        yield CertificateRow(path=path, role=role, nodes=ids, status=status)
        return
    days = max(node.certificate_days for node in nodes)
    for certificate in certificates if role is CertificateRole.AUTHORITY else certificates[:1]:
        status = _status(certificate, now, days)
        yield CertificateRow(path=path, role=role, nodes=ids, status=status, stated=_validity(certificate, now))


def _status(certificate: Certificate, now: datetime, days: int) -> CertificateStatus:
    if has_expired(certificate, now):
        return CertificateStatus.EXPIRED
    if now < certificate.not_valid_before_utc:
        return CertificateStatus.NOT_YET_VALID
    return CertificateStatus.ENDS_SOON if ends_soon(certificate, now, days) else CertificateStatus.VALID


def _validity(certificate: Certificate, now: datetime) -> Validity:
    return Validity(
        subject=subject_of(certificate),
        issuer=issuer_of(certificate),
        usages=usages_of(certificate),
        names=names_of(certificate),
        begin=certificate.not_valid_before_utc,
        end=certificate.not_valid_after_utc,
        days=days_left(certificate, now),
    )


def _findings(nodes: Iterable[Node], now: datetime) -> Iterator[tuple[str, CertificateFinding]]:
    """Yield the findings about the nodes.

    A finding that several nodes share is reported for the first of these nodes.
    """
    seen = set()
    for node in nodes:
        for finding in (*client_findings(node, now), *server_findings(node, now, required=True)):
            if finding not in seen:
                seen.add(finding)
                yield node.id, finding
