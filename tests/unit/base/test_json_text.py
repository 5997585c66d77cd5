"""JSON from untrusted sources."""

from __future__ import annotations

import pytest

from mpbake.base.json_text import parse_json


def test_json_is_read() -> None:
    assert parse_json('{"a": [1, null]}') == parse_json(b'{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"a":' * 100_000, b"\xff", f"1{'0' * 5000}"])
def test_what_is_none_is_a_wrong_value(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
