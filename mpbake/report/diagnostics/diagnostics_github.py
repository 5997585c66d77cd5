"""Diagnostics as annotations of a GitHub workflow. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import key_path_text
from mpbake.base.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.base.errors import Diagnostic
    from mpbake.report.diagnostics.check_report import CheckReport


def report_github(report: CheckReport) -> str:
    """Return the diagnostics of a plan as workflow commands."""
    return diagnostics_github(report.diagnostics)


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
    written = ",".join(f"{name}={_escape(str(value), ':,')}" for name, value in properties.items() if value)
    hint = f"\n{diagnostic.hint}" if diagnostic.hint else ""
    return f"::{diagnostic.severity} {written}::{_escape(key + diagnostic.message + hint)}"


def _escape(text: str, separators: str = "") -> str:
    """Escape line breaks, which end a workflow command, and `separators`, which end a property of the command."""
    for character in f"%\r\n{separators}":
        text = text.replace(character, f"%{ord(character):02X}")
    return printable(text)
