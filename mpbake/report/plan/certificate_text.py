"""The certificates of a plan as a table, and errors and warnings about the certificates. Pure."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING

from mpbake.base.text import columns, one_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mpbake.certs.inventory import CertificateInventory, CertificateRow

_HEADER = ("certificate", "for", "until", "days left", "status")
_WIDTH = 80
"""The width in columns at which lists wrap, on any terminal."""
_NONE = "the plan names no certificates; set tls = { ca, cert, key } on its remote nodes\n"


def certificates_text(inventory: CertificateInventory, show: Callable[[Path], str]) -> str:
    """Return the certificates as a table, with subject, issuer, names and nodes below each row.

    Below the table are the errors and warnings. `show` returns the path of a file for messages.
    """
    if not inventory.rows:
        return _NONE
    head, *lines = columns([_HEADER, *(_cells(row, show) for row in inventory.rows)])
    table = [part for line, row in zip(lines, inventory.rows, strict=True) for part in (line, *_details(row))]
    problems = list(_problem_lines(inventory))
    return "\n".join([head, *table, *([""] if problems else []), *problems]) + "\n"


def _problem_lines(inventory: CertificateInventory) -> Iterator[str]:
    """Yield the errors and warnings with their hints.

    Successive errors and warnings with the same hint share one hint.
    """
    for hint, findings in groupby(inventory.findings, key=lambda item: item[1].hint):
        yield from (printable(f"{finding.code.severity}: {node}: {finding}") for node, finding in findings)
        yield f"  = {printable(hint)}"


def _cells(row: CertificateRow, show: Callable[[Path], str]) -> tuple[str, ...]:
    path = one_line(show(row.path))
    if row.stated is None:
        return (path, str(row.role), "-", "-", str(row.status))
    usages = ", ".join(row.stated.usages) or "-"
    return (path, usages, f"{row.stated.end:%Y-%m-%d}", str(row.stated.days), str(row.status))


def _details(row: CertificateRow) -> Iterator[str]:
    stated = row.stated
    details = {"nodes": ", ".join(row.nodes)}
    if stated is not None:
        issuer = "" if stated.issuer == stated.subject else stated.issuer
        details = {"subject": stated.subject, "issuer": issuer, "names": ", ".join(stated.names), **details}
    for name, text in details.items():
        yield from wrap(text, _WIDTH, initial_indent=f"  {name:<9}", subsequent_indent=" " * 11)
