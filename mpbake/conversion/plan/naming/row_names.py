"""The names of the rows of a matrix, as far as they are known without evaluation."""

from __future__ import annotations

import itertools
import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.conversion.plan.blocks import entry_of, matrix_entry, matrix_lists
from mpbake.conversion.plan.rewriting.references import replaced_names
from mpbake.conversion.plan.rewriting.walks import names_in, possible_texts
from mpbake.conversion.syntax import Call, Expression, Function, ListOf, Literal, Name, Target, Template, Variable
from mpbake.conversion.translation.code import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_Row = dict[str, str]
_NO_FUNCTIONS: Mapping[str, Function] = MappingProxyType({})


def row_patterns(
    target: Target, variables: Mapping[str, Variable], functions: Mapping[str, Function] = _NO_FUNCTIONS
) -> list[str]:
    """Return regular expressions for the names of the rows of a matrix: the names themselves, if they are known.

    A name can be a call of one of the `functions` of the file.
    """
    name, matrix = entry_of(target, "name"), matrix_entry(target)
    if name is None:
        return []
    if isinstance(name, Call) and (function := functions.get(name.function)) and not function.variadic:
        return possible_texts(replaced_names(function.result, dict(zip(function.params, name.arguments, strict=False))))
    if matrix is None:
        return possible_texts(name)
    lists = matrix_lists(matrix, variables)
    values = {key: _literal_values(lists[key], variables) for key in names_in(name) if key in lists}
    if not values or names_in(name) - values.keys() or not all(values.values()):
        return possible_texts(name)
    rows = (dict(zip(values, row, strict=True)) for row in itertools.product(*values.values()))
    names = [_text(name, row) for row in rows]
    return [re.escape(text) for text in names if text is not None] if None not in names else possible_texts(name)


def _literal_values(values: Expression, variables: Mapping[str, Variable]) -> list[str]:
    """Return the items of a literal list as text, or nothing if the environment or a function decides."""
    if isinstance(values, Name) and values.name in variables and variables[values.name].type is None:
        values = variables[values.name].default or values
    if not isinstance(values, ListOf):
        return []
    texts = [_literal_text(item.value) for item in values.items if isinstance(item.value, Literal)]
    return texts if len(texts) == len(values.items) else []


def _literal_text(literal: Literal) -> str:
    value = literal.value
    if isinstance(value, bool):
        return str(value).lower()
    return number_text(value) if isinstance(value, int | float) else str(value)


def _text(expression: Expression, row: _Row) -> str | None:
    """Return the text of a simple expression in a row, or None for any other expression."""
    match expression:
        case Literal():
            return _literal_text(expression)
        case Name(name=name):
            return row[name]
        case Template(parts=parts):
            texts = list(_texts(parts, row))
            return None if None in texts else "".join(text for text in texts if text is not None)
        case Call(function="replace", arguments=(text, Literal(value=str() as old), Literal(value=str() as new))):
            replaced = _text(text, row)
            is_pattern = len(old) > 1 and old.startswith("/") and old.endswith("/")
            return None if replaced is None or is_pattern else replaced.replace(old, new)
        case _:
            return None


def _texts(parts: tuple[Expression, ...], row: _Row) -> Iterator[str | None]:
    return (_text(part, row) for part in parts)
