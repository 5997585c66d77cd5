"""The result of `mpbake doctor` as JSON for programs. `docs/doctor.md` lists the fields. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.json_text import printed_json
from mpbake.base.text import json_lines
from mpbake.graph.doctor.findings import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.report.doctor.doctor_report import DoctorReport

DOCTOR_FORMAT = 1
"""Version of the format. The version rises when a field is removed or changes meaning, but not for a new field."""


def doctor_json(report: DoctorReport) -> str:
    """Return the findings as ASCII-only JSON, each on its own line."""
    counts = {status: report.number(status) for status in Status}
    fields = [
        f'"format": {DOCTOR_FORMAT}',
        f'"plan": {printed_json(report.plan)}',
        f'"targets": {printed_json(report.targets)}',
        f'"findings": {json_lines(_findings(report))}',
        f'"counts": {printed_json(counts)}',
    ]
    return "{\n" + ",\n".join(fields) + "\n}\n"


def _findings(report: DoctorReport) -> Iterator[dict[str, Any]]:
    for result in report.results:
        for finding in result.findings:
            yield {
                "group": result.group,
                "check": result.name,
                "status": finding.status,
                "subject": finding.subject,
                "message": finding.message,
                "remedy": finding.remedy,
            }
