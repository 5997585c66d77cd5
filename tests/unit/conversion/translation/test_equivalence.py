"""Every translated expression has the value that bake gives it, with two sets of values of the variables.

values.json holds the values of buildx; collect_values.py made it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.conversion.translation import Untranslatable
from tests.unit.conversion.translation.collect_values import ERROR, expressions
from tests.unit.conversion.translation.scopes import (
    CHANGED_VALUES,
    HERE,
    comparable,
    rendered,
    renderer,
    translated,
    values,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

VALUES: Mapping[str, list[Any]] = json.loads((HERE / "values.json").read_text(encoding="utf-8"))
TEXT = (HERE / "expressions.txt").read_text(encoding="utf-8")
LINES = expressions(TEXT)
UNTRANSLATABLE = expressions(TEXT.partition("# without a form in a plan\n")[2])


def test_the_values_belong_to_the_expressions() -> None:
    """values.json is not older than expressions.txt."""
    assert list(VALUES) == list(dict.fromkeys(LINES))


@pytest.mark.parametrize("line", list(VALUES))
def test_a_translated_expression_has_the_value_of_bake(line: str) -> None:
    """Mpbake's templates and bake give the same value, of the same type."""
    if line in UNTRANSLATABLE:
        with pytest.raises(Untranslatable):
            translated(line)
        return
    value = translated(line)
    for changed, expected in zip(({}, CHANGED_VALUES), VALUES[line], strict=True):
        if expected != ERROR:
            assert comparable(rendered(value, renderer(), values(changed))) == comparable(expected), value
