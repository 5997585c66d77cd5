"""The blocks of a bake file by their kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from mpbake.conversion.plan.rewriting.walks import literal_pairs
from mpbake.conversion.syntax import BakeFile, Function, Group, Name, Target, Variable

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def matrix_lists(matrix: Expression, variables: Mapping[str, Variable]) -> dict[str, Expression]:
    """Return the lists of a matrix by name, as far as they are known: an object, or a variable with an object."""
    for _ in variables:
        default = variables[matrix.name].default if isinstance(matrix, Name) and matrix.name in variables else None
        matrix = default or matrix
    return literal_pairs(matrix) or {}
