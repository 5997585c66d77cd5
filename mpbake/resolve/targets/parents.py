"""The parents of each table: tables, tables that templates choose, and single rows of a matrix."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.resolve.bound_text import Binding
from mpbake.resolve.names import UnknownReferences, could_be, cycle_problem, key_below, topological_order
from mpbake.resolve.targets.inheritance import (
    InheritedTable,
    TableLayers,
    inheritable,
    merged_tables,
    overrides_for,
    stated_table,
    with_overrides,
)
from mpbake.resolve.targets.matrix import matrix_rows
from mpbake.spec.problem import Problem
from mpbake.spec.tables.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.matrix import Row
    from mpbake.resolve.targets.overrides import SetOverride
    from mpbake.resolve.values import ValueRenderer
    from mpbake.spec.tables.plan_tables import PlanSpec

_MAX_DEPTH = 100
"""The maximum length of a chain of parents that templates choose, or that are rows of a matrix."""

_MERGED_ENTRY = 20
"""The work of merging an entry of a list or table, in characters of a template."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Lineage:
    """A table with one choice of parents, and the attributes that other tables inherit from it."""

    layers: TableLayers
    heritage: InheritedTable


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scope:
    """The values of variables, and the tables whose parents these values decide."""

    values: Mapping[str, Any]
    lineages: dict[str, _Lineage] = field(default_factory=dict)


