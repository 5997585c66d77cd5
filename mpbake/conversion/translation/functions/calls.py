"""Calls of bake's standard library as expressions of templates."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from mpbake.conversion.syntax import Attribute, Binary, Call, Expression, Index, Literal
from mpbake.conversion.translation.code import Code, Level, literal_code
from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.functions.conversions import converted
from mpbake.conversion.translation.functions.standard_library import STANDARD_LIBRARY
from mpbake.conversion.translation.functions.texts import matches, searched_or
from mpbake.conversion.translation.types import ANY, NUMBER, STRING, Kind, Type, list_of, type_of_constraint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
            return matches(*_texts((pattern, text), translate))
        case Call(function="can", arguments=(Attribute(operand=operand, name=name),)):
            return _has_key(translate(operand), name)
        case Call(
            function="try",
            arguments=(Attribute(operand=Call(function="regex", arguments=search), name=name), default),
        ):
            return searched_or(*_texts(search, translate), name, translate(default))
        case Call(function="try", arguments=(Attribute(operand=operand, name=name), default)):
            return STANDARD_LIBRARY["lookup"].code(
                [_table(translate(operand)), literal_code(Literal(value=name)), translate(default)]
            )
        case Call(function="try", arguments=(Call(function="regex", arguments=search), default)):
            return searched_or(*_texts(search, translate), "", translate(default))
        case Call(
            function="try",
            arguments=(
                Index(operand=Call(function="regex", arguments=search), key=Literal(value=int() as group)),
                default,
            ),
        ):
            return searched_or(*_texts(search, translate), group, translate(default))
        case Call(function="try", arguments=(Index(operand=operand, key=Literal(value=int() as index)), default)) if (
            index >= 0 and translate(operand).type.is_sequence
        ):
            return _item_or(translate(operand), index, translate(default))
        case Call(function="try", arguments=(Index(operand=operand, key=key), default)) if translate(
            operand
        ).type.is_table:
            return STANDARD_LIBRARY["lookup"].code([translate(operand), translate(key), translate(default)])
        case _:
            msg = f"{call.function}: a template cannot test whether this expression fails"
            raise ValueError(msg)


def _texts(expressions: Sequence[Expression], translate: Translate) -> tuple[Code, Code]:
    """Return the pattern and the text of a search."""
    pattern, text = (converted(translate(expression), STRING) for expression in expressions)
    return pattern, text


def _item_or(values: Code, index: int, default: Code) -> Code:
    """Return an item of a list, or `default` if the list is shorter."""
    rest = values if index == 0 else Code(text=f"{values:primary}[{index}:]")
    type_ = values.type.contents if values.type.contents.kind is default.type.kind else ANY
    return Code(text=f"({rest:add} + [{default.text}])[0]", type=type_)


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
