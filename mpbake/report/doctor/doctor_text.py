"""The result of `mpbake doctor` as text for people, at most 80 columns wide. Pure."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from mpbake.base.text import count, printable
from mpbake.graph.doctor.findings import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.graph.doctor.findings import Finding
    from mpbake.report.doctor.doctor_report import DoctorReport

_WIDTH = 80
_MARGIN = "  "
_COLUMN = max(map(len, Status)) + len(_MARGIN)
_COLOURS = {
    Status.OK: "32",
    Status.WARNING: "33",
    Status.MISSING: "31",
    Status.UNKNOWN: "36",
    Status.NOT_NEEDED: "2",
}
"""The parameters of the escape sequence for the colour of each status."""


def doctor_text(report: DoctorReport) -> str:
    """Return the findings by group, and a last line that counts them. A fault is followed by its remedy."""
    heading = f"{report.plan}: {count(len(report.targets), 'target')}" if report.plan else _NO_PLAN
    lines = [heading]
    group = ""
    for result in report.results:
        if result.group != group:
            group = result.group
            lines += ["", group]
        for finding in result.findings:
            lines += _finding_lines(finding, colour=report.colour)
    return "\n".join([*lines, "", _summary(report)]) + "\n"


_NO_PLAN = "no plan here: only docker and this machine are checked"


def _finding_lines(finding: Finding, *, colour: bool) -> Iterator[str]:
    status = finding.status.ljust(_COLUMN)
    shown = f"\x1b[{_COLOURS[finding.status]}m{status}\x1b[0m" if colour else status
    indent = _MARGIN + " " * _COLUMN
    text = [line for part in printable(finding.message).splitlines() or [""] for line in _wrapped(part, indent, indent)]
    yield (_MARGIN + shown + text[0].removeprefix(indent)).rstrip()
    yield from text[1:]
    if finding.remedy:
        yield from _wrapped(f"= {printable(finding.remedy)}", indent, f"{indent}  ")


def _wrapped(text: str, first: str, others: str) -> list[str]:
    """Wrap a line; addresses and options stay whole, even if the line is then too long."""
    return wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first]


def _summary(report: DoctorReport) -> str:
    """Return the numbers of findings, such as `1 missing: a run fails; 2 warnings, 9 ok`."""
    number = report.number
    verdict = f"{number(Status.MISSING)} missing: a run fails" if report.is_missing_something else "nothing is missing"
    others = [
        count(number(Status.WARNING), "warning") if number(Status.WARNING) else "",
        f"{number(Status.UNKNOWN)} unknown" if number(Status.UNKNOWN) else "",
        f"{number(Status.OK)} ok" if number(Status.OK) else "",
    ]
    return "; ".join(filter(None, (verdict, ", ".join(filter(None, others)))))
