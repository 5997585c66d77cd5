"""The types and limits of variables: convert a value to a type, and compare it with what its variable allows. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.redaction import SHORTEST
from mpbake.base.text import one_line
from mpbake.resolve.names import strings_in
from mpbake.resolve.patterns import BadPatternError, compile_pattern
from mpbake.spec.files.json_values import parse_value
from mpbake.spec.files.toml_values import WrittenFloat, read_value
from mpbake.spec.tables.value_types import VariableType

if TYPE_CHECKING:
    from mpbake.spec.tables.plan_tables import VariableSpec


class InvalidValueError(ValueError):
    """A value that is invalid for a variable. `reason` is the predicate of a sentence about the value."""

    def __init__(self, reason: str, code: Code) -> None:
        super().__init__(reason)
        self.code = code

    def sentence(self, value: str) -> str:
        """Return a sentence whose subject is `value`, such as `the default "x"`."""
        return f"{value} {self}"


class _InvalidPatternError(InvalidValueError):
    """An invalid `pattern` of a variable. The text of the error is a whole sentence, since no value is at fault."""

    def sentence(self, value: str) -> str:  # noqa: ARG002
        """Return the text of the error."""
        return str(self)


def type_of(value: Any) -> VariableType:
    """Return the type that a default implies for its variable."""
    match value:
        case bool():
            return VariableType.BOOL
        case int():
            return VariableType.INT
        case float():
            return VariableType.FLOAT
        case list():
            return VariableType.LIST
        case dict():
            return VariableType.MAP
        case _:
            return VariableType.STRING


def as_type(variable_type: VariableType, value: Any) -> Any:
    """Convert `value`, a text from outside or a TOML value, to the type. Raises InvalidValueError."""
    if isinstance(value, str):
        return _parse_value(variable_type, value)
    if variable_type is VariableType.STRING and isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if type_of(value) is not variable_type and (variable_type, type_of(value)) != (
        VariableType.FLOAT,
        VariableType.INT,
    ):
        msg = f"is not {_TYPE_NAMES[variable_type]}"
        raise InvalidValueError(msg, Code.VARIABLE_TYPE)
    return value


_TYPE_NAMES = {
    VariableType.STRING: "text",
    VariableType.INT: "a whole number",
    VariableType.FLOAT: "a number",
    VariableType.BOOL: "true or false",
    VariableType.LIST: "a list",
    VariableType.MAP: "a table",
}
_BOOLS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off", ""), False)


def _parse_value(variable_type: VariableType, text: str) -> Any:
    value: Any = None
    match variable_type:
        case VariableType.STRING:
            return text
        case VariableType.BOOL:
            value = _BOOLS.get(text.lower())
        case VariableType.INT | VariableType.FLOAT:
            value = _number(variable_type, text.strip())
        case VariableType.LIST:
            value = _structure(text, list) if text.lstrip().startswith("[") else _items(text)
            value = [item for item in value if item != ""] if isinstance(value, list) else None
        case VariableType.MAP:
            value = _structure(text, dict) if text.lstrip().startswith("{") else _pairs(text)
    if value is None:
        msg = f"is not {_TYPE_NAMES[variable_type]}"
        raise InvalidValueError(msg, Code.VARIABLE_TYPE)
    return value


def _structure(text: str, kind: type[list[Any] | dict[str, Any]]) -> Any:
    """Parse a list or table in TOML or JSON; None if `text` is neither."""
    value = read_value(text)
    if not isinstance(value, kind):
        try:
            value = parse_value(text)
        except ValueError:
            return None
    return value if isinstance(value, kind) else None


def _items(text: str) -> list[str]:
    """Return the items of a list: the lines of a text with several lines, or else the parts between commas."""
    lines = text.strip().splitlines()
    return [item.strip() for item in (lines if len(lines) > 1 else text.split(","))]


def _pairs(text: str) -> dict[str, str] | None:
    """Return the entries of a table from lines with `key=value`; None if a line is something else."""
    lines = [line.partition("=") for line in text.splitlines() if line.strip()]
    if not all(key.strip() and equals for key, equals, _ in lines):
        return None
    return {key.strip(): value.strip() for key, _, value in lines}


_LEADING_ZEROS = re.compile(r"[+-]?0[0-9]")
_FLOAT = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def _number(variable_type: VariableType, text: str) -> int | float | None:
    """Parse `text` from outside as a number; None if it is no number. Raises InvalidValueError for leading zeros."""
    if _LEADING_ZEROS.match(text):
        msg = "has a leading zero; for text, put the default in quotes"
        raise InvalidValueError(msg, Code.VARIABLE_TYPE)
    try:
        if variable_type is VariableType.INT:
            return int(text)
        return WrittenFloat(text) if _FLOAT.fullmatch(text) else float(text)
    except ValueError:
        return None


def check_limits(spec: VariableSpec, variable_type: VariableType, value: Any) -> None:
    """Raise InvalidValueError if the declaration of the variable does not allow `value`."""
    if spec.required and value in ("", [], {}):
        msg = "is empty, but the variable is required"
        raise InvalidValueError(msg, Code.VARIABLE_EMPTY)
    if spec.choices and not any(_is_choice(value, choice) for choice in spec.choices):
        msg = f"is not one of {', '.join(one_line(str(choice)) for choice in spec.choices)}"
        raise InvalidValueError(msg, Code.VARIABLE_CHOICE)
    if spec.min is not None or spec.max is not None:
        _check_range(spec, variable_type, value)
    if spec.pattern:
        _check_pattern(spec.pattern, variable_type, value)
    if spec.sensitive and any(0 < len(text.strip()) < SHORTEST for text in strings_in(value)):
        msg = f"is too short to redact: fewer than {SHORTEST} characters"
        raise InvalidValueError(msg, Code.SENSITIVE_TOO_SHORT)


def _is_choice(value: Any, choice: Any) -> bool:
    """Whether `value` is `choice`. Floats are compared as written: 8.10 is not 8.1."""
    return bool(value == choice) and (not isinstance(value, float) or str(value) == str(choice))


def _check_range(spec: VariableSpec, variable_type: VariableType, value: Any) -> None:
    if variable_type not in {VariableType.INT, VariableType.FLOAT}:
        msg = "is not a number, but the variable has `min` or `max`"
        raise InvalidValueError(msg, Code.VARIABLE_LIMIT)
    if spec.min is not None and value < spec.min:
        msg = f"is less than the minimum {spec.min}"
        raise InvalidValueError(msg, Code.VARIABLE_RANGE)
    if spec.max is not None and value > spec.max:
        msg = f"is greater than the maximum {spec.max}"
        raise InvalidValueError(msg, Code.VARIABLE_RANGE)


def _check_pattern(pattern: str, variable_type: VariableType, value: Any) -> None:
    if variable_type is not VariableType.STRING:
        msg = "is not text, but the variable has a `pattern`"
        raise InvalidValueError(msg, Code.VARIABLE_LIMIT)
    try:
        match = compile_pattern(pattern).search(value)
    except BadPatternError as error:
        msg = f"the pattern {one_line(pattern)} is invalid: {error}"
        raise _InvalidPatternError(msg, Code.BAD_PATTERN) from None
    if match is None:
        msg = f"does not match {one_line(pattern)}"
        raise InvalidValueError(msg, Code.VARIABLE_PATTERN)
