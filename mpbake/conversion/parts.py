"""The parts of expressions."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

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
    from collections.abc import Iterator


def children(expression: Expression) -> tuple[Expression, ...]:  # noqa: C901, PLR0911, PLR0912 - one case for each kind
    """Return the direct parts of an expression."""
    match expression:
        case Literal() | Name():
            return ()
        case Template(parts=parts):
            return parts
        case TemplateIf(condition=condition, then=then, otherwise=otherwise):
            return condition, then, otherwise
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return condition, then, otherwise
        case TemplateFor(collection=collection, body=body):
            return collection, body
        case Attribute(operand=operand) | Unary(operand=operand):
            return (operand,)
        case Index(operand=operand, key=key):
            return operand, key
        case Splat(operand=operand, each=each):
            return operand, each
        case Call(arguments=arguments):
            return arguments
        case Binary(left=left, right=right):
            return left, right
        case ListOf(items=items):
            return tuple(item.value for item in items)
        case ObjectOf(pairs=pairs):
            return tuple(part for pair in pairs for part in (pair.key, pair.value))
        case ForList(collection=collection, result=result, condition=condition):
            return collection, result, *present(condition)
        case ForObject(collection=collection, result_key=result_key, result=result, condition=condition):
            return collection, result_key, result, *present(condition)
        case _:
            assert_never(expression)


def present(expression: Expression | None) -> tuple[Expression, ...]:
    """Return an expression that may be absent, as a tuple of at most one."""
    return () if expression is None else (expression,)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and all its parts."""
    yield expression
    for child in children(expression):
        yield from walk(child)
