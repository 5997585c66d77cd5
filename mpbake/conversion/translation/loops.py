"""Loops of HCL as comprehensions of templates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.conversion.translation.code import Code, Level
from mpbake.conversion.translation.functions.conversions import converted
from mpbake.conversion.translation.types import STRING, Kind, Type

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Loop:
    """`for names in values` of a comprehension or template. `uses_index` is whether `loop.index0` is the key."""

    names: tuple[str, ...]
    values: str

    def __str__(self) -> str:
        """Return the text of the clause."""
        return f"for {', '.join(self.names)} in {self.values}"


def is_sorted(type_: Type) -> bool:
    """Whether the entries of an object are certainly written in the order in which bake iterates them."""
    names = list(type_.attributes)
    return type_.kind is Kind.OBJECT and bool(names) and names == sorted(names)


def values_of(code: Code, name: str) -> Loop:
    """Return a loop over the values of a list or table. Raises ValueError if it is not known which of them it is."""
    match code.type.kind:
        case Kind.LIST | Kind.TUPLE | Kind.SET:
            return Loop(names=(name,), values=code.iterable or code.at(Level.OR))
        case Kind.OBJECT if is_sorted(code.type):
            return Loop(names=(name,), values=f"{code:primary}.values()")
        case Kind.OBJECT | Kind.MAP:
            key = "key" if name != "key" else "name"
            return Loop(names=(key, name), values=f"{code:filter} | dictsort(true)")
        case _:
            msg = "it is not known whether the loop is over a list or a table"
            raise ValueError(msg)


def pairs_of(code: Code, key: str, value: str, *, any_order: bool) -> Loop:
    """Return a loop over the keys and values of a table, in the order of the keys unless `any_order`."""
    if any_order or is_sorted(code.type):
        return Loop(names=(key, value), values=f"{code:primary}.items()")
    return Loop(names=(key, value), values=f"{code:filter} | dictsort(true)")


def indexed(code: Code, key: str, value: str) -> Loop:
    """Return a loop over the positions and items of a list."""
    loop = values_of(code, value)
    return Loop(names=(key, value), values=f"range({loop.values} | length) | zip({loop.values})")


def comprehension(item: Code, loops: Sequence[Loop], condition: Code | None = None) -> Code:
    """Return `[item for … if condition]`."""
    clauses = f"{' '.join(map(str, loops))}{_if(condition)}"
    text = f"[{item.before_word(Level.CONDITIONAL)} {clauses}]"
    inner = item.items[0] if item.items is not None and len(item.items) == 1 else None
    flat = f"[{inner.before_word(Level.CONDITIONAL)} {clauses}]" if inner and inner.type.is_primitive else ""
    return Code(text=text, type=Type(kind=Kind.TUPLE, element=item.type), flat=flat)


def table_comprehension(key: Code, value: Code, loop: Loop, condition: Code | None = None) -> Code:
    """Return `{key: value for … if condition}`."""
    text = f"{{{converted(key, STRING).text}: {value.before_word(Level.CONDITIONAL)} {loop}{_if(condition)}}}"
    return Code(text=text, type=Type(kind=Kind.OBJECT, element=value.type))


def _if(condition: Code | None) -> str:
    return f" if {condition.condition:or}" if condition else ""
