"""The parser of single values and keys of TOML."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.spec.files.toml_values import read_key, read_value, same_values


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("'a'", "a"), ("[1, true]", [1, True]), ("{ a = 1 }", {"a": 1}), ("nope", None), ("1\nx = [", None)],
)
def test_a_value(text: str, value: Any) -> None:
    assert read_value(text) == value


@pytest.mark.parametrize("text", ["8.10", "0o755", "0xDE_AD", "1e3"])
def test_a_number_keeps_its_notation(text: str) -> None:
    assert str(read_value(text)) == text


@pytest.mark.parametrize(("text", "parts"), [("tags", ["tags"]), ('args."a.b"', ["args", "a.b"])])
def test_a_key(text: str, parts: list[str]) -> None:
    assert read_key(text) == parts


def test_a_text_that_is_not_a_key() -> None:
    with pytest.raises(ValueError, match="Invalid statement"):
        read_key("")


@pytest.mark.parametrize(("other", "same"), [("a=1 # one", True), ("a = 2", False), ("a = [", False)])
def test_documents_with_the_same_values(other: str, same: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert same_values("a = 1", other) is same
