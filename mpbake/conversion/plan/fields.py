"""Entries that bake also takes as objects, such as `{ type = "gha" }`, as the text that a plan takes: `type=gha`."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from mpbake.conversion.plan.rewriting.references import with_items
from mpbake.conversion.plan.rewriting.walks import literal_pairs
from mpbake.conversion.syntax import Expression, ListOf, Literal, ObjectOf, Template
from mpbake.conversion.translation.code import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELD_LISTS = frozenset({"attest", "cache-from", "cache-to", "output", "policy", "secret", "ssh"})
"""Attributes whose entries are fields."""


def with_field_texts(name: str, expression: Expression) -> Expression:
    """Return the value of the attribute `name`, in which every object is text."""
    listed = ListOf(items=(), place=expression.place) if _is_no_value(expression) else expression
    return with_items(listed, lambda item: _entry(name, item))


def _is_no_value(expression: Expression) -> bool:
    return isinstance(expression, Literal) and expression.value == ""


def _entry(name: str, item: Expression) -> Expression:
    if not isinstance(item, ObjectOf):
        return item
    pairs = literal_pairs(item)
    if pairs is None:
        return item
    parts = list(_ssh(pairs) if name == "ssh" else _joined(pairs))
    return _template(parts, item)


def _joined(pairs: dict[str, Expression]) -> Iterator[str | Expression]:
    """Yield the parts of `key=value,key=value`, the type first."""
    ordered = sorted(pairs.items(), key=lambda pair: pair[0] != "type")
    written = [(key, value) for key, value in ordered if not (isinstance(value, Literal) and value.value is None)]
    for index, (key, value) in enumerate(written):
        if index:
            yield ","
        yield from _field(key, value)


def _ssh(pairs: dict[str, Expression]) -> Iterator[str | Expression]:
    """Yield the parts of `id` or `id=path,path`."""
    yield pairs.get("id", Literal(value="default"))
    paths = pairs.get("paths")
    for index, item in enumerate(paths.items if isinstance(paths, ListOf) else ()):
        yield "," if index else "="
        yield item.value


def _field(key: str, value: Expression) -> Iterator[str | Expression]:
    match value:
        case Literal():
            yield _quoted(f"{key}={_literal_text(value)}")
        case _:
            yield f"{key}="
            yield value


def _literal_text(literal: Literal) -> str:
    match literal.value:
        case bool() as flag:
            return str(flag).lower()
        case int() | float() as number:
            return number_text(number)
        case text:
            return str(text)


def _quoted(field: str) -> str:
    """Return a field as CSV has it: in quotes if it contains a comma or a quote."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow([field])
    return text.getvalue()


def _template(parts: list[str | Expression], item: Expression) -> Expression:
    """Return the parts as one string. Templates in it become part of it."""
    flat: list[Expression] = []
    for part in parts:
        inner = part.parts if isinstance(part, Template) else (Literal(value=part) if isinstance(part, str) else part,)
        for piece in inner:
            last = flat[-1] if flat else None
            if isinstance(piece, Literal) and isinstance(last, Literal):
                flat[-1] = Literal(value=_literal_text(last) + _literal_text(piece))
            else:
                flat.append(piece)
    if all(isinstance(piece, Literal) for piece in flat):
        text = "".join(_literal_text(piece) for piece in flat if isinstance(piece, Literal))
        return Literal(value=text, place=item.place, text=item.text)
    return Template(parts=tuple(flat), place=item.place, text=item.text)
