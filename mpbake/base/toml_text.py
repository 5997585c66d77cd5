"""A TOML writer for values and tables. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""A part of a key that needs no quotes."""
# Characters that JSON does not escape. TOML forbids some of these characters; the others hide or reorder text.
_ESCAPED_CHARACTERS = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def toml_key(name: str) -> str:
    """Format one part of a key, without quotes if possible."""
    return name if BARE_KEY.fullmatch(name) else toml_value(name)


def toml_value(value: Any) -> str:
    """Format a string, number, bool, date, list or table on one line."""
    match value:
        case dict():
            pairs = ", ".join(_pair(name, item) for name, item in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case str():
            return _ESCAPED_CHARACTERS.sub(
                lambda match: f"\\u{ord(match.group()):04x}", json.dumps(value, ensure_ascii=False)
            )
        case bool():
            return str(value).lower()
        case _:
            return str(value)  # numbers, and dates as in ISO 8601


def toml_document(table: Mapping[str, Any]) -> str:
    """Format `table` as a TOML document. The order is kept, except that plain values come before tables."""
    return "\n".join(_lines(table, ())) + "\n" if table else ""


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    plain = {name: value for name, value in table.items() if not _has_header(value)}
    if path and (plain or not table):
        yield f"[{_dotted(path)}]"
    for name, value in plain.items():
        yield _pair(name, value)
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _lines(value, (*path, name))
        elif _has_header(value):
            for item in value:
                yield f"[[{_dotted((*path, name))}]]"
                yield from (_pair(*pair) for pair in item.items())


def _has_header(value: Any) -> bool:
    """Whether a value is written below a header of its own: a table, or a list that contains only tables."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(item, dict) for item in value)
    return isinstance(value, dict)


def _pair(name: str, value: Any) -> str:
    return f"{toml_key(name)} = {toml_value(value)}"


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(toml_key, path))
