"""Regular expressions of a plan."""

from __future__ import annotations

import pytest

from mpbake.resolve.patterns import BadPatternError, compile_pattern


def test_a_pattern_is_compiled() -> None:
    assert compile_pattern("[0-9]+").search("v12")[0] == "12"


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "missing ): ("), ("a{2000}", "invalid repetition size: {2000}")]
)
def test_an_invalid_pattern(pattern: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadPatternError) as caught:
        compile_pattern(pattern)
    assert str(caught.value) == message
    assert capfd.readouterr().err == ""
