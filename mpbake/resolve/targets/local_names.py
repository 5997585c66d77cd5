"""The names in `let` of a target: values for the templates of this target or matrix row alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.resolve.names import strings_in, topological_order
from mpbake.resolve.template import RESERVED
from mpbake.resolve.values import drop_absent
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.resolve.targets.inheritance import InheritedTable
    from mpbake.resolve.values import ValueRenderer

LET = "let"
_REPLACEMENT = "none"
"""The value of a name with a reported problem: valid in most places, so that few errors follow."""


@dataclass(frozen=True, kw_only=True)
class LocalNames:
    """The names in `let` of a table. The order of their values is computed once for all rows of a matrix."""

    table: InheritedTable
    renderer: ValueRenderer

    @cached_property
    def _written(self) -> Mapping[str, Any]:
        return self.table.raw.get(LET, {})  # type: ignore[no-any-return]

    @cached_property
    def _order(self) -> list[str]:
        """The names, each after the names that its value refers to. Cycles are reported once."""
        names_in = self.renderer.templates.names
        referred = {
            name: {used for text in strings_in(value) for used in names_in(text)}
            for name, value in self._written.items()
        }
        edges = {name: [other for other in self._written if other in used] for name, used in referred.items()}
        return topological_order(edges, lambda name: self.table.key_of((LET, name)), self.renderer.problems)

    def scope(self, scope: dict[str, Any]) -> dict[str, Any]:
        """Return `scope`, the variables of the plan and of a matrix row, with the values of the names."""
        problems = self.renderer.problems
        # Names on a cycle are reported already, and must not also be reported as unknown.
        values: dict[str, Any] = dict.fromkeys(self._order, _REPLACEMENT)
        for name in self._order:
            self._check_name(name, scope)
            before = len(problems)
            value = self.renderer.render(self._written[name], scope | values, self.table.key_of, (LET, name))
            values[name] = _REPLACEMENT if len(problems) > before else drop_absent(value)
        return scope | values

    def _check_name(self, name: str, scope: Mapping[str, Any]) -> None:
        code, hint = Code.NAME_TAKEN, "rename one of them"
        if not name.isidentifier():
            code, hint = Code.BAD_VARIABLE_NAME, "use letters, digits and underscores"
            message = f'"{one_line(name)}" is not a valid variable name'
        elif name in RESERVED:
            code, hint = Code.BAD_VARIABLE_NAME, "choose another name"
            message = f'"{name}" is a reserved name in templates'
        elif name in scope:
            message = f'"{name}" is also a variable of the plan or of the matrix'
        elif self.renderer.templates.has_function(name):
            message = f'"{name}" is also a function'
        else:
            return
        key = self.table.key_of((LET, name))
        if not any(problem.key == key and problem.code is code for problem in self.renderer.problems):
            problem = Problem(code=code, key=key, message=message, hint=hint, of_key=True)
            self.renderer.problems.append(problem)
