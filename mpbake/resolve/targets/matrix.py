"""The rows of a matrix: all combinations of lists, or the listed rows, without excluded rows."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.base.toml_text import toml_value
from mpbake.resolve.template import RESERVED
from mpbake.spec.problem import Problem
from mpbake.spec.tables.value_types import type_in_words, wrong_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.inheritance import InheritedTable
    from mpbake.resolve.values import ValueRenderer

MAX_ROWS = 20_000

_LOOK_UP = 100
"""The work of a look-up, in characters of a template."""

Row = dict[str, Any]
"""The values of a matrix's variables for one target."""


def matrix_rows(table: InheritedTable, scope: Mapping[str, Any], renderer: ValueRenderer) -> list[Row]:
    """Return the rows of a table's matrix, in order. A matrix with problems has no rows."""
    written = table.raw["matrix"]
    from_template = isinstance(written, str)
    problems_before = len(renderer.problems)
    value = renderer.render(written, scope, table.key_of, ("matrix",)) if from_template else written
    matrix = _Matrix(table=table, scope=scope, renderer=renderer, value=value, from_template=from_template)
    rows = matrix.rows() if len(renderer.problems) == problems_before else []
    if len(renderer.problems) == problems_before:
        rows = matrix.without_excluded(rows)
    return rows if len(renderer.problems) == problems_before else []


@dataclass(frozen=True, kw_only=True, slots=True)
class _Matrix:
    """A matrix: a table of lists, or a list of rows. `from_template`: `value` is the result of a template."""

    table: InheritedTable
    scope: Mapping[str, Any]
    renderer: ValueRenderer
    value: Any
    from_template: bool

    def rows(self) -> list[Row]:
        """Return the rows, also those that the table excludes. Report problems."""
        match self.value:
            case list() as rows:
                return self._listed(rows)
            case dict() as lists:
                return self._combined(lists)
            case _:
                message = f"must be a list of rows or a table of lists, not {type_in_words(self.value)}"
                self._report(Code.WRONG_TYPE, ("matrix",), message)
                return []

    def _listed(self, written: list[Any]) -> list[Row]:
        """Return the rows of a matrix that lists its rows."""
        if not written:
            self._report(Code.MATRIX_EMPTY, ("matrix",), "must have at least one row")
        if self._is_too_large(len(written)):
            return []
        wrong = [index for index, row in enumerate(written) if not isinstance(row, dict)]
        for index in wrong:
            self._report(Code.WRONG_TYPE, ("matrix", index), wrong_row(index, written[index]))
        if wrong:
            return []
        first_rows = {name: index for index, row in reversed([*enumerate(written)]) for name in row}
        for name, index in first_rows.items():
            self._check_name(("matrix", index, name))
        return [self._rendered(row, ("matrix", index)) for index, row in enumerate(written)]

    def _combined(self, written: Mapping[str, Any]) -> list[Row]:
        """Return all combinations of the values of a matrix's variables; the last variable changes fastest."""
        if not written:
            self._report(Code.MATRIX_EMPTY, ("matrix",), "must have at least one variable")
        lists: dict[str, list[Any]] = {}
        for name, values_written in written.items():
            problems_before = len(self.renderer.problems)
            values = self._values(values_written, ("matrix", name))
            if len(self.renderer.problems) > problems_before:
                continue
            values = [value for value in values if value is not None] if isinstance(values, list) else values
            if not isinstance(values, list) or not values:
                self._report(Code.MATRIX_EMPTY, ("matrix", name), "must be a list with at least one value")
                continue
            self._check_name(("matrix", name))
            lists[name] = values
        if self._is_too_large(math.prod(map(len, lists.values()))):
            return []
        return [dict(zip(lists, values, strict=True)) for values in itertools.product(*lists.values())]

    def _is_too_large(self, count: int) -> bool:
        """Whether the matrix would have too many rows. If so, report it."""
        if count > MAX_ROWS:
            message = f"makes {count} targets; at most {MAX_ROWS} are allowed"
            self._report(Code.MATRIX_TOO_LARGE, ("matrix",), message)
        return count > MAX_ROWS

    def without_excluded(self, rows: list[Row]) -> list[Row]:
        """Return the rows that match no entry of `exclude`. A match means that a row has all values of the entry."""
        entries = [
            self._rendered(entry, ("exclude", index)) for index, entry in enumerate(self.table.raw.get("exclude", ()))
        ]
        known = {name for row in rows for name in row}
        for index, entry in enumerate(entries):
            for name in entry.keys() - known:
                message = f'the matrix has no variable "{one_line(name)}"'
                self._report(Code.EXCLUDE_UNKNOWN, ("exclude", index, name), message)
        remaining = self._unmatched(rows, entries)
        if not remaining:
            self._report(Code.EXCLUDE_ALL, ("exclude",), "excludes every row of the matrix")
        return remaining

    def _unmatched(self, rows: list[Row], entries: list[Row]) -> list[Row]:
        """Return the rows that match none of `entries`. Entries with the same variables need one look-up for a row."""
        by_names: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
        for entry in entries:
            names = tuple(sorted(entry))
            by_names.setdefault(names, set()).add(_written(entry, names))
        self.renderer.templates.budget.spend(_LOOK_UP * len(rows) * len(by_names))
        return [
            row
            for row in rows
            if not any(
                all(name in row for name in names) and _written(row, names) in excluded
                for names, excluded in by_names.items()
            )
        ]

    def _values(self, written: Any, path: KeyPath) -> Any:
        """Return the values of a variable. Unlike elsewhere, an empty string is a value: `suffix = ["", "-debug"]`."""
        if self.from_template:
            return written
        if not isinstance(written, list):
            return self.renderer.render(written, self.scope, self.table.key_of, path)
        return [
            self.renderer.render(value, self.scope, self.table.key_of, (*path, index))
            for index, value in enumerate(written)
        ]

    def _rendered(self, row: Mapping[str, Any], path: KeyPath) -> Row:
        if self.from_template and path[0] == "matrix":
            return dict(row)
        return {
            name: self.renderer.render(value, self.scope, self.table.key_of, (*path, name))
            for name, value in row.items()
        }

    def _check_name(self, path: KeyPath) -> None:
        name = str(path[-1])
        if not name.isidentifier():
            message = f'"{one_line(name)}" is not a valid variable name'
            self._report(Code.BAD_VARIABLE_NAME, path, message, "use letters, digits and underscores")
        if name in RESERVED:
            message = f'"{one_line(name)}" is a reserved name in templates'
            self._report(Code.BAD_VARIABLE_NAME, path, message, "choose another name")
        if self.renderer.templates.has_function(name):
            message = f'"{one_line(name)}" is also a function'
            self._report(Code.NAME_TAKEN, path, message, "rename one of them")
        if name in self.scope:
            message = f'"{one_line(name)}" is also a variable of the plan'
            self._report(Code.MATRIX_HIDES_VARIABLE, path, message, "rename one of them")

    def _report(self, code: Code, path: KeyPath, message: str, hint: str = "") -> None:
        of_key = code in {Code.BAD_VARIABLE_NAME, Code.NAME_TAKEN, Code.MATRIX_HIDES_VARIABLE, Code.EXCLUDE_UNKNOWN}
        problem = Problem(code=code, key=self.table.key_of(path), message=message, hint=hint, of_key=of_key)
        self.renderer.problems.append(problem)


def _written(row: Row, names: Iterable[str]) -> tuple[str, ...]:
    """Return the values of `names` in `row` as TOML. Values are compared as written: 3.10 is not 3.1."""
    return tuple(toml_value(row[name]) for name in names)
