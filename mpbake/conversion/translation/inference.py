"""The types of the parameters of functions, from all calls in a bake file."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from mpbake.conversion.parts import children
from mpbake.conversion.syntax import (
    SPLAT_ITEM,
    Call,
    Expression,
    ForList,
    ForObject,
    Literal,
    Splat,
    TemplateFor,
)
from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.expressions import code_of
from mpbake.conversion.translation.scope import Bound
from mpbake.conversion.translation.types import ANY, NUMBER, STRING, Kind, Type, list_of, same_type, tuple_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.conversion.syntax import Function
    from mpbake.conversion.translation.scope import BoundFunction, Scope

    _Calls = dict[str, list[tuple[Type, ...]]]


_NULL = tuple_of([ANY, ANY]).or_null()
"""Stands for the type of the literal `null`, which fits all other types."""


def type_of(expression: Expression, scope: Scope) -> Type:
    """Return the static type of an expression; `ANY` if it is not known."""
    try:
        return code_of(expression, scope).type
    except Untranslatable:
        return ANY


def with_inferred_types(
    scope: Scope, functions: Mapping[str, Function], expressions: Iterable[tuple[Expression, Scope]]
) -> Scope:
    """Return the scope with the types of parameters and results of functions.

    `expressions` are all expressions of the file outside of functions, each with its scope. A parameter has a type if
    all calls pass values of this type.
    """
    outer = list(expressions)
    for _ in range(len(functions) + 1):
        calls: _Calls = {name: [] for name in functions}
        for expression, inner in outer:
            _record(expression, replace(inner, functions=scope.functions), calls)
        for name, function in functions.items():
            if name in scope.functions:
                _record(function.result, inside(function, scope), calls)
        inferred = {
            name: _inferred(bound, functions[name], calls[name], scope) for name, bound in scope.functions.items()
        }
        if inferred == scope.functions:
            break
        scope = replace(scope, functions=inferred)
    return scope


def inside(function: Function, scope: Scope) -> Scope:
    """Return the scope of the result of a function: its parameters have the types that `scope` knows."""
    names = [*function.params, *([function.variadic] if function.variadic else [])]
    types = scope.functions[function.name].params
    return scope.bind({name: Bound(name=name, type=type_) for name, type_ in zip(names, types, strict=False)})


def _inferred(bound: BoundFunction, function: Function, calls: list[tuple[Type, ...]], scope: Scope) -> BoundFunction:
    params = [_common([call[index] for call in calls if index < len(call)]) for index in range(len(function.params))]
    if function.variadic:
        params.append(list_of(_common([type_ for call in calls for type_ in call[len(function.params) :]])))
    typed = replace(bound, params=tuple(params))
    inner = inside(function, replace(scope, functions={**scope.functions, function.name: typed}))
    return replace(typed, result=type_of(function.result, inner))


def _common(types: list[Type]) -> Type:
    """Return the type of all arguments."""
    known = [type_ for type_ in types if type_ != _NULL]
    if not known:
        return ANY
    common = reduce(same_type, known)
    return common if len(known) == len(types) else common.or_null()


def _argument_type(argument: Expression, scope: Scope) -> Type:
    return _NULL if isinstance(argument, Literal) and argument.value is None else type_of(argument, scope)


def _record(node: Expression, scope: Scope, calls: _Calls) -> None:
    """Add the types of the arguments of all calls in an expression to `calls`."""
    match node:
        case Call(function=name, arguments=arguments, expand=expand) if name in scope.functions:
            types = [_argument_type(argument, scope) for argument in arguments]
            if expand:
                types[-1:] = types[-1].items or [types[-1].contents] * 8
            calls[name].append(tuple(types))
            _record_all(arguments, scope, calls)
        case ForList() | ForObject() | TemplateFor():
            _record(node.collection, scope, calls)
            inner = _inside_loop(node, scope)
            _record_all([part for part in children(node) if part is not node.collection], inner, calls)
        case Splat(operand=operand, each=each):
            _record(operand, scope, calls)
            _record(each, scope.bind({SPLAT_ITEM: Bound(name="item", type=type_of(operand, scope).contents)}), calls)
        case _:
            _record_all(children(node), scope, calls)


def _record_all(nodes: Iterable[Expression], scope: Scope, calls: _Calls) -> None:
    for node in nodes:
        _record(node, scope, calls)


def _inside_loop(loop: ForList | ForObject | TemplateFor, scope: Scope) -> Scope:
    collection = type_of(loop.collection, scope)
    names = {loop.value: Bound(name=loop.value, type=collection.contents)}
    if loop.key:
        key = STRING if collection.is_table else ANY if collection.kind is Kind.ANY else NUMBER
        names[loop.key] = Bound(name=loop.key, type=key)
    return scope.bind(names)
