"""Diagnostics as JSON for programs, and as annotations of workflows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location
from mpbake.report.diagnostics.check_report import CheckReport
from mpbake.report.diagnostics.diagnostics_github import diagnostics_github, report_github
from mpbake.report.diagnostics.diagnostics_json import DIAGNOSTICS_FORMAT, diagnostics_json
from mpbake.report.diagnostics.diagnostics_text import diagnostics_text
from tests.checkout import DOCS

_DOCS = DOCS / "diagnostics.md"

WRONG = Diagnostic(
    code=Code.BAD_IMAGE_NAME,
    message='"Web" is no image name',
    hint="write web",
    location=Location(
        file="plans/build.toml",
        line=3,
        column=9,
        length=5,
        key=("targets", "web", "tags", 0),
        excerpt='tags = ["Web"]',
    ),
)
DOUBTFUL = Diagnostic(
    code=Code.UNUSED_VARIABLE, message="unused", location=Location(file="build.toml", line=2, key=("variables", "x"))
)
NOWHERE = Diagnostic(code=Code.NO_PLAN, message="no plan")
DIAGNOSTICS = st.builds(
    Diagnostic,
    code=st.sampled_from(Code),
    message=st.text(),
    hint=st.text(),
    location=st.none()
    | st.builds(
        Location,
        file=st.text(),
        line=st.integers(0, 99),
        column=st.integers(0, 200),
        length=st.integers(0, 200),
        key=st.lists(st.text() | st.integers(0, 9)).map(tuple),
        excerpt=st.text(max_size=300).map(lambda excerpt: excerpt.replace("\n", "")),
    ),
)


def test_as_text() -> None:
    assert diagnostics_text([WRONG, NOWHERE]) == f"{WRONG}\n{NOWHERE}\n"
    assert diagnostics_text([]) == ""


def parsed(*diagnostics: Diagnostic) -> list[dict[str, Any]]:
    data = json.loads(diagnostics_json(diagnostics))
    assert data.keys() == {"format", "diagnostics"}
    assert data["format"] == DIAGNOSTICS_FORMAT
    listed: list[dict[str, Any]] = data["diagnostics"]
    return listed


def test_of_a_long_line_json_has_the_beginning() -> None:
    long = Diagnostic(code=Code.WRONG_TYPE, message="", location=Location(file="build.toml", excerpt="x" * 3000))
    assert parsed(long)[0]["excerpt"] == "x" * 1999 + "…"


def test_as_json() -> None:
    assert parsed(WRONG, NOWHERE, DOUBTFUL) == [
        {
            "code": "bad-image-name",
            "severity": "error",
            "message": '"Web" is no image name',
            "hint": "write web",
            "file": "plans/build.toml",
            "line": 3,
            "column": 9,
            "length": 5,
            "key": ["targets", "web", "tags", 0],
            "excerpt": 'tags = ["Web"]',
        },
        {
            "code": "no-plan",
            "severity": "error",
            "message": "no plan",
            "hint": "",
            "file": "",
            "line": 0,
            "column": 0,
            "length": 0,
            "key": [],
            "excerpt": "",
        },
        {
            "code": "unused-variable",
            "severity": "warning",
            "message": "unused",
            "hint": "",
            "file": "build.toml",
            "line": 2,
            "column": 0,
            "length": 0,
            "key": ["variables", "x"],
            "excerpt": "",
        },
    ]
    assert parsed() == []


def test_every_field_is_documented() -> None:
    documented = set(re.findall(r"`(\w+)`", _DOCS.read_text(encoding="utf-8").partition("## The codes")[0]))
    assert {"format", "diagnostics", *parsed(WRONG)[0]} <= documented


@pytest.mark.parametrize(
    ("diagnostic", "command"),
    [
        (
            WRONG,
            (
                "::error file=plans/build.toml,line=3,col=9,endColumn=13,title=bad-image-name::"
                'targets.web.tags[0]: "Web" is no image name%0Awrite web'
            ),
        ),
        (DOUBTFUL, "::warning file=build.toml,line=2,title=unused-variable::variables.x: unused"),
        (NOWHERE, "::error title=no-plan::no plan"),
        (
            Diagnostic(
                code=Code.CYCLE,
                message="100%: a,b\r\n::error::\x1b",
                location=Location(file="a,b:c%\n.toml", line=1, key=("x\ny",)),
            ),
            '::error file=a%2Cb%3Ac%25%0A.toml,line=1,title=cycle::"x\\ny": 100%25: a,b%0D%0A::error::\\x1b',
        ),
    ],
)
def test_as_workflow_commands(diagnostic: Diagnostic, command: str) -> None:
    assert diagnostics_github([diagnostic]) == f"{command}\n"


@pytest.mark.parametrize(
    ("errors", "warnings", "remark"),
    [
        (10, 10, ""),
        (11, 1, "11 errors and 1 warning: GitHub shows 10 of each kind; the log has all\n"),
        (0, 12, "12 warnings: GitHub shows 10 of each kind; the log has all\n"),
    ],
)
def test_what_github_does_not_show_is_told(errors: int, warnings: int, remark: str) -> None:
    diagnostics = (*[WRONG] * errors, *[DOUBTFUL] * warnings)
    written = report_github(CheckReport(diagnostics=diagnostics))
    assert written == diagnostics_github(diagnostics) + remark


@given(st.lists(DIAGNOSTICS, max_size=3))
def test_nothing_can_break_out(diagnostics: list[Diagnostic]) -> None:
    assert len(parsed(*diagnostics)) == len(diagnostics)
    assert diagnostics_json(diagnostics).isascii()
    commands = diagnostics_github(diagnostics)
    assert commands.count("\n") == len(diagnostics)
    assert all(re.match(r"::(error|warning) [^\n]*title=[a-z-]+::", line) for line in commands.splitlines())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", commands + diagnostics_text(diagnostics))
