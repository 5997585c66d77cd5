"""Functions of bake on lists, sets, tables and numbers whose form depends on the arguments."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.translation.code import Code, Level, list_code
from mpbake.conversion.translation.functions.conversions import converted, sorted_set
from mpbake.conversion.translation.functions.texts import number_of
from mpbake.conversion.translation.loops import Loop, comprehension, is_sorted, values_of
from mpbake.conversion.translation.names import fresh_names, words_in
from mpbake.conversion.translation.operators import compared
from mpbake.conversion.translation.types import (
    ANY,
    NUMBER,
    STRING,
    Kind,
    Type,
    common_type,
    list_of,
    map_of,
    object_of,
    same_type,
    tuple_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


# --- lists ------------------------------------------------------------------------------------------------------------


def concatenated_lists(*lists: Code) -> Code:
    """Return `a + b`; literal lists that follow each other become one."""
    merged: list[Code] = []
    for code in lists:
        if code.items is not None and merged and merged[-1].items is not None:
            merged[-1] = list_code([*merged[-1].items, *code.items])
        else:
            merged.append(code)
    parts = [code for code in merged if code.items != ()] or merged[:1]
    type_ = _concatenated_type([code.type for code in lists])
    if len(parts) == 1:
        return replace(parts[0], type=type_)
    return Code(text=" + ".join(f"{code:add}" for code in parts), level=Level.ADD, type=type_)


def _concatenated_type(types: Sequence[Type]) -> Type:
    if all(type_.kind is Kind.TUPLE and type_.element is None for type_ in types):
        return tuple_of(item for type_ in types for item in type_.items)
    kinds = {type_.kind for type_ in types}
    if Kind.ANY in kinds:
        return Type(kind=Kind.TUPLE, element=ANY)
    element = common_type([member for type_ in types for member in type_.members])
    return list_of(element) if kinds == {Kind.LIST} else Type(kind=Kind.TUPLE, element=element)


def distinct_items(values: Code) -> Code:
    """Return a list without duplicates."""
    type_ = list_of(values.type.converted_contents)
    values = converted(values, type_)
    argument = "" if type_.contents.kind is Kind.NUMBER else "(true)"
    return Code(text=f"{values:filter} | unique{argument} | list", level=Level.FILTER, type=type_)


def item_at(values: Code, index: Code) -> Code:
    """Return an item of a list; positions after the end start again at the beginning."""
    position = converted(index, NUMBER)
    constant = position.constant
    length = len(values.type.items)
    if constant == 0 or (isinstance(constant, int) and 0 <= constant < length):
        return Code(text=f"{values:primary}[{position.text}]", type=_member(values.type, int(constant)))
    return Code(text=f"{values:primary}[{position:multiply} % ({values:filter} | length)]", type=values.type.contents)


def _member(type_: Type, index: int) -> Type:
    return type_.items[index] if index < len(type_.items) else type_.contents


def first_filled_list(*lists: Code) -> Code:
    """Return the first list that is not empty."""
    type_ = common_type([code.type for code in lists])
    return Code(text=" or ".join(f"{code:or}" for code in lists), level=Level.OR, type=type_)


def product(*lists: Code) -> Code:
    """Return all combinations of the items of lists."""
    if any(code.type.kind is Kind.SET for code in lists):
        msg = "the order of the set is not known"
        raise ValueError(msg)
    values = [converted(code, list_of(code.type.converted_contents)) for code in lists]
    names = fresh_names("xyzuvw"[: len(values)], *values)
    clauses = [values_of(code, name) for name, code in zip(names, values, strict=True)]
    item = tuple_of(code.type.contents for code in values)
    return comprehension(Code(text=f"[{', '.join(names)}]", type=item), clauses).typed(list_of(item))


def numbers(*limits: Code) -> Code:
    """Return the numbers that `range` gives. Raises ValueError if they could count down."""
    values = [converted(code, NUMBER) for code in limits]
    constants = [code.constant for code in values]
    if any(isinstance(constant, float) for constant in constants):
        msg = "templates have no range of fractions"
        raise ValueError(msg)
    if len(values) < 3 and all(isinstance(constant, int) for constant in constants):
        start, end = [0, *constants][-2:]
        if end < start:  # type: ignore[operator]
            values = [*([Code(text="0")] if len(values) == 1 else []), *values, Code(text="-1")]
    text = f"range({', '.join(code.text for code in values)})"
    return Code(text=f"{text} | list", level=Level.FILTER, type=list_of(NUMBER), iterable=text)


def chunks(values: Code, size: Code) -> Code:
    """Return a list of lists of at most `size` items."""
    if number_of(size, "the size") == 0:
        return Code(text=f"[{values.text}]", type=list_of(list_of(values.type.contents)))
    type_ = list_of(list_of(values.type.contents))
    return Code(text=f"{values:filter} | batch({size.text}) | list", level=Level.FILTER, type=type_)


def has_index(values: Code, key: Code) -> Code:
    """Return whether a list or map has an entry."""
    if values.type.is_table:
        return compared(f"{converted(key, STRING):compare}", "in", f"{values:compare}")
    if values.type.is_sequence:
        return compared(f"{key:compare}", "<", f"{values:filter} | length")
    msg = "it is not known whether hasindex searches a list or a table"
    raise ValueError(msg)


# --- sets -------------------------------------------------------------------------------------------------------------


def union(*sets: Code) -> Code:
    """Return the items of all sets, sorted."""
    return sorted_set(concatenated_lists(*_of_one_type(sets)))


def _of_one_type(sets: Sequence[Code]) -> list[Code]:
    """Return sets whose items have one type, as lists in any order."""
    element = common_type([member for code in sets for member in code.type.members])
    unordered = [Code(text=code.searched, level=Level.ADD, type=code.type) if code.searched else code for code in sets]
    return [converted(replace(code, type=list_of(code.type.contents)), list_of(element)) for code in unordered]


def _items_where(first: Code, second: Code, *, operator: str) -> Code:
    """Return the items of a set that are in another set, or not. The other set is evaluated once."""
    (name,) = fresh_names("x", first, second)
    item = Code(text=name, type=first.type.contents)
    values = Loop(names=(name,), values=f"{first:or}")
    others = f"{second:compare}"
    if "(" not in others:
        return comprehension(item, [values], compared(name, operator, others))
    others_name = "others" if "others" not in words_in(first, second) else fresh_names("y", first, second, item)[0]
    once = Loop(names=(others_name,), values=f"[{second.text}]")
    return comprehension(item, [once, values], compared(name, operator, others_name))


def intersection(first: Code, *others: Code) -> Code:
    """Return the items that are in all sets, sorted."""
    items, *rest = _of_one_type((first, *others))
    for other in rest:
        items = _items_where(items, other, operator="in")
    return sorted_set(items)


def difference(first: Code, second: Code) -> Code:
    """Return the items of the first set that are not in the second, sorted."""
    return sorted_set(_items_where(*_of_one_type((first, second)), operator="not in"))


def symmetric_difference(first: Code, second: Code) -> Code:
    """Return the items that are in one of two sets only, sorted."""
    left, right = _of_one_type((first, second))
    left, right = _items_where(left, right, operator="not in"), _items_where(right, left, operator="not in")
    return sorted_set(concatenated_lists(left, right))


# --- tables -----------------------------------------------------------------------------------------------------------


def keys_of(table: Code) -> Code:
    """Return the sorted keys of a table."""
    if is_sorted(table.type):
        type_ = tuple_of([STRING] * len(table.type.attributes))
        return Code(
            text=f"{table:primary}.keys() | list", level=Level.FILTER, type=type_, iterable=f"{table:primary}.keys()"
        )
    type_ = list_of(STRING) if table.type.kind is Kind.MAP else Type(kind=Kind.TUPLE, element=STRING)
    return Code(text=f"{table:primary}.keys() | sort(case_sensitive=true)", level=Level.FILTER, type=type_)


def values_of_table(table: Code) -> Code:
    """Return the values of a table in the order of the keys."""
    if not table.type.is_table:
        msg = "the type of the table is not known"
        raise ValueError(msg)
    if is_sorted(table.type):
        type_ = tuple_of(table.type.attributes.values())
        text = f"{table:primary}.values()"
        return Code(text=f"{text} | list", level=Level.FILTER, type=type_, iterable=text)
    loop = Loop(names=("key", "value"), values=f"{table:filter} | dictsort(true)")
    return comprehension(Code(text="value", type=table.type.contents), [loop])


def looked_up(table: Code, key: Code, default: Code) -> Code:
    """Return the value of a key, or `default` if there is none. In merged tables, the last table with the key wins."""
    if table.merged and table.type.kind is Kind.OBJECT:
        result = default
        for merged in table.merged:
            result = looked_up(merged, key, result)
        return result
    name = converted(key, STRING)
    if table.type.kind is Kind.OBJECT and isinstance(name.constant, str) and name.constant in table.type.attributes:
        type_ = table.type.attributes[name.constant]
        return Code(text=f"{table:primary}.get({name.text}, {default.text})", type=type_)
    type_ = same_type(table.type.contents, default.type) if table.type.members else default.type
    fallback = converted(default, table.type.contents) if table.type.kind is Kind.MAP else default
    return Code(text=f"{table:primary}.get({name.text}, {fallback.text})", type=type_)


def merged_tables(*tables: Code) -> Code:
    """Return one table of all entries."""
    filled = [code for code in tables if not code.is_null]
    if len(filled) == 1:
        return filled[0]
    first, *others = filled
    kinds = {code.type.kind for code in filled}
    if kinds == {Kind.OBJECT}:
        attributes = {name: type_ for code in filled for name, type_ in code.type.attributes.items()}
        known = all(code.type.element is None for code in filled)
        type_ = object_of(attributes) if known else Type(kind=Kind.OBJECT, element=ANY)
    else:
        element = common_type([member for code in filled for member in code.type.members])
        type_ = map_of(element) if kinds == {Kind.MAP} else Type(kind=Kind.OBJECT, element=element)
    form = f"{first:filter} | merge({', '.join(code.text for code in others)})"
    return Code(text=form, level=Level.FILTER, type=type_, merged=tuple(filled))


def zipped_table(keys: Code, values: Code) -> Code:
    """Return a table with these keys and values."""
    names = converted(keys, list_of(STRING))
    text = f"{{key: value for key, value in {names:filter} | zip({values.text})}}"
    kind = Kind.MAP if values.type.kind is Kind.LIST else Kind.OBJECT
    return Code(text=text, type=Type(kind=kind, element=values.type.contents))


# --- choices and numbers ----------------------------------------------------------------------------------------------


def first_value(*codes: Code) -> Code:
    """Return the first value that is not null."""
    filled = [code for code in codes if not code.is_null]
    type_ = common_type([code.type.without_null() for code in filled])
    values = [converted(code, type_) for code in filled]
    last = next((index for index, code in enumerate(values) if not code.type.nullable), len(values) - 1)
    result = values[last]
    for code in reversed(values[:last]):
        known = compared(f"{code:primary}", "is not", "none")
        result = Code(text=f"{code:or} if {known.text} else {result.text}", level=Level.CONDITIONAL, type=type_)
    return replace(result, type=type_)


def extreme(word: str, *codes: Code) -> Code:
    """Return the largest or smallest number."""
    values = [converted(code, NUMBER) for code in codes]
    return Code(text=f"[{', '.join(code.text for code in values)}] | {word}", level=Level.FILTER, type=NUMBER)


def power(base: Code, exponent: Code) -> Code:
    """Return a power with a literal exponent."""
    if number_of(exponent, "the exponent") < 0:
        msg = "templates calculate with fractions in another way than bake"
        raise ValueError(msg)
    return Code(text=f"({converted(base, NUMBER):primary} ** {exponent.text})", type=NUMBER)


def sign(number: Code) -> Code:
    """Return -1, 0 or 1."""
    value = converted(number, NUMBER)
    text = f"1 if {value:add} > 0 else -1 if {value:add} < 0 else 0"
    return Code(text=text, level=Level.CONDITIONAL, type=NUMBER)


def parsed_number(text: Code, base: Code) -> Code:
    """Return a number from text."""
    radix = number_of(base, "the base")
    argument = "" if radix == 10 else f"(base={radix})"
    return Code(text=f"{text:filter} | int{argument}", level=Level.FILTER, type=NUMBER)


def flattened(values: Code) -> Code:
    """Return the items of all lists in a list, at any depth. A list of texts, numbers or booleans stays as it is."""
    element = common_type(_leaves(values.type)) if _leaves(values.type) else ANY
    type_ = Type(kind=Kind.TUPLE, element=element)
    if values.type.is_sequence and values.type.members and all(member.is_primitive for member in values.type.members):
        return replace(values, type=type_)
    if values.flat:
        return Code(text=values.flat, type=type_)
    return Code(text=f"{values:filter} | flatten", level=Level.FILTER, type=type_)


def _leaves(type_: Type) -> list[Type]:
    if not type_.is_sequence:
        return [type_]
    return [leaf for member in type_.members for leaf in _leaves(member)]
