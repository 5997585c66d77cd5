"""The result of `mpbake doctor` as text and as JSON."""

from __future__ import annotations

import json

from mpbake.graph.doctor.findings import CheckResult, Finding, Status, missing, not_needed, ok, unknown, warning
from mpbake.report.doctor.doctor_json import doctor_json
from mpbake.report.doctor.doctor_report import DoctorReport
from mpbake.report.doctor.doctor_text import doctor_text
from tests.unit.plans import text


def report_of(*findings: Finding, colour: bool = False) -> DoctorReport:
    """Return the result of one check."""
    result = CheckResult(name="nodes", group="nodes", findings=findings)
    return DoctorReport(results=(result,), plan="build.toml", targets=("web", "api"), colour=colour)


def test_a_fault_is_followed_by_its_remedy_and_what_is_fine_has_one_line() -> None:
    report = report_of(
        ok("a answers"),
        missing("b does not answer", "start it"),
        warning("c is slow", "wait"),
        unknown("d tells nothing"),
        not_needed("e"),
    )
    assert (
        doctor_text(report)
        == text("""
        build.toml: 2 targets

        nodes
          ok          a answers
          missing     b does not answer
                      = start it
          warning     c is slow
                      = wait
          unknown     d tells nothing
          not needed  e

        1 missing: a run fails; 1 warning, 1 unknown, 1 ok
        """)
        + "\n"
    )


def test_long_lines_wrap_and_commands_stay_whole() -> None:
    address = "x" * 90
    printed = doctor_text(report_of(missing(f"{'word ' * 20}{address}", "word " * 20)))
    lines = printed.splitlines()
    assert [line for line in lines if len(line) > 80] == [" " * 14 + address]
    remedy = next(index for index, line in enumerate(lines) if line.lstrip().startswith("= "))
    assert lines[remedy + 1].startswith(" " * 16 + "word"), "a wrapped remedy is indented"


def test_control_characters_are_shown_and_not_obeyed() -> None:
    printed = doctor_text(report_of(missing("a\x1b[31mb\nnext", "do\x07this")))
    assert "a\\x1b[31mb\n              next\n              = do\\x07this" in printed


def test_an_empty_message_is_a_line() -> None:
    assert "  ok\n" in doctor_text(report_of(ok("")))


def test_colours_only_mark_the_status() -> None:
    plain, coloured = doctor_text(report_of(ok("a"))), doctor_text(report_of(ok("a"), colour=True))
    assert "  \x1b[32mok          \x1b[0ma\n" in coloured
    assert coloured.replace("\x1b[32m", "").replace("\x1b[0m", "") == plain


def test_nothing_is_missing() -> None:
    assert doctor_text(report_of(ok("a"))).endswith("\nnothing is missing; 1 ok\n")
    assert doctor_text(DoctorReport(results=())) == (
        "no plan here: only docker and this machine are checked\n\nnothing is missing\n"
    )


def test_json() -> None:
    written = doctor_json(report_of(missing("é", "mend", subject="ci/local")))
    assert written.isascii()
    assert json.loads(written) == {
        "format": 1,
        "plan": "build.toml",
        "targets": ["web", "api"],
        "findings": [
            {
                "group": "nodes",
                "check": "nodes",
                "status": "missing",
                "subject": "ci/local",
                "message": "é",
                "remedy": "mend",
            }
        ],
        "counts": {"ok": 0, "warning": 0, "missing": 1, "unknown": 0, "not needed": 0},
    }


def test_the_status_of_a_check_is_its_worst() -> None:
    for findings, status in (
        ((ok(""), unknown("")), Status.UNKNOWN),
        ((unknown(""), warning("", "")), Status.WARNING),
        ((warning("", ""), missing("", ""), ok("")), Status.MISSING),
        ((ok(""), not_needed("")), Status.OK),
        ((), Status.NOT_NEEDED),
    ):
        assert CheckResult(name="", group="", findings=findings).status is status
