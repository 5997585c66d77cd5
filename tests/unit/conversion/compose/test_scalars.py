"""Scalars without quotes: the texts were watched with `docker buildx bake --print` of buildx 0.36."""

from __future__ import annotations

import pytest

from tests.unit.conversion.compose.files import web


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("text", "text"),
        ("'1.10'", "1.10"),
        ("yes", "yes"),
        ("on", "on"),
        ("TRUE", "true"),
        ("tRue", "tRue"),
        ("1", "1"),
        ("01", "1"),
        ("0777", "511"),
        ("089", "89"),
        ("0o17", "15"),
        ("0x1F", "31"),
        ("-0x1F", "-31"),
        ("0b11", "3"),
        ("0b2", "0b2"),
        ("1_000", "1000"),
        ("_1", "_1"),
        ("-0", "-0"),
        ("1.50", "1.5"),
        ("1.", "1"),
        ("-.5", "-0.5"),
        ("1e5", "100000"),
        ("1e6", "1e+06"),
        ("123456789.123", "1.23456789123e+08"),
        ("0.00001", "1e-05"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "1.8446744073709552e+19"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("-9223372036854775809", "-9.223372036854776e+18"),
        ("12:30:45", "12:30:45"),
        ("2001-1-1", "2001-01-01 00:00:00 +0000 UTC"),
        ("2001-01-01T10:00:00Z", "2001-01-01 10:00:00 +0000 UTC"),
        ("2001-02-30", "2001-02-30"),
        ("!!str 5", "5"),
        ("!!int '5'", "5"),
    ],
)
def test_a_value_is_text_as_bake_prints_it(written: str, text: str) -> None:
    assert web(f"args: {{ A: {written} }}") == {"args": f'{{("A") = "{text}"}}'}


@pytest.mark.parametrize("written", ["", "~", "null", "NULL"])
def test_null_is_no_value(written: str) -> None:
    assert web(f"args: {{ A: {written} }}") == {"args": '{("A") = A}'}
