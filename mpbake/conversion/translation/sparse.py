"""Lists with items that can be missing, for the attributes in which bake and mpbake leave empty texts out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.conversion.syntax import NO_COMMENTS, Call, Conditional, Expression, Item, ListOf, Literal, Template
from mpbake.conversion.translation.inference import type_of
from mpbake.conversion.translation.types import Kind

if TYPE_CHECKING:
    from mpbake.conversion.translation.scope import Scope

_MISSING = Literal(value="")


def sparse_list(expression: Expression, scope: Scope) -> Expression:
    """Return a list with an item for each text that `expression` can contain; any other expression unchanged.

    `concat(["a"], b ? ["c"] : [])` becomes `["a", b ? "c" : ""]`. The result means the same only where an empty text is
    left out, such as in `tags`.
    """
    items = _items(expression, scope)
    return expression if items is None else ListOf(items=items, place=expression.place, text=expression.text)


def _items(expression: Expression, scope: Scope) -> tuple[Item, ...] | None:
    match expression:
        case Template(parts=(part,)):
            return _items(part, scope)
        case ListOf(items=items):
            return items
        case Call(function="compact", arguments=(argument,), expand=False) if "compact" not in scope.functions:
            return _items(argument, scope)
        case Call(function="concat", arguments=arguments, expand=False) if "concat" not in scope.functions:
            return _joined([_items(argument, scope) for argument in arguments])
        case Call(function="flatten", arguments=(argument,), expand=False) if "flatten" not in scope.functions:
            return _flattened(argument, scope)
        case Conditional():
            return _chosen(expression, scope)
        case _:
            return None


def _joined(lists: list[tuple[Item, ...] | None]) -> tuple[Item, ...] | None:
    known = [items for items in lists if items is not None]
    return tuple(item for items in known for item in items) if len(known) == len(lists) else None


def _flattened(argument: Expression, scope: Scope) -> tuple[Item, ...] | None:
    """Return the items of a list in which each item is a text or a list."""
    items = _items(argument, scope)
    if items is None:
        return None
    parts: list[tuple[Item, ...] | None] = []
    for item in items:
        type_ = type_of(item.value, scope)
        nested = _items(item.value, scope)
        if nested is not None and (type_.is_sequence or type_.kind is Kind.ANY):
            flat = _flattened(ListOf(items=nested), scope)
            parts.append(_with_comments(item, flat) if flat else flat)
        else:
            parts.append((item,) if type_.is_primitive else None)
    return _joined(parts)


def _with_comments(outer: Item, items: tuple[Item, ...]) -> tuple[Item, ...]:
    """Return the items of a nested list. The first item has the comments of the nested list, unless it has its own."""
    first, *rest = items
    if first.comments == NO_COMMENTS:
        first = Item(value=first.value, comments=outer.comments)
    return (first, *rest)


def _chosen(choice: Conditional, scope: Scope) -> tuple[Item, ...] | None:
    """Return the items of both sides of a conditional, each with the condition."""
    then, otherwise = _items(choice.then, scope), _items(choice.otherwise, scope)
    if then is None or otherwise is None:
        return None
    if len(then) == len(otherwise) == 1:
        pairs = [(then[0], then[0].value, otherwise[0].value)]
    elif not then or not otherwise:
        pairs = [(item, item.value, _MISSING) for item in then] + [(item, _MISSING, item.value) for item in otherwise]
    else:
        return None
    if not all(_is_text(item.value, scope) for item in (*then, *otherwise)):
        return None
    return tuple(
        Item(
            value=Conditional(
                condition=choice.condition, then=first, otherwise=second, place=item.value.place, text=choice.text
            ),
            comments=item.comments,
        )
        for item, first, second in pairs
    )


def _is_text(expression: Expression, scope: Scope) -> bool:
    return type_of(expression, scope).kind in {Kind.STRING, Kind.ANY}
