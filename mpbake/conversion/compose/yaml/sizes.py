"""Sizes in bytes, as Compose reads and prints them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_UNITS = "kmgtp"
_NAMES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def parse_size(text: str) -> int | None:
    """Return a number of bytes: units are powers of 1024. None if `text` is not a size."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    return int(float(match[1]) * 1024 ** (_UNITS.index(match[2].lower()) + 1 if match[2] else 0))


def printed_size(size: int) -> str:
    """Return a size with its largest unit and four digits: `128MiB`, `95.37MiB`."""
    number, unit = float(size), 0
    while number >= 1024 and unit < len(_NAMES) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.4g}{_NAMES[unit]}"
