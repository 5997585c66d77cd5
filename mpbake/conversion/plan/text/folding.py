"""Divide a long template at its lists, tables, loops, conditions and calls, as a person would."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_LONE_TEMPLATE = re.compile(r"\{\{ (?P<code>(?:(?!\}\}).)*) \}\}", re.DOTALL)
_SEPARATOR = r" (?:for|if|else|or|and|\+) "
_PIECE = re.compile(
    r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[\[\](){},]"
    rf"|(?:(?!{_SEPARATOR})[^'\"\[\](){{}},])+|{_SEPARATOR}",
    re.DOTALL,
)
_KEYWORD = re.compile(r"\b(?:if|else|or|and|in|not)$")
_OPENING, _CLOSING = frozenset("[({"), frozenset("])}")
_SEPARATORS = (" else ", " if ", " or ", " and ", " + ")
"""Where a line is divided: at the first of these that it has outside of brackets, the one that binds least."""
_INDENT = "  "
_LONG = 40
_SLACK = 20
"""How much longer than a line a template may be that has no list of several items."""


def folded_template(text: str, width: int, indent: str = "") -> str:
    """Return a text that is one template, with a line for each item of its outermost lists and tables.

    A line that is still longer than `width` is divided in the same way: a loop at its `for`, a choice at its `else` and
    `if`, a condition at `or` and `and`, a sum at its `+`, and a call at its arguments. Any other text is returned as it
    is, and so is a template without anything to divide. The lines after the first begin with `indent`.
    """
    match = _LONE_TEMPLATE.fullmatch(text)
    if match is None:
        return text
    pieces = _PIECE.findall(match["code"])
    if "".join(pieces) != match["code"]:
        return text
    lines = _divided(pieces, indent, width)
    is_worthwhile = len(text) > width + _SLACK or any(line.endswith(",") for line in lines)
    return f"{{{{ {chr(10).join(lines)} }}}}" if len(lines) > 1 and is_worthwhile else text


def _divided(pieces: Sequence[str], indent: str, width: int) -> list[str]:
    """Return code in lines: its lists and tables, and if a line is still too long, its cases or terms.

    Only the lines after the first are indented.
    """
    lines = _folded(pieces, indent, width, _is_value)
    if _fit(lines, indent, width):
        return lines
    outer = [piece for _, piece in _outer(pieces)]
    separator = next((separator for separator in _SEPARATORS if separator in outer), "")
    if not separator:
        return _folded(pieces, indent, width, _is_long)
    first, *others = _terms(pieces, separator)
    lines = _divided(first, indent, width)
    deeper = indent + _INDENT
    for term in others:
        start, *rest = _divided(term, deeper, width)
        lines += [f"{deeper}{start}", *rest]
    return lines


def _fit(lines: Sequence[str], indent: str, width: int) -> bool:
    first, *rest = lines
    return len(indent) + len(first) <= width and all(len(line) <= width for line in rest)


def _folded(
    pieces: Sequence[str], indent: str, width: int, is_divided: Callable[[Sequence[str], int], bool]
) -> list[str]:
    """Return code in lines, of which only those after the first are indented.

    `is_divided` says for a bracket, by its index, whether the parts in it get a line each.
    """
    lines = [""]
    index = 0
    while index < len(pieces):
        end = _end(pieces, index)
        inner = list(_parts(pieces[index + 1 : end]))
        if len(inner) == 1 and pieces[index] == "(" and is_divided(pieces, index):
            first, *rest = _divided(inner[0], indent, width)
            lines[-1] += f"({first}"
            lines += rest
            lines[-1] += ")"
        elif len(inner) > 1 and is_divided(pieces, index):
            deeper = indent + _INDENT
            lines[-1] += pieces[index]
            for part in inner:
                lines += _fitting(part, deeper, width)
            lines.append(f"{indent}{pieces[end]}")
        else:
            lines[-1] += "".join(pieces[index : end + 1])
        index = end + 1
    return lines


def _fitting(pieces: Sequence[str], indent: str, width: int) -> list[str]:
    """Return one part in indented lines: one line if it fits, or if nothing in it can be divided."""
    line = indent + "".join(pieces).strip()
    if len(line) <= width:
        return [line]
    first, *rest = _divided(pieces, indent, width)
    return [indent + first.strip(), *rest]


def _end(pieces: Sequence[str], start: int) -> int:
    """Return the index of the bracket that closes the one at `start`, or `start` for other pieces."""
    depth = 0
    for index in range(start, len(pieces)):
        depth += (pieces[index] in _OPENING) - (pieces[index] in _CLOSING)
        if depth == 0:
            return index
    return len(pieces) - 1


def _parts(pieces: Sequence[str]) -> Iterator[list[str]]:
    """Yield the items of a list or table, each with its comma, or the result and the clauses of a loop."""
    is_loop = " for " in [piece for _, piece in _outer(pieces)]
    part: list[str] = []
    for index, piece in _outer(pieces):
        if piece == " for " and part:
            yield part
            part = []
        end = _end(pieces, index)
        part += pieces[index : end + 1]
        if piece == "," and not is_loop:
            yield part
            part = []
    if part:
        yield part


def _terms(pieces: Sequence[str], separator: str) -> Iterator[list[str]]:
    """Yield the cases of a choice or the terms of a sum, each but the first with its separator."""
    term: list[str] = []
    for index, piece in _outer(pieces):
        if piece == separator:
            yield term
            term = [separator.lstrip()]
        else:
            term += pieces[index : _end(pieces, index) + 1]
    yield term


def _outer(pieces: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the pieces that are in no bracket, and the opening brackets, with their indices."""
    index = 0
    while index < len(pieces):
        yield index, pieces[index]
        index = _end(pieces, index) + 1


def _is_long(pieces: Sequence[str], start: int) -> bool:
    """Whether the code in the bracket at `start`, such as the arguments of a call, is worth several lines."""
    return sum(map(len, pieces[start : _end(pieces, start)])) > _LONG


def _is_value(pieces: Sequence[str], start: int) -> bool:
    """Whether the bracket at `start` begins a list or table, and not an index or call."""
    if pieces[start] not in {"[", "{"}:
        return False
    before = "".join(pieces[:start]).rstrip()
    if before.endswith(" in"):
        return _is_long(pieces, start)
    follows_value = bool(before) and (before[-1].isalnum() or before[-1] in "_)]'\"")
    return not follows_value or bool(_KEYWORD.search(before))
