"""The static types of HCL expressions: what bake knows about a value without evaluating it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import reduce
from typing import TYPE_CHECKING, Any

from mpbake.conversion.syntax import Call, Expression, ListOf, Literal, Name, ObjectOf

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Kind(StrEnum):
    """The kind of a type. A tuple and an object know the type of each item; a list, set and map have one type for all.

    `ANY` is a type that is known only when bake evaluates the expression.
    """

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    LIST = "list"
    SET = "set"
    TUPLE = "tuple"
    MAP = "map"
    OBJECT = "object"
    ANY = "any"


@dataclass(frozen=True, kw_only=True, slots=True)
class Type:
    """A type. With `nullable`, the value may be null.

    `element` is the type of each element of a list, set or map. `items` are the types of a tuple, `attributes` the
    types of an object by name. A loop makes a tuple or an object of which only the type of each element is known.
    """

    kind: Kind
    nullable: bool = False
    element: Type | None = None
    items: tuple[Type, ...] = ()
    attributes: Mapping[str, Type] = field(default_factory=dict)

    @property
    def is_primitive(self) -> bool:
        """Whether this is a string, a number or a boolean."""
        return self.kind in {Kind.STRING, Kind.NUMBER, Kind.BOOL}

    @property
    def is_sequence(self) -> bool:
        """Whether this is a list, set or tuple."""
        return self.kind in {Kind.LIST, Kind.SET, Kind.TUPLE}

    @property
    def is_table(self) -> bool:
        """Whether this is a map or an object."""
        return self.kind in {Kind.MAP, Kind.OBJECT}

    @property
    def members(self) -> tuple[Type, ...]:
        """The types of the elements of a list, set, tuple, map or object."""
        if self.element is not None:
            return (self.element,)
        return (*self.items, *self.attributes.values())

    @property
    def contents(self) -> Type:
        """The type of every element of a list, set, tuple, map or object."""
        return reduce(same_type, self.members) if self.members else ANY

    @property
    def converted_contents(self) -> Type:
        """The type of every element after bake has converted them to one type, for a list, set or map."""
        return common_type(self.members)

    def or_null(self) -> Type:
        """Return this type, with null as a possible value."""
        return replace(self, nullable=True)

    def without_null(self) -> Type:
        """Return this type, without null as a possible value."""
        return replace(self, nullable=False)


STRING = Type(kind=Kind.STRING)
NUMBER = Type(kind=Kind.NUMBER)
BOOL = Type(kind=Kind.BOOL)
ANY = Type(kind=Kind.ANY, nullable=True)
"""A type that is not known. The value may be null."""
NULL = ANY
"""The type of the literal `null`, which fits every other type."""


def list_of(element: Type) -> Type:
    """Return the type of a list."""
    return Type(kind=Kind.LIST, element=element)


def set_of(element: Type) -> Type:
    """Return the type of a set."""
    return Type(kind=Kind.SET, element=element)


def map_of(element: Type) -> Type:
    """Return the type of a map."""
    return Type(kind=Kind.MAP, element=element)


def tuple_of(items: Iterable[Type]) -> Type:
    """Return the type of a tuple."""
    return Type(kind=Kind.TUPLE, items=tuple(items))


def object_of(attributes: Mapping[str, Type]) -> Type:
    """Return the type of an object. The attributes keep their order."""
    return Type(kind=Kind.OBJECT, attributes=dict(attributes))


def type_of_value(value: Any) -> Type:
    """Return the type of a constant: text, number, boolean, list, dict or None."""
    match value:
        case None:
            return NULL
        case bool():
            return BOOL
        case int() | float():
            return NUMBER
        case str():
            return STRING
        case Mapping():
            return object_of({str(key): type_of_value(item) for key, item in value.items()})
        case _:
            return tuple_of(type_of_value(item) for item in value)


def type_of_constraint(expression: Expression) -> Type:
    """Return the type that a type expression of a variable names, such as `list(string)`."""
    match expression:
        case Name(name=name) | Literal(value=str() as name):
            return {"string": STRING, "number": NUMBER, "bool": BOOL}.get(name, ANY)
        case Call(function="list", arguments=(element,)):
            return list_of(type_of_constraint(element))
        case Call(function="set", arguments=(element,)):
            return set_of(type_of_constraint(element))
        case Call(function="map", arguments=(element,)):
            return map_of(type_of_constraint(element))
        case Call(function="tuple", arguments=(ListOf(items=items),)):
            return tuple_of(type_of_constraint(item.value) for item in items)
        case Call(function="object", arguments=(ObjectOf(pairs=pairs),)):
            return object_of({_key(pair.key): type_of_constraint(pair.value) for pair in pairs})
        case Call(function="optional", arguments=(required, *_)):
            return type_of_constraint(required).or_null()
        case _:
            return ANY


def _key(key: Expression) -> str:
    match key:
        case Name(name=name):
            return name
        case Literal(value=value):
            return str(value)
        case _:
            return ""


def unified(first: Type, second: Type) -> Type:
    """Return the type to which bake converts values of both types, such as both sides of a conditional."""
    nullable = first.nullable or second.nullable
    if first.kind is Kind.ANY or second.kind is Kind.ANY:
        return ANY
    if first.kind is second.kind:
        return replace(_unified_members(first, second), nullable=nullable)
    kinds = {first.kind, second.kind}
    if kinds <= {Kind.STRING, Kind.NUMBER, Kind.BOOL} and Kind.STRING in kinds:
        return replace(STRING, nullable=nullable)
    if kinds == {Kind.SET, Kind.TUPLE}:
        return replace(set_of(_unified_contents(first, second)), nullable=nullable)
    if kinds <= {Kind.LIST, Kind.TUPLE, Kind.SET}:
        return replace(list_of(_unified_contents(first, second)), nullable=nullable)
    if kinds == {Kind.MAP, Kind.OBJECT}:
        return replace(map_of(_unified_contents(first, second)), nullable=nullable)
    return ANY


def _unified_members(first: Type, second: Type) -> Type:
    """Return the type for two types of the same kind."""
    match first.kind:
        case Kind.LIST | Kind.SET | Kind.MAP:
            return replace(first, element=_unified_contents(first, second))
        case Kind.TUPLE if not (first.element or second.element) and len(first.items) == len(second.items):
            return tuple_of(map(unified, first.items, second.items))
        case Kind.TUPLE:
            return list_of(_unified_contents(first, second))
        case Kind.OBJECT if not (first.element or second.element) and (
            first.attributes.keys() == second.attributes.keys()
        ):
            pairs = {name: unified(type_, second.attributes[name]) for name, type_ in first.attributes.items()}
            return object_of(pairs)
        case Kind.OBJECT:
            return map_of(_unified_contents(first, second))
        case _:
            return first


def _unified_contents(first: Type, second: Type) -> Type:
    return common_type([*first.members, *second.members])


def same_type(first: Type, second: Type) -> Type:
    """Return the type of a name that has values of both types. Nothing is converted, unlike for `unified`."""
    nullable = first.nullable or second.nullable
    if first.kind is second.kind and first.is_primitive:
        return replace(first, nullable=nullable)
    if first.kind is second.kind is Kind.OBJECT and first.attributes.keys() == second.attributes.keys() != set():
        pairs = {name: same_type(type_, second.attributes[name]) for name, type_ in first.attributes.items()}
        return replace(object_of(pairs), nullable=nullable)
    if {first.kind, second.kind} <= {Kind.LIST, Kind.TUPLE} or first.kind is second.kind is Kind.SET:
        kind = first.kind if first.kind is second.kind else Kind.LIST
    elif {first.kind, second.kind} <= {Kind.MAP, Kind.OBJECT}:
        kind = Kind.MAP if Kind.MAP in {first.kind, second.kind} else Kind.OBJECT
    else:
        return ANY
    if first == second:
        return first
    members = [*first.members, *second.members]
    return Type(kind=kind, nullable=nullable, element=reduce(same_type, members) if members else ANY)


def is_empty(type_: Type) -> bool:
    """Whether a value of this type is certainly an empty tuple or object."""
    return type_.kind in {Kind.TUPLE, Kind.OBJECT} and not type_.members


def common_type(types: Sequence[Type]) -> Type:
    """Return the type to which bake converts values of all these types."""
    return reduce(unified, types) if types else ANY
