"""Questions about the expressions of a bake file that need no evaluation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from mpbake.conversion.syntax import (
    Attribute,
    BakeFile,
    Binary,
    Block,
    Call,
    Conditional,
    Expression,
    ForList,
    ForObject,
    Function,
    Group,
    Index,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Splat,
    Target,
    Template,
    TemplateFor,
    TemplateIf,
    Unary,
    Variable,
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
            return collection, result, *_present(condition)
        case ForObject(collection=collection, result_key=result_key, result=result, condition=condition):
            return collection, result_key, result, *_present(condition)
        case _:
            assert_never(expression)


def _present(condition: Expression | None) -> tuple[Expression, ...]:
    return () if condition is None else (condition,)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield an expression and all its parts."""
    yield expression
    for child in children(expression):
        yield from walk(child)


def names_in(expression: Expression) -> set[str]:
    """Return all names in an expression, also those of loop variables."""
    return {part.name for part in walk(expression) if isinstance(part, Name)}


def functions_in(expression: Expression) -> set[str]:
    """Return the names of the functions that an expression calls."""
    return {part.function for part in walk(expression) if isinstance(part, Call)}


def loop_names(expression: Expression) -> set[str]:
    """Return the names that the loops in an expression define."""
    loops = (part for part in walk(expression) if isinstance(part, TemplateFor | ForList | ForObject))
    return {name for loop in loops for name in (loop.key, loop.value) if name}


def expressions_of(block: Block) -> Iterator[Expression]:
    """Yield the expressions of a block, without the type of a variable."""
    match block:
        case Variable(default=default, description=description, validations=validations):
            yield from _present(default)
            yield from _present(description)
            yield from (validation.condition for validation in validations)
        case Function(result=result):
            yield result
        case Group(targets=targets, description=description):
            yield targets
            yield from _present(description)
        case Target(entries=entries):
            yield from (entry.value for entry in entries)
        case _:
            assert_never(block)


def all_expressions(file: BakeFile) -> Iterator[Expression]:
    """Yield the expressions of all blocks of a file."""
    for block in file.blocks:
        yield from expressions_of(block)


def possible_texts(expression: Expression) -> list[str]:
    """Return regular expressions for the texts that an expression, or the items of a list, may have."""
    match expression:
        case Literal(value=None):
            return []
        case Literal(value=value):
            return [re.escape(str(value))]
        case ListOf(items=items):
            return [pattern for item in items for pattern in possible_texts(item.value)]
        case Template(parts=parts):
            texts = (re.escape(str(part.value)) if isinstance(part, Literal) else ".*" for part in parts)
            return ["".join(texts)]
        case Conditional(then=then, otherwise=otherwise) | TemplateIf(then=then, otherwise=otherwise):
            return possible_texts(then) + possible_texts(otherwise)
        case ForList(result=result):
            return possible_texts(result)
        case Call(function="concat" | "flatten" | "compact" | "distinct", arguments=arguments):
            return [pattern for argument in arguments for pattern in possible_texts(argument)]
        case _:
            return [".*"]


def literal_texts(expression: Expression) -> list[str] | None:
    """Return the items of a list of literal strings, or None for every other expression."""
    if not isinstance(expression, ListOf):
        return None
    texts = [item.value.value for item in expression.items if isinstance(item.value, Literal)]
    if len(texts) < len(expression.items) or not all(isinstance(text, str) for text in texts):
        return None
    return [str(text) for text in texts]


def literal_pairs(expression: Expression) -> dict[str, Expression] | None:
    """Return the entries of an object whose keys are all literal, or None for every other expression."""
    if not isinstance(expression, ObjectOf):
        return None
    if not all(isinstance(pair.key, Literal) and pair.key.value is not None for pair in expression.pairs):
        return None
    return {str(pair.key.value): pair.value for pair in expression.pairs if isinstance(pair.key, Literal)}
