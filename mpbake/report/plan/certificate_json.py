"""The certificates of a plan as JSON for programs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.text import json_lines

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpbake.certs.finding import CertificateFinding
    from mpbake.certs.inventory import CertificateInventory, CertificateRow

CERTIFICATES_FORMAT = 1
"""Version of the format. The version rises when a field is removed or changes meaning, but not for a new field."""


def certificates_json(inventory: CertificateInventory, _: Callable[[Path], str]) -> str:
    """Return certificates and problems as ASCII-only JSON, each on its own line, as docs/certificates.md lists them."""
    certificates = json_lines(map(_certificate, inventory.rows))
    problems = json_lines(_problem(node, finding) for node, finding in inventory.findings)
    return f'{{\n"format": {CERTIFICATES_FORMAT},\n"certificates": {certificates},\n"problems": {problems}\n}}\n'


def _certificate(row: CertificateRow) -> dict[str, Any]:
    stated = row.stated
    return {
        "path": str(row.path),
        "role": str(row.role),
        "status": str(row.status),
        "nodes": list(row.nodes),
        "subject": stated.subject if stated else "",
        "issuer": stated.issuer if stated else "",
        "usages": list(stated.usages) if stated else [],
        "names": list(stated.names) if stated else [],
        "not-before": stated.begin.isoformat() if stated else "",
        "not-after": stated.end.isoformat() if stated else "",
        "days-left": stated.days if stated else None,
    }


def _problem(node: str, finding: CertificateFinding) -> dict[str, Any]:
    return {
        "node": node,
        "key": list(finding.key),
        "code": finding.code,
        "severity": finding.code.severity,
        "message": finding.message,
        "hint": finding.hint,
    }
