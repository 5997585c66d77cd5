"""Read the numbers of HCL and JSON."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.conversion.syntax import Literal

if TYPE_CHECKING:
    from mpbake.conversion.reading.hcl.source import Source

_MOST_DIGITS = 300


def number_literal(text: str, offset: int, source: Source) -> Literal:
    """Return the number at `offset`. `1.0` and `1e3` are whole numbers, as in HCL. Raises PlanError."""
    number = _decimal(text)
    if number is None:
        raise source.error(
            offset,
            "the number has too many digits",
            length=len(text),
            hint='write it as text, in quotes: "…"',
            code=Code.NUMBER_TOO_LONG,
        )
    value = int(number) if number == number.to_integral_value() else float(number)
    return Literal(value=value, place=source.place(offset), text=text)


def _decimal(text: str) -> Decimal | None:
    if len(text) > _MOST_DIGITS:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if abs(number.adjusted()) <= _MOST_DIGITS else None
