"""References from one block of a bake file to another, such as `target.base.args.VERSION`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.conversion.syntax import Attribute, Expression, Index, Literal, Name, ObjectOf
from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.names import names_in

if TYPE_CHECKING:
    from mpbake.conversion.translation.scope import Scope

_ROOTS = frozenset({"target", "group"})


def dereferenced(expression: Expression, scope: Scope) -> Expression:
    """Return the expression that a reference to a target stands for; any other expression unchanged.

    Raises Untranslatable for a reference to an attribute that `scope` does not have.
    """
    path = _path(expression)
    if len(path) < 3 or path[0] not in _ROOTS or path[0] in scope.names:
        return expression
    value = scope.targets.get(path[1], {}).get(path[2]) if path[0] == "target" else None
    for key in path[3:]:
        value = _entry(value, key)
    if value is None:
        raise Untranslatable(expression, f"a plan cannot refer to {'.'.join(path)}")
    if names_in(value) & scope.local:
        raise Untranslatable(expression, f"{'.'.join(path)} uses a name that means something else here")
    return dereferenced(value, scope)


def _path(expression: Expression) -> tuple[str, ...]:
    """Return the names in `a.b["c"]`; empty for other expressions."""
    match expression:
        case Name(name=name):
            return (name,)
        case Attribute(operand=operand, name=name) | Index(operand=operand, key=Literal(value=str() as name)):
            parent = _path(operand)
            return (*parent, name) if parent else ()
        case _:
            return ()


def _entry(value: Expression | None, key: str) -> Expression | None:
    if not isinstance(value, ObjectOf):
        return None
    return next((pair.value for pair in value.pairs if isinstance(pair.key, Literal) and pair.key.value == key), None)
