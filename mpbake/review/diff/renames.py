"""Find renames: a removed and an added target, builder or node that are equal, or nearly equal, except for the name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Item = Mapping[str, Any]
    """A target, a builder or a node of a plan document."""
    Fields = Mapping[str, tuple[frozenset[str], frozenset[str]]]
    """The values that characterize an item, by field: as they are, and with a placeholder for the name of the item."""

_SIMILAR = 0.6
"""The minimum similarity of two items that are one renamed item, from 0 to 1."""
_MAX_PAIRS = 10_000
"""The maximum number of pairs for a comparison of every pair. If there are more, mpbake compares only pairs with a
rare value in common."""
_RARE = 10
"""The maximum number of items that have a rare value."""
_COMMON = frozenset(
    (
        "name",
        "description",
        "builder",
        "platforms",
        "push",
        "load",
        "timeout",
        "stall_timeout",
        "retries",
        "only_linked",
        "variants",
    )
)
"""Fields of targets that many targets share, so equal values say little."""
_NAME = "\0"


def renamed_targets(removed: Sequence[Item], added: Sequence[Item]) -> dict[str, str]:
    """Return the old and the new names of renamed targets."""
    return _pairs(removed, added, "name", _target_fields)


def renamed_builders(removed: Sequence[Item], added: Sequence[Item]) -> dict[str, str]:
    """Return the old and the new names of renamed builders."""
    return _pairs(removed, added, "name", _builder_fields)


def renamed_nodes(removed: Sequence[Item], added: Sequence[Item]) -> dict[str, str]:
    """Return the old and the new ids of renamed nodes of one builder."""
    return _pairs(removed, added, "id", _node_fields)


def _pairs(
    removed: Sequence[Item], added: Sequence[Item], key: str, characterize: Callable[[Item], Fields]
) -> dict[str, str]:
    """Pair removed and added items: first equal items, in their order, then the most similar items."""
    old = {item[key]: characterize(item) for item in removed}
    new = {item[key]: characterize(item) for item in added}
    pairs: dict[str, str] = {}
    for form in (0, 1):
        pairs |= _equal(old, new, form)
        taken = set(pairs.values())
        old = {name: fields for name, fields in old.items() if name not in pairs}
        new = {name: fields for name, fields in new.items() if name not in taken}
    return pairs | _similar(old, new)


def _equal(old: Mapping[str, Fields], new: Mapping[str, Fields], form: int) -> dict[str, str]:
    """Pair items whose values are equal in one form: 0 as they are, 1 with a placeholder for the name."""
    by_values: dict[Any, list[str]] = {}
    for name, fields in reversed(list(new.items())):
        by_values.setdefault(_values(fields, form), []).append(name)
    return {
        name: same.pop() for name, fields in old.items() if fields and (same := by_values.get(_values(fields, form)))
    }


def _values(fields: Fields, form: int) -> frozenset[tuple[str, frozenset[str]]]:
    return frozenset((field, forms[form]) for field, forms in fields.items())


def _similar(old: Mapping[str, Fields], new: Mapping[str, Fields]) -> dict[str, str]:
    """Pair the most similar items; of equally similar items the first."""
    old_fields, new_fields = list(old.values()), list(new.values())
    scores = [
        (-score, before, after)
        for before, after in _candidates(old_fields, new_fields)
        if (score := _similarity(old_fields[before], new_fields[after])) >= _SIMILAR
    ]
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, before, after in sorted(scores):
        if before not in pairs and after not in taken:
            pairs[before] = after
            taken.add(after)
    old_names, new_names = list(old), list(new)
    return {old_names[before]: new_names[after] for before, after in pairs.items()}


def _candidates(old: Sequence[Fields], new: Sequence[Fields]) -> Iterator[tuple[int, int]]:
    """Yield the positions of the pairs that are compared."""
    if len(old) * len(new) <= _MAX_PAIRS:
        yield from ((before, after) for before in range(len(old)) for after in range(len(new)))
        return
    holders: dict[tuple[str, str], set[int]] = {}
    for after, fields in enumerate(new):
        for value in _all_values(fields):
            holders.setdefault(value, set()).add(after)
    for before, fields in enumerate(old):
        rare = [same for value in _all_values(fields) if len(same := holders.get(value, set())) <= _RARE]
        yield from ((before, after) for after in sorted(set().union(*rare)))


def _all_values(fields: Fields) -> Iterator[tuple[str, str]]:
    """Yield each value of an item with its field, in both forms."""
    return ((field, text) for field, forms in fields.items() for form in forms for text in form)


def _similarity(fields: Fields, others: Fields) -> float:
    """Return the mean share of common values over all fields that either item has; 0 without any field."""
    names = fields.keys() | others.keys()
    shares = [
        max(len(mine & theirs) / len(mine | theirs) for mine, theirs in zip(fields[name], others[name], strict=True))
        for name in fields.keys() & others.keys()
    ]
    return sum(shares) / len(names) if names else 0.0


def _target_fields(target: Item) -> Fields:
    values = {name: value for name, value in target.items() if name not in _COMMON and name != "attributes"}
    return _fields({**values, **target["attributes"]}, target["name"])


def _builder_fields(builder: Item) -> Fields:
    nodes = [{**node, "id": node["id"].removeprefix(f"{builder['name']}/")} for node in builder["nodes"]]
    return _fields({**builder, "name": "", "nodes": nodes}, builder["name"])


def _node_fields(node: Item) -> Fields:
    return _fields({**node, "id": ""}, node["id"].rpartition("/")[2])


def _fields(values: Item, name: str) -> Fields:
    """Return the values that are set, by field."""
    texts = {field: frozenset(_leaves(value)) for field, value in values.items()}
    return {
        field: (leaves, frozenset(text.replace(name, _NAME) for text in leaves) if name else leaves)
        for field, leaves in texts.items()
        if leaves
    }


def _leaves(value: Any, path: str = "") -> Iterator[str]:
    match value:
        case dict():
            for key, entry in value.items():
                yield from _leaves(entry, f"{path}\n{key}")
        case list():
            for entry in value:
                yield f"{path}={json.dumps(entry, sort_keys=True)}"
        case _ if value:
            yield f"{path}={json.dumps(value)}"
