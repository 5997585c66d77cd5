"""Join the values that two blocks give to one attribute."""

from __future__ import annotations

from dataclasses import replace

from mpbake.conversion.parts import walk
from mpbake.conversion.syntax import (
    Binary,
    Call,
    Conditional,
    Expression,
    ForObject,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
)

_NULL = Literal(value=None, text="null")


def unless_null(later: Expression, earlier: Expression) -> Expression:
    """Return the later value, or the earlier one where the later is null."""
    if later == _NULL:
        return earlier
    if not _may_be_null(later):
        return later
    condition = Binary(operator="!=", left=later, right=_NULL, place=later.place, text=f"{_text(later)} != null")
    return Conditional(
        condition=condition,
        then=later,
        otherwise=earlier,
        place=later.place,
        text=f"{condition.text} ? {_text(later)} : {_text(earlier)}",
    )


def joined_lists(earlier: Expression, later: Expression) -> Expression:
    """Return the earlier list with the later one appended."""
    match earlier, later:
        case _, Literal(value=None):
            return earlier
        case Literal(value=None), _:
            return later
        case ListOf(), ListOf():
            return replace(
                earlier,
                items=(*earlier.items, *later.items),
                trailing=(*earlier.trailing, *later.trailing),
                text=f"concat({earlier.text}, {later.text})",
            )
        case _:
            text = f"concat({earlier.text}, {later.text})"
            return Call(function="concat", arguments=(earlier, later), place=earlier.place, text=text)


def merged_tables(earlier: Expression, later: Expression, *, null_is_absent: bool) -> Expression:
    """Return the earlier table with the entries of the later one. With `null_is_absent`, null replaces nothing."""
    match earlier, later:
        case _, Literal(value=None):
            return earlier
        case Literal(value=None), _:
            return later
        case ObjectOf(), ObjectOf() if _has_plain_keys(earlier) and _has_plain_keys(later):
            return _merged_objects(earlier, later, null_is_absent=null_is_absent)
        case _:
            text = f"merge({earlier.text}, {later.text})"
            added = _without_null(later) if null_is_absent and _has_null(later) else later
            return Call(function="merge", arguments=(earlier, added), place=earlier.place, text=text)


def _merged_objects(earlier: ObjectOf, later: ObjectOf, *, null_is_absent: bool) -> ObjectOf:
    pairs = {_plain_key(pair): pair for pair in earlier.pairs}
    for pair in later.pairs:
        before = pairs.get(_plain_key(pair))
        if before is None:
            pairs[_plain_key(pair)] = pair
            continue
        value = unless_null(pair.value, before.value) if null_is_absent else pair.value
        comments = pair.comments if pair.comments.before or pair.comments.after else before.comments
        pairs[_plain_key(pair)] = replace(pair, value=value, comments=comments)
    return replace(
        earlier,
        pairs=tuple(pairs.values()),
        trailing=(*earlier.trailing, *later.trailing),
        text=f"merge({earlier.text}, {later.text})",
    )


def _without_null(table: Expression) -> Expression:
    """Return the entries of a table whose values are not null, as an expression."""
    value = Name(name="value", text="value")
    return ForObject(
        key="key",
        value="value",
        collection=table,
        result_key=Name(name="key", text="key"),
        result=value,
        condition=Binary(operator="!=", left=value, right=_NULL, text="value != null"),
        place=table.place,
        text=f"{{for key, value in {table.text} : key => value if value != null}}",
    )


def _has_plain_keys(table: ObjectOf) -> bool:
    return all(isinstance(pair.key, Literal) for pair in table.pairs)


def _plain_key(pair: Pair) -> str:
    return str(pair.key.value) if isinstance(pair.key, Literal) else ""


def _may_be_null(value: Expression) -> bool:
    """Whether the value of a condition or call may be a null that it contains."""
    return isinstance(value, Conditional | Call) and _has_null(value)


def _has_null(value: Expression) -> bool:
    return any(part == _NULL for part in walk(value))


def _text(value: Expression) -> str:
    return f"({value.text})" if isinstance(value, Conditional | Binary) else value.text
