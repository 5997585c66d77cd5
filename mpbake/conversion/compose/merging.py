"""Merge tables of Compose files: several documents, `extends` and `include`."""

from __future__ import annotations

from mpbake.conversion.compose.texts import split_pair
from mpbake.conversion.compose.values import List, Mapping, Scalar, Value, size
from mpbake.conversion.compose.yaml.scalars import is_null

_TABLES = {"args": "=", "additional_contexts": "=", "labels": "=", "environment": "=", "extra_hosts": "=:"}
"""Keys whose lists of `KEY=VALUE` merge by key, and the separators of these entries."""


def merged(base: Value, over: Value, key: str = "") -> Value:
    """Return `base` with the values of `over`: tables by key, lists one after the other. `key` is the key of both."""
    if over.tag == "!override":
        return over
    if isinstance(over, Scalar) and is_null(over):
        return base
    if key in _TABLES:
        base, over = as_table(base, _TABLES[key]), as_table(over, _TABLES[key])
    elif key == "build":
        base, over = long_build(base), long_build(over)
    match base, over:
        case Mapping(), Mapping():
            return _merged_tables(base, over, key)
        case List(), List():
            items = base.items + over.items
            return List(items=items, place=over.place, size=1 + sum(map(size, items)))
        case _:
            return over


def _merged_tables(base: Mapping, over: Mapping, key: str) -> Mapping:
    pairs = {name.text: (name, value) for name, value in base.pairs}
    for name, value in over.pairs:
        if value.tag == "!reset":
            pairs.pop(name.text, None)
        elif key == "extra_hosts" and name.text in pairs:
            pairs[name.text] = (name, _addresses(pairs[name.text][1], value))
        elif name.text in pairs and key not in _TABLES:
            pairs[name.text] = (name, merged(pairs[name.text][1], value, name.text))
        else:
            pairs[name.text] = (name, value)
    return with_pairs(over, tuple(pairs.values()))


def _addresses(first: Value, second: Value) -> Value:
    items: list[Value] = []
    for value in (first, second):
        for item in value.items if isinstance(value, List) else (value,):
            if item not in items:
                items.append(item)
    return List(items=tuple(items), place=second.place, size=1 + len(items))


def with_pairs(table: Mapping, pairs: tuple[tuple[Scalar, Value], ...]) -> Mapping:
    """Return a table at the place of `table` with other pairs."""
    return Mapping(pairs=pairs, place=table.place, size=1 + len(pairs) + sum(size(value) for _, value in pairs))


def without_reset(table: Mapping) -> Mapping:
    """Return a table without the entries that `!reset` removes, at every level."""
    pairs = tuple(
        (key, without_reset(value) if isinstance(value, Mapping) else value)
        for key, value in table.pairs
        if value.tag != "!reset"
    )
    return with_pairs(table, pairs)


def as_table(value: Value, separators: str) -> Value:
    """Return a list of `KEY=VALUE` as a table; everything else as it is."""
    if not isinstance(value, List):
        return value
    pairs: dict[str, tuple[Scalar, Value]] = {}
    for item in value.items:
        if not isinstance(item, Scalar):
            return value
        key, part = split_pair(item, separators)
        new: Value = Scalar(text="", place=item.place, plain=True) if part is None else part
        old = pairs.get(key.text)
        pairs[key.text] = (key, _addresses(old[1], new) if old and separators != "=" else new)
    table = Mapping(pairs=(), place=value.place)
    return with_pairs(table, tuple(pairs.values()))


def long_build(value: Value) -> Value:
    """Return `build: FOLDER` as a table with `context`."""
    if isinstance(value, Scalar) and not is_null(value):
        key = Scalar(text="context", place=value.place, last_line=value.last_line, last_column=value.last_column)
        return with_pairs(Mapping(pairs=(), place=value.place), ((key, value),))
    return value
