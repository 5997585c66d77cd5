"""The changes of placement and of tags between two plan documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mpbake.review.document.plan_document import Document


@dataclass(frozen=True, kw_only=True, slots=True)
class Spot:
    """The nodes that may build a platform, the preferred node first, and how: native, emulated or unknown."""

    nodes: tuple[str, ...]
    how: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlacementChange:
    """A platform of a target that another node builds, or that a node builds in another way.

    `platform` is empty for the own platform of the node. A target to which several targets link can have several spots.
    """

    target: str
    platform: str
    before: tuple[Spot, ...] = ()
    after: tuple[Spot, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class TagChange:
    """A tag that a run newly pushes, no longer pushes, or pushes from another target. Targets are empty for no push."""

    tag: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


def placement_changes(before: Document, after: Document) -> Iterator[PlacementChange]:
    """Yield the platforms with another placement, for targets that both documents have."""
    names = {target["name"] for target in before["targets"]} & {target["name"] for target in after["targets"]}
    old, new = _spots(before, names), _spots(after, names)
    for target, platform in dict.fromkeys((*new, *old)):
        spots, others = tuple(old.get((target, platform), ())), tuple(new.get((target, platform), ()))
        if set(spots) != set(others):
            yield PlacementChange(target=target, platform=platform, before=spots, after=others)


def _spots(document: Document, names: Iterable[str]) -> dict[tuple[str, str], list[Spot]]:
    """Return the spots of each platform of the named targets."""
    names = frozenset(names)
    spots: dict[tuple[str, str], list[Spot]] = {}
    for step in document["steps"]:
        if step["kind"] == "build" and step["target"] in names:
            for placed in step["platforms"] or ({"platform": "", "how": ""},):
                spot = Spot(nodes=tuple(step["nodes"]), how=placed["how"])
                spots.setdefault((step["target"], placed["platform"]), []).append(spot)
    return spots


def tag_changes(before: Document, after: Document) -> Iterator[TagChange]:
    """Yield the tags that other targets push than before: new tags, then moved tags, then tags without a push."""
    old, new = _pushed_tags(before), _pushed_tags(after)
    changes = [
        TagChange(tag=tag, before=tuple(old.get(tag, ())), after=tuple(new.get(tag, ())))
        for tag in dict.fromkeys((*new, *old))
        if set(old.get(tag, ())) != set(new.get(tag, ()))
    ]
    yield from sorted(changes, key=lambda change: (bool(change.before), not change.after))


def _pushed_tags(document: Document) -> dict[str, list[str]]:
    """Return the targets that push each tag."""
    tags: dict[str, list[str]] = {}
    for step in document["steps"]:
        if step["kind"] == "publish":
            for tag in step["tags"]:
                tags.setdefault(tag, []).append(step["target"])
    return tags
