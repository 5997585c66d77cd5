"""Give large literal tables inside of expressions a variable of their own: in a template, a table is one long line."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mpbake.conversion.plan.conversion import Note, NoteKind
from mpbake.conversion.plan.rewriting.references import changed_block, mapped
from mpbake.conversion.plan.rewriting.walks import all_expressions, loop_names, names_in
from mpbake.conversion.syntax import (
    BakeFile,
    Block,
    Call,
    Expression,
    Function,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
    Target,
    Variable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LARGE = 6
"""The number of literal entries from which a table gets a variable."""


def with_hoisted_tables(file: BakeFile) -> tuple[BakeFile, list[Note]]:
    """Return a file in which large tables inside of expressions are variables, and notes on these variables.

    They come before their first use.
    """
    hoisting = _Hoisting(taken=_names(file))
    blocks: list[Block] = []
    for block in file.blocks:
        changed = hoisting.changed(block)
        blocks += [*hoisting.take(), changed]
    return replace(file, blocks=tuple(blocks)), hoisting.notes


def _names(file: BakeFile) -> set[str]:
    """Return all names that expressions use or define, in lower case."""
    names = {block.name for block in file.blocks}
    for block in file.blocks:
        if isinstance(block, Function):
            names |= {*block.params, block.variadic}
    for expression in all_expressions(file):
        names |= names_in(expression) | loop_names(expression)
    return {name.lower() for name in names}


@dataclass(kw_only=True)
class _Hoisting:
    """Collects the variables for large tables. `taken` are names that they must not have."""

    taken: set[str]
    notes: list[Note] = field(default_factory=list)
    _variables: list[Variable] = field(default_factory=list)

    def take(self) -> list[Variable]:
        """Return the variables that were collected since the last call."""
        taken, self._variables = self._variables, []
        return taken

    def changed(self, block: Block) -> Block:
        """Return a block whose expressions refer to variables instead of large tables."""
        name = block.name if isinstance(block, Function | Target) else ""
        return changed_block(block, lambda value: self._structure(value, name)) if name else block

    def _structure(self, expression: Expression, name: str) -> Expression:
        """Change the templates in an expression whose lists and tables the plan writes as such."""
        if isinstance(expression, ListOf | ObjectOf):
            return mapped(expression, lambda child: self._structure(child, name))
        return mapped(expression, lambda child: self._in_template(child, name))

    def _in_template(self, expression: Expression, name: str) -> Expression:
        if isinstance(expression, ObjectOf):
            constant = [pair for pair in expression.pairs if _is_constant(pair.key) and _is_constant(pair.value)]
            if len(constant) >= _LARGE:
                rest = [pair for pair in expression.pairs if pair not in constant]
                return self._hoisted(expression, constant, rest, name)
        return mapped(expression, lambda child: self._in_template(child, name))

    def _hoisted(self, table: ObjectOf, constant: Iterable[Pair], rest: list[Pair], name: str) -> Expression:
        word = f"{_WORD_START.sub('_', name).replace('-', '_').lower()}_table"
        candidate, number = word, 2
        while candidate in self.taken:
            candidate, number = f"{word}_{number}", number + 1
        self.taken.add(candidate)
        default = replace(table, pairs=tuple(constant))
        self._variables.append(Variable(name=candidate, default=default, constant=True, place=table.place))
        text = f'a table in "{name}" is the variable "{candidate}" in the plan'
        self.notes.append(Note(kind=NoteKind.RENAMED, text=text, place=table.place))
        variable = Name(name=candidate, place=table.place, text=candidate)
        if not rest:
            return variable
        others = self._in_template(replace(table, pairs=tuple(rest), trailing=()), name)
        return Call(function="merge", arguments=(variable, others), place=table.place, text=table.text)


def _is_constant(expression: Expression) -> bool:
    match expression:
        case Literal():
            return True
        case ListOf(items=items):
            return all(_is_constant(item.value) for item in items)
        case ObjectOf(pairs=pairs):
            return all(_is_constant(pair.key) and _is_constant(pair.value) for pair in pairs)
        case _:
            return False
