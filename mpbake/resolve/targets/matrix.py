"""The rows of a matrix: every combination of its lists, or the rows as listed, without those that are excluded."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_value
from mpbake.resolve.template import RESERVED
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.inheritance import InheritedTable
    from mpbake.resolve.values import ValueRenderer

MAX_ROWS = 100_000

Row = dict[str, Any]
"""The values of a matrix's variables for one target."""


def matrix_rows(family: InheritedTable, scope: Mapping[str, Any], rendering: ValueRenderer) -> list[Row]:
    """The rows of a family's matrix, in order. What is wrong with it becomes problems; then there are none."""
    matrix = _Matrix(family=family, scope=scope, rendering=rendering)
    before = len(rendering.problems)
    rows = matrix.listed() if isinstance(family.raw["matrix"], list) else matrix.combined()
    if len(rendering.problems) == before:
        rows = matrix.without_excluded(rows)
    return rows if len(rendering.problems) == before else []


@dataclass(frozen=True, kw_only=True, slots=True)
class _Matrix:
    family: InheritedTable
    scope: Mapping[str, Any]
    rendering: ValueRenderer

    def listed(self) -> list[Row]:
        """The rows of a matrix that lists them."""
        rows = [self._rendered(row, ("matrix", at)) for at, row in enumerate(self.family.raw["matrix"])]
        for at, row in enumerate(rows):
            for name in row:
                self._check_name(("matrix", at, name))
        if not rows:
            self._report(Code.MATRIX_EMPTY, ("matrix",), "must have at least one row")
        return rows

    def combined(self) -> list[Row]:
        """Every combination of the values of a matrix that lists these, the last variable changing fastest."""
        lists: dict[str, list[Any]] = {}
        count = 1
        for name, written in self.family.raw["matrix"].items():
            before = len(self.rendering.problems)
            values = self._values(written, ("matrix", name))
            if len(self.rendering.problems) > before:
                continue
            if not isinstance(values, list) or not values:
                self._report(Code.MATRIX_EMPTY, ("matrix", name), "must be a list with at least one value")
                continue
            self._check_name(("matrix", name))
            lists[name] = values
            count *= len(values)
        if count > MAX_ROWS:
            message = f"makes {count} targets; at most {MAX_ROWS} are allowed"
            self._report(Code.MATRIX_TOO_LARGE, ("matrix",), message)
            return []
        return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]

    def without_excluded(self, rows: list[Row]) -> list[Row]:
        """The rows that have, of no entry of `exclude`, all the values."""
        excluded = [self._rendered(each, ("exclude", at)) for at, each in enumerate(self.family.raw.get("exclude", ()))]
        known = {name for row in rows for name in row}
        for at, entry in enumerate(excluded):
            for name in entry.keys() - known:
                message = f'the matrix has no variable "{one_line(name)}"'
                self._report(Code.EXCLUDE_UNKNOWN, ("exclude", at, name), message)
        left = [row for row in rows if not any(_is_part(entry, row) for entry in excluded)]
        if not left:
            self._report(Code.EXCLUDE_ALL, ("exclude",), "leaves no row of the matrix")
        return left

    def _values(self, written: Any, path: KeyPath) -> Any:
        """A list of values; an empty string is one like any other here: `suffix = ["", "-debug"]`."""
        if not isinstance(written, list):
            return self.rendering.value(written, self.scope, self.family.where, path)
        return [
            self.rendering.value(each, self.scope, self.family.where, (*path, at)) for at, each in enumerate(written)
        ]

    def _rendered(self, row: Mapping[str, Any], path: KeyPath) -> Row:
        return {
            name: self.rendering.value(value, self.scope, self.family.where, (*path, name))
            for name, value in row.items()
        }

    def _check_name(self, path: KeyPath) -> None:
        name = str(path[-1])
        if not name.isidentifier():
            message = f'"{one_line(name)}" is no variable name'
            self._report(Code.BAD_VARIABLE_NAME, path, message, "use letters, digits and underscores")
        if name in RESERVED:
            message = f'"{one_line(name)}" has a meaning of its own in templates'
            self._report(Code.BAD_VARIABLE_NAME, path, message, "choose another name")
        if name in self.scope:
            message = f'"{one_line(name)}" is a variable too'
            self._report(Code.MATRIX_HIDES_VARIABLE, path, message, "rename one of them")

    def _report(self, code: Code, path: KeyPath, message: str, hint: str = "") -> None:
        of_key = code in {Code.BAD_VARIABLE_NAME, Code.MATRIX_HIDES_VARIABLE, Code.EXCLUDE_UNKNOWN}
        problem = Problem(code=code, key=self.family.where(path), message=message, hint=hint, of_key=of_key)
        self.rendering.problems.append(problem)


def _is_part(entry: Row, row: Row) -> bool:
    """Whether `row` has all values of `entry`, as they are written: 3.10 is another one than 3.1."""
    return all(
        name in row and row[name] == value and toml_value(row[name]) == toml_value(value)
        for name, value in entry.items()
    )
