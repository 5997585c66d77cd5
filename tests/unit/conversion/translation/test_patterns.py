"""What a regular expression certainly matches."""

from __future__ import annotations

import pytest

from mpbake.conversion.translation.functions.patterns import consumes_text


@pytest.mark.parametrize(
    "pattern",
    ["a", "a?b", "(a|b)", "^(23|25)", "(?i)x", "[]a]+", "(a)(b)?", r"\bv", "a{2}", "a+?", "(?P<n>a+)", "x(a*)", r"\."],
)
def test_every_match_contains_a_character(pattern: str) -> None:
    assert consumes_text(pattern)


@pytest.mark.parametrize(
    "pattern", ["", "a*", "a|", "(a|b?)", "^$", "(?:a)*", r"\b", "a{0,2}", "(a?)", "(a)?|b", "a*?"]
)
def test_a_match_can_be_empty(pattern: str) -> None:
    assert not consumes_text(pattern)


@pytest.mark.parametrize(
    ("pattern", "group"), [("(a)(b)?", 0), ("(?P<n>a+)", "n"), ("((a)|b)", 0), ("x(?:y(z))", 0), ("(?<n>a)", "n")]
)
def test_a_group_always_contains_a_character(pattern: str, group: int | str) -> None:
    assert consumes_text(pattern, group)


@pytest.mark.parametrize(
    ("pattern", "group"),
    [
        ("(a)(b)?", 1),
        ("(a)|(b)", 0),
        ("(a)|(b)", 1),
        ("((a)|b)", 1),
        ("((a)b)?", 1),
        ("(a*)", 0),
        ("(a)", 1),
        ("a", "n"),
    ],
)
def test_a_group_can_be_empty_or_absent(pattern: str, group: int | str) -> None:
    assert not consumes_text(pattern, group)
