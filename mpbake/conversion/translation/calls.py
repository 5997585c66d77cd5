"""Calls of bake's standard library as expressions of templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from mpbake.conversion.syntax import Attribute, Binary, Call, Expression, Index, Literal
from mpbake.conversion.translation.code import Code, Level, literal_code
from mpbake.conversion.translation.conversions import converted
from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.function_texts import matches
from mpbake.conversion.translation.standard_library import STANDARD_LIBRARY
from mpbake.conversion.translation.types import NUMBER, STRING, Kind, Type, list_of, type_of_constraint

if TYPE_CHECKING:
    from collections.abc import Callable

    Translate: TypeAlias = Callable[[Expression], Code]
    """Translates an expression in the scope of the call. Raises Untranslatable."""


def standard_call(call: Call, translate: Translate) -> Code:
    """Return a call of a function of bake. Raises ValueError if a plan cannot express the call."""
    match call:
        case Call(function="can" | "try"):
            return _attempt(call, translate)
        case Call(function="convert", arguments=(value, type_)):
            return converted(translate(value), type_of_constraint(type_))
        case Call(function="floor" | "ceil" | "int", arguments=(argument,)):
            return _rounded(call, argument, translate)
        case Call(function=function) if function not in STANDARD_LIBRARY:
            msg = f"the plan language has no {function}"
            raise ValueError(msg)
    try:
        if call.expand:
            return _expanded_call(call, translate)
        return STANDARD_LIBRARY[call.function].code([translate(argument) for argument in call.arguments])
    except Untranslatable:
        raise
    except ValueError as error:
        raise Untranslatable(call, f"{call.function}: {error}") from error


def _expanded_call(call: Call, translate: Translate) -> Code:
    """Return a call whose last argument is a list of arguments."""
    *arguments, last = map(translate, call.arguments)
    if last.items is not None:
        return STANDARD_LIBRARY[call.function].code([*arguments, *last.items])
    if arguments or not last.type.is_sequence:
        msg = f"the plan language has no {call.function} with a list of arguments"
        raise ValueError(msg)
    match call.function:
        case "max" | "min":
            numbers = converted(last, list_of(NUMBER))
            return Code(text=f"{numbers:filter} | {call.function}", level=Level.FILTER, type=NUMBER)
        case "concat":
            type_ = Type(kind=Kind.TUPLE, element=last.type.contents.contents)
            return Code(text=f"{last:filter} | sum(start=[])", level=Level.FILTER, type=type_)
        case "merge":
            type_ = Type(kind=Kind.OBJECT, element=last.type.contents.contents)
            return Code(text=f"{{}} | merge(*{last:primary})", level=Level.FILTER, type=type_)
        case _:
            msg = f"the plan language has no {call.function} with a list of arguments"
            raise ValueError(msg)


def _attempt(call: Call, translate: Translate) -> Code:
    """Return `can` or `try` of an expression whose failure a template can test."""
    match call:
        case Call(function="can", arguments=(Call(function="regex", arguments=(pattern, text)),)):
            return matches(*(converted(translate(part), STRING) for part in (pattern, text)))
        case Call(function="can", arguments=(Attribute(operand=operand, name=name),)):
            return _has_key(translate(operand), name)
        case Call(function="try", arguments=(Attribute(operand=operand, name=name), default)):
            return STANDARD_LIBRARY["lookup"].code(
                [_table(translate(operand)), literal_code(Literal(value=name)), translate(default)]
            )
        case Call(function="try", arguments=(Index(operand=operand, key=key), default)) if translate(
            operand
        ).type.is_table:
            return STANDARD_LIBRARY["lookup"].code([translate(operand), translate(key), translate(default)])
        case Call(function="try", arguments=(first, Literal(value=""))) if _is_search(first):
            found = translate(first)
            return Code(text=f"{found:or} or ''", level=Level.OR, type=STRING)
        case Call(function="try", arguments=(first, default)) if _is_search(first):
            found, other = translate(first), translate(default)
            chosen_first = f"({found.text}) is not none"
            return Code(text=f"{found.text} if {chosen_first} else {other.text}", level=Level.CONDITIONAL, type=STRING)
        case _:
            msg = f"{call.function}: a template cannot test whether this expression fails"
            raise ValueError(msg)


def _is_search(expression: Expression) -> bool:
    """Whether this is `regex` that gives one text: without groups, or one of the groups."""
    match expression:
        case Call(function="regex") | Index(operand=Call(function="regex")) | Attribute(operand=Call(function="regex")):
            return True
        case _:
            return False


def _table(code: Code) -> Code:
    if code.type.is_table:
        return code
    msg = f'it is not known whether "{code.text}" is a table'
    raise ValueError(msg)


def _has_key(operand: Code, name: str) -> Code:
    return STANDARD_LIBRARY["hasindex"].code([_table(operand), literal_code(Literal(value=name))])


def _rounded(call: Call, argument: Expression, translate: Translate) -> Code:
    """Return a rounded number. Only here templates divide as bake does."""
    match argument:
        case Binary(operator="/", left=left, right=right) | Call(function="divide", arguments=(left, right)):
            dividend, divisor = (converted(code, NUMBER) for code in (translate(left), translate(right)))
            if call.function == "floor":
                text = f"{dividend:multiply} // {divisor:unary}"
                return Code(text=text, level=Level.MULTIPLY, type=NUMBER)
            quotient = Code(text=f"{dividend:multiply} / {divisor:unary}", level=Level.MULTIPLY, type=NUMBER)
            return STANDARD_LIBRARY[call.function].code([quotient])
        case _:
            return STANDARD_LIBRARY[call.function].code([translate(argument)])
