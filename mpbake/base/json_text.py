"""Safe parsing of JSON from untrusted sources, and JSON that is safe to print."""

from __future__ import annotations

import json
from typing import Any

from mpbake.base.ci_commands import without_commands_in_strings


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text. Raises ValueError if `text` is not JSON or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def printed_json(value: object, *, indent: int | None = None) -> str:
    """Format a value as JSON that is safe to print: ASCII only, and without commands of CI systems."""
    return without_commands_in_strings(json.dumps(value, indent=indent))
