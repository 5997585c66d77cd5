"""Matrices whose rows or lists come from a variable."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.plans import problems_of_text, resolve_text, text

PLAN = """
    [variables]
    rows = { type = "list", env = "ROWS" }
    [targets.php]
    matrix = "{{ rows }}"
    name = "php-{{ v }}"
    args = { FLAVOUR = "{{ flavour }}" }
    """


def flavours(toml: str, **inputs: Any) -> dict[str, Any]:
    """Return the argument FLAVOUR of each target."""
    plan = resolve_text(toml, **inputs)
    return {name: target.attributes["args"]["FLAVOUR"] for name, target in plan.targets.items()}


def test_rows_from_the_default_of_a_variable() -> None:
    default = 'default = [{ v = "8", flavour = "slim" }, { v = "9", flavour = "full" }]'
    assert flavours(PLAN.replace('type = "list"', default)) == {"php-8": "slim", "php-9": "full"}


@pytest.mark.parametrize(
    "rows",
    [
        '[{ v = 8.10, flavour = "a" }]',
        '[{"v": 8.10, "flavour": "a", "other": null}]',
        '\n[\n  {"v": 8.10, "flavour": "a"}\n]\n',
    ],
)
def test_rows_from_the_environment_in_toml_or_json(rows: str) -> None:
    plan = PLAN.replace("{{ v }}", "{{ v | string | replace('.', '-') }}")
    assert flavours(plan, environment={"ROWS": rows}) == {"php-8-10": "a"}


def test_rows_from_a_file_are_no_templates() -> None:
    assert flavours(PLAN, values={"rows": [{"v": "8", "flavour": "{{ v }}"}]}) == {"php-8": "{{ v }}"}


def test_a_table_of_lists_from_a_variable() -> None:
    plan = resolve_text("""
        [variables]
        axes = { default = { v = ["8", "9"], flavour = ["a"] } }
        [targets.php]
        matrix = "{{ axes }}"
        exclude = [{ v = "9" }]
        name = "php-{{ v }}-{{ flavour }}"
        """)
    assert list(plan.targets) == ["php-8-a"]


MATRIX = '    matrix = "{{ rows }}"\n'


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([], f"matrix: must have at least one row\n{MATRIX}"),
        ({}, f"matrix: must have at least one variable\n{MATRIX}"),
        ("x", f"matrix: must be a list of rows or a table of lists, not text\n{MATRIX}"),
        ([{"v": "8"}, "x"], f"matrix[1]: row 2 must be a table, not text\n{MATRIX}"),
        ([{"v": "8", "a-b": 1}], f'matrix[0].a-b: "a-b" is not a valid variable name\n{MATRIX}'),
        ([{"v": "8"}, {"rows": "x"}], f'matrix[1].rows: "rows" is also a variable of the plan\n{MATRIX}'),
        (
            [{"v": "8", "flavour": "a"}, {"v": "9"}],
            (
                f'matrix: the row {{ v = "9" }} has no "flavour", which `args` uses\n{MATRIX}'
                '  = give each row a value for "flavour"'
            ),
        ),
    ],
)
def test_wrong_rows(rows: Any, problem: str) -> None:
    kind = {"dict": "map", "str": "string"}.get(type(rows).__name__, "list")
    problems = problems_of_text(PLAN.replace('"list"', f'"{kind}"'), values={"rows": rows})
    assert problems.startswith(f"build.toml:5: targets.php.{problem.rstrip()}")


def test_an_unknown_name_is_reported_once_for_all_rows() -> None:
    rows = [{"v": str(number), "flavour": "a"} for number in range(3)]
    plan = PLAN.replace("{{ flavour }}", "{{ flavor }}")
    assert problems_of_text(plan, values={"rows": rows}) == text("""
        build.toml:7: targets.php.args.FLAVOUR: unknown variable "flavor"
            args = { FLAVOUR = "{{ flavor }}" }
          = did you mean "flavour"?
    """)
