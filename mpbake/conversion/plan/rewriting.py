"""Change the results of an expression, wherever it decides between several, and keep everything else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import (
    Call,
    Conditional,
    Expression,
    ForList,
    ListOf,
    Literal,
    ObjectOf,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_PASSES_ITEMS = frozenset({"concat", "flatten", "compact", "distinct", "setunion", "reverselist", "reverse"})
"""Functions whose result has the items of their arguments."""


def with_items(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return an expression in which `change` is applied to each item of a list, or to each value of an object."""
    match expression:
        case ListOf(items=items):
            return replace(
                expression, items=tuple(replace(item, value=with_result(item.value, change)) for item in items)
            )
        case ObjectOf(pairs=pairs):
            return replace(
                expression, pairs=tuple(replace(pair, value=with_result(pair.value, change)) for pair in pairs)
            )
        case Conditional(then=then, otherwise=otherwise):
            return replace(expression, then=with_items(then, change), otherwise=with_items(otherwise, change))
        case ForList(result=result):
            return replace(expression, result=with_result(result, change))
        case Call(function=function, arguments=arguments) if function in _PASSES_ITEMS:
            return replace(expression, arguments=tuple(with_items(argument, change) for argument in arguments))
        case _:
            return expression


def with_result(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return an expression in which `change` is applied to the result, in both cases of a conditional."""
    match expression:
        case Conditional(then=then, otherwise=otherwise):
            return replace(expression, then=with_result(then, change), otherwise=with_result(otherwise, change))
        case _:
            return change(expression)


def with_names(expression: Expression, change: Callable[[str], str]) -> Expression:
    """Return a list in which `change` is applied to each literal string."""
    return with_items(expression, lambda item: with_text(item, change))


def with_text(expression: Expression, change: Callable[[str], str]) -> Expression:
    """Return a literal string with its text changed, and any other expression as it is."""
    match expression:
        case Literal(value=str() as text):
            return replace(expression, value=change(text))
        case _:
            return expression
