"""The comments in an expression, for a value that cannot keep them where they are written."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import Expression, Item, ListOf, ObjectOf, Pair, Place

if TYPE_CHECKING:
    from collections.abc import Iterator


def comments_in(expression: Expression) -> Iterator[str]:
    """Yield the comments of the lists and objects in an expression, in their order. A repeated text occurs once."""
    known: set[str] = set()
    for entry in _commented(expression):
        for line in (entry,) if isinstance(entry, str) else _lines(entry):
            if line not in known:
                yield line
            known.update([line] if any(map(str.isalnum, line)) else [])


def replaced_comments(expression: Expression) -> Iterator[str]:
    """Yield the comments in an expression that another one replaces: a comment behind an entry follows the entry."""
    for entry in _commented(expression):
        match entry:
            case str():
                yield entry
            case Item(value=value, comments=comments) if comments.after:
                yield from (line for line in comments.before if line)
                yield f"{value.text} # {comments.after}"
            case _:
                yield from _lines(entry)


def _lines(entry: Item | Pair) -> Iterator[str]:
    yield from (line for line in (*entry.comments.before, entry.comments.after) if line)


def _commented(part: object) -> Iterator[Item | Pair | str]:
    """Yield the entries of all lists and objects, and the comments at the end of each list and object."""
    match part:
        case ListOf(items=entries, trailing=trailing) | ObjectOf(pairs=entries, trailing=trailing):
            yield from _commented(entries)
            yield from trailing
        case Item(value=value) | Pair(value=value):
            yield part
            yield from _commented(value)
        case tuple():
            for item in part:
                yield from _commented(item)
        case _ if is_dataclass(part) and not isinstance(part, Place):
            for field in fields(part):
                yield from _commented(getattr(part, field.name))
