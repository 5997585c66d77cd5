"""The values of YAML scalars, as Compose resolves and prints them (by the rules of the Go library yaml.v3)."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.conversion.compose.values import Scalar

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_SPECIAL = {".nan": "NaN", ".inf": "+Inf", "+.inf": "+Inf", "-.inf": "-Inf"}
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_CLOCK = r"(?:(?:[Tt]| )([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(\.[0-9]+)?(Z|[-+]\d\d:\d\d)?)?"
_DATE = re.compile(rf"([0-9]{{4}})-([0-9]{{1,2}})-([0-9]{{1,2}}){_CLOCK}")
_LARGEST, _LOWEST = 2**64, 2**63 + 1

Plain = str | int | float | bool | None
"""The value of a scalar. A date is text, as Compose prints it."""


def resolved(scalar: Scalar) -> Plain:
    """Return the value of a scalar: text, unless it is written without quotes and reads as something else."""
    if scalar.tag == "str" or not (scalar.plain or scalar.tag in {"int", "float", "bool", "null"}):
        return scalar.text
    text = scalar.text
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    number = _number(text)
    return text if number is None else number


def is_null(scalar: Scalar) -> bool:
    """Whether a scalar is null."""
    return resolved(scalar) is None


def printed(scalar: Scalar) -> str:
    """Return a scalar as text, as Compose prints it in `args`: `1.10` is `1.1`, `0777` is `511`, null is nothing."""
    match resolved(scalar):
        case None:
            return ""
        case bool() as value:
            return str(value).lower()
        case int() as value:
            return str(value)
        case float() as value:
            return _SPECIAL.get(scalar.text.lower()) or _printed_float(value)
        case str() as text:
            return _printed_date(text) if scalar.plain and scalar.tag != "str" else text


def _number(text: str) -> int | float | None:
    if text.lower() in _SPECIAL:
        return float(text.replace(".", "", 1))
    digits = text.replace("_", "") if text[:1] in "+-.0123456789" else text
    if match := _INTEGER.fullmatch(digits):
        sign, *bases = match.groups()
        value = next(int(part, base) for part, base in zip(bases, (16, 2, 8, 10), strict=True) if part is not None)
        if text == "-0":
            return -0.0
        if value < (_LARGEST if sign != "-" else _LOWEST):
            return -value if sign == "-" else value
    if _FLOAT.fullmatch(digits):
        return float(digits)
    return None


def _printed_float(value: float) -> str:
    """Return the shortest text of a number; with an exponent from 1e6 and below 1e-4, as Go prints it."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int) or value == 0:
        return "-0" if sign else "0"
    power = len(digits) + exponent - 1
    if -4 <= power < 6:
        return format(Decimal(repr(value)).normalize(), "f")
    mantissa = str(digits[0]) + ("." + "".join(map(str, digits[1:])) if len(digits) > 1 else "")
    return f"{'-' if sign else ''}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02}"


def _printed_date(text: str) -> str:
    """Return a date as Go prints it, or `text` if it is not a date."""
    match = _DATE.fullmatch(text)
    if match is None:
        return text
    year, month, day, hour, minute, second, fraction, zone = match.groups(default="")
    try:
        dt.date(int(year), int(month), int(day))
        dt.time(int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return text
    offset = "+0000 UTC" if zone in {"", "Z"} else f"{zone.replace(':', '')} {zone.replace(':', '')}"
    clock = f"{int(hour or 0):02}:{int(minute or 0):02}:{int(second or 0):02}{fraction.rstrip('0').rstrip('.')}"
    return f"{year}-{int(month):02}-{int(day):02} {clock} {offset}"
