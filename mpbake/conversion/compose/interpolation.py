"""Compose's interpolation: `$NAME`, `${NAME}`, and `${NAME:-default}` with the operators `- :- ? :? + :+`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = "[_a-zA-Z][_a-zA-Z0-9]*"
_START = re.compile(rf"\$(?:(?P<dollar>\$)|(?P<bare>{_NAME})|\{{(?:(?P<braced>{_NAME})(?P<operator>:?[-+?])?)?)")
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
    while match := _START.search(text, position):
        parts.append(text[position : match.start()])
        part, position = _part(text, match, level)
        parts.append(part)
    parts.append(text[position:])
    return _joined(parts)


def _part(text: str, match: re.Match[str], level: int) -> tuple[str | Reference, int]:
    """Return what begins with a match, and the position behind it."""
    if match["dollar"]:
        return "$", match.end()
    if match["bare"]:
        return Reference(name=match["bare"]), match.end()
    if match["operator"]:
        end = _end(text, match.start(), match.end())
        word = parse(text[match.end() : end], level + 1)
        return Reference(name=match["braced"], operator=match["operator"], word=word), end + 1
    if match["braced"] and text[match.end() : match.end() + 1] == "}":
        return Reference(name=match["braced"]), match.end() + 1
    raise BadReferenceError


def _end(text: str, start: int, word: int) -> int:
    """Return the position of the brace that closes the reference at `start`, whose word starts at `word`.

    If no brace in the line closes it, the last brace of the line does. The character after `{` never counts.
    """
    level, position, last = 0, start, -1
    while position < len(text) and text[position] != "\n":
        match text[position]:
            case "}":
                level -= 1
                if level == 0:
                    return position
                last = position
            case "{":
                level += 1
                position += 1
                last = position if text[position : position + 1] == "}" else last
        position += 1
    if last < word:
        raise BadReferenceError
    return last


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
