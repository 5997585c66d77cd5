"""Translate HCL expressions to expressions of templates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from mpbake.conversion.syntax import (
    Attribute,
    Binary,
    Call,
    Conditional,
    Expression,
    ForList,
    ForObject,
    Index,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Splat,
    Template,
    TemplateFor,
    TemplateIf,
    Unary,
)
from mpbake.conversion.translation.code import Code, list_code, literal_code, quoted
from mpbake.conversion.translation.conversions import converted
from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.operators import (
    both,
    calculated,
    chosen,
    concatenated,
    either,
    equal,
    minus,
    negated,
    ordered,
)
from mpbake.conversion.translation.types import ANY, BOOL, NUMBER, STRING, Type, object_of

if TYPE_CHECKING:
    from mpbake.conversion.translation.scope import Scope

_METHODS = frozenset({*dir(dict), *dir(str), *dir(list)})
"""Names that templates would take for a method of a value."""


def code_of(expression: Expression, scope: Scope) -> Code:
    """Return an expression of a template that has the value of `expression`. Raises Untranslatable."""
    try:
        return _code_of(expression, scope)
    except Untranslatable:
        raise
    except ValueError as error:
        raise Untranslatable(expression, str(error)) from error


def _code_of(expression: Expression, scope: Scope) -> Code:  # noqa: C901, PLR0911, PLR0912 - one case for each kind
    match expression:
        case Literal():
            return literal_code(expression)
        case Name(name=name):
            return _name(expression, name, scope)
        case Template(parts=(part,)):
            return code_of(part, scope)
        case Template(parts=parts):
            return concatenated([code_of(part, scope) for part in parts])
        case TemplateIf(condition=condition, then=then, otherwise=otherwise):
            return chosen(*(code_of(part, scope) for part in (condition, then, otherwise)))
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return chosen(*(code_of(part, scope) for part in (condition, then, otherwise)))
        case Attribute(operand=operand, name=name):
            return _attribute(expression, code_of(operand, scope), name)
        case Index(operand=operand, key=key):
            return _index(code_of(operand, scope), code_of(key, scope))
        case Unary(operator=operator, operand=operand):
            code = code_of(operand, scope)
            return minus(code) if operator == "-" else negated(converted(code, BOOL))
        case Binary(operator=operator, left=left, right=right):
            return _binary(operator, code_of(left, scope), code_of(right, scope))
        case ListOf(items=items):
            return list_code([code_of(item.value, scope) for item in items])
        case ObjectOf():
            return _object(expression, scope)
        case TemplateFor() | Splat() | Call() | ForList() | ForObject():
            raise Untranslatable(expression, "not supported yet")
        case _:
            assert_never(expression)


def _name(expression: Expression, name: str, scope: Scope) -> Code:
    bound = scope.names.get(name)
    if bound is None:
        raise Untranslatable(expression, f'the plan has no variable "{name}"')
    return Code(text=bound.name, type=bound.type)


def _binary(operator: str, left: Code, right: Code) -> Code:
    match operator:
        case "&&":
            return both(left, right)
        case "||":
            return either(left, right)
        case "==":
            return equal(left, right)
        case "!=":
            return negated(equal(left, right))
        case "<" | ">" | "<=" | ">=":
            return ordered(operator, left, right)
        case _:
            return calculated(operator, left, right)


def _attribute(expression: Expression, operand: Code, name: str) -> Code:
    type_ = operand.type.attributes.get(name) or operand.type.element or ANY
    if operand.type.is_sequence or operand.type.is_primitive:
        raise Untranslatable(expression, f"{operand.text} has no attributes")
    if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) and name not in _METHODS:
        return Code(text=f"{operand:primary}.{name}", type=type_)
    return Code(text=f"{operand:primary}[{quoted(name)}]", type=type_)


def _index(operand: Code, key: Code) -> Code:
    if operand.type.is_table:
        text = converted(key, STRING)
        name = text.constant
        known = operand.type.attributes.get(name) if isinstance(name, str) else operand.type.contents
        return Code(text=f"{operand:primary}[{text.text}]", type=known or operand.type.element or ANY)
    if operand.type.is_sequence:
        number = converted(key, NUMBER)
        return Code(text=f"{operand:primary}[{number.text}]", type=_item_type(operand.type, number.constant))
    return Code(text=f"{operand:primary}[{key.text}]", type=ANY)


def _item_type(type_: Type, position: object) -> Type:
    if isinstance(position, int) and position < len(type_.items):
        return type_.items[position]
    return type_.contents


def _object(expression: ObjectOf, scope: Scope) -> Code:
    pairs = [(converted(code_of(pair.key, scope), STRING), code_of(pair.value, scope)) for pair in expression.pairs]
    text = ", ".join(f"{key.text}: {value.text}" for key, value in pairs)
    if all(isinstance(key.constant, str) for key, _ in pairs):
        type_ = object_of({str(key.constant): value.type for key, value in pairs})
    else:
        type_ = ANY
    return Code(text=f"{{{text}}}", type=type_)
