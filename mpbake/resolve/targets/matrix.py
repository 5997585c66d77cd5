"""The rows of a matrix: all combinations of lists, or the listed rows, without excluded rows."""

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
    matrix = _Matrix(table=table, scope=scope, renderer=renderer)
    problems_before = len(renderer.problems)
    rows = matrix.listed() if isinstance(table.raw["matrix"], list) else matrix.combined()
    if len(renderer.problems) == problems_before:
        rows = matrix.without_excluded(rows)
    return rows if len(renderer.problems) == problems_before else []


@dataclass(frozen=True, kw_only=True, slots=True)
class _Matrix:
    table: InheritedTable
    scope: Mapping[str, Any]
    renderer: ValueRenderer

    def listed(self) -> list[Row]:
        """Return the rows of a matrix that lists its rows."""
        rows = [self._rendered(row, ("matrix", index)) for index, row in enumerate(self.table.raw["matrix"])]
        for index, row in enumerate(rows):
            for name in row:
                self._check_name(("matrix", index, name))
        if not rows:
            self._report(Code.MATRIX_EMPTY, ("matrix",), "must have at least one row")
        return rows

    def combined(self) -> list[Row]:
        """Return all combinations of the values of a matrix's variables; the last variable changes fastest."""
        lists: dict[str, list[Any]] = {}
        count = 1
        for name, written in self.table.raw["matrix"].items():
            problems_before = len(self.renderer.problems)
            values = self._values(written, ("matrix", name))
            if len(self.renderer.problems) > problems_before:
                continue
            values = [value for value in values if value is not None] if isinstance(values, list) else values
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
        if not isinstance(written, list):
            return self.renderer.render(written, self.scope, self.table.key_of, path)
        return [
            self.renderer.render(value, self.scope, self.table.key_of, (*path, index))
            for index, value in enumerate(written)
        ]

    def _rendered(self, row: Mapping[str, Any], path: KeyPath) -> Row:
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
