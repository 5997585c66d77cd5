"""Conversions between types, which bake makes without being asked."""

from __future__ import annotations

from dataclasses import replace

from mpbake.conversion.translation.code import FALSE, TRUE, Code, Level, constant_code, list_code, number_text
from mpbake.conversion.translation.types import BOOL, NUMBER, STRING, Kind, Type, list_of, set_of

_SORTED_SET = " | unique(true) | sort(case_sensitive=true)"


def converted(code: Code, wanted: Type) -> Code:
    """Return `code` converted to `wanted`, as bake converts it. Raises ValueError if templates cannot convert it."""
    if code.is_null or Kind.ANY in {wanted.kind, code.type.kind}:
        return code
    if code.constant is not None and wanted.kind is not code.type.kind:
        return _converted_constant(code, wanted)
    match code.type.kind, wanted.kind:
        case (have, want) if have is want and wanted.is_primitive:
            return code
        case (Kind.NUMBER | Kind.BOOL, Kind.STRING):
            return Code(text=f"{code:filter} | string", level=Level.FILTER, type=STRING)
        case (Kind.STRING, Kind.BOOL):
            return Code(text=f"{code:add} in ['true', '1']", level=Level.COMPARE, type=BOOL)
        case (Kind.STRING, Kind.NUMBER):
            return Code(text=f"{code:filter} | from_json", level=Level.FILTER, type=NUMBER)
        case (Kind.LIST | Kind.TUPLE | Kind.SET, Kind.LIST | Kind.TUPLE | Kind.SET):
            return _converted_items(code, wanted)
        case (Kind.OBJECT | Kind.MAP, Kind.OBJECT | Kind.MAP):
            return _converted_entries(code, wanted)
        case _:
            msg = f"the plan language cannot convert {code.type.kind} to {wanted.kind}"
            raise ValueError(msg)


def sorted_set(code: Code) -> Code:
    """Return a set of the items of a list. Bake iterates a set in the order of its items. Raises ValueError."""
    if code.type.converted_contents.kind not in {Kind.STRING, Kind.NUMBER, Kind.ANY}:
        msg = "the order of the set is not known"
        raise ValueError(msg)
    type_ = set_of(code.type.contents)
    return Code(text=f"{code:filter}{_SORTED_SET}", level=Level.FILTER, type=type_, searched=f"{code:compare}")


def _converted_constant(code: Code, wanted: Type) -> Code:
    match wanted.kind, code.constant:
        case Kind.STRING, bool() as value:
            return constant_code(str(value).lower())
        case Kind.STRING, int() | float() as number:
            return constant_code(number_text(number))
        case Kind.BOOL, "true" | "1":
            return TRUE
        case Kind.BOOL, "false" | "0":
            return FALSE
        case Kind.NUMBER, str() as text:
            try:
                number = float(text)
            except ValueError:
                pass
            else:
                return constant_code(int(number) if number == int(number) else number)
    msg = f"the plan language cannot convert {code.text} to {wanted.kind}"
    raise ValueError(msg)


def _converted_items(code: Code, wanted: Type) -> Code:
    """Return a list whose items have the type of the items of `wanted`."""
    if wanted.kind is Kind.SET and code.type.kind is not Kind.SET:
        return sorted_set(replace(_converted_items(code, list_of(wanted.contents)), type=wanted))
    if _fits(code.type, wanted):
        return replace(code, type=wanted)
    if code.items is not None:
        return list_code([converted(item, wanted.contents) for item in code.items], wanted)
    item = _converted_member("item", code.type, wanted)
    return Code(text=f"[{item:or} for item in {code:or}]", type=wanted)


def _converted_entries(code: Code, wanted: Type) -> Code:
    """Return a table whose values have the type of the values of `wanted`."""
    if _fits(code.type, wanted):
        return replace(code, type=wanted)
    value = _converted_member("value", code.type, wanted)
    return Code(text=f"{{key: {value:or} for key, value in {code:primary}.items()}}", type=wanted)


def _converted_member(name: str, have: Type, wanted: Type) -> Code:
    if wanted.contents.kind is Kind.STRING and all(member.is_primitive for member in have.members):
        return Code(text=f"{name} | string", level=Level.FILTER, type=STRING)
    return converted(Code(text=name, type=have.contents), wanted.contents)


def _fits(have: Type, want: Type) -> bool:
    """Whether a value of the type `have` needs no conversion to `want`."""
    if Kind.ANY in {have.kind, want.kind}:
        return True
    if have.is_primitive or want.is_primitive:
        return have.kind is want.kind
    if want.kind is Kind.OBJECT and have.kind is Kind.OBJECT:
        return all(
            _fits(have.attributes[name], type_) for name, type_ in want.attributes.items() if name in have.attributes
        )
    return all(_fits(member, want.contents) for member in have.members)
