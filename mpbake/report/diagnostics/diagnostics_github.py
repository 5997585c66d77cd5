"""Diagnostics as annotations of a GitHub workflow. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mpbake.base.errors import key_path_text
from mpbake.base.text import count
from mpbake.report.workflow_commands import ANNOTATIONS, workflow_command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.base.errors import Diagnostic
    from mpbake.report.diagnostics.check_report import CheckReport


def report_github(report: CheckReport) -> str:
    """Return the diagnostics of a plan as workflow commands, and their numbers if GitHub does not show all of them."""
    severities = Counter(diagnostic.severity for diagnostic in report.diagnostics)
    numbers = " and ".join(count(number, severity) for severity, number in severities.items())
    is_complete = all(number <= ANNOTATIONS for number in severities.values())
    remark = "" if is_complete else f"{numbers}: GitHub shows {ANNOTATIONS} of each kind; the log has all\n"
    return diagnostics_github(report.diagnostics) + remark


def diagnostics_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Return workflow commands, which GitHub shows as annotations on the lines of a change."""
    return "".join(f"{_command(diagnostic)}\n" for diagnostic in diagnostics)


def _command(diagnostic: Diagnostic) -> str:
    properties: dict[str, str | int] = {}
    key, location = "", diagnostic.location
    if location is not None:
        key = f"{key_path_text(location.key)}: " if location.key else ""
        properties = {"file": location.file, "line": location.line, "col": location.column}
        properties["endColumn"] = location.column + location.length - 1 if location.length else 0
    properties["title"] = diagnostic.code
    hint = f"\n{diagnostic.hint}" if diagnostic.hint else ""
    return workflow_command(diagnostic.severity, key + diagnostic.message + hint, properties)
