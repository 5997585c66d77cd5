"""Values and tables as TOML writes them. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# What JSON leaves as it is, and TOML or a screen does not take: controls, and marks that hide or reorder text.
_UNSAFE = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def toml_key(name: str) -> str:
    """One part of a key: bare where it can be."""
    return name if _BARE_KEY.fullmatch(name) else toml_value(name)


def toml_value(value: Any) -> str:
    """A string, number, bool, date, list or table on one line."""
    match value:
        case dict():
            pairs = ", ".join(_pair(name, each) for name, each in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case str():
            return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", json.dumps(value, ensure_ascii=False))
        case bool():
            return str(value).lower()
        case _:
            return str(value)  # numbers; dates are written as ISO 8601 has them


def toml_document(table: Mapping[str, Any]) -> str:
    """`table` as a document that means the same, in the same order but for plain values first."""
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
            for each in value:
                yield f"[[{_dotted((*path, name))}]]"
                yield from (_pair(*pair) for pair in each.items())


def _has_header(value: Any) -> bool:
    """Whether a value is a table, or a list of nothing but tables, which get headers of their own."""
    if isinstance(value, list):
        return bool(value) and all(isinstance(each, dict) for each in value)
    return isinstance(value, dict)


def _pair(name: str, value: Any) -> str:
    return f"{toml_key(name)} = {toml_value(value)}"


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(map(toml_key, path))
