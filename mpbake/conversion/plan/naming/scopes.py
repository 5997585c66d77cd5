"""The meaning of the names of a bake file in each expression: names in the plan, and static types."""

from __future__ import annotations

import keyword
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mpbake.conversion.plan.blocks import blocks_of, matrix_entry
from mpbake.conversion.plan.rewriting.walks import expressions_of, names_in
from mpbake.conversion.syntax import BakeFile, Expression, Function, Literal, Target, Variable
from mpbake.conversion.translation import (
    ANY,
    Bound,
    BoundFunction,
    Scope,
    Type,
    Untranslatable,
    template_name,
    translate_value,
    type_of,
    type_of_constraint,
    type_of_value,
    with_inferred_types,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mpbake.conversion.plan.naming.names import Names

_STRING = type_of_value("")
_PASSES = 2
"""The types of matrix variables and of functions depend on each other."""


def plan_scope(file: BakeFile, names: Names) -> Scope:
    """Return the scope of the whole file: its variables, its functions, and the attributes of its targets.

    A function that the plan language cannot express is not in the scope.
    """
    functions = blocks_of(file, Function)
    bound = {
        name: BoundFunction(
            name=names.functions[name],
            params=(ANY,) * (len(function.params) + bool(function.variadic)),
            variadic=bool(function.variadic),
        )
        for name, function in functions.items()
    }
    scope = Scope(functions=bound, targets=_referable(file))
    types = _VariableTypes(variables=blocks_of(file, Variable), names=names, scope=scope)
    scope = scope.bind(types.bound())
    for _ in range(_PASSES):
        scope = with_inferred_types(scope, functions, _outer_expressions(file, scope))
    return _with_usable_functions(scope, functions)


def _referable(file: BakeFile) -> dict[str, dict[str, Expression]]:
    """Return the attributes that other expressions can refer to, as `target.base.args`."""
    targets = blocks_of(file, Target).items()
    return {
        name: {entry.name: entry.value for entry in target.entries}
        for name, target in targets
        if matrix_entry(target) is None
    }


def _outer_expressions(file: BakeFile, scope: Scope) -> Iterator[tuple[Expression, Scope]]:
    """Yield the expressions outside of functions, each with its scope."""
    for block in file.blocks:
        if isinstance(block, Function):
            continue
        matrix = matrix_entry(block) if isinstance(block, Target) else None
        inner = scope if matrix is None else scope.bind(row_names(matrix, scope))
        for expression in expressions_of(block):
            yield expression, scope if expression is matrix else inner


def parameters(function: Function, scope: Scope) -> dict[str, Bound]:
    """Return the parameters of a function. A parameter must not have the name of a function."""
    taken = [known.name for known in scope.functions.values()]
    names = [*function.params, *([function.variadic] if function.variadic else [])]
    bound: dict[str, Bound] = {}
    for name, type_ in zip(names, scope.functions[function.name].params, strict=True):
        bound[name] = Bound(name=local_name(name, [*taken, *(known.name for known in bound.values())]), type=type_)
    return bound


def local_name(name: str, taken: Collection[str]) -> str:
    """Return the name of a parameter or matrix variable: its own, if nothing else has it."""
    word = template_name(name)
    is_free = word not in taken and not keyword.iskeyword(word)
    return word if is_free else template_name(f"{word}_value", taken)


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
            usable[name] = scope.functions[name]
        if usable.keys() == scope.functions.keys():
            return replace(scope, functions=usable)
        scope = replace(scope, functions=usable)


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
        return type_of(default, self.scope.bind(used))


def _is_null(default: Expression | None) -> bool:
    return default is None or (isinstance(default, Literal) and default.value is None)


def plan_words(scope: Scope) -> list[str]:
    """Return the names in templates of all variables and functions of a scope."""
    return [*(known.name for known in scope.names.values()), *(known.name for known in scope.functions.values())]


def row_names(matrix: Expression, scope: Scope) -> dict[str, Bound]:
    """Return the variables of a matrix, with their types."""
    taken = plan_words(scope)
    bound: dict[str, Bound] = {}
    for name, values in type_of(matrix, scope).attributes.items():
        word = local_name(name, [*taken, *(known.name for known in bound.values())])
        bound[name] = Bound(name=word, type=values.contents)
    return bound
