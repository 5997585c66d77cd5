"""The functions of a bake file that only give items to lists of targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.conversion.parts import children
from mpbake.conversion.plan.blocks import blocks_of
from mpbake.conversion.plan.rewriting.walks import expressions_of
from mpbake.conversion.syntax import BakeFile, Block, Call, Conditional, Expression, Function, Target, Template
from mpbake.spec.tables.target_tables import ATTRIBUTES, ValueKind, value_kind

if TYPE_CHECKING:
    from collections.abc import Iterator

_PASSES_LISTS = frozenset({"concat", "flatten", "compact", "distinct"})
_KEEPS_EMPTY_TEXTS = frozenset({"inherits", "output"})
"""Lists of targets that the conversion reads itself."""


def drops_empty_texts(attribute: str) -> bool:
    """Whether an attribute of a target is a list from which bake and mpbake remove empty texts."""
    is_list = attribute in ATTRIBUTES and value_kind(attribute) is ValueKind.LIST
    return is_list and attribute not in _KEEPS_EMPTY_TEXTS


def list_functions(file: BakeFile) -> frozenset[str]:
    """Return the names of the functions whose results all become items of lists that drop empty texts."""
    functions = blocks_of(file, Function)
    candidates = frozenset(functions)
    while True:
        others = {name for block in file.blocks for name in _other_calls(block, candidates)}
        if candidates.isdisjoint(others):
            return candidates
        candidates -= others


def _other_calls(block: Block, list_functions: frozenset[str]) -> Iterator[str]:
    """Yield the functions of which a block uses the result for something else."""
    match block:
        case Target(entries=entries):
            for entry in entries:
                yield from _calls(entry.value, is_list=drops_empty_texts(entry.name))
        case Function(name=name, result=result):
            yield from _calls(result, is_list=name in list_functions)
        case _:
            for expression in expressions_of(block):
                yield from _calls(expression, is_list=False)


def _calls(expression: Expression, *, is_list: bool) -> Iterator[str]:
    """Yield the functions that an expression calls, without those whose results are items of the list."""
    match expression:
        case Call(function=function, arguments=arguments):
            if not is_list:
                yield function
            passes = is_list and function in _PASSES_LISTS
            for argument in arguments:
                yield from _calls(argument, is_list=passes)
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            yield from _calls(condition, is_list=False)
            yield from _calls(then, is_list=is_list)
            yield from _calls(otherwise, is_list=is_list)
        case Template(parts=(part,)):
            yield from _calls(part, is_list=is_list)
        case _:
            for child in children(expression):
                yield from _calls(child, is_list=False)
