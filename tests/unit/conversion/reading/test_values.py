"""The values of expressions, compared with those of bake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mpbake.conversion.reading import read_expression, read_hcl
from mpbake.conversion.syntax import ObjectOf, Target
from tests.unit.conversion.reading.evaluator import evaluate, text

VALUES: dict[str, str] = json.loads((Path(__file__).parent / "values.json").read_text(encoding="utf-8"))
"""Expressions and their values in buildx 0.36, written by collect_values.py."""


@pytest.mark.parametrize("expression", VALUES)
def test_an_expression_has_the_value_that_bake_gives_it(expression: str) -> None:
    file = read_hcl(f'target "t" {{\n  args = {{\n    A = {expression}\n  }}\n}}\n', "docker-bake.hcl")

    match file.blocks:
        case [Target(entries=[entry])]:
            assert isinstance(entry.value, ObjectOf)
            assert text(evaluate(entry.value.pairs[0].value)) == VALUES[expression]
        case _:
            pytest.fail(f"one target with args, not {file.blocks}")


@pytest.mark.parametrize("expression", [key for key in VALUES if not key.startswith("<<")])
def test_a_single_expression_is_the_same_as_in_a_file(expression: str) -> None:
    assert text(evaluate(read_expression(expression))) == VALUES[expression]
