"""Evaluate expressions of bake files: enough of HCL for the tests of reading, without any variables of a file."""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING, Any, assert_never

from mpbake.conversion.syntax import (
    Attribute,
    Binary,
    Call,
    Conditional,
    Expression,
    ForList,
    ForObject,
    Index,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Splat,
    Template,
    TemplateFor,
    TemplateIf,
    Unary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "&&": lambda left, right: left and right,
    "||": lambda left, right: left or right,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "upper": str.upper,
    "join": lambda separator, *lists: separator.join(text(item) for items in lists for item in items),
    "max": max,
    "jsonencode": lambda value: json.dumps(value, separators=(",", ":"), sort_keys=True),
}


def text(value: Any) -> str:
    """Return a value as bake prints it in an argument."""
    match value:
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.10g}"
        case _:
            return str(value)


def evaluate(expression: Expression, names: Mapping[str, Any] | None = None) -> Any:  # noqa: C901, PLR0911, PLR0912
    """Return the value of an expression."""
    scope = dict(names or {})

    def value_of(part: Expression) -> Any:
        return evaluate(part, scope)

    match expression:
        case Literal(value=value):
            return value
        case Name(name=name):
            return scope[name]
        case Template(parts=(Literal() | TemplateIf() | TemplateFor(), *_) | (_, _, *_)) as template:
            return "".join(text(value_of(part)) for part in template.parts)
        case Template(parts=parts):
            return value_of(parts[0])
        case TemplateIf() | Conditional():
            return value_of(expression.then if value_of(expression.condition) else expression.otherwise)
        case TemplateFor(body=body):
            return "".join(text(evaluate(body, bound)) for bound in _rows(expression, scope))
        case Attribute(operand=operand, name=name):
            return value_of(operand)[name]
        case Index(operand=operand, key=key):
            return value_of(operand)[value_of(key)]
        case Splat(operand=operand, each=rest):
            return [evaluate(rest, {**scope, "*": item}) for item in value_of(operand)]
        case Call(function=function, arguments=arguments, expand=expand):
            values = [value_of(argument) for argument in arguments]
            return _FUNCTIONS[function](*values[:-1], *values[-1]) if expand else _FUNCTIONS[function](*values)
        case Unary(operator=sign, operand=operand):
            return not value_of(operand) if sign == "!" else -value_of(operand)
        case Binary(operator=sign, left=left, right=right):
            return _whole(_OPERATORS[sign](value_of(left), value_of(right)))
        case ListOf(items=items):
            return [value_of(item.value) for item in items]
        case ObjectOf(pairs=pairs):
            return {text(value_of(pair.key)): value_of(pair.value) for pair in pairs}
        case ForList(result=result):
            return [evaluate(result, bound) for bound in _rows(expression, scope)]
        case ForObject():
            return _object(expression, scope)
        case _:
            assert_never(expression)


def _object(expression: ForObject, scope: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for bound in _rows(expression, scope):
        key, value = text(evaluate(expression.result_key, bound)), evaluate(expression.result, bound)
        if expression.grouped:
            result.setdefault(key, []).append(value)
        else:
            result[key] = value
    return result


def _rows(expression: TemplateFor | ForList | ForObject, scope: dict[str, Any]) -> Iterator[dict[str, Any]]:
    collection = evaluate(expression.collection, scope)
    pairs = collection.items() if isinstance(collection, dict) else enumerate(collection)
    for key, value in pairs:
        bound = {**scope, expression.key: key, expression.value: value}
        condition = None if isinstance(expression, TemplateFor) else expression.condition
        if condition is None or evaluate(condition, bound):
            yield bound


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value
