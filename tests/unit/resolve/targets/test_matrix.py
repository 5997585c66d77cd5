"""Matrices that list their rows, and excluded rows."""

from __future__ import annotations

import pytest

from tests.unit.plans import problems_of_text, resolve_text, text

ROWS = """
    [targets.php]
    matrix = [{ php = "8.1", os = "alpine" }, { php = "8.2", os = "{{ newest }}" }]
    name = "php-{{ php | replace('.', '-') }}-{{ os }}"
    [variables]
    newest = "debian"
    """


def test_a_matrix_may_list_its_rows() -> None:
    plan = resolve_text(ROWS)
    assert list(plan.targets) == ["php-8-1-alpine", "php-8-2-debian"]
    assert [target.name for target in plan.groups["php"].targets] == ["php-8-1-alpine", "php-8-2-debian"]


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("[]", ["1-x", "1-y", "2-x", "2-y"]),
        ("[{ a = 1, b = 'x' }]", ["1-y", "2-x", "2-y"]),
        ("[{ a = 1 }]", ["2-x", "2-y"]),
        ("[{ a = 1 }, { b = 'y' }]", ["2-x"]),
        ("[{ a = '{{ one }}' }]", ["2-x", "2-y"]),
        ("[{ a = '1' }]", ["1-x", "1-y", "2-x", "2-y"]),
    ],
)
def test_rows_with_all_the_values_of_an_entry_are_left_out(exclude: str, left: list[str]) -> None:
    plan = resolve_text(f"""
        [variables]
        one = 1
        [targets.t]
        matrix = {{ a = [1, 2], b = ["x", "y"] }}
        exclude = {exclude}
        name = "{{{{ a }}}}-{{{{ b }}}}"
        """)
    assert list(plan.targets) == left


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ("3.1", ["3-10", "3-2"]),
        ("3.10", ["3-1", "3-2"]),
        ("3.100", ["3-1", "3-10", "3-2"]),
        ("'{{ 6.2 / 2 }}'", ["3-10", "3-2"]),
    ],
)
def test_numbers_are_left_out_as_they_are_written(exclude: str, left: list[str]) -> None:
    plan = resolve_text(f"""
        [targets.t]
        matrix = {{ v = [3.1, 3.10, 3.2] }}
        exclude = [{{ v = {exclude} }}]
        name = "{{{{ v | string | replace('.', '-') }}}}"
        """)
    assert list(plan.targets) == left


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("exclude = [{ c = 1 }]", 'targets.t.exclude[0].c: the matrix has no variable "c"'),
        ("exclude = [{}]", "targets.t.exclude: excludes every row of the matrix"),
        ("exclude = [{ a = 1 }, { a = 2 }]", "targets.t.exclude: excludes every row of the matrix"),
        ("exclude = [1]", "targets.t.exclude[0]: must be a table, not a number"),
    ],
)
def test_a_wrong_exclude(lines: str, message: str) -> None:
    problems = problems_of_text(f"""
        [targets.t]
        matrix = {{ a = [1, 2] }}
        name = "t-{{{{ a }}}}"
        {lines}
        """)
    assert problems.splitlines()[0] == f"build.toml:5: {message}"


def test_wrong_rows() -> None:
    assert problems_of_text("""
        [variables]
        v = 1
        [targets.t]
        matrix = [{ v = 1, "a-b" = 2 }]
        name = "t"
        """) == text("""
        build.toml:5: targets.t.matrix[0].v: "v" is also a variable of the plan
            matrix = [{ v = 1, "a-b" = 2 }]
          = rename one of them
        build.toml:5: targets.t.matrix[0].a-b: "a-b" is not a valid variable name
            matrix = [{ v = 1, "a-b" = 2 }]
          = use letters, digits and underscores
        """)


def test_a_row_that_lacks_a_variable_of_the_name() -> None:
    assert problems_of_text("""
        [targets.t]
        matrix = [{ a = 1 }, { b = 2 }]
        name = "t-{{ a }}"
        """) == text("""
        build.toml:3: targets.t.matrix: the row { b = 2 } has no "a", which `name` uses
            matrix = [{ a = 1 }, { b = 2 }]
          = give each row a value for "a"
        """)
