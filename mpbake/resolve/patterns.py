"""Regular expressions of a plan. A plan may be hostile: RE2 takes linear time for every pattern."""

from __future__ import annotations

from typing import Any

from mpbake.base.text import one_line


class BadPatternError(ValueError):
    """An invalid pattern; the text of the error is RE2's message."""


def compile_pattern(pattern: str) -> Any:
    """Compile a regular expression. Raises BadPatternError."""
    import re2  # noqa: PLC0415 - few plans have patterns

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error as error:
        raise BadPatternError(one_line(_message(error))) from None


def _message(error: Exception) -> str:
    """Return the message of an RE2 error, which is bytes, as text."""
    message = error.args[0] if error.args else ""
    return message.decode(errors="replace") if isinstance(message, bytes) else str(message)
