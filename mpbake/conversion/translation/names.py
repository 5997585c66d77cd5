"""The names that an expression uses, and fresh names for loops that translation adds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.conversion.parts import children
from mpbake.conversion.syntax import Call, ForList, ForObject, Name, TemplateFor
from mpbake.conversion.translation.scope import template_name

if TYPE_CHECKING:
    from mpbake.conversion.syntax import Expression
    from mpbake.conversion.translation.code import Code
    from mpbake.conversion.translation.scope import Scope


def names_in(expression: Expression) -> frozenset[str]:
    """Return the names of variables and functions that an expression uses, without those that it binds itself."""
    return frozenset(_names_in(expression))


def _names_in(node: Expression) -> set[str]:
    match node:
        case Name(name=name):
            return {name}
        case Call(function=function, arguments=arguments):
            return {function}.union(*map(_names_in, arguments))
        case ForList() | ForObject() | TemplateFor():
            inner = set().union(*(_names_in(part) for part in children(node) if part is not node.collection))
            return _names_in(node.collection) | (inner - {node.key, node.value})
        case _:
            return set().union(*map(_names_in, children(node)))


def plan_names_in(expression: Expression | None, scope: Scope, *, without: tuple[str, ...]) -> set[str]:
    """Return what the names that an expression uses are called in the plan, except for the names in `without`."""
    used = names_in(expression) - set(without) if expression else frozenset()
    bound = {scope.names[name].name for name in used if name in scope.names}
    return bound | {scope.functions[name].name for name in used if name in scope.functions}


_PLURAL = re.compile(r"[A-Za-z_]\w*[a-rt-z]s")


def item_name(items: Code, *others: Code) -> str:
    """Return a name for one item of a list in a loop: `tag` for `tags`, otherwise `item`."""
    word = items.text.rpartition(".")[2]
    name = word[:-1] if _PLURAL.fullmatch(word) else "item"
    return template_name(name, words_in(items, *others))


def fresh_names(wanted: str, *codes: Code) -> list[str]:
    """Return names for loops that no code uses: the letters in `wanted` or, if a code uses them, others."""
    taken = words_in(*codes)
    free = [letter for letter in dict.fromkeys(f"{wanted}xyzuvwabcdefghijk") if letter not in taken]
    names = free[: len(wanted)]
    while len(names) < len(wanted):
        names.append(template_name("item", taken | {*names}))
    return names


def words_in(*codes: Code) -> set[str]:
    """Return all words in the text of codes, which may be names."""
    return {word for code in codes for word in re.findall(r"[A-Za-z_]\w*", code.text)}
