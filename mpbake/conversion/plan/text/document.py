"""A TOML document with comments, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from mpbake.conversion.syntax import NO_COMMENTS, Comments


@dataclass(frozen=True, kw_only=True, slots=True)
class ArrayItem:
    """An item of an array, with its comments."""

    value: Value
    comments: Comments = NO_COMMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Array:
    """An array. `trailing` are the comments before the closing bracket."""

    items: tuple[ArrayItem, ...] = ()
    trailing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyValue:
    """A key of a table with its value and comments."""

    key: str
    value: Value
    comments: Comments = NO_COMMENTS


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A table that is a value. The writer decides whether it is written inline or below a header of its own."""

    pairs: tuple[KeyValue, ...] = ()
    trailing: tuple[str, ...] = ()


Value: TypeAlias = str | int | float | bool | Array | Table


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A table below a header: `[targets.web]`. Without a path, the keys at the top of the document."""

    path: tuple[str, ...]
    pairs: tuple[KeyValue, ...] = ()
    comments: Comments = NO_COMMENTS
    trailing: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A TOML document: the comments at its top, its sections in order, and the comments at its end."""

    heading: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    trailing: tuple[str, ...] = ()


def as_value(data: object) -> Value:
    """Return plain data (text, numbers, lists, dictionaries) as a value without comments."""
    match data:
        case dict():
            return Table(pairs=tuple(KeyValue(key=str(key), value=as_value(value)) for key, value in data.items()))
        case list() | tuple():
            return Array(items=tuple(ArrayItem(value=as_value(item)) for item in data))
        case str() | bool() | int() | float() | Array() | Table():
            return data
        case _:
            msg = f"TOML has no value for {data!r}"
            raise TypeError(msg)
