"""The diff of two plan documents: what a reviewer decides on, in an order that puts new rights first."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mpbake.review.diff.names import NewNames
from mpbake.review.diff.placements import PlacementChange, TagChange, placement_changes, tag_changes
from mpbake.review.diff.renames import renamed_builders, renamed_nodes, renamed_targets
from mpbake.review.diff.security import SecurityChange, security_changes
from mpbake.review.diff.value_changes import Change, ChangeKind, added_values, is_same, reversed_change, value_changes
from mpbake.review.document.plan_document import UNIDENTIFIED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mpbake.review.document.plan_document import Document

_COMPARED = frozenset({"format", "grants", "registries", "builders", "targets", "steps", "warnings", *UNIDENTIFIED})
"""The fields of a document that have their own part in a diff, or none."""


class ItemState(StrEnum):
    """The change of an item as a whole."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    CHANGED = "changed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemDiff:
    """A target, builder, node or step that differs. `before` and `after` are its names; empty if it is not there.

    The changes of an added or removed item are its values. Names of renamed targets, builders and nodes in other values
    are not changes.
    """

    before: str = ""
    after: str = ""
    changes: tuple[Change, ...] = ()

    @property
    def state(self) -> ItemState:
        """The change of the item as a whole."""
        if not self.before or not self.after:
            return ItemState.REMOVED if self.before else ItemState.ADDED
        return ItemState.CHANGED if self.before == self.after else ItemState.RENAMED

    @property
    def name(self) -> str:
        """The name of the item, or its last name."""
        return self.after or self.before


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanDiff:
    """Everything that differs between two plan documents.

    `before_id` and `after_id` are the plan ids. `before_id` is empty if there is no plan to compare with: then
    everything is new. `order` are lists of the document in another order. `other` are changes of fields without a part
    of their own.
    """

    before_id: str = ""
    after_id: str = ""
    security: tuple[SecurityChange, ...] = ()
    targets: tuple[ItemDiff, ...] = ()
    placements: tuple[PlacementChange, ...] = ()
    tags: tuple[TagChange, ...] = ()
    builders: tuple[ItemDiff, ...] = ()
    nodes: tuple[ItemDiff, ...] = ()
    steps: tuple[ItemDiff, ...] = ()
    warnings: tuple[Change, ...] = ()
    order: tuple[Change, ...] = ()
    other: tuple[Change, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return any((self.security, self.targets, self.placements, self.tags, self.builders, self.nodes)) or any(
            (self.steps, self.warnings, self.order, self.other)
        )

    @property
    def digest(self) -> str:
        """The SHA-256 of the diff as 64 hexadecimal digits. Equal diffs of equal plans have the same digest."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def diff_documents(before: Document | None, after: Document) -> PlanDiff:
    """Return the diff from one plan document to another. None stands for no plan: everything in `after` is new."""
    old = before if before is not None else _NOTHING
    names = _renames(old, after)
    new_names = names.in_document(old)
    old_names = {"targets": _reversed(names.targets), "builders": _reversed(names.builders)}
    return PlanDiff(
        before_id=old.get("id", ""),
        after_id=after.get("id", ""),
        security=tuple(security_changes(new_names, after)),
        targets=_items(new_names["targets"], after["targets"], "name", old_names["targets"]),
        placements=tuple(placement_changes(new_names, after)),
        tags=tuple(tag_changes(new_names, after)),
        builders=_items(_builders(new_names), _builders(after), "name", old_names["builders"]),
        nodes=_items(_nodes(new_names), _nodes(after), "id", _reversed(names.nodes)),
        steps=_items(new_names["steps"], after["steps"], "key", {}),
        warnings=tuple(value_changes(old["warnings"], after["warnings"])),
        order=tuple(_order_changes(new_names, after)),
        other=tuple(_other_changes(new_names, after)),
    )


_KEYS = {"grants": "allow", "registries": "name", "builders": "name", "targets": "name", "steps": "key"}
"""The lists of a document, each with the field that names an item."""
_NOTHING: Document = {name: [] for name in ("grants", "registries", "builders", "targets", "steps", "warnings")}


def _renames(before: Document, after: Document) -> NewNames:
    """Find renamed targets, builders and nodes. Nodes are searched in builders that are in both documents."""
    builders = renamed_builders(*_only_in_one(before["builders"], after["builders"], "name"))
    nodes: dict[str, str] = {}
    new_builders = {builder["name"]: builder for builder in after["builders"]}
    for builder in before["builders"]:
        name = builders.get(builder["name"], builder["name"])
        moved = {node["id"]: f"{name}/{node['id'].partition('/')[2]}" for node in builder["nodes"]}
        own = [{**node, "id": moved[node["id"]]} for node in builder["nodes"]]
        others = new_builders[name]["nodes"] if name in new_builders else ()
        renamed = renamed_nodes(*_only_in_one(own, others, "id")) if others else {}
        nodes |= {old: renamed.get(new, new) for old, new in moved.items() if renamed.get(new, new) != old}
    targets = renamed_targets(*_only_in_one(before["targets"], after["targets"], "name"))
    return NewNames(targets=targets, builders=builders, nodes=nodes)


def _only_in_one(
    before: Iterable[Document], after: Iterable[Document], key: str
) -> tuple[list[Document], list[Document]]:
    """Return the items that only `before` has, and those that only `after` has."""
    old, new = {item[key]: item for item in before}, {item[key]: item for item in after}
    return (
        [item for name, item in old.items() if name not in new],
        [item for name, item in new.items() if name not in old],
    )


def _items(
    before: Iterable[Document], after: Iterable[Document], key: str, old_names: Mapping[str, str]
) -> tuple[ItemDiff, ...]:
    """Return the items that differ, in the order of `after`, then the removed items."""
    old, new = {item[key]: item for item in before}, {item[key]: item for item in after}
    return tuple(_item_diffs(old, new, key, old_names))


def _item_diffs(
    old: Mapping[str, Document], new: Mapping[str, Document], key: str, old_names: Mapping[str, str]
) -> Iterator[ItemDiff]:
    for name, item in new.items():
        if name not in old:
            yield ItemDiff(after=name, changes=_values(item, key))
        elif name in old_names or not is_same(old[name], item):
            yield ItemDiff(before=old_names.get(name, name), after=name, changes=tuple(value_changes(old[name], item)))
    for name, item in old.items():
        if name not in new:
            yield ItemDiff(before=name, changes=tuple(map(reversed_change, _values(item, key))))


def _values(item: Document, key: str) -> tuple[Change, ...]:
    return tuple(added_values({name: value for name, value in item.items() if name != key}))


def _builders(document: Document) -> list[Document]:
    """Return the builders of a document without their nodes, which have their own part in a diff."""
    return [{name: value for name, value in builder.items() if name != "nodes"} for builder in document["builders"]]


def _nodes(document: Document) -> list[Document]:
    return [node for builder in document["builders"] for node in builder["nodes"]]


def _order_changes(before: Document, after: Document) -> Iterator[Change]:
    """Yield the lists of the documents whose common items have another order."""
    for name, key in _KEYS.items():
        old, new = ([item[key] for item in document[name]] for document in (before, after))
        yield from (change for change in value_changes(old, new, (name,)) if change.kind is ChangeKind.ORDER)
    old, new = ([node["id"] for node in _nodes(document)] for document in (before, after))
    yield from (change for change in value_changes(old, new, ("nodes",)) if change.kind is ChangeKind.ORDER)


def _other_changes(before: Document, after: Document) -> Iterator[Change]:
    """Yield the changes that no other part of the diff shows: further fields of the document, grants and registries."""
    for name, part in (("grants", "users"), ("registries", "uses")):
        old = {item[_KEYS[name]]: item for item in before[name]}
        for item in after[name]:
            changes = value_changes(old.get(item[_KEYS[name]], item), item, (name, item[_KEYS[name]]))
            yield from (change for change in changes if change.path[2] != part or change.kind is ChangeKind.ORDER)
    old_fields, new_fields = (
        {name: document[name] for name in document.keys() - _COMPARED} for document in (before, after)
    )
    yield from value_changes(dict(sorted(old_fields.items())), dict(sorted(new_fields.items())))


def _reversed(names: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in names.items()}
