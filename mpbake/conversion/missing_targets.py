"""Explain why bake files have no target that bake could build. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.base.text import closest_name
from mpbake.conversion.plan.blocks import blocks_of, entry_of
from mpbake.conversion.syntax import ListOf, Literal, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.conversion.syntax import BakeFile, Place

_BLOCK = re.compile("the block `(.+)`")
_KINDS = ("target", "group", "variable", "function")


def missing_targets(file: BakeFile) -> tuple[str, str]:
    """Return a message with its place, and a hint, for a file of which mpbake can build no target."""
    for ignored in file.ignored:
        block = _BLOCK.fullmatch(ignored.what)
        kind = closest_name(block[1].lower(), _KINDS) if block else ""
        if kind:
            return f"{_shown(ignored.place)}: bake ignores {ignored.what}", f"write `{kind}`"
    targets = blocks_of(file, Target)
    for name, target in targets.items():
        if path := _cycle(name, targets):
            message = f"{_shown(target.place)}: the targets inherit each other: {' -> '.join(path)}"
            return message, "remove one of these references"
    return f"{file.path}: no target that bake could build", "name all files that bake gets, in the same order"


def _shown(place: Place) -> str:
    return f"{place.file}:{place.line}" if place.line else place.file


def _cycle(start: str, targets: Mapping[str, Target]) -> list[str]:
    """Return the names from a target to itself, over its parents; empty if it does not inherit itself."""
    paths = [[start]]
    visited = set()
    while paths:
        path = paths.pop()
        for parent in _parents(targets[path[-1]]):
            if parent == start:
                return [*path, parent]
            if parent in targets and parent not in visited:
                visited.add(parent)
                paths.append([*path, parent])
    return []


def _parents(target: Target) -> Iterator[str]:
    inherits = entry_of(target, "inherits")
    if isinstance(inherits, ListOf):
        yield from (str(item.value.value) for item in inherits.items if isinstance(item.value, Literal))
