"""Patterns for the names of targets."""

from __future__ import annotations

import re

import pytest

from mpbake.conversion.plan.naming.patterns import literal_name, name_patterns


@pytest.mark.parametrize("name", ["web", "web-1.2", "a b", "_x", "über", "a+b"])
def test_the_pattern_of_a_name_is_for_this_name_only(name: str) -> None:
    patterns = name_patterns([re.escape(name)])
    assert literal_name(re.escape(name)) == name
    assert patterns.matches(name)
    assert not patterns.matches(f"{name}x")
    assert patterns.computed == ()


def test_other_patterns_are_searched() -> None:
    patterns = name_patterns(["web", "php-.*", ".*-debug", "php-.*"])
    assert [name for name in ("web", "php-8", "a-debug", "php", "web-1") if patterns.matches(name)] == [
        "web",
        "php-8",
        "a-debug",
    ]
    assert len(patterns.computed) == 2
    assert literal_name("php-.*") is None
