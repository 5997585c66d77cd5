"""The changes between two JSON values: key by key for tables, entry by entry for lists."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    ValuePath = tuple[str, ...]
    """The path to a value in nested tables: `("args", "VERSION")`."""


class ChangeKind(StrEnum):
    """The subject of a change."""

    VALUE = "value"
    """A value that was set, changed or removed."""
    ENTRY = "entry"
    """An entry of a list that was added or removed."""
    ORDER = "order"
    """The order of the entries that a list has before and after."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A change of one value. `before` or `after` is None if there is no value; a plan document holds no null."""

    path: ValuePath
    kind: ChangeKind = ChangeKind.VALUE
    before: Any = None
    after: Any = None


def value_changes(before: Any, after: Any, path: ValuePath = ()) -> Iterator[Change]:
    """Yield the changes from one JSON value to another, in the order of `after`. None stands for no value.

    The keys of tables have no order. A table or list that appears or disappears is listed by its entries, and one
    without entries as a whole.
    """
    match before, after:
        case dict(), dict():
            yield from _table_changes(before, after, path)
        case list(), list():
            yield from _list_changes(before, after, path)
        case None, (dict() | list()) if after:
            yield from value_changes(type(after)(), after, path)
        case ((dict() | list()), None) if before:
            yield from value_changes(before, type(before)(), path)
        case _ if not is_same(before, after):
            yield Change(path=path, before=before, after=after)


def is_same(value: Any, other: Any) -> bool:
    """Whether two JSON values have the same text as JSON, apart from the order of keys: 1, 1.0 and true differ."""
    if isinstance(value, (dict, list)):
        return type(value) is type(other) and value == other and _text(value) == _text(other)
    return type(value) is type(other) and value == other


def is_empty(value: Any) -> bool:
    """Whether a value in a plan document means that nothing is set."""
    return not value


def added_values(value: Mapping[str, Any], path: ValuePath = ()) -> Iterator[Change]:
    """Yield the values of a new table. Values that mean that nothing is set are omitted."""
    for key, entry in value.items():
        if isinstance(entry, dict):
            yield from added_values(entry, (*path, key))
        elif not is_empty(entry):
            yield Change(path=(*path, key), after=entry)


def reversed_change(change: Change) -> Change:
    """Return the change that undoes `change`."""
    return Change(path=change.path, kind=change.kind, before=change.after, after=change.before)


def _table_changes(before: Mapping[str, Any], after: Mapping[str, Any], path: ValuePath) -> Iterator[Change]:
    for key in (*after, *(key for key in before if key not in after)):
        yield from value_changes(before.get(key), after.get(key), (*path, key))


def _list_changes(before: Sequence[Any], after: Sequence[Any], path: ValuePath) -> Iterator[Change]:
    """Yield the removed entries, the added entries, and the new order of the other entries if it differs."""
    old, new = [_text(entry) for entry in before], [_text(entry) for entry in after]
    if old == new:
        return
    removed, added = Counter(old) - Counter(new), Counter(new) - Counter(old)
    kept_before, kept_after = [], []
    for text, entry in zip(old, before, strict=True):
        if removed[text]:
            removed[text] -= 1
            yield Change(path=path, kind=ChangeKind.ENTRY, before=entry)
        else:
            kept_before.append(entry)
    for text, entry in zip(new, after, strict=True):
        if added[text]:
            added[text] -= 1
            yield Change(path=path, kind=ChangeKind.ENTRY, after=entry)
        else:
            kept_after.append(entry)
    if not is_same(kept_before, kept_after):
        yield Change(path=path, kind=ChangeKind.ORDER, before=kept_before, after=kept_after)


def _text(value: Any) -> str:
    """Return a text that is equal for equal JSON values."""
    return f'"{value}' if isinstance(value, str) else json.dumps(value, sort_keys=True)
