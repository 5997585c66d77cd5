"""Divide a long template at the commas of its lists and tables, as a person would."""

from __future__ import annotations

import re

_LONE_TEMPLATE = re.compile(r"\{\{ (?P<code>(?:(?!\}\}).)*) \}\}", re.DOTALL)
_PIECE = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[\[\](){},]|[^'\"\[\](){},]+", re.DOTALL)
_KEYWORD = re.compile(r"\b(?:if|else|or|and|in|not)$")
_LOOP = re.compile(r"(?:^|\s)for\s")
_OPENING, _CLOSING = frozenset("[({"), frozenset("])}")
_INDENT = "  "


def folded_template(text: str) -> str:
    """Return a text that is one template, with a line for each item of its outermost lists and tables.

    Any other text is returned as it is, and so is a template without a list of several items.
    """
    match = _LONE_TEMPLATE.fullmatch(text)
    if match is None:
        return text
    pieces = _PIECE.findall(match["code"])
    if "".join(pieces) != match["code"]:
        return text
    folded = "".join(_folded(pieces))
    return text if "\n" not in folded else f"{{{{ {folded} }}}}"


def _folded(pieces: list[str]) -> list[str]:
    """Return the pieces with line ends after the brackets and commas of the outermost lists and tables."""
    depth, inside, starts_line = 0, False, False
    result = []
    for index, piece in enumerate(pieces):
        depth += piece in _OPENING
        if piece in _OPENING and depth == 1 and _is_list(pieces, index):
            inside = starts_line = True
            result.append(f"{piece}\n{_INDENT}")
        elif piece in _CLOSING and depth == 1 and inside:
            inside = False
            result.append(f"\n{piece}")
        elif piece == "," and depth == 1 and inside:
            starts_line = True
            result.append(f",\n{_INDENT}")
        else:
            result.append(piece.lstrip() if starts_line else piece)
            starts_line = False
        depth -= piece in _CLOSING
    return result


def _is_list(pieces: list[str], start: int) -> bool:
    """Whether the bracket at `start` begins a list or table with several items, and not an index, call or loop."""
    before = "".join(pieces[:start]).rstrip()
    follows_value = bool(before) and (before[-1].isalnum() or before[-1] in "_)]'\"")
    if pieces[start] == "(" or (follows_value and not _KEYWORD.search(before)):
        return False
    depth, commas = 0, 0
    for piece in pieces[start:]:
        depth += (piece in _OPENING) - (piece in _CLOSING)
        commas += depth == 1 and piece == ","
        if depth == 1 and _LOOP.search(piece):
            return False
        if depth == 0:
            break
    return commas > 0
