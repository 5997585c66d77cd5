"""Compose's interpolation: `$NAME`, `${NAME}`, and `${NAME:-default}` with the operators `- :- ? :? + :+`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "[_a-zA-Z][_a-zA-Z0-9]*"
_REFERENCE = re.compile(
    rf"\$(?:(?P<dollar>\$)|(?P<bare>{_NAME})|\{{(?:(?P<braced>{_NAME}(?::?[-+?].*)?)\}}|(?P<wrong>)))"
)
_OPERATION = re.compile(rf"(?P<name>{_NAME})(?P<operator>:?[-+?])(?P<word>.*)")
MOST_NESTED = 20
"""The maximum depth of references in the default of a reference."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A reference to a variable. `operator` is empty or one of `- :- ? :? + :+`; `word` follows the operator."""

    name: str
    operator: str = ""
    word: Parts = ()


Parts: TypeAlias = "tuple[str | Reference, ...]"
"""A text with references: texts and references alternate, and no text is empty."""


class BadReferenceError(ValueError):
    """A text has a `${` that Compose refuses."""


def parse(text: str, level: int = 0) -> Parts:
    """Return the parts of a text. Raises BadReferenceError where Compose refuses the text."""
    if level > MOST_NESTED:
        raise BadReferenceError
    parts: list[str | Reference] = []
    position = 0
    while match := _REFERENCE.search(text, position):
        parts.append(text[position : match.start()])
        part, length = _part(match, level)
        parts.append(part)
        position = match.start() + length
    parts.append(text[position:])
    return _joined(parts)


def _part(match: re.Match[str], level: int) -> tuple[str | Reference, int]:
    """Return what a match stands for, and the number of its characters that belong to it."""
    whole = match.group()
    if match["dollar"]:
        return "$", len(whole)
    if match["bare"]:
        return Reference(name=match["bare"]), len(whole)
    if match["wrong"] is not None:
        raise BadReferenceError
    # The match reaches to the last brace of the line, but the reference ends at the brace that closes it.
    closing = _closing_brace(whole)
    inside, length = (whole[2:closing], closing + 1) if closing > 0 else (whole[2:-1], len(whole))
    operation = _OPERATION.fullmatch(inside)
    if operation is None:
        return Reference(name=inside), length
    word = parse(operation["word"], level + 1)
    return Reference(name=operation["name"], operator=operation["operator"], word=word), length


def _closing_brace(text: str) -> int:
    """Return the position of the brace that closes the first brace, or -1. The character after `{` never counts."""
    level, position = 0, 0
    while position < len(text):
        match text[position]:
            case "}":
                level -= 1
                if level == 0:
                    return position
            case "{":
                level += 1
                position += 1
        position += 1
    return -1


def _joined(parts: list[str | Reference]) -> Parts:
    """Join adjacent texts, and drop empty ones."""
    joined: list[str | Reference] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)


def references(parts: Parts) -> Iterator[Reference]:
    """Yield all references in a text, and in the words of its references."""
    for part in parts:
        if isinstance(part, Reference):
            yield part
            yield from references(part.word)
