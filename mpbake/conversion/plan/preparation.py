"""Change a bake file before its conversion, where a plan needs another structure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.plan.conversion import Note, NoteKind
from mpbake.conversion.plan.names import blocks_of
from mpbake.conversion.plan.rewriting import replaced_names
from mpbake.conversion.syntax import BakeFile, Block, Expression, Function, Group, ListOf, Literal, Target, Variable

if TYPE_CHECKING:
    from collections.abc import Callable


def prepared(file: BakeFile) -> tuple[BakeFile, list[Note]]:
    """Return a file in which lists with empty texts are written where they are used, and notes on these lists.

    A list of a plan's variable has no empty texts, but a list in a matrix or in a template has.
    """
    variables = blocks_of(file, Variable)
    inlined = {
        name: variable.default
        for name, variable in variables.items()
        if isinstance(variable.default, ListOf) and _has_empty_text(variable.default)
    }
    if not inlined:
        return file, []
    blocks = [block for block in file.blocks if not (isinstance(block, Variable) and block.name in inlined)]
    changed = tuple(_changed(block, lambda value: replaced_names(value, inlined)) for block in blocks)
    notes = [
        Note(
            kind=NoteKind.LOST,
            text=f'the variable "{name}" is written where it is used: a list of a variable has no empty texts',
            place=variables[name].place,
        )
        for name in inlined
    ]
    return replace(file, blocks=changed), notes


def _has_empty_text(items: ListOf) -> bool:
    return any(isinstance(item.value, Literal) and item.value.value == "" for item in items.items)


def _changed(block: Block, change: Callable[[Expression], Expression]) -> Block:
    """Return a block in which `change` is applied to each expression."""
    match block:
        case Variable(default=default):
            return block if default is None else replace(block, default=change(default))
        case Function(result=result):
            return replace(block, result=change(result))
        case Group(targets=targets):
            return replace(block, targets=change(targets))
        case Target(entries=entries):
            return replace(block, entries=tuple(replace(entry, value=change(entry.value)) for entry in entries))
