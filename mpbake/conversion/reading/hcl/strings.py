"""The text of literal parts of strings: escapes, strip markers and the indentation of heredocs."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from mpbake.conversion.reading.hcl.scan import Quoting, Sequence, Span

if TYPE_CHECKING:
    from mpbake.conversion.reading.hcl.scan import String
    from mpbake.conversion.reading.hcl.source import Source

_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)|\$\$\{|%%\{", re.DOTALL)
_TEMPLATE_ESCAPE = re.compile(r"\$\$\{|%%\{")
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_LAST_CHARACTER = 0x10FFFF


def string_parts(string: String, source: Source) -> list[str | Sequence]:
    """Return the parts of a string, literal text with its escapes resolved. Raises PlanError.

    HCL strips whitespace next to `~` from one part of the text only. A part of a heredoc is at most one line.
    """
    parts: list[str | Sequence] = []
    for index, part in enumerate(string.parts):
        if isinstance(part, Sequence):
            parts.append(part)
            continue
        text = _literal(part, string, source)
        before = string.parts[index - 1] if index else None
        after = string.parts[index + 1] if index + 1 < len(string.parts) else None
        if isinstance(before, Sequence) and before.strips_after:
            text = text.lstrip()
        if isinstance(after, Sequence) and after.strips_before:
            text = text.rstrip()
        parts.append(text)
    if string.quoting is Quoting.FLUSH_HEREDOC:
        _remove_indentation(parts)
    return parts


def normalized(text: str) -> str:
    """Return the text in the form of Unicode that HCL gives to all strings (NFC)."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _literal(span: Span, string: String, source: Source) -> str:
    text = source.text[span.start : span.end]
    if string.quoting is not Quoting.QUOTED:
        return _TEMPLATE_ESCAPE.sub(lambda match: match.group()[1:], text)
    return _ESCAPE.sub(lambda match: _resolved(match, span.start, source), text)


def _resolved(match: re.Match[str], start: int, source: Source) -> str:
    """Return the character of an escape sequence, or `${` or `%{`."""
    escape = match.group()
    if escape[0] != "\\":
        return escape[1:]
    if simple := _SIMPLE.get(escape[1:]):
        return simple
    offset = start + match.start()
    if len(escape) == 2:
        message = f"`{escape}` is not an escape sequence"
        if escape[1] in "uU":
            message = f"`{escape}` needs {4 if escape[1] == 'u' else 8} hexadecimal digits"
        hint = r"write \\ for a backslash; HCL knows \n \r \t \" \\ \uXXXX and \UXXXXXXXX"
        raise source.error(offset, message, length=2, hint=hint)
    code = int(escape.lstrip("\\uU"), 16)
    if code > _LAST_CHARACTER or 0xD800 <= code <= 0xDFFF:
        raise source.error(offset, f"`{escape}` is no character of Unicode", length=len(escape), hint="remove it")
    return chr(code)


def _remove_indentation(parts: list[str | Sequence]) -> None:
    """Remove the indentation that all lines have in common, in place. Blank lines do not count, and stay."""
    least, starts_line = None, True
    lines: list[int] = []
    for index, part in enumerate(parts):
        is_text = isinstance(part, str)
        if starts_line:
            text = part if isinstance(part, str) else ""
            if not (text.endswith("\n") and not text.strip()):
                spaces = len(text) - len(text.lstrip())
                least = spaces if least is None else min(least, spaces)
                if is_text:
                    lines.append(index)
        starts_line = isinstance(part, str) and part.endswith("\n")
    for index in lines:
        parts[index] = str(parts[index])[least or 0 :]
