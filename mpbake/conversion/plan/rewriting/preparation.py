"""Change a bake file before its conversion, where a plan needs another structure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.parts import children, walk
from mpbake.conversion.plan.blocks import blocks_of
from mpbake.conversion.plan.conversion import Note, NoteKind
from mpbake.conversion.plan.fields import FIELD_LISTS, with_field_texts
from mpbake.conversion.plan.rewriting.hoisting import with_hoisted_tables
from mpbake.conversion.plan.rewriting.references import changed_block, replaced_names, with_items
from mpbake.conversion.plan.rewriting.walks import all_expressions, expressions_of, names_in
from mpbake.conversion.syntax import (
    BakeFile,
    Block,
    Call,
    Comments,
    Expression,
    Function,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Target,
    Template,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


LOCAL_PLATFORM = "BAKE_LOCAL_PLATFORM"
_ARCHITECTURES = frozenset({"386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"})
"""Platforms without an operating system: bake adds that of the machine, which is Linux wherever BuildKit runs."""


def prepared(file: BakeFile) -> tuple[BakeFile, list[Note]]:
    """Return a file that can be converted block by block, and notes on what this changes."""
    file = _with_local_platform(_with_field_texts(file))
    file, notes_on_tables = with_hoisted_tables(file)
    file, notes_on_lists = _with_inlined_lists(file)
    return file, [*notes_on_tables, *notes_on_lists, *_timestamps(file)]


# --- the variables of bake --------------------------------------------------------------------------------------------


def _with_local_platform(file: BakeFile) -> BakeFile:
    """Return a file that declares the variable of bake for the platform of the machine, if an expression uses it.

    In `platforms` a plan writes `local` instead.
    """
    declared = [block for block in file.blocks if isinstance(block, Variable) and block.name == LOCAL_PLATFORM]
    blocks = tuple(_changed_platforms(block) for block in file.blocks if block not in declared)
    if not any(LOCAL_PLATFORM in names_in(expression) for block in blocks for expression in expressions_of(block)):
        return replace(file, blocks=blocks)
    comments = Comments(before=("The platform of the machine that runs mpbake, as bake writes it.",))
    variable = Variable(name=LOCAL_PLATFORM, default=Literal(value=""), constant=True, comments=comments)
    return replace(file, blocks=(*blocks, variable))


def _changed_platforms(block: Block) -> Block:
    if not isinstance(block, Target):
        return block
    entries = (
        replace(entry, value=with_items(entry.value, _platform)) if entry.name == "platforms" else entry
        for entry in block.entries
    )
    return replace(block, entries=tuple(entries))


def _platform(expression: Expression) -> Expression:
    """Return a platform in the notation of a plan."""
    match expression:
        case Name(name=name) | Template(parts=(Name(name=name),)) if name == LOCAL_PLATFORM:
            return Literal(value="local", place=expression.place, text=expression.text)
        case Literal(value=str() as text) if text in _ARCHITECTURES:
            return replace(expression, value=f"linux/{text}")
        case _:
            return expression


# --- lists with empty texts -------------------------------------------------------------------------------------------


def _with_inlined_lists(file: BakeFile) -> tuple[BakeFile, list[Note]]:
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
    changed = tuple(changed_block(block, lambda value: replaced_names(value, inlined)) for block in blocks)
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


# --- lists of objects -------------------------------------------------------------------------------------------------


def _with_field_texts(file: BakeFile) -> BakeFile:
    """Return a file in which functions and variables whose objects are entries of `cache-from` and so on have texts."""
    variables, functions = blocks_of(file, Variable), blocks_of(file, Function)
    attributes: dict[str, str] = {}
    for target in blocks_of(file, Target).values():
        for entry in target.entries:
            if entry.name in FIELD_LISTS:
                attributes |= dict.fromkeys(_sources(entry.value), entry.name)
    for name in list(attributes):
        if name in functions:
            attributes |= dict.fromkeys(_sources(functions[name].result), attributes[name])
    if not any(name in variables or name in functions for name in attributes):
        return file
    return replace(file, blocks=tuple(_with_texts(block, attributes) for block in file.blocks))


def _sources(expression: Expression) -> Iterator[str]:
    """Yield the names of the functions and variables that give whole entries or lists of them."""
    match expression:
        case Name(name=name):
            yield name
        case Call(function=function):
            yield function
    if not isinstance(expression, ObjectOf):
        for child in children(expression):
            yield from _sources(child)


def _with_texts(block: Block, attributes: dict[str, str]) -> Block:
    match block:
        case Function(name=name, result=result) if name in attributes:
            return replace(block, result=with_field_texts(attributes[name], result))
        case Variable(name=name, default=ListOf() as default) if name in attributes:
            return replace(block, default=with_field_texts(attributes[name], default))
        case _:
            return block


# --- the time ---------------------------------------------------------------------------------------------------------


def _timestamps(file: BakeFile) -> Iterator[Note]:
    """Yield a note if the file reads the clock, which a plan cannot do."""
    for expression in all_expressions(file):
        for part in walk(expression):
            if isinstance(part, Call) and part.function == "timestamp":
                text = "timestamp() is the time in SOURCE_DATE_EPOCH, not that of the clock: set it before you build"
                yield Note(kind=NoteKind.LOST, text=text, place=part.place)
                return
