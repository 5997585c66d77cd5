"""Errors: their text, their order and their exit codes."""

from __future__ import annotations

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import (
    BuildFailed,
    Cancelled,
    Diagnostic,
    KeyPath,
    Location,
    LockHeld,
    MpbakeError,
    PlanError,
    Unreachable,
    UsageError,
    key_path_text,
)


def wrong(location: Location | None = None, message: str = "wrong", *, hint: str = "") -> Diagnostic:
    return Diagnostic(code=Code.CYCLE, message=message, hint=hint, location=location)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (Location(file="build.toml", line=12), "build.toml:12"),
        (Location(file="build.toml", line=12, column=9), "build.toml:12:9"),
        (Location(file="build.toml"), "build.toml"),
        (Location(file="a\nb\x00", line=1), r"a\nb\x00:1"),
    ],
)
def test_location(location: Location, shown: str) -> None:
    assert str(location) == shown


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        ((), ""),
        (("targets", "web", "tags", 0), "targets.web.tags[0]"),
        (("targets", "web", "labels", "org.example.x"), 'targets.web.labels."org.example.x"'),
        (("targets", ""), 'targets.""'),
        (("a b", 0, 1, "c"), '"a b"[0][1].c'),
        (("targets", "a\nb\x00"), r'targets."a\nb\x00"'),
    ],
)
def test_dotted_is_what_people_write(key: KeyPath, shown: str) -> None:
    assert key_path_text(key) == shown


@pytest.mark.parametrize(
    ("diagnostic", "shown"),
    [
        (wrong(), "wrong [cycle]"),
        (wrong(hint="do it right"), "wrong [cycle]\n  = do it right"),
        (wrong(Location(file="b.toml")), "b.toml: wrong [cycle]"),
        (wrong(Location(file="b.toml", line=3)), "b.toml:3: wrong [cycle]"),
        (
            wrong(
                Location(
                    file="b.toml", line=3, column=11, length=3, key=("targets", "web"), excerpt="\t[targets.web]  "
                ),
                hint="do it right",
            ),
            """
b.toml:3:11: targets.web: wrong [cycle]
    [targets.web]
             ^^^
  = do it right
            """.strip(),
        ),
        (
            Diagnostic(
                code=Code.UNUSED_VARIABLE,
                message="m\x1b",
                hint="h\x00",
                location=Location(file="b", line=1, column=1, length=1, key=("a",), excerpt="e\x07 \te"),
            ),
            "b:1:1: warning: a: m\\x1b [unused-variable]\n    e\\x07     e\n    ^\n  = h\\x00",
        ),
    ],
)
def test_diagnostic(diagnostic: Diagnostic, shown: str) -> None:
    assert str(diagnostic) == shown


def test_plan_error_sorts_by_place_and_drops_what_was_found_twice() -> None:
    late = wrong(Location(file="b.toml", line=20), "late")
    early = wrong(Location(file="b.toml", line=3, column=7), "early")
    other = wrong(Location(file="a.toml", line=99), "other")
    same_place = wrong(Location(file="b.toml", line=3, column=7), "after early")
    same_line = wrong(Location(file="b.toml", line=3, column=5), "before early")
    nowhere = wrong(message="nowhere")
    error = PlanError([late, early, same_place, same_line, other, late, nowhere])
    assert error.diagnostics == (nowhere, other, same_line, early, same_place, late)
    assert error.message == "the plan has 6 problems"
    assert str(error).replace(" [cycle]", "").split("\n") == [
        "nowhere",
        "a.toml:99: other",
        "b.toml:3:5: before early",
        "b.toml:3:7: early",
        "b.toml:3:7: after early",
        "b.toml:20: late",
    ]


def test_one_problem_is_one() -> None:
    assert PlanError(iter([wrong()])).message == "the plan has 1 problem"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MpbakeError("x"), 1),
        (BuildFailed("x"), 1),
        (PlanError([]), 3),
        (UsageError("x"), 3),
        (LockHeld("x"), 4),
        (Unreachable("x"), 5),
        (Cancelled("x"), 130),
    ],
)
def test_every_class_has_its_exit_code(error: MpbakeError, code: int) -> None:
    assert error.exit_code == code
    assert isinstance(error, MpbakeError)


def test_an_error_prints_its_remedy() -> None:
    assert str(LockHeld("run 7 works here", hint="wait\x00")) == "run 7 works here\n  = wait\\x00"
    assert str(BuildFailed("failed")) == "failed"
