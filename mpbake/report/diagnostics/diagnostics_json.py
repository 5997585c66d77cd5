"""Diagnostics as JSON for programs. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.text import LONGEST_MESSAGE, json_lines, shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.base.errors import Diagnostic
    from mpbake.report.diagnostics.check_report import CheckReport

DIAGNOSTICS_FORMAT = 1
"""Version of the format. The version rises when a field is removed or changes meaning, but not for a new field."""

_NO_LOCATION: Mapping[str, Any] = {"file": "", "line": 0, "column": 0, "length": 0, "key": [], "excerpt": ""}


def report_json(report: CheckReport) -> str:
    """Return the diagnostics of a plan as JSON."""
    return diagnostics_json(report.diagnostics)


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> str:
    """Return diagnostics as ASCII-only JSON, each on its own line, with the fields that `docs/diagnostics.md` lists."""
    return f'{{\n"format": {DIAGNOSTICS_FORMAT},\n"diagnostics": {json_lines(map(_fields, diagnostics))}\n}}\n'


def _fields(diagnostic: Diagnostic) -> dict[str, Any]:
    location = diagnostic.location
    fields = {name: getattr(location, name) for name in _NO_LOCATION} if location else _NO_LOCATION
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        **fields,
        # Without the limit, every problem of a long line would repeat the whole line in its excerpt.
        "excerpt": shortened(fields["excerpt"], LONGEST_MESSAGE),
    }
