"""Lists and tables with entries that can be missing, for attributes that leave empty texts or `none` out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import (
    NO_COMMENTS,
    Call,
    Conditional,
    Expression,
    Item,
    ListOf,
    Literal,
    ObjectOf,
    Pair,
    Template,
)
from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.inference import type_of
from mpbake.conversion.translation.texts import translate_text
from mpbake.conversion.translation.types import Kind

if TYPE_CHECKING:
    from mpbake.conversion.translation.scope import Scope

_MOST_CONDITIONAL = 3
"""The number of items or keys that may repeat one condition. A list of more items reads better as a whole."""
_MISSING = Literal(value="")
_ABSENT = Literal(value=None, text="null")


def sparse_list(expression: Expression, scope: Scope) -> Expression:
    """Return a list with an item for each text that `expression` can contain; any other expression unchanged.

    `concat(["a"], b ? ["c"] : [])` becomes `["a", b ? "c" : ""]`. The result means the same only where an empty text is
    left out, such as in `tags`. An expression that a plan cannot express stays as it is.
    """
    items = None if isinstance(expression, ListOf) or _is_whole(expression) else _items(expression, scope)
    if items is None or not all(_is_translatable(item.value, scope) for item in items):
        return expression
    return ListOf(items=items, place=expression.place, text=expression.text)


def sparse_table(expression: Expression, scope: Scope) -> Expression:
    """Return a table with all keys that `expression` can contain; any other expression unchanged.

    `merge({ A = "1" }, b ? { B = "2" } : {})` becomes `{ A = "1", B = b ? "2" : null }`. The result means the same only
    where null is left out, such as in `args`.
    """
    pairs = None if isinstance(expression, ObjectOf) else _pairs(expression, scope)
    if pairs is None or not all(_is_translatable(pair.value, scope) for pair in pairs):
        return expression
    return ObjectOf(pairs=pairs, place=expression.place, text=expression.text)


def _is_whole(expression: Expression) -> bool:
    """Whether an expression is a list of several items, or nothing: the list reads better as a whole."""
    match expression:
        case Conditional(then=ListOf(items=then), otherwise=ListOf(items=otherwise)):
            return min(len(then), len(otherwise)) == 0 and len(then) + len(otherwise) > 1
        case _:
            return False


def _is_translatable(expression: Expression, scope: Scope) -> bool:
    try:
        translate_text(expression, scope)
    except Untranslatable:
        return False
    return True


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
    """Return the items of both sides of a conditional, each with the condition, unless both sides begin with it."""
    then, otherwise = _items(choice.then, scope), _items(choice.otherwise, scope)
    if then is None or otherwise is None:
        return None
    length = next(
        (index for index, pair in enumerate(zip(then, otherwise, strict=False)) if pair[0] != pair[1]),
        min(len(then), len(otherwise)),
    )
    common, then, otherwise = then[:length], then[length:], otherwise[length:]
    if len(then) == len(otherwise) == 1:
        pairs = [(then[0], then[0].value, otherwise[0].value)]
    elif not then or not otherwise:
        pairs = [(item, item.value, _MISSING) for item in then] + [(item, _MISSING, item.value) for item in otherwise]
    else:
        return None
    if not all(_is_text(item.value, scope) for item in (*common, *then, *otherwise)):
        return None
    if len(pairs) > _MOST_CONDITIONAL:
        return None
    chosen = (Item(value=_choice(choice, first, second), comments=item.comments) for item, first, second in pairs)
    return (*common, *chosen)


def _choice(choice: Conditional, then: Expression, otherwise: Expression) -> Expression:
    """Return a conditional for one item or value of both sides of `choice`, or the value that both sides have."""
    if then == otherwise:
        return then
    return Conditional(condition=choice.condition, then=then, otherwise=otherwise, place=choice.place, text=choice.text)


# --- tables -----------------------------------------------------------------------------------------------------------


def _pairs(expression: Expression, scope: Scope) -> tuple[Pair, ...] | None:
    """Return the entries of a table, each key once, or None if they are not known."""
    match expression:
        case Template(parts=(part,)):
            return _pairs(part, scope)
        case ObjectOf(pairs=pairs):
            return pairs if all(_has_plain_key(pair) for pair in pairs) and _are_distinct(pairs) else None
        case Call(function="merge", arguments=arguments, expand=False) if "merge" not in scope.functions:
            tables = [_pairs(argument, scope) for argument in arguments]
            known = [pairs for pairs in tables if pairs is not None]
            joined = tuple(pair for pairs in known for pair in pairs)
            return joined if len(known) == len(tables) and _are_distinct(joined) else None
        case Conditional():
            return _chosen_pairs(expression, scope)
        case _:
            return None


def _chosen_pairs(choice: Conditional, scope: Scope) -> tuple[Pair, ...] | None:
    """Return the entries of both sides of a conditional, each with the condition."""
    then, otherwise = _pairs(choice.then, scope), _pairs(choice.otherwise, scope)
    if then is None or otherwise is None:
        return None
    if not all(_is_text(pair.value, scope) for pair in (*then, *otherwise)):
        return None
    others = {_key(pair): pair for pair in otherwise}
    if len({_key(pair) for pair in then} ^ others.keys()) > _MOST_CONDITIONAL:
        return None
    pairs = [_chosen_pair(choice, pair, others.pop(_key(pair), None)) for pair in then]
    remaining = [replace(pair, value=_choice(choice, _ABSENT, pair.value)) for pair in others.values()]
    return (*pairs, *remaining)


def _chosen_pair(choice: Conditional, then: Pair, otherwise: Pair | None) -> Pair:
    if otherwise is None:
        return replace(then, value=_choice(choice, then.value, _ABSENT))
    lines = otherwise.comments
    before = (*then.comments.before, *lines.before, *([lines.after] if lines.after else []))
    comments = replace(then.comments, before=before)
    return replace(then, value=_choice(choice, then.value, otherwise.value), comments=comments)


def _has_plain_key(pair: Pair) -> bool:
    return isinstance(pair.key, Literal) and isinstance(pair.key.value, str)


def _are_distinct(pairs: tuple[Pair, ...]) -> bool:
    return len({_key(pair) for pair in pairs}) == len(pairs)


def _key(pair: Pair) -> str:
    return str(pair.key.value) if isinstance(pair.key, Literal) else ""


def _is_text(expression: Expression, scope: Scope) -> bool:
    return type_of(expression, scope).kind in {Kind.STRING, Kind.ANY}
