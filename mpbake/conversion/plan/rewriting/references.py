"""Change the results of an expression, wherever it decides between several, and keep everything else."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, get_args

from mpbake.conversion.syntax import (
    Block,
    Call,
    Conditional,
    Expression,
    ForList,
    ForObject,
    Function,
    Group,
    Item,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
    Target,
    Template,
    TemplateFor,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

EXPRESSIONS = get_args(Expression)
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


def with_text(expression: Expression, change: Callable[[str], str]) -> Expression:
    """Return a literal string with its text changed, and any other expression as it is."""
    match expression:
        case Literal(value=str() as text):
            return replace(expression, value=change(text))
        case Template(parts=parts) if all(isinstance(part, Literal) for part in parts):
            text = "".join(str(part.value) for part in parts if isinstance(part, Literal))
            return Literal(value=change(text), place=expression.place, text=expression.text)
        case _:
            return expression


def replaced_names(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """Return an expression in which each name in `values` is replaced, unless a loop hides it."""
    match expression:
        case Name(name=name):
            return values.get(name, expression)
        case ForList() | ForObject() | TemplateFor():
            visible = {name: value for name, value in values.items() if name not in (expression.key, expression.value)}
        case _:
            visible = dict(values)
    return mapped(expression, lambda child: replaced_names(child, visible)) if visible else expression


def mapped(expression: Expression, change: Callable[[Expression], Expression]) -> Expression:
    """Return an expression in which `change` is applied to each direct part."""
    changes: dict[str, Any] = {}
    for field in fields(expression):
        value = getattr(expression, field.name)
        match value:
            case _ if isinstance(value, EXPRESSIONS):
                changes[field.name] = change(value)
            case (Item() | Pair(), *_):
                changes[field.name] = tuple(_mapped_entry(entry, change) for entry in value)
            case (first, *_) if isinstance(first, EXPRESSIONS):
                changes[field.name] = tuple(map(change, value))
    return replace(expression, **changes) if changes else expression


def _mapped_entry(entry: Item | Pair, change: Callable[[Expression], Expression]) -> Item | Pair:
    if isinstance(entry, Pair):
        return replace(entry, key=change(entry.key), value=change(entry.value))
    return replace(entry, value=change(entry.value))


def changed_block(block: Block, change: Callable[[Expression], Expression]) -> Block:
    """Return a block in which `change` is applied to each expression."""
    match block:
        case Variable(default=default):
            return block if default is None else replace(block, default=change(default))
        case Function(result=result):
            return replace(block, result=change(result))
        case Group(targets=targets):
            return replace(block, targets=change(targets))
        case Target(entries=entries):
            return replace(block, entries=tuple(replace(entry, value=change(entry.value)) for entry in entries))
