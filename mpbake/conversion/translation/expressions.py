"""Translate HCL expressions to expressions of templates."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, assert_never

from mpbake.conversion.syntax import (
    SPLAT_ITEM,
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
from mpbake.conversion.translation import loops
from mpbake.conversion.translation.code import Code, Level, list_code, literal_code, quoted
from mpbake.conversion.translation.errors import Untranslatable
from mpbake.conversion.translation.functions.calls import standard_call
from mpbake.conversion.translation.functions.conversions import converted, sorted_set
from mpbake.conversion.translation.functions.standard_library import STANDARD_LIBRARY
from mpbake.conversion.translation.functions.texts import group_of, time_field
from mpbake.conversion.translation.names import item_name, plan_names_in
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
from mpbake.conversion.translation.references import dereferenced
from mpbake.conversion.translation.scope import Bound, template_name
from mpbake.conversion.translation.types import (
    ANY,
    BOOL,
    NUMBER,
    STRING,
    Kind,
    Type,
    object_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.conversion.translation.scope import BoundFunction, Scope

_METHODS = frozenset({*dir(dict), *dir(str), *dir(list)})
"""Names that templates would take for a method of a value."""
_INDEX = "loop.index0"


def code_of(expression: Expression, scope: Scope) -> Code:
    """Return an expression of a template that has the value of `expression`. Raises Untranslatable."""
    try:
        return _code_of(dereferenced(expression, scope), scope)
    except Untranslatable:
        raise
    except ValueError as error:
        raise Untranslatable(expression, str(error)) from error


def condition_of(expression: Expression, scope: Scope) -> str:
    """Return an expression for `if`. Raises Untranslatable."""
    try:
        return converted(code_of(expression, scope), BOOL).condition.at(Level.OR)
    except Untranslatable:
        raise
    except ValueError as error:
        raise Untranslatable(expression, str(error)) from error


def loop_of(expression: TemplateFor, scope: Scope) -> tuple[Scope, loops.Loop]:
    """Return the scope inside of a loop of a text, and the clause of the loop. Raises Untranslatable."""
    try:
        return _loop(expression, code_of(expression.collection, scope), (expression.body,), scope)
    except Untranslatable:
        raise
    except ValueError as error:
        raise Untranslatable(expression, str(error)) from error


def _codes_of(expressions: Sequence[Expression], scope: Scope) -> list[Code]:
    return [code_of(expression, scope) for expression in expressions]


def _code_of(expression: Expression, scope: Scope) -> Code:  # noqa: C901, PLR0911, PLR0912 - one case for each kind
    match expression:
        case Literal():
            return literal_code(expression)
        case Name(name=name):
            return _name(name, scope)
        case Template(parts=(part,)):
            return code_of(part, scope)
        case Template(parts=parts):
            return concatenated(_codes_of(parts, scope))
        case TemplateIf(condition=condition, then=then, otherwise=otherwise):
            return chosen(*_codes_of((condition, then, otherwise), scope))
        case Conditional(condition=condition, then=then, otherwise=otherwise):
            return chosen(*_codes_of((condition, then, otherwise), scope))
        case Attribute(operand=operand, name=name):
            return _attribute_of(operand, name, scope)
        case Index(operand=operand, key=key):
            return _index_of(operand, key, scope)
        case Unary(operator="-", operand=operand):
            return minus(code_of(operand, scope))
        case Unary(operand=operand):
            return negated(converted(code_of(operand, scope), BOOL))
        case Binary(operator=operator, left=left, right=right):
            return _binary(operator, code_of(left, scope), code_of(right, scope))
        case ListOf(items=items):
            return list_code([code_of(item.value, scope) for item in items])
        case ObjectOf():
            return _object(expression, scope)
        case Call():
            return _call(expression, scope)
        case Splat(operand=operand, each=each):
            return _splat(code_of(operand, scope), each, scope)
        case ForList():
            return _for_list(expression, scope)
        case ForObject():
            return _for_object(expression, scope)
        case TemplateFor(key=key, value=value, collection=collection, body=body):
            texts = _for_list(ForList(key=key, value=value, collection=collection, result=body), scope)
            return Code(text=f"{texts.text} | join", level=Level.FILTER, type=STRING)
        case _:
            assert_never(expression)


def _name(name: str, scope: Scope) -> Code:
    bound = scope.names.get(name)
    if bound is None:
        msg = f'there is no variable "{name}"'
        raise ValueError(msg)
    code = Code(text=bound.name, type=bound.type)
    return sorted_set(code) if bound.type.kind is Kind.SET else code


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


# --- parts of values --------------------------------------------------------------------------------------------------


def _attribute_of(operand: Expression, name: str, scope: Scope) -> Code:
    match operand:
        case Call(function="regex", arguments=(pattern, text)):
            return group_of(name, *_texts((pattern, text), scope))
        case Call(function="unixtimestampparse", arguments=(seconds,)):
            return time_field(code_of(seconds, scope), name)
        case _:
            return _attribute(code_of(operand, scope), name)


def _attribute(operand: Code, name: str) -> Code:
    if operand.type.is_sequence or operand.type.is_primitive:
        msg = f'"{operand.text}" has no attributes'
        raise ValueError(msg)
    type_ = operand.type.attributes.get(name) or operand.type.element or ANY
    if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) and name not in _METHODS:
        return Code(text=f"{operand:primary}.{name}", type=type_)
    return Code(text=f"{operand:primary}[{quoted(name)}]", type=type_)


def _index_of(operand: Expression, key: Expression, scope: Scope) -> Code:
    match operand, key:
        case Call(function="regex", arguments=(pattern, text)), Literal(value=int() | str() as group):
            return group_of(group, *_texts((pattern, text), scope))
        case _, Binary(operator="-", left=Call(function="length", arguments=(counted,)), right=Literal(value=1)):
            items = code_of(operand, scope)
            is_last = items.type.is_sequence and code_of(counted, scope).text == items.text
            return _item(items, -1) if is_last else _index(items, code_of(key, scope))
        case _:
            return _index(code_of(operand, scope), code_of(key, scope))


def _texts(expressions: Sequence[Expression], scope: Scope) -> list[Code]:
    return [converted(code, STRING) for code in _codes_of(expressions, scope)]


def _index(operand: Code, key: Code) -> Code:
    if operand.type.is_table:
        name = converted(key, STRING)
        known = operand.type.attributes.get(str(name.constant))
        return Code(text=f"{operand:primary}[{name.text}]", type=known or operand.type.contents)
    if operand.type.is_sequence:
        number = converted(key, NUMBER)
        if number.constant == 0 and operand.level is Level.FILTER and operand.text.startswith("["):
            return Code(text=f"{operand.text} | first", level=Level.FILTER, type=_item_type(operand.type, 0))
        return Code(text=f"{operand:primary}[{number.text}]", type=_item_type(operand.type, number.constant))
    return Code(text=f"{operand:primary}[{key.text}]", type=ANY)


def _item(operand: Code, position: int) -> Code:
    return Code(text=f"{operand:primary}[{position}]", type=operand.type.contents)


def _item_type(type_: Type, position: object) -> Type:
    if isinstance(position, int) and 0 <= position < len(type_.items):
        return type_.items[position]
    return type_.contents


def _object(expression: ObjectOf, scope: Scope) -> Code:
    pairs = [(converted(code_of(pair.key, scope), STRING), code_of(pair.value, scope)) for pair in expression.pairs]
    text = ", ".join(f"{key.text}: {value.text}" for key, value in pairs)
    if all(isinstance(key.constant, str) for key, _ in pairs):
        return Code(text=f"{{{text}}}", type=object_of({str(key.constant): value.type for key, value in pairs}))
    return Code(text=f"{{{text}}}", type=Type(kind=Kind.OBJECT, element=ANY))


# --- calls ------------------------------------------------------------------------------------------------------------


def _call(call: Call, scope: Scope) -> Code:
    function = scope.functions.get(call.function)
    if function is not None:
        return _own_call(function, call, scope)
    match call:
        case Call(function="index", arguments=(operand, key)):
            return _index_of(operand, key, scope)
        case Call(function="flatten", arguments=(ForList(result=ForList() as inner) as outer,)):
            return _flat_loops(outer, inner, scope)
        case _:
            return standard_call(call, partial(code_of, scope=scope))


def _own_call(function: BoundFunction, call: Call, scope: Scope) -> Code:
    """Return a call of a function of the bake file. Its parameters take values of any type."""
    arguments = [code.text for code in _codes_of(call.arguments, scope)]
    if call.expand:
        arguments[-1] = f"*{code_of(call.arguments[-1], scope):primary}"
    return Code(text=f"{function.name}({', '.join(arguments)})", type=function.result)


# --- loops ------------------------------------------------------------------------------------------------------------


def _splat(operand: Code, each: Expression, scope: Scope) -> Code:
    """Return a list of a part of each item."""
    if operand.type.kind is Kind.ANY:
        msg = f'it is not known whether "{operand.text}" is a list'
        raise ValueError(msg)
    if not operand.type.is_sequence:
        inner = scope.bind({SPLAT_ITEM: Bound(name=operand.at(Level.PRIMARY), type=operand.type)})
        return list_code([code_of(each, inner)])
    name = template_name(item_name(operand), plan_names_in(each, scope, without=(SPLAT_ITEM,)))
    inner = scope.bind({SPLAT_ITEM: Bound(name=name, type=operand.type.contents)})
    return loops.comprehension(code_of(each, inner), [loops.values_of(operand, name)])


def _for_list(expression: ForList, scope: Scope) -> Code:
    """Return a list comprehension."""
    collection = code_of(expression.collection, scope)
    _, result, loop, condition = _clause(expression, collection, scope)
    if condition is None and loop.names == (result.text,) and collection.type.kind in {Kind.LIST, Kind.TUPLE}:
        return collection
    return loops.comprehension(result, [loop], condition)


def _clause(expression: ForList, collection: Code, scope: Scope) -> tuple[Scope, Code, loops.Loop, Code | None]:
    """Return the scope inside of a loop over `collection`, and its result, clause and condition."""
    inner, loop = _loop(expression, collection, (expression.result, expression.condition), scope)
    condition = converted(code_of(expression.condition, inner), BOOL) if expression.condition else None
    return inner, code_of(expression.result, inner), loop, condition


def _for_object(expression: ForObject, scope: Scope) -> Code:
    """Return a table comprehension."""
    if expression.grouped:
        msg = "the plan language cannot group values"
        raise ValueError(msg)
    collection = code_of(expression.collection, scope)
    parts = (expression.result_key, expression.result, expression.condition)
    inner, loop = _loop(expression, collection, parts, scope)
    key, value = _codes_of((expression.result_key, expression.result), inner)
    condition = converted(code_of(expression.condition, inner), BOOL) if expression.condition else None
    return loops.table_comprehension(key, value, loop, condition)


def _loop(
    expression: ForList | ForObject | TemplateFor, collection: Code, parts: Sequence[Expression | None], scope: Scope
) -> tuple[Scope, loops.Loop]:
    """Return the scope inside of a loop, and the clause of the loop."""
    bound = (expression.key, expression.value)
    taken = set().union(*(plan_names_in(part, scope, without=bound) for part in parts))
    value = template_name(expression.value, taken)
    value_bound = {expression.value: Bound(name=value, type=collection.type.contents)}
    if not expression.key:
        return scope.bind(value_bound), loops.values_of(collection, value)
    key = template_name(expression.key, taken | {value})
    if collection.type.is_table:
        inner = scope.bind({expression.key: Bound(name=key, type=STRING), **value_bound})
        return inner, loops.pairs_of(collection, key, value, any_order=isinstance(expression, ForObject))
    indexed = scope.bind({expression.key: Bound(name=_INDEX, type=NUMBER), **value_bound})
    if getattr(expression, "condition", None) is None and _is_plain(parts, indexed):
        return indexed, loops.values_of(collection, value)
    inner = scope.bind({expression.key: Bound(name=key, type=NUMBER), **value_bound})
    return inner, loops.indexed(collection, key, value)


def _is_plain(parts: Sequence[Expression | None], scope: Scope) -> bool:
    """Whether expressions contain no comprehension, in which `loop` would be another loop."""
    return not any(re.search(r"\bfor\b", code_of(part, scope).text) for part in parts if part)


def _flat_loops(outer: ForList, inner: ForList, scope: Scope) -> Code:
    """Return a comprehension with two loops for `flatten([for …: [for …: text]])`."""
    inner_scope, nested, loop, condition = _clause(outer, code_of(outer.collection, scope), scope)
    element = nested.type.contents
    if condition or outer.key or not (element.is_primitive or element.is_table):
        items = loops.comprehension(nested, [loop], condition)
        return STANDARD_LIBRARY["flatten"].code([items])
    _, result, inner_loop, inner_condition = _clause(inner, code_of(inner.collection, inner_scope), inner_scope)
    return loops.comprehension(result, [loop, inner_loop], inner_condition)
