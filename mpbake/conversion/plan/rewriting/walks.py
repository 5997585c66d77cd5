"""Questions about the expressions of a bake file that need no evaluation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from mpbake.conversion.parts import present, walk
from mpbake.conversion.syntax import (
    BakeFile,
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
    Target,
    Template,
    TemplateFor,
    TemplateIf,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def names_in(expression: Expression) -> set[str]:
    """Return all names in an expression, also those of loop variables."""
    return {part.name for part in walk(expression) if isinstance(part, Name)}


def loop_names(expression: Expression) -> set[str]:
    """Return the names that the loops in an expression define."""
    loops = (part for part in walk(expression) if isinstance(part, TemplateFor | ForList | ForObject))
    return {name for loop in loops for name in (loop.key, loop.value) if name}


def expressions_of(block: Block) -> Iterator[Expression]:
    """Yield the expressions of a block, without the type of a variable."""
    match block:
        case Variable(default=default, description=description, validations=validations):
            yield from present(default)
            yield from present(description)
            yield from (validation.condition for validation in validations)
        case Function(result=result):
            yield result
        case Group(targets=targets, description=description):
            yield targets
            yield from present(description)
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
        case Call(function="join", arguments=(Literal(value=str() as separator), ListOf(items=items))):
            return [re.escape(separator).join(map(_pattern, items))]
        case _:
            return [".*"]


def _pattern(item: Item) -> str:
    """Return one regular expression for the texts that an item may have."""
    patterns = possible_texts(item.value)
    return patterns[0] if len(patterns) == 1 else ".*"


def literal_pairs(expression: Expression) -> dict[str, Expression] | None:
    """Return the entries of an object whose keys are all literal, or None for every other expression."""
    if not isinstance(expression, ObjectOf):
        return None
    if not all(isinstance(pair.key, Literal) and pair.key.value is not None for pair in expression.pairs):
        return None
    return {str(pair.key.value): pair.value for pair in expression.pairs if isinstance(pair.key, Literal)}
