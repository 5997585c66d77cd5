"""Read files such as `.env`: variables that the environment of bake does not set."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.conversion.compose.interpolation import BadReferenceError, Parts, Reference, parse

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENTRY = re.compile(
    r"""[\s]*(?:export[ \t]+)?(?P<name>[\w.\[\]-]+)[ \t]*
        (?:[=:][ \t]*(?P<value>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\n]*)|(?=\n|\Z))""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"\s*(?:#[^\n]*)?(?:\n|\Z)")
_ESCAPE = re.compile(r"\\([abfnrtv$\"\\])")
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "$": "$$"}


def read_dotenv(text: str, known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables of a `.env` file by name. Values can refer to earlier variables, and to those in `known`.

    A name without a value, and a line that is no entry, count as nothing.
    """
    variables: dict[str, str] = {}
    position = 0
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    while position < len(text):
        if match := _COMMENT.match(text, position):
            position = max(match.end(), position + 1)
        elif match := _ENTRY.match(text, position):
            position = match.end()
            if match["value"] is not None:
                variables[match["name"]] = _value(match["value"], {**(known or {}), **variables})
        else:
            end = text.find("\n", position)
            position = len(text) if end < 0 else end + 1
    return variables


def _value(written: str, variables: Mapping[str, str]) -> str:
    if len(written) > 1 and written[0] == written[-1] == "'":
        return re.sub(r"\\'", "'", written[1:-1])
    if len(written) > 1 and written[0] == written[-1] == '"':
        return _expanded(_ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), written[1:-1]), variables)
    return _expanded(written.partition(" #")[0].rstrip(), variables)


def _expanded(text: str, variables: Mapping[str, str]) -> str:
    try:
        return _filled(parse(text), variables)
    except BadReferenceError:
        return text


def _filled(parts: Parts, variables: Mapping[str, str]) -> str:
    return "".join(part if isinstance(part, str) else _referenced(part, variables) for part in parts)


def _referenced(reference: Reference, variables: Mapping[str, str]) -> str:
    value = variables.get(reference.name)
    present = bool(value) if reference.operator.startswith(":") else value is not None
    word = _filled(reference.word, variables)
    match reference.operator[-1:]:
        case "-":
            return (value or "") if present else word
        case "+":
            return word if present else (value or "")
        case _:
            return value or ""
