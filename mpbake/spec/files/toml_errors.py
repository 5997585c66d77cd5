"""Explain where and why a file is not TOML, with a hint for the likely mistake."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import tomli

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location
from mpbake.base.redaction import Redactor, credentials_in_source, sensitive_defaults_in_source
from mpbake.spec.files.plan_files import location_of_span, redacted_location
from mpbake.spec.files.source_map import SourceMap, Span

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath

_DUPLICATE = ("Cannot overwrite a value", "Cannot declare", "Duplicate inline table key")
_PAIR = re.compile(r"[\w.\"-]+[ \t]*=")
_QUOTE = "put text in quotes"
_MULTILINE = 'put text of several lines in three quotes: """'
_CLOSE_QUOTES = "end the text with the quotes that it begins with"
_HINTS_BY_ERROR = {
    "Invalid value": f'{_QUOTE}: name = "web"; write true and false in small letters',
    "Expected '=' after a key": "write key = value",
    "Expected newline or end of document": f"write one key on each line; {_QUOTE}",
    "Expected ']' at the end of a table": "close the name of the table with ]",
    "Cannot mutate immutable namespace": "move this into the inline table, or write that table below a [header]",
    "Unclosed array": "close the list with ]",
    "Unclosed inline table": "close the table with }",
    "Expected \"'": _CLOSE_QUOTES,
    "Unterminated string": _CLOSE_QUOTES,
    "Found invalid character": _MULTILINE,
    "Illegal character": _MULTILINE,
    "Unescaped '\\' in a string": "write \\\\, or put the text in single quotes",
}
"""Hints by the beginning of tomli's message."""
_IN_A_KEY = ("Expected '=' after a key", "Expected ']", "Invalid initial character for a key part", "Invalid statement")
_NEEDS_QUOTES = re.compile(r"[/@+*]|[^\x00-\x7f]")
_NOT_CLOSED = ("Expected \"'", "Unterminated string")
_FORBIDDEN = ("Found invalid character", "Illegal character")
_VALUE = re.compile(r"""["'{\d+-]|\[(?!\[?\s*[\w.-]+\s*\])|(?:true|false|inf|nan)\b""")
"""The beginning of a value that is neither a key nor the header of a table."""
_NO_VALUE = re.compile(r"(?:\s|#[^\n]*\n)*")


def syntax_error(error: tomli.TOMLDecodeError, shown: str, source_map: SourceMap, *, quotable: bool) -> Diagnostic:
    """Return the diagnostic for an error of tomli in a file that messages call `shown`.

    If the file is not `quotable`, the diagnostic shows none of its lines.
    """
    quotable = quotable and not _is_near_sensitive(source_map.text, error.pos)
    if error.msg.startswith(_DUPLICATE) and source_map.duplicate:
        key, span = source_map.duplicate
        first = source_map.line(source_map.keys[key].start)
        location = _location(source_map, span, shown, key, quotable=quotable)
        hint = f"keep one of them: the first is on line {first}"
        return Diagnostic(code=Code.DUPLICATE_KEY, message="is defined twice", hint=hint, location=location)
    before = _value_without_comma(error, source_map)
    reason, hint = ("a comma is missing", "write one after this value") if before else (error.msg, _hint(error))
    location = _location(source_map, before or Span(error.pos, error.pos + 1), shown, quotable=quotable)
    return Diagnostic(code=Code.TOML_SYNTAX, message=f"not valid TOML: {reason}", hint=hint, location=location)


def _value_without_comma(error: tomli.TOMLDecodeError, source_map: SourceMap) -> Span | None:
    """Return the value in a list or inline table after which a comma is missing; None for any other error."""
    before = _value_before(error, source_map)
    is_pair = bool(_PAIR.match(error.doc, error.pos))
    if error.msg.startswith("Unclosed array"):
        return before if _VALUE.match(error.doc, error.pos) and not is_pair else None
    on_one_line = "\n" not in error.doc[before.end : error.pos]
    return before if error.msg.startswith("Unclosed inline table") and is_pair and on_one_line else None


def _value_before(error: tomli.TOMLDecodeError, source_map: SourceMap) -> Span:
    """Return the span of the last value before the error; if it is unknown, of the last character before the error."""
    end = len(error.doc[: error.pos].rstrip())
    spans = (span for span in source_map.values.values() if span.end <= error.pos)
    last = max(spans, key=lambda span: span.end, default=None)
    is_adjacent = last is not None and _NO_VALUE.fullmatch(error.doc, last.end, error.pos)
    return last if last and is_adjacent else Span(end - 1, end)


def _location(source_map: SourceMap, span: Span, shown: str, key: KeyPath = (), *, quotable: bool) -> Location:
    """Return the location of a part of a file that cannot be parsed. Sensitive values are detected by pattern."""
    location = location_of_span(source_map.spot(span), shown, key, quotable=quotable)
    defaults = sensitive_defaults_in_source(source_map.text)
    return redacted_location(location, Redactor([*defaults, *credentials_in_source(location.excerpt)]).redact)


def _hint(error: tomli.TOMLDecodeError) -> str:
    """Return the most likely hint for a file that is not TOML."""
    character = error.doc[error.pos : error.pos + 1]
    if error.msg == "Invalid value" and _PAIR.match(error.doc, error.pos):
        return "close the list above with ]"
    if error.msg.startswith(_IN_A_KEY) and _NEEDS_QUOTES.match(character) and character.isprintable():
        return "put keys with characters other than A-Z, a-z, 0-9, - and _ in quotes"
    if error.msg.startswith(_FORBIDDEN) and character != "\n":
        if not _is_in_text(error):
            return "remove it: comments cannot contain this character"
        return f"write it as \\u{ord(character):04x} in double quotes, or remove it"
    return next((hint for start, hint in _HINTS_BY_ERROR.items() if error.msg.startswith(start)), "")


def _is_in_text(error: tomli.TOMLDecodeError) -> bool:
    """Return whether the error is inside quotes (not in a comment): the text before the error then lacks a quote."""
    try:
        tomli.loads(error.doc[: error.pos])
    except tomli.TOMLDecodeError as cut:
        return cut.msg.startswith(_NOT_CLOSED)
    return False


def _is_near_sensitive(text: str, position: int) -> bool:
    """Return whether the table around `position` contains the word `sensitive`.

    The file cannot be parsed, so any value of such a table may be sensitive.
    """
    begin, end = text.rfind("\n[", 0, position), text.find("\n[", position)
    return "sensitive" in text[max(begin, 0) : end if end >= 0 else None]