class Inheritance:
    """The tables under `[targets]` with their inherited attributes: parents from left to right, own values last.

    Overrides of a table also apply to all tables that inherit from this table. Most tables have fixed parents: mpbake
    merges such a table once, after its parents. If a template chooses a parent, the parents depend on the scope, which
    holds the variables of the matrix row that inherits. All tables that inherit from such a table depend on it as well.
    """

    def __init__(
        self, spec: PlanSpec, scope: Mapping[str, Any], renderer: ValueRenderer, overrides: Sequence[SetOverride] = ()
    ) -> None:
        """`scope` holds the variables of the plan."""
        self._spec = spec
        self._scope = scope
        self._renderer = renderer
        self._overrides = overrides
        self._defaults = stated_table("", ("defaults", "target"), spec.defaults.target.written(), renderer.problems)
        self._own: dict[str, InheritedTable] = {}
        self._fixed: dict[str, _Lineage] = {}
        self._variants: dict[tuple[str, tuple[_Lineage, ...]], _Lineage] = {}
        self._rows: dict[str, list[Row]] = {}
        self._inherited_rows: dict[str, _Lineage | None] = {}
        self._path: list[tuple[str, _Scope | None]] = []
        self._reported: set[Problem] = set()
        self._merge_fixed_tables()

    def layers(self, name: str, scope: Mapping[str, Any]) -> TableLayers:
        """Return the layers of a table. Equal parents give the same object."""
        if name in self._fixed:
            return self._fixed[name].layers
        problems_before = len(self._renderer.problems)
        lineage = self._lineage(name, _Scope(values=scope))
        self._drop_repeated_problems(problems_before)
        return lineage.layers if lineage else self.own_layers(name)

    def own_layers(self, name: str) -> TableLayers:
        """Return the layers of a table. If templates choose its parents, the layers lack inherited values."""
        lineage = self._fixed.get(name)
        return lineage.layers if lineage else TableLayers(stated=self._own[name], defaults=self._defaults)

    def has_matrix(self, name: str) -> bool:
        """Whether the table has a matrix."""
        return self._own[name].has_matrix

    def rows(self, name: str) -> list[Row]:
        """Return the rows of a table's matrix, in order. A matrix with problems has no rows."""
        if name not in self._rows:
            self._rows[name] = matrix_rows(self._own[name], self._scope, self._renderer)
        return self._rows[name]

    @cached_property
    def matrix_variables(self) -> Mapping[str, set[str]]:
        """Return the names of the variables of each matrix, by the name of its table."""
        matrices = [name for name, table in self._own.items() if table.has_matrix and not name.startswith("_")]
        return {name: {variable for row in self.rows(name) for variable in row} for name in matrices}

    @cached_property
    def example_rows(self) -> Mapping[str, str]:
        """Return the name of the first matrix row with each variable, by the name of the variable."""
        rows = reversed([(name, row) for name, (_, row) in self._named_rows.items() if name])
        return {variable: name for name, row in rows for variable in row}

    @cached_property
    def _named_rows(self) -> Mapping[str, tuple[str, Row]]:
        """Return the table and the values of each matrix row, by the name of the row."""
        named: dict[str, tuple[str, Row]] = {}
        silent = replace(self._renderer, problems=[])  # the draft of a row reports the problems of its name
        for table_name, table in self._own.items():
            if table_name.startswith("_") or not table.has_matrix:
                continue
            for row in self.rows(table_name):
                self._renderer.templates.budget.spend(len(self._scope))
                name = silent.render(table.raw.get("name", ""), {**self._scope, **row}, table.key_of, ("name",))
                named.setdefault(str(name), (table_name, row))
        return named

    def _merge_fixed_tables(self) -> None:
        """Merge the tables with fixed parents, parents before children."""
        for name, table in self._spec.targets.items():
            self._own[name] = stated_table(name, ("targets", name), table.written(), self._renderer.problems)
        edges = {name: self._fixed_parents(name) for name in self._spec.targets}
        order = topological_order(edges, lambda name: ("targets", name, "inherits"), self._renderer.problems)
        dependent = {name for name in edges if self._has_choice(name)}
        for name in order:
            if name in dependent or not dependent.isdisjoint(edges[name]):
                dependent.add(name)
            else:
                self._fixed[name] = self._merged(name, [self._fixed[p] for p in edges[name] if p in self._fixed])

    def _fixed_parents(self, name: str) -> list[str]:
        """Return the tables that `inherits` names without a template. Report unknown names."""
        written = self._spec.targets[name].inherits
        if isinstance(written, str):
            return []
        for index, parent in enumerate(written):
            if parent not in self._spec.targets and not MARKER.search(parent) and parent not in self._named_rows:
                self._report_unknown(parent, ("targets", name, "inherits", index))
        return [parent for parent in written if parent in self._spec.targets]

    def _has_choice(self, name: str) -> bool:
        """Whether a template chooses a parent of the table, or a parent is a row of a matrix."""
        written = self._spec.targets[name].inherits
        unlisted = [parent for parent in written if parent not in self._spec.targets]
        return isinstance(written, str) or any(MARKER.search(name) or name in self._named_rows for name in unlisted)

    def _merged(self, name: str, parents: Sequence[_Lineage]) -> _Lineage:
        stated = merged_tables(name, [*(parent.heritage for parent in parents), self._own[name]])
        heritage = inheritable(with_overrides(stated, overrides_for(self._overrides, name), self._defaults))
        return _Lineage(layers=TableLayers(stated=stated, defaults=self._defaults), heritage=heritage)

    def _lineage(self, name: str, scope: _Scope) -> _Lineage | None:
        """Return the table `name` with the parents that it has in `scope`. Return None for a table in a cycle."""
        if name in self._fixed:
            return self._fixed[name]
        if name not in scope.lineages:
            if not self._enter(name, scope):
                return None
            parents = tuple(self._parents(name, scope))
            self._path.pop()
            if (name, parents) not in self._variants:
                entries = sum(parent.heritage.entry_count for parent in parents)
                self._renderer.templates.budget.spend(_MERGED_ENTRY * entries)
                self._variants[name, parents] = self._merged(name, parents)
            scope.lineages[name] = self._variants[name, parents]
        return scope.lineages[name]

    def _lineage_of_row(self, name: str) -> _Lineage | None:
        """Return a matrix row, or None for a row in a cycle. Its templates are bound to the variables of the row."""
        if name not in self._inherited_rows:
            if not self._enter(name):
                return None
            table_name, row = self._named_rows[name]
            lineage = self._lineage(table_name, _Scope(values={**self._scope, **row}))
            self._path.pop()
            self._inherited_rows[name] = lineage and self._bound(lineage, name, row)
        return self._inherited_rows[name]

    def _bound(self, lineage: _Lineage, name: str, row: Row) -> _Lineage:
        stated = lineage.layers.stated
        overridden = with_overrides(stated, overrides_for(self._overrides, name, stated.name), self._defaults)
        return _Lineage(layers=lineage.layers, heritage=inheritable(overridden).bound(Binding(values=row)))

    def _parents(self, name: str, scope: _Scope) -> Iterator[_Lineage]:
        """Yield the parents of a table in `scope`. Report and skip unknown names."""
        for key, parent in self._parent_names(name, scope):
            lineage = None
            if parent in self._spec.targets:
                lineage = self._lineage(parent, scope)
            elif parent in self._named_rows:
                lineage = self._lineage_of_row(parent)
            else:
                self._report_unknown(parent, key)
            if lineage:
                yield lineage

    def _parent_names(self, name: str, scope: _Scope) -> Iterator[tuple[KeyPath, str]]:
        """Yield the rendered names in `inherits`, each with its key. Empty names are no parents."""
        written = self._spec.targets[name].inherits
        key_of = key_below("targets", name)
        problems_before = len(self._renderer.problems)
        rendered = self._renderer.render(written, scope.values, key_of, ("inherits",))
        if not isinstance(rendered, list) or not all(isinstance(parent, str | None) for parent in rendered):
            if len(self._renderer.problems) == problems_before:
                message = "must be a list of names"
                self._renderer.problems.append(
                    Problem(code=Code.WRONG_TYPE, key=key_of(("inherits",)), message=message)
                )
            return
        for index, parent in enumerate(rendered):
            if parent:
                yield key_of(("inherits",) if isinstance(written, str) else ("inherits", index)), parent

    def _enter(self, name: str, scope: _Scope | None = None) -> bool:
        """Add a table in `scope`, or a row, to the path of parents. Report a cycle or a path that is too long."""
        step = (name, scope)
        if step in self._path:
            cycle = [visited for visited, _ in self._path[self._path.index(step) :]]
            self._renderer.problems.append(cycle_problem(cycle, self._key_of_parents))
        elif len(self._path) >= _MAX_DEPTH:
            message = f"inherits through more than {_MAX_DEPTH} tables whose parents depend on templates or rows"
            key = self._key_of_parents(name)
            self._renderer.problems.append(Problem(code=Code.TOO_DEEP, key=key, message=message))
        else:
            self._path.append(step)
            return True
        return False

    def _key_of_parents(self, name: str) -> KeyPath:
        """Return the key of the `inherits` of a table, or of the table of a row."""
        return ("targets", name if name in self._spec.targets else self._named_rows[name][0], "inherits")

    def _report_unknown(self, name: str, key: KeyPath) -> None:
        """Report an unknown parent, unless a matrix with problems might have a row of this name."""
        if not any(could_be(written, name) for written in self._names_of_missing_rows):
            self._renderer.problems.append(self._unknown.problem(name, key))

    @cached_property
    def _unknown(self) -> UnknownReferences:
        return UnknownReferences(Code.UNKNOWN_TARGET, [*self._spec.targets, *self._named_rows])

    @cached_property
    def _names_of_missing_rows(self) -> list[str]:
        """Return `name` of each matrix whose rows are unknown because of a problem."""
        matrices = [name for name, table in self._own.items() if table.has_matrix]
        return [self._spec.targets[name].name for name in matrices if not self.rows(name)]

    def _drop_repeated_problems(self, start: int) -> None:
        """Drop problems from the index `start` on that other rows have reported."""
        problems = dict.fromkeys(self._renderer.problems[start:])
        self._renderer.problems[start:] = [problem for problem in problems if problem not in self._reported]
        self._reported.update(problems)
