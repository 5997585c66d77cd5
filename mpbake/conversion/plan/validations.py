"""The conditions of `validation` blocks, as constraints of a plan's variable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.conversion.syntax import Binary, Call, Expression, ListOf, Literal, Name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Constraints = dict[str, Any]
"""Keys of a variable: `required`, `choices`, `pattern`, `min`, `max`."""
_SHORTER_MATCH = re.compile(r"[|()]|[*+?}]\?")
_ESCAPE = re.compile(r"\\.", re.DOTALL)
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """The variable that a condition checks. `is_text` and `is_whole` tell what its type is."""

    name: str
    is_text: bool
    is_whole: bool


def constraints_of(condition: Expression, subject: Subject) -> Constraints | None:
    """Return the constraints that allow the same values as a condition, or None if there are none."""
    match condition:
        case Binary(operator="&&", left=left, right=right):
            return _both(constraints_of(left, subject), constraints_of(right, subject))
        case Binary(operator="||"):
            return _any_of(_alternatives(condition), subject)
        case Binary(operator=operator, left=left, right=right) if operator in _MIRRORED:
            return _comparison(operator, left, right, subject)
        case Call():
            return _call(condition, subject)
        case _:
            return None


def merged_constraints(constraints: Sequence[Constraints]) -> tuple[Constraints, list[int]]:
    """Return all constraints together, and the indices of those that do not fit beside an earlier one."""
    merged: Constraints = {}
    left_over = []
    for index, constraint in enumerate(constraints):
        both = _both(merged, constraint)
        if both is None:
            left_over.append(index)
        else:
            merged = both
    return merged, left_over


def _both(first: Constraints | None, second: Constraints | None) -> Constraints | None:
    if first is None or second is None:
        return None
    shared = first.keys() & second.keys()
    if any(first[key] != second[key] for key in shared):
        return None
    return first | second


def _alternatives(condition: Expression) -> list[Expression]:
    if isinstance(condition, Binary) and condition.operator == "||":
        return [*_alternatives(condition.left), *_alternatives(condition.right)]
    return [condition]


def _any_of(conditions: Sequence[Expression], subject: Subject) -> Constraints | None:
    """Return constraints for values that fulfil one of several conditions."""
    parts = [_equality(condition, subject) or constraints_of(condition, subject) for condition in conditions]
    if any(part is None or part.keys() - {"choices", "pattern"} for part in parts):
        return None
    known = [part for part in parts if part]
    if len(known) < len(parts):
        return None
    if all("choices" in part for part in known):
        return {"choices": [choice for part in known for choice in part["choices"]]}
    if not subject.is_text or any(part.keys() == {"choices", "pattern"} for part in known):
        return None
    return {"pattern": "|".join(_as_pattern(part) for part in known)}


def _as_pattern(part: Mapping[str, Any]) -> str:
    if "pattern" in part:
        return str(part["pattern"])
    return "|".join(f"^{_escaped(str(choice))}$" for choice in part["choices"])


def _equality(condition: Expression, subject: Subject) -> Constraints | None:
    if not isinstance(condition, Binary) or condition.operator != "==":
        return None
    value = _other_side(condition.left, condition.right, subject)
    return {"choices": [value.value]} if value and value.value is not None else None


def _other_side(left: Expression, right: Expression, subject: Subject) -> Literal | None:
    """Return the literal that the variable is compared with."""
    for name, value in ((left, right), (right, left)):
        if isinstance(name, Name) and name.name == subject.name and isinstance(value, Literal):
            return value
    return None


def _comparison(operator: str, left: Expression, right: Expression, subject: Subject) -> Constraints | None:
    if operator == "==" and (whole := _whole_match(left, right, subject) or _whole_match(right, left, subject)):
        return whole
    if isinstance(left, Literal):
        operator, left, right = _MIRRORED[operator], right, left
    if not isinstance(right, Literal):
        return None
    if _is_length(left, subject) and operator in {">", ">=", "!="}:
        return {"required": True} if (operator, right.value) in {(">", 0), ("!=", 0), (">=", 1)} else None
    if isinstance(left, Call) and _is_length_of_matches(left, subject) and (operator, right.value) == (">", 0):
        return _call(left.arguments[0], subject)
    if not (isinstance(left, Name) and left.name == subject.name):
        return None
    return _limit(operator, right.value, subject)


def _whole_match(text: Expression, match: Expression, subject: Subject) -> Constraints | None:
    """Return the pattern of `X == regex("…", X)`: the first match is the whole text.

    A pattern with alternatives, groups or lazy repetitions can have a first match that is shorter than the longest.
    """
    is_subject = isinstance(text, Name) and text.name == subject.name
    found = _call(match, subject) if is_subject and isinstance(match, Call) and match.function == "regex" else None
    if found is None or _SHORTER_MATCH.search(_ESCAPE.sub("", found["pattern"])):
        return None
    pattern = str(found["pattern"]).removeprefix("^")
    return {"pattern": f"^{pattern}" if _ESCAPE.sub("", pattern).endswith("$") else f"^{pattern}$"}


def _limit(operator: str, value: str | float | bool | None, subject: Subject) -> Constraints | None:  # noqa: FBT001
    if operator == "!=" and (value == "" or (value is None and not subject.is_text)):
        return {"required": True}
    if operator == "==" and value is not None:
        return {"choices": [value]}
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    match operator:
        case ">=":
            return {"min": value}
        case "<=":
            return {"max": value}
        case ">" if subject.is_whole and isinstance(value, int):
            return {"min": value + 1}
        case "<" if subject.is_whole and isinstance(value, int):
            return {"max": value - 1}
        case _:
            return None


def _is_length(expression: Expression, subject: Subject) -> bool:
    match expression:
        case Call(function="length" | "strlen", arguments=(Name(name=name),)):
            return name == subject.name
        case _:
            return False


def _is_length_of_matches(expression: Call, subject: Subject) -> bool:
    match expression:
        case Call(function="length", arguments=(Call(function="regexall", arguments=(_, Name(name=name))),)):
            return name == subject.name
        case _:
            return False


def _call(call: Expression, subject: Subject) -> Constraints | None:
    match call:
        case Call(function="can", arguments=(Call(function="regex") as regex,)):
            return _call(regex, subject)
        case Call(function="regex" | "regexall", arguments=(Literal(value=str() as pattern), Name(name=name))):
            return {"pattern": pattern} if name == subject.name and subject.is_text else None
        case Call(function="contains", arguments=(ListOf() as choices, Name(name=name))) if name == subject.name:
            return _choices(choices)
        case Call(function=function, arguments=(Name(name=name), Literal(value=str() as text))) if (
            name == subject.name and function in _PATTERNS
        ):
            return {"pattern": _PATTERNS[function].format(_escaped(text))}
        case _:
            return None


_PATTERNS = {"startswith": "^{}", "hasprefix": "^{}", "endswith": "{}$", "hassuffix": "{}$", "strcontains": "{}"}


def _choices(expression: ListOf) -> Constraints | None:
    values = [item.value.value for item in expression.items if isinstance(item.value, Literal)]
    if len(values) < len(expression.items) or not values or None in values:
        return None
    return {"choices": values}


def _escaped(text: str) -> str:
    """Return a pattern of RE2 that matches `text`."""
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", text)
