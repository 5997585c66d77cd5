"""Errors: their text, their order and their exit codes."""

from __future__ import annotations

import pytest

from mpbake.errors import (
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
    dotted,
)


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        (Location(file="build.toml", line=12), "build.toml:12"),
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
    assert dotted(key) == shown


@pytest.mark.parametrize(
    ("diagnostic", "shown"),
    [
        (Diagnostic(message="wrong"), "wrong"),
        (Diagnostic(message="wrong", hint="do it right"), "wrong\n  = do it right"),
        (Diagnostic(message="wrong", location=Location(file="b.toml")), "b.toml: wrong"),
        (
            Diagnostic(
                message="wrong",
                hint="do it right",
                location=Location(file="b.toml", line=3, key=("targets", "web"), excerpt="\t[targets.web]  "),
            ),
            "b.toml:3: targets.web: wrong\n    [targets.web]\n  = do it right",
        ),
        (
            Diagnostic(message="m\x1b", hint="h\x00", location=Location(file="b", line=1, excerpt="e\x07 \te")),
            "b:1: m\\x1b\n    e\\x07 \\te\n  = h\\x00",
        ),
    ],
)
def test_diagnostic(diagnostic: Diagnostic, shown: str) -> None:
    assert str(diagnostic) == shown


@pytest.mark.parametrize(("length", "shown"), [(160, "x" * 160), (161, "x" * 159 + "…"), (9000, "x" * 159 + "…")])
def test_a_long_source_line_is_cut(length: int, shown: str) -> None:
    diagnostic = Diagnostic(message="wrong", location=Location(file="b", line=1, excerpt="x" * length))
    assert str(diagnostic) == f"b:1: wrong\n    {shown}"


def test_plan_error_sorts_by_place_and_drops_what_was_found_twice() -> None:
    late = Diagnostic(message="late", location=Location(file="b.toml", line=20))
    early = Diagnostic(message="early", location=Location(file="b.toml", line=3))
    other = Diagnostic(message="other", location=Location(file="a.toml", line=99))
    same_line = Diagnostic(message="after early", location=Location(file="b.toml", line=3))
    nowhere = Diagnostic(message="nowhere")
    error = PlanError([late, early, same_line, other, late, nowhere])
    assert error.diagnostics == (nowhere, other, early, same_line, late)
    assert error.message == "the plan has 5 problems"
    assert str(error) == "nowhere\na.toml:99: other\nb.toml:3: early\nb.toml:3: after early\nb.toml:20: late"


def test_one_problem_is_one() -> None:
    assert PlanError(iter([Diagnostic(message="x")])).message == "the plan has 1 problem"


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
