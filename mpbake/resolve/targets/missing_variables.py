"""Report variables of a matrix that a target does not have: at the target, not at the parent that uses them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.text import one_line, short_name
from mpbake.base.toml_text import toml_value
from mpbake.spec.problem import Problem
from mpbake.spec.tables.attributes import Scope
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from mpbake.resolve.targets.matrix import Row
    from mpbake.resolve.targets.parents import Inheritance

_SHORTEST_KEY = 3
"""The length of the key of an attribute: `targets.web.tags`."""


def report_missing_variables(
    problems: list[Problem], start: int, name: str, row: Row, inheritance: Inheritance
) -> None:
    """Replace problems with undefined variables if these are variables of a matrix that the target does not have.

    The target of the table `name` has the problems from the index `start` on. Its `row` is empty without a matrix.
    """
    reported: dict[Problem, Problem] = {}
    of_target = problems[start:]
    del problems[start:]  # `matrix_variables` may report problems of other matrices
    for problem in of_target:
        if not _is_undefined(problem) or problem.culprit in row:
            reported[problem] = problem
            continue
        missing = _missing(problem, name, row, inheritance)
        # Several attributes may use the same variable, but the target lacks it once.
        reported.setdefault(problem if missing is problem else replace(missing, message=""), missing)
    problems.extend(reported.values())


def _is_undefined(problem: Problem) -> bool:
    """Whether the problem is an undefined variable in an attribute that may use the variables of a matrix."""
    if problem.code is not Code.UNDEFINED_VARIABLE or problem.key[:1] != ("targets",):
        return False
    return len(problem.key) >= _SHORTEST_KEY and ATTRIBUTES[str(problem.key[2])].scope is not Scope.PLAN


def _missing(problem: Problem, name: str, row: Row, inheritance: Inheritance) -> Problem:
    """Return the problem of a target without a variable of a matrix, or `problem` if no matrix has this variable."""
    _, parent, attribute, *_ = map(str, problem.key)
    variable = one_line(problem.culprit)
    variables = inheritance.matrix_variables
    if problem.culprit in variables.get(name, ()):
        shown = short_name(toml_value({key: value for key, value in row.items() if value is not None}))
        message = f'the row {shown} has no "{variable}", which `{attribute}` uses'
        hint = f'give each row a value for "{variable}"'
        return Problem(code=problem.code, key=("targets", name, "matrix"), message=message, hint=hint)
    if parent == name or not any(problem.culprit in others for others in variables.values()):
        return problem
    message = f'lacks the matrix variable "{variable}" that `{attribute}` of "{one_line(parent)}" uses'
    hint = f"add it: matrix = {{ {variable} = […] }}"
    if example := inheritance.example_rows.get(problem.culprit):
        hint += f', or inherit one row by its name, such as "{one_line(example)}"'
    return Problem(code=problem.code, key=("targets", name, "inherits"), message=message, hint=hint)
