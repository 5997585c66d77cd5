"""The functions of a plan: mpbake checks them when it reads the plan, even if no template calls them."""

from __future__ import annotations

import itertools
import keyword
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.text import did_you_mean, one_line
from mpbake.resolve.names import is_on_cycle, key_below, strings_in, topological_order
from mpbake.resolve.template import RESERVED, Function, Renderer, TemplateProblem
from mpbake.spec.problem import Problem
from mpbake.spec.tables.value_types import MARKER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.base.errors import KeyPath
    from mpbake.spec.tables.plan_tables import FunctionSpec, PlanSpec

_REPLACEMENT = Function(name="", variadic="arguments", result="none")
"""The replacement for a function with a problem. Its result is valid in most places, so that few errors follow."""


def define_functions(spec: PlanSpec, templates: Renderer, problems: list[Problem]) -> None:
    """Let `templates` call the functions of a plan, and report the problems of the functions."""
    declared = {name: _Declaration(name=name, spec=function, plan=spec) for name, function in spec.functions.items()}
    faults = {name: list(declaration.problems(templates)) for name, declaration in declared.items()}
    # A function must not replace a filter or a reserved name.
    named = {name: declaration for name, declaration in declared.items() if declaration.is_callable(templates)}
    for name, declaration in named.items():
        templates.define(declaration.function(valid=not faults[name]))
    calls = {name: templates.called(declaration.texts) for name, declaration in named.items()}
    cycles: list[Problem] = []
    variables: dict[str, frozenset[str]] = {}
    for name in topological_order(calls, key_below("functions"), cycles):
        own = named[name].variables(templates)
        variables[name] = own.union(*(variables.get(called, frozenset()) for called in calls[name]))
    for name, declaration in declared.items():
        faults[name] = faults[name] or list(declaration.problems_of_result(templates))
    problems += [*(problem for fault in faults.values() for problem in fault), *cycles]
    for name, declaration in named.items():
        valid = not faults[name] and not (cycles and is_on_cycle(name, calls))
        templates.define(declaration.function(valid=valid), variables[name])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Declaration:
    """A function as written in a plan."""

    name: str
    spec: FunctionSpec
    plan: PlanSpec

    @property
    def texts(self) -> tuple[str, ...]:
        """The templates of the result."""
        return tuple(text for text in strings_in(self.spec.result) if MARKER.search(text))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters."""
        return (*self.spec.params, *((self.spec.variadic_param,) if self.spec.variadic_param else ()))

    def function(self, *, valid: bool) -> Function:
        """Return the function, or the replacement for a function that is not valid."""
        if not valid:
            return Function(name=self.name, variadic=_REPLACEMENT.variadic, result=_REPLACEMENT.result)
        spec = self.spec
        return Function(
            name=self.name,
            params=tuple(spec.params),
            defaults=spec.defaults,
            variadic=spec.variadic_param,
            result=spec.result,
        )

    def variables(self, templates: Renderer) -> frozenset[str]:
        """Return the variables that the result refers to, without those of other functions."""
        used = {name for text in self.texts for name in templates.own_names(text)}
        return frozenset(used - set(self.parameters)) & self.plan.variables.keys()

    def is_callable(self, templates: Renderer) -> bool:
        """Whether the name of the function is valid and not taken."""
        return _is_name(self.name) and not self._taken(templates)

    def problems(self, templates: Renderer) -> Iterator[Problem]:
        """Yield the problems of the declaration: its name and its parameters."""
        if not _is_name(self.name):
            message = f'"{one_line(self.name)}" is not a valid name of a function'
            yield self._problem(Code.BAD_FUNCTION, (), message, _HINT_FOR_NAME)
        taken = self._taken(templates)
        if taken:
            yield self._problem(Code.NAME_TAKEN, (), f'"{self.name}" is also {taken}', "rename the function")
        yield from self._problems_of_parameters()
        yield from self._problems_of_defaults()

    def _taken(self, templates: Renderer) -> str:
        """Return a noun for what else has the name of the function, or an empty text."""
        if self.name in self.plan.variables:
            return "a variable of the plan"
        if self.name in RESERVED:
            return "a reserved name in templates"
        return "a filter" if templates.has_filter(self.name) else ""

    def _problems_of_parameters(self) -> Iterator[Problem]:
        paths: list[KeyPath] = [*(("params", index) for index in range(len(self.spec.params))), ("variadic-param",)]
        for index, (name, path) in enumerate(zip(self.parameters, paths, strict=False)):
            if name in RESERVED:
                message = f'"{name}" is a reserved name in templates'
                yield self._problem(Code.BAD_FUNCTION, path, message, _HINT_FOR_NAME)
            elif not _is_name(name):
                message = f'"{one_line(name)}" is not a valid name of a parameter'
                yield self._problem(Code.BAD_FUNCTION, path, message, _HINT_FOR_NAME)
            elif name in self.plan.functions:
                yield self._problem(Code.NAME_TAKEN, path, f'"{name}" is also a function', "rename the parameter")
            if name in self.parameters[:index]:
                message = f'two parameters are called "{one_line(name)}"'
                yield self._problem(Code.BAD_FUNCTION, path, message, "rename one of them")
        for before, name in itertools.pairwise(self.spec.params):
            if before in self.spec.defaults and name not in self.spec.defaults:
                message = f'the parameter "{one_line(name)}" has no default, but follows one with a default'
                hint = "move parameters with a default to the end"
                yield self._problem(Code.BAD_FUNCTION, ("params",), message, hint, name)

    def _problems_of_defaults(self) -> Iterator[Problem]:
        for name, value in self.spec.defaults.items():
            if name not in self.spec.params:
                message = f'the function has no parameter "{one_line(name)}"'
                hint = did_you_mean(name, self.spec.params, kind="parameters")
                yield self._problem(Code.BAD_FUNCTION, ("defaults", name), message, hint)
            if any(map(MARKER.search, strings_in(value))):
                message, hint = "a default cannot contain a template", "put the template into `result`"
                yield self._problem(Code.BAD_FUNCTION, ("defaults", name), message, hint)

    def problems_of_result(self, templates: Renderer) -> Iterator[Problem]:
        """Yield the problems of the result: syntax, unknown names, and calls with wrong arguments."""
        for text in self.texts:
            try:
                templates.check_calls(text)
            except TemplateProblem as error:
                message, _, hint = str(error).partition("\n")
                yield self._problem(error.code, ("result",), message, hint, error.culprit)
                continue
            for name in sorted(templates.own_names(text) - set(self.parameters) - self.plan.variables.keys()):
                yield self._unknown_name(name)

    def _unknown_name(self, name: str) -> Problem:
        if name == "platform":
            message, hint = "`platform` is not available in functions", "pass it: add a parameter to the function"
        else:
            message = f'unknown variable "{name}"'
            hint = did_you_mean(name, [*self.parameters, *self.plan.variables], kind="variables")
        return self._problem(Code.UNDEFINED_VARIABLE, ("result",), message, hint, name)

    def _problem(self, code: Code, path: KeyPath, message: str, hint: str, culprit: str = "") -> Problem:
        key: KeyPath = ("functions", self.name, *path)
        return Problem(code=code, key=key, message=message, hint=hint, culprit=culprit, of_key=not path)


def _is_name(name: str) -> bool:
    """Whether `name` can be the name of a function or parameter."""
    return name.isidentifier() and not keyword.iskeyword(name) and name not in _WORDS


_HINT_FOR_NAME = "choose another name, of letters, digits and underscores"
_WORDS = frozenset({"true", "false", "none", "self", "super", "caller", "loop", "varargs", "kwargs"})
"""Words that have a meaning of their own in templates."""
