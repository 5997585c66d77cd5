"""Diagnostics as text for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Severity
from mpbake.base.errors import key_path_text
from mpbake.base.text import count, shared_names, split_subject

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from mpbake.base.errors import Diagnostic
    from mpbake.report.diagnostics.check_report import CheckReport


def report_text(report: CheckReport) -> str:
    """Return the diagnostics of a plan, and a last line that counts them."""
    subject = f"{report.file}: {count(report.targets, 'target')}, " if report.complete else ""
    these = "this" if len(report.diagnostics) == 1 else "these"
    advice = "" if report.complete else f"; fix {these} and run mpbake check again: there may be more"
    return f"{diagnostics_text(report.diagnostics)}{subject}{_verdict(report.diagnostics)}{advice}\n"


def _verdict(diagnostics: Sequence[Diagnostic]) -> str:
    """Return the number of problems, such as `1 error` or `2 errors, 1 warning`, or `no problems`."""
    severities = [diagnostic.severity for diagnostic in diagnostics]
    counts = {severity: severities.count(severity) for severity in Severity}
    return ", ".join(count(number, severity) for severity, number in counts.items() if number) or "no problems"


def diagnostics_text(diagnostics: Iterable[Diagnostic]) -> str:
    """Return diagnostics in the format of error messages.

    If several targets share a warning, the warning appears once, with the names of the other targets below.
    """
    shared: dict[Hashable, list[Diagnostic]] = {}
    for index, diagnostic in enumerate(diagnostics):
        key: Hashable = index
        if diagnostic.severity is Severity.WARNING:
            key = (diagnostic.code, split_subject(diagnostic.message)[1], diagnostic.hint)
        shared.setdefault(key, []).append(diagnostic)
    return "".join(f"{first}\n{_other_names(others)}" for first, *others in shared.values())


def _other_names(diagnostics: Sequence[Diagnostic]) -> str:
    """Return a line with the names of the other targets that share a warning; empty if no other target shares it."""
    names = dict.fromkeys(map(_name, diagnostics))
    return f"    the same: {shared_names(tuple(names))}\n" if names else ""


def _name(diagnostic: Diagnostic) -> str:
    """Return the name at the start of a diagnostic's message; if the message has no name, the diagnostic's key."""
    key = key_path_text(diagnostic.location.key) if diagnostic.location else ""
    return split_subject(diagnostic.message)[0] or key
