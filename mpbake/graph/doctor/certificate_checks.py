"""Doctor's checks of the certificates of nodes. The preflight checks read and judge the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import count
from mpbake.certs.finding import RENEW_HINT
from mpbake.graph.doctor.findings import missing, not_needed, ok, warning
from mpbake.graph.preflight.certificates import certificate_findings, certificates_end, deployment_findings
from mpbake.model.plan import TlsFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mpbake.graph.doctor.facts import Facts
    from mpbake.graph.doctor.findings import Finding
    from mpbake.model.plan import Node


def check_node_certificates(facts: Facts) -> Iterator[Finding]:
    """Check the certificates of nodes, and how long they are valid."""
    secured = [node for node in facts.subject.nodes if node.tls != TlsFiles()]
    if not secured:
        yield not_needed("certificates: no node of the plan uses certificates")
    for node in secured:
        yield from _check_node(facts, node)


def _check_node(facts: Facts, node: Node) -> Iterator[Finding]:
    """Return findings about the certificate files of a node, then about the certificate that the node has presented."""
    sound = True
    known = set()
    for finding in (*certificate_findings(node, facts.now), *deployment_findings(node, facts.now)):
        message = f"{node.id}: {finding}"
        known.add(message)
        make = missing if finding.is_error else warning
        yield make(message, finding.hint, subject=node.id)
        sound = False
    report = facts.reports.get(node.id)
    for message in report.warnings if report else ():
        if message not in known:
            yield warning(message, RENEW_HINT, subject=node.id)
            sound = False
    end = certificates_end(node)
    if sound and end is not None:
        left = count((end - facts.now).days, "day")
        yield ok(f"{node.id}: its certificates expire in {left}, on {end:%Y-%m-%d}", subject=node.id)


def has_certificate_faults(node: Node, now: datetime) -> bool:
    """Whether the certificate files of a node are unusable, so that a query of the node would only repeat the fault."""
    return any(finding.is_error for finding in certificate_findings(node, now))
