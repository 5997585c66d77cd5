"""What the names of a bake file mean in every expression: names in the plan, and static types."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mpbake.conversion.plan.names import blocks_of, matrix_lists
from mpbake.conversion.plan.walks import names_in
from mpbake.conversion.syntax import BakeFile, Expression, Function, Literal, Target, Variable
from mpbake.conversion.translation import (
    Bound,
    BoundFunction,
    Kind,
    Scope,
    Type,
    Untranslatable,
    template_name,
    translate_value,
    type_of_constraint,
    type_of_value,
)
from mpbake.conversion.translation.expressions import code_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mpbake.conversion.plan.names import Names

ANY = Type(kind=Kind.ANY, nullable=True)
_STRING = type_of_value("")


def plan_scope(file: BakeFile, names: Names) -> Scope:
    """Return the scope of the whole file: its variables, its functions, and the attributes of its targets."""
    functions = blocks_of(file, Function)
    bound = {
        name: BoundFunction(
            name=names.functions[name],
            params=(ANY,) * (len(function.params) + bool(function.variadic)),
            variadic=bool(function.variadic),
        )
        for name, function in functions.items()
    }
    targets = {
        name: {entry.name: entry.value for entry in target.entries}
        for name, target in blocks_of(file, Target).items()
        if "matrix" not in {entry.name for entry in target.entries}
    }
    types = _VariableTypes(
        variables=blocks_of(file, Variable), names=names, scope=Scope(functions=bound, targets=targets)
    )
    scope = Scope(names=types.bound(), functions=bound, targets=targets)
    return _with_usable_functions(scope, functions)


def parameters(function: Function, scope: Scope) -> dict[str, Bound]:
    """Return the parameters of a function. A parameter must not have the name of a function."""
    taken = [known.name for known in scope.functions.values()]
    names = [*function.params, *([function.variadic] if function.variadic else [])]
    bound: dict[str, Bound] = {}
    for name in names:
        bound[name] = Bound(name=local_name(name, [*taken, *(known.name for known in bound.values())]))
    return bound


def local_name(name: str, taken: Collection[str]) -> str:
    """Return the name of a parameter or matrix variable: its own, if nothing else has it."""
    word = template_name(name)
    return word if word not in taken else template_name(f"{word}_value", taken)


def _with_usable_functions(scope: Scope, functions: Mapping[str, Function]) -> Scope:
    """Return the scope without the functions that the plan language cannot express, and those that call them."""
    while True:
        usable = {}
        for name in scope.functions:
            inner = scope.bind(parameters(functions[name], scope))
            try:
                translate_value(functions[name].result, inner)
            except Untranslatable:
                continue
            usable[name] = replace(scope.functions[name], result=_type(functions[name].result, inner))
        if usable.keys() == scope.functions.keys():
            return replace(scope, functions=usable)
        scope = replace(scope, functions=usable)


def _type(expression: Expression, scope: Scope) -> Type:
    try:
        return code_of(expression, scope).type
    except Untranslatable:
        return ANY


@dataclass(kw_only=True)
class _VariableTypes:
    """The types of the variables. The type of a variable without `type` is that of its default."""

    variables: Mapping[str, Variable]
    names: Names
    scope: Scope
    _types: dict[str, Type] = field(default_factory=dict)

    def bound(self) -> dict[str, Bound]:
        """Return all variables with their types."""
        for name in self.variables:
            self._type(name)
        return {name: Bound(name=self.names.variables[name], type=self._types[name]) for name in self.variables}

    def _type(self, name: str) -> Type:
        if name not in self._types:
            self._types[name] = ANY  # for a variable that refers to itself, which bake refuses
            self._types[name] = self._declared(self.variables[name])
        return self._types[name]

    def _declared(self, variable: Variable) -> Type:
        default = variable.default
        if variable.type is not None:
            declared = type_of_constraint(variable.type)
            return declared.or_null() if _is_null(default) else declared
        if default is None:
            return _STRING
        if _is_null(default):
            return _STRING.or_null()
        used = {name: Bound(name=name, type=self._type(name)) for name in names_in(default) & self.variables.keys()}
        return _type(default, self.scope.bind(used))


def _is_null(default: Expression | None) -> bool:
    return default is None or (isinstance(default, Literal) and default.value is None)


def plan_words(scope: Scope) -> list[str]:
    """Return the names in templates of all variables and functions of a scope."""
    return [*(known.name for known in scope.names.values()), *(known.name for known in scope.functions.values())]


def row_names(matrix: Expression, variables: Mapping[str, Variable], scope: Scope) -> dict[str, Bound]:
    """Return the variables of a matrix, with their types."""
    taken = plan_words(scope)
    bound: dict[str, Bound] = {}
    for name, values in matrix_lists(matrix, variables).items():
        word = local_name(name, [*taken, *(known.name for known in bound.values())])
        bound[name] = Bound(name=word, type=_type(values, scope).contents)
    return bound
