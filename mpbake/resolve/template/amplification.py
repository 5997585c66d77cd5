"""Checks of operations that could make a huge result, or take a long time, from small operands."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

from jinja2.exceptions import SecurityError
from jinja2.sandbox import safe_range

from mpbake.resolve.template.budget import MAX_TEXT, TEXT_TOO_LONG
from mpbake.resolve.template.values import ITEM_WEIGHT, NUMBER_TOO_LARGE, is_large_product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

_MAX_RANGE_NUMBER = 2**53
"""Above this limit, evenly spaced numbers can all collide in a set, which then takes quadratic time."""
_MAX_WIDTH_DIGITS = 4
_PERCENT = re.compile(r"%(?:%|(?:\([^()]*\))?[-+ #0]*(\*|\d*)(?:\.(\*|\d*))?)")
_WIDTH = re.compile(r"\d+|\{")
_BLANKS = re.compile(r"[\t\n\v\f\r ]+")
SLOW_FILTERS: Mapping[str, Callable[[str], int]] = {
    "format": lambda text: ITEM_WEIGHT * text.count("%"),
    "striptags": lambda text: len(text) * text.count("<") // 16,
    "title": lambda text: 15 * len(text),
    "wordwrap": lambda text: _wrapping_work(_BLANKS.split(text), len(text)),
}
"""Slow filters, each with a function that returns the amount of work for a text."""


def _wrapping_work(words: Sequence[str], length: int) -> int:
    """Return the work of wrapping a text of this length: long words take quadratic time."""
    return length * max(map(len, words)) + ITEM_WEIGHT * len(words)


def bounded_range(*numbers: int) -> range:
    """Return the range that Jinja's `range` makes, which has a limited length. Refuse very large numbers."""
    if any(isinstance(number, int) and abs(number) > _MAX_RANGE_NUMBER for number in numbers):
        raise SecurityError(NUMBER_TOO_LARGE)
    return safe_range(*numbers)


def check_power(base: Any, exponent: Any) -> None:
    """Refuse large powers."""
    if abs(base) > MAX_TEXT or abs(exponent) > 64:
        raise SecurityError("a power this large is not allowed")


def check_product(left: Any, right: Any) -> None:
    """Refuse long repetitions of text or lists, and large products of numbers."""
    for repeated, times in ((left, right), (right, left)):
        if hasattr(repeated, "__len__") and isinstance(times, int) and len(repeated) * times > MAX_TEXT:
            raise SecurityError("a repetition this long is not allowed")
    if isinstance(left, int) and isinstance(right, int) and is_large_product(left, right):
        raise SecurityError(NUMBER_TOO_LARGE)


def check_percent_format(text: str) -> None:
    """Refuse large widths such as `%9999999d`, and widths that come from a value: `%*d`."""
    fields = [field for field in _PERCENT.finditer(text) if field[1] is not None]
    if any(text.startswith("(", field.end()) for field in fields):
        raise SecurityError("a name with a parenthesis in it is not allowed here")
    _check_widths(width for field in fields for width in field.groups(""))


def check_format(text: str) -> None:
    """Refuse large widths such as `{:9999999}`, and widths that come from a value: `{:{}}`."""
    fields = string.Formatter().parse(text)
    _check_widths(width for _, _, specification, _ in fields for width in _WIDTH.findall(specification or ""))


def _check_widths(widths: Iterable[str]) -> None:
    """Refuse large `widths`. A width consists of digits, or is the `*` or `{` for a width that comes from a value."""
    total = 0
    for width in widths:
        if width in {"*", "{"} or len(width) > _MAX_WIDTH_DIGITS:
            raise SecurityError("a width of this many digits is not allowed")
        total += int(width or 0)
        if total > MAX_TEXT:
            raise SecurityError(TEXT_TOO_LONG)
