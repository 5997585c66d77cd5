"""Expressions of templates, as text that is put together without needless parentheses."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import Literal
from mpbake.conversion.translation.types import ANY, BOOL, NUMBER, STRING, Type, tuple_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.conversion.syntax import Expression


class Level(IntEnum):
    """How tightly the parts of an expression are bound, from loose to tight."""

    CONDITIONAL = 0
    OR = 1
    AND = 2
    NOT = 3
    COMPARE = 4
    ADD = 5
    CONCAT = 6
    MULTIPLY = 7
    UNARY = 8
    FILTER = 9
    PRIMARY = 10


_LEVELS = {
    "or": Level.OR,
    "and": Level.AND,
    "not": Level.NOT,
    "compare": Level.ADD,  # a comparison of a comparison would be a chain
    "add": Level.ADD,
    "concat": Level.CONCAT,
    "multiply": Level.MULTIPLY,
    "unary": Level.UNARY,
    "filter": Level.FILTER,
    "primary": Level.PRIMARY,
    "": Level.CONDITIONAL,
}
_ENDS_WITH_TEST = re.compile(r" is (?:not )?(?:none|string|number|boolean|mapping)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Code:
    """An expression of a template.

    In a format string, `{code:filter}` is the text with parentheses where a filter needs them; the other words are
    those of `Level`.

    - `source` is the expression of the bake file.
    - `truth` is a shorter expression that is true in a condition exactly if this one is: `tag` for `tag != ''`.
    - `inverse` is the opposite of a boolean expression: `a != b` for `a == b`.
    - `short` is the text of a conditional without `else ''`, which the end of a template allows.
    - `guard` are the condition and the value of such a conditional.
    - `items` are the items of a list, and `parts` the parts of a text, which `~` joins.
    - `iterable` is a shorter text for a loop over the value: `range(3)` for `range(3) | list`.
    - `merged` are the tables that `merge` makes one.
    - `counted` is a shorter text for a list of the same length, and `searched` for one with the same items.
    - `subject` is the value that a test for null or an empty text is about.
    - `flat` is a shorter text for the items of all lists in the list: `[x for x in xs]` for `[[x] for x in xs]`.
    - `tight` is another text for the same value, which needs no parentheses: `x.split('.')` for `x | split('.')`.
    """

    text: str
    level: Level = Level.PRIMARY
    type: Type = ANY
    source: Expression | None = None
    truth: Code | None = None
    inverse: Code | None = None
    short: str = ""
    guard: tuple[Code, Code] | None = None
    items: tuple[Code, ...] | None = None
    parts: tuple[Code, ...] = ()
    iterable: str = ""
    merged: tuple[Code, ...] = ()
    counted: str = ""
    searched: str = ""
    subject: str = ""
    flat: str = ""
    tight: str = ""

    def __format__(self, position: str) -> str:
        """Return the text for a position such as `filter`: the operand of a filter."""
        return self.at(_LEVELS[position])

    def at(self, level: Level) -> str:
        """Return the text, in parentheses if it binds less tightly than `level`."""
        return self.text if self.level >= level else self.tight or f"({self.text})"

    def before_word(self, level: Level = Level.OR) -> str:
        """Return the text for a position before `if` or `for`, which Jinja takes for part of a test: `x is none if`."""
        return f"({self.text})" if _ENDS_WITH_TEST.search(self.text) else self.at(level)

    @property
    def condition(self) -> Code:
        """The shortest expression for a condition."""
        return self.truth or self

    @property
    def constant(self) -> str | float | bool | None:
        """The value of a literal. None for all other expressions, and for `null`."""
        return self.source.value if isinstance(self.source, Literal) else None

    @property
    def is_null(self) -> bool:
        """Whether this is the literal `null`."""
        return isinstance(self.source, Literal) and self.source.value is None

    def typed(self, type_: Type) -> Code:
        """Return the same code with another type."""
        return replace(self, type=type_)


def literal_code(literal: Literal) -> Code:
    """Return a string, a number, `true`, `false` or `none`."""
    match literal.value:
        case None:
            return Code(text="none", source=literal)
        case bool() as value:
            return Code(text=str(value).lower(), type=BOOL, source=literal)
        case str() as value:
            return Code(text=quoted(value), type=STRING, source=literal)
        case number:
            level = Level.PRIMARY if number >= 0 else Level.UNARY
            return Code(text=number_text(number), level=level, type=NUMBER, source=literal)


def text_code(text: str) -> Code:
    """Return a string."""
    return literal_code(Literal(value=text))


def constant_code(value: str | float | bool | None) -> Code:  # noqa: FBT001 - a value like any other
    """Return a constant."""
    return literal_code(Literal(value=value))


TRUE = literal_code(Literal(value=True))
FALSE = literal_code(Literal(value=False))


def list_code(items: Sequence[Code], type_: Type | None = None) -> Code:
    """Return a list."""
    text = f"[{', '.join(item.text for item in items)}]"
    return Code(text=text, type=type_ or tuple_of(item.type for item in items), items=tuple(items))


def number_text(number: float) -> str:
    """Return a number as bake prints it: without a fraction if it is an integer."""
    return str(int(number)) if number == int(number) else repr(number)


_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
_NEEDS_DOUBLING = re.compile(r"\\(?=[\\'\"abfnrtvxuUN01234567\n\r\t\0]|$)")
"""A backslash that Jinja would take for the beginning of an escape."""


def quoted(text: str) -> str:
    """Return `text` as a string of a template, in single quotes if possible."""
    quote = '"' if "'" in text and '"' not in text else "'"
    escaped = _NEEDS_DOUBLING.sub(r"\\\\", text).replace(quote, f"\\{quote}")
    return quote + re.sub(r"[\n\r\t\0]", lambda match: _ESCAPES[match.group()], escaped) + quote
