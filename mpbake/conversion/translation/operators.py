"""Operators of HCL as operators of templates, in the shortest form that means the same."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.conversion.translation.code import FALSE, TRUE, Code, Level, constant_code
from mpbake.conversion.translation.functions.conversions import converted
from mpbake.conversion.translation.types import BOOL, NUMBER, STRING, Kind, Type, unified

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "in": "not in", "not in": "in"}
_OPPOSITES |= {"is": "is not", "is not": "is"}


# --- conditions -------------------------------------------------------------------------------------------------------


def compared(left: str, operator: str, right: str, *, truth: Code | None = None) -> Code:
    """Return a comparison of two texts, with its inverse. `truth` is what means the same in a condition."""
    opposite = Code(
        text=f"{left} {_OPPOSITES[operator]} {right}",
        level=Level.COMPARE,
        type=BOOL,
        truth=_not(truth) if truth else None,
    )
    return Code(text=f"{left} {operator} {right}", level=Level.COMPARE, type=BOOL, truth=truth, inverse=opposite)


def negated(code: Code) -> Code:
    """Return `not code`."""
    if isinstance(code.constant, bool):
        return constant_code(not code.constant)
    if code.inverse is not None:
        return replace(code.inverse, inverse=replace(code, inverse=None))
    return replace(_not(code), truth=_not(code.condition) if code.truth else None, inverse=replace(code, inverse=None))


def _not(code: Code) -> Code:
    """Return `not code`; a second `not` removes the first."""
    if code.level is Level.NOT:
        operand = code.text.removeprefix("not ")
        return Code(text=operand, level=Level.COMPARE, type=BOOL)
    return Code(text=f"not {code:not}", level=Level.NOT, type=BOOL)


def both(*codes: Code) -> Code:
    """Return `a and b`. In a condition, `x is not none and x != ''` is `x`."""
    joined = _joined(codes, "and", Level.AND)
    subject = _common_subject(codes)
    if subject and all(code.text.startswith((f"{subject} is not none", f"{subject} != ''")) for code in codes):
        return replace(joined, truth=Code(text=subject))
    return joined


def either(*codes: Code) -> Code:
    """Return `a or b`. In a condition, `x is none or x == ''` is `not x`."""
    joined = _joined(codes, "or", Level.OR)
    subject = _common_subject(codes)
    if subject and all(code.text.startswith((f"{subject} is none", f"{subject} == ''")) for code in codes):
        return replace(joined, truth=_not(Code(text=subject)))
    return joined


def _common_subject(codes: Sequence[Code]) -> str:
    """Return the value that all tests for null or an empty text are about, or an empty text."""
    subjects = {code.subject for code in codes}
    return subjects.pop() if len(subjects) == 1 else ""


_OTHER = {"and": ("or", Level.OR), "or": ("and", Level.AND)}


def _joined(codes: Sequence[Code], word: str, level: Level) -> Code:
    """Return operands with `and` or `or` between them, without operands that decide nothing."""
    values = [converted(code, BOOL) for code in codes]
    neutral = word == "and"
    if any(value.constant is (not neutral) for value in values):
        return TRUE if word == "or" else FALSE
    values = [value for value in values if value.constant is not neutral] or values[:1]
    if len(values) == 1:
        return values[0]
    joined = _with_word(values, word, level)
    if all(value.inverse is not None for value in values):
        return replace(joined, inverse=_with_word([negated(value) for value in values], *_OTHER[word]))
    return joined


def _with_word(values: Sequence[Code], word: str, level: Level) -> Code:
    truths = [value.condition for value in values]
    truth = Code(text=f" {word} ".join(code.at(level) for code in truths), level=level, type=BOOL)
    text = f" {word} ".join(code.at(level) for code in values)
    return Code(text=text, level=level, type=BOOL, truth=truth if truth.text != text else None)


def equal(left: Code, right: Code) -> Code:
    """Return `left == right`. Raises ValueError if templates compare the values in another way."""
    if left.is_null or (left.source is not None and left.constant is not None and right.constant is None):
        left, right = right, left
    if right.is_null:
        return _is_null(left)
    if _never_equal(left.type, right.type):
        return FALSE
    match right.constant:
        case True if left.type == BOOL:
            return left
        case False if left.type == BOOL:
            return negated(left)
        case "" if left.type == STRING:
            return compared(f"{left:compare}", "==", "''", truth=_not(left))
        case "" if left.type.kind is Kind.STRING:
            return _about(left, compared(f"{left:compare}", "==", "''"))
        case _:
            return _counted(left, "==", right) or compared(f"{left:compare}", "==", f"{right:compare}")


def _is_null(code: Code) -> Code:
    if code.is_null:
        return TRUE
    if not code.type.nullable:
        return FALSE
    test = compared(f"{code:primary}", "is", "none")
    return _about(code, test) if code.type.kind is Kind.STRING else test


def _about(subject: Code, test: Code) -> Code:
    """Return a test for null or an empty text, with the text that it is about."""
    if subject.level is not Level.PRIMARY or test.inverse is None:
        return test
    return replace(test, subject=subject.text, inverse=replace(test.inverse, subject=subject.text))


def _never_equal(left: Type, right: Type) -> bool:
    """Whether values of these types are never equal: bake does not convert them."""
    if Kind.ANY in {left.kind, right.kind}:
        return False
    if left.is_table and right.is_table:
        return False  # bake may have made a map of an object, or not
    if left.kind is not right.kind:
        return not (left.nullable and right.nullable)
    if not left.is_primitive and left.kind in {Kind.LIST, Kind.SET} and left.contents != right.contents:
        msg = "templates compare lists in another way than bake"
        raise ValueError(msg)
    return False


def ordered(operator: str, left: Code, right: Code) -> Code:
    """Return a comparison of two numbers."""
    first, second = converted(left, NUMBER), converted(right, NUMBER)
    return _counted(first, operator, second) or compared(f"{first:compare}", operator, f"{second:compare}")


_FILLED = {(">", 0), ("!=", 0), (">=", 1)}
_EMPTY = {("==", 0), ("<", 1), ("<=", 0)}


def _counted(first: Code, operator: str, second: Code) -> Code | None:
    """Return a comparison that tests whether a list or text is empty; else None. Lists with items are true."""
    counted = first.text.removesuffix(" | length")
    test = (operator, second.constant)
    if counted == first.text or first.level is not Level.FILTER or test not in _FILLED | _EMPTY:
        return None
    is_primary = re.fullmatch(r"[\w.]+|\([^()]*\)", counted)
    operand = Code(text=counted, level=Level.PRIMARY if is_primary else Level.FILTER)
    truth = operand if test in _FILLED else _not(operand)
    return compared(f"{first:compare}", operator, f"{second:compare}", truth=truth)


# --- values -----------------------------------------------------------------------------------------------------------


def chosen(condition: Code, then: Code, otherwise: Code) -> Code:
    """Return `then if condition else otherwise`, or a shorter form."""
    decided = converted(condition, BOOL)
    result = unified_type(then, otherwise)
    then, otherwise = converted(then, result), converted(otherwise, result)
    match decided.constant, then.constant, otherwise.constant:
        case bool() as value, _, _:
            return replace(then if value else otherwise, type=result)
        case _, True, False:
            return decided
        case _, False, True:
            return negated(decided)
    inverse = negated(decided)
    if inverse.subject == otherwise.text and then.constant == "":
        decided, inverse, then, otherwise = inverse, decided, otherwise, then
    if decided.subject == then.text and decided.text.endswith("is not none") and otherwise.constant == "":
        return Code(text=f"{then:or} or ''", level=Level.OR, type=STRING)
    if _is_simpler(inverse, decided, then, otherwise):
        decided, inverse, then, otherwise = inverse, decided, otherwise, then
    if then.guard is not None and otherwise.constant == "":
        return chosen(both(decided, then.guard[0]), then.guard[1], otherwise)
    if decided.condition.text == then.text:
        return Code(text=f"{then:or} or {otherwise:or}", level=Level.OR, type=result)
    if inverse.condition.text == otherwise.text:
        return Code(text=f"{otherwise:or} or {then:or}", level=Level.OR, type=result)
    short = f"{then.before_word()} if {decided.condition:or}"
    code = Code(text=f"{short} else {otherwise.text}", level=Level.CONDITIONAL, type=result)
    return replace(code, short=short, guard=(decided, then)) if otherwise.constant == "" else code


def unified_type(then: Code, otherwise: Code) -> Type:
    """Return the type of a conditional."""
    if then.is_null:
        return otherwise.type.or_null()
    return then.type.or_null() if otherwise.is_null else unified(then.type, otherwise.type)


def _is_simpler(inverse: Code, decided: Code, then: Code, otherwise: Code) -> bool:
    """Whether a conditional reads better with the opposite condition."""
    if "" in {then.constant, otherwise.constant}:
        return then.constant == "" and otherwise.constant != ""
    return decided.condition.level is Level.NOT and inverse.condition.level is not Level.NOT


def concatenated(codes: Sequence[Code]) -> Code:
    """Return the text of all codes, one after the other."""
    parts = _merged_texts(part for code in codes for part in (code.parts or (code,)) if part.constant != "")
    if not parts:
        return constant_code("")
    if len(parts) == 1:
        return converted(parts[0], STRING)
    return Code(text=" ~ ".join(f"{part:concat}" for part in parts), level=Level.CONCAT, type=STRING, parts=parts)


def _merged_texts(parts: Iterable[Code]) -> tuple[Code, ...]:
    """Return the parts of a text; literal texts next to each other are one part."""
    joined: list[Code] = []
    for part in parts:
        before = joined[-1].constant if joined else None
        if isinstance(before, str) and isinstance(part.constant, str):
            joined[-1] = constant_code(before + part.constant)
        else:
            joined.append(part)
    return tuple(joined)


def calculated(operator: str, left: Code, right: Code) -> Code:
    """Return a sum, difference, product or remainder. Raises ValueError for divisions and fractions."""
    first, second = converted(left, NUMBER), converted(right, NUMBER)
    if operator == "/":
        msg = "templates write the result of a division in another way than bake"
        raise ValueError(msg)
    if any(isinstance(code.constant, float) and code.constant % 1 for code in (first, second)):
        msg = "templates calculate with fractions in another way than bake"
        raise ValueError(msg)
    if operator in {"+", "-"}:
        right_operand = second.at(Level.CONCAT) if operator == "-" else f"{second:add}"
        return Code(text=f"{first:add} {operator} {right_operand}", level=Level.ADD, type=NUMBER)
    if operator == "%":
        return _remainder(first, second)
    return Code(text=f"{first:multiply} * {second:multiply}", level=Level.MULTIPLY, type=NUMBER)


_NEVER_NEGATIVE = re.compile(r"\d+|loop\.index0|[\w.]+ \| length")


def _remainder(dividend: Code, divisor: Code) -> Code:
    """Return a remainder. Bake's has the sign of the dividend, that of a template the sign of the divisor."""
    if all(_NEVER_NEGATIVE.fullmatch(code.text) for code in (dividend, divisor)):
        return Code(text=f"{dividend:multiply} % {divisor:unary}", level=Level.MULTIPLY, type=NUMBER)
    quotient = f"(({dividend:multiply} / {divisor:unary}) | int)"
    return Code(text=f"{dividend:add} - {divisor:multiply} * {quotient}", level=Level.ADD, type=NUMBER)


def minus(operand: Code) -> Code:
    """Return the negative of a number."""
    number = converted(operand, NUMBER)
    return Code(text=f"-{number:filter}", level=Level.UNARY, type=NUMBER)
