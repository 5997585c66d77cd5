"""Safe parsing of JSON from untrusted sources."""

from __future__ import annotations

import json
from typing import Any


def parse_json(text: str | bytes, **options: Any) -> Any:
    """Parse a JSON text. Raises ValueError if `text` is not JSON or is nested too deeply.

    `options` are those of `json.loads`.
    """
    try:
        return json.loads(text, **options)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
