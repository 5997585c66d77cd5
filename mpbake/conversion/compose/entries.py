"""The entries of a target, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.syntax import Call, Entry, Expression, Item, ListOf, Literal, ObjectOf, Pair

if TYPE_CHECKING:
    from mpbake.conversion.compose.values import Scalar, Value
    from mpbake.conversion.compose.yaml.comments import CommentLines


class Entries:
    """Collects the entries of a target by name: `x-bake` adds to lists and tables that `build` has."""

    def __init__(self, comments: CommentLines) -> None:
        """`comments` are those of the file."""
        self._comments = comments
        self._by_name: dict[str, Entry] = {}

    def all(self) -> tuple[Entry, ...]:
        """Return all entries."""
        return tuple(self._by_name.values())

    def get(self, name: str) -> Entry | None:
        """Return the entry with a name, or None."""
        return self._by_name.get(name)

    def put(self, name: str, key: Scalar, value: Value, expression: Expression) -> None:
        """Add an entry, or replace it. `key` and `value` are how it is written."""
        comments = self._comments.of(key, value)
        self._by_name[name] = Entry(name=name, value=expression, place=key.place, comments=comments)

    def append(self, name: str, key: Scalar, value: Value, items: Iterable[Item] | Expression) -> None:
        """Append items, or an expression that is a list, to a list that may exist. Items are not repeated."""
        old = self._by_name.get(name)
        before = old.value.items if old is not None and isinstance(old.value, ListOf) else ()
        if not isinstance(items, Iterable):
            whole = (
                Call(function="concat", arguments=(old.value, items), place=value.place) if old and before else items
            )
            self.put(name, key, value, whole)
            return
        known = {item.value for item in before}
        added = []
        for item in items:
            if item.value not in known:
                known.add(item.value)
                added.append(item)
        if not (before or added):
            return
        result = ListOf(items=(*before, *added), place=value.place)
        if old is None:
            self.put(name, key, value, result)
        else:
            self._by_name[name] = replace(old, value=result)

    def add_pairs(self, name: str, key: Scalar, value: Value, pairs: Iterable[Pair]) -> None:
        """Add to a table that may exist; its own entries stay."""
        old = self._by_name.get(name)
        before = old.value.pairs if old is not None and isinstance(old.value, ObjectOf) else ()
        known = {pair.key for pair in before}
        result = ObjectOf(pairs=(*before, *(pair for pair in pairs if pair.key not in known)), place=value.place)
        if not result.pairs:
            return
        if old is None:
            self.put(name, key, value, result)
        else:
            self._by_name[name] = replace(old, value=result)

    def pair(self, key: Scalar, value: Expression, written: Value | None = None) -> Pair:
        """Return an entry of a table. `written` is the value of `key` in the file."""
        name = Literal(value=key.text, place=key.place, text=key.text)
        return Pair(key=name, value=value, comments=self._comments.of(key, written))
