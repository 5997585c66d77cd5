"""Generated expressions of HCL have the values in templates of a plan that bake gives them.

MPBAKE_FUZZ_SEEDS=0-4999 pytest -m long tests/engine/test_translation.py
"""

from __future__ import annotations

import os

import pytest
from testbed.packages import tool_path

from mpbake.conversion.translation import Untranslatable
from tests.unit.conversion.translation.collect_values import CHANGED, ERROR, evaluate
from tests.unit.conversion.translation.generated import Expressions
from tests.unit.conversion.translation.scopes import CHANGED_VALUES, comparable, rendered, renderer, translated, values

pytestmark = [pytest.mark.one_release, pytest.mark.long]

_BATCH = 100
_FIRST, _LAST = map(int, os.environ.get("MPBAKE_FUZZ_SEEDS", "0-999").split("-"))


@pytest.mark.parametrize("first", range(_FIRST, _LAST + 1, _BATCH))
def test_generated_expressions_have_the_values_of_bake(first: int) -> None:
    """Each difference names its seed; an expression that bake refuses is not compared."""
    buildx = tool_path("docker-buildx", os.environ)
    assert buildx is not None
    seeds = range(first, min(first + _BATCH, _LAST + 1))
    lines = [Expressions(seed).any() for seed in seeds]
    compared = 0
    differences = []
    for environment, changed in (({}, {}), (CHANGED, CHANGED_VALUES)):
        for seed, line, expected in zip(seeds, lines, evaluate(buildx, lines, environment), strict=True):
            if expected == ERROR:
                continue
            try:
                value = translated(line)
            except Untranslatable:
                continue
            compared += 1
            result = comparable(rendered(value, renderer(), values(changed)))
            if result != comparable(expected):
                differences.append((seed, line, value, result, expected))
    assert not differences
    assert compared > len(lines)
