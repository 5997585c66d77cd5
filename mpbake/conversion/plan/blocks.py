"""The blocks of a bake file by their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mpbake.conversion.syntax import BakeFile, Function, Group, Target, Variable

if TYPE_CHECKING:
    from mpbake.conversion.syntax import Expression

Kind = TypeVar("Kind", Variable, Function, Group, Target)


def blocks_of(file: BakeFile, kind: type[Kind]) -> dict[str, Kind]:
    """Return the blocks of a kind, by name."""
    return {block.name: block for block in file.blocks if isinstance(block, kind)}


def entry_of(target: Target, name: str) -> Expression | None:
    """Return the value of an attribute of a target, or None if the target does not have the attribute."""
    return next((entry.value for entry in target.entries if entry.name == name), None)


def matrix_entry(target: Target) -> Expression | None:
    """Return the matrix of a target."""
    return entry_of(target, "matrix")
