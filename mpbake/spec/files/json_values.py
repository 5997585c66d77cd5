"""Read JSON as the values of a plan: numbers keep their notation, and null is not supported."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError
from mpbake.base.json_text import parse_json
from mpbake.base.text import is_unicode
from mpbake.spec.files.toml_values import WrittenFloat, read_text, read_values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import NoReturn

JSON_SUFFIX = ".json"
"""The end of the names of JSON files. All other files of values are TOML."""


def parse_value(text: str) -> Any:
    """Return the value of a JSON text. Entries of a table whose value is null are omitted.

    Raises ValueError if `text` is not JSON, repeats a key, or has null in a list or a number that TOML does not have.
    """
    value = parse_json(text, object_pairs_hook=_table, parse_float=WrittenFloat, parse_constant=_not_a_number)
    if value is None or _has_null(value):
        msg = "null is not supported"
        raise ValueError(msg)
    if not is_unicode(json.dumps(value, ensure_ascii=False)):
        msg = "it contains half a character (a surrogate)"
        raise ValueError(msg)
    return value


def read_variables(path: Path, *, shown: str) -> dict[str, Any]:
    """Return the values of a `--var-file`, in TOML or JSON. Raises PlanError, whose messages quote nothing."""
    if path.suffix == JSON_SUFFIX:
        return parse_json_table(read_text(path, shown), shown)
    return read_values(path, shown=shown)


def parse_json_table(text: str, shown: str) -> dict[str, Any]:
    """Return the table of a JSON file that messages call `shown`. Raises PlanError, whose messages quote nothing."""
    location = Location(file=shown)
    try:
        value = parse_value(text)
        message = "" if isinstance(value, dict) else "must be a table: { … }"
    except json.JSONDecodeError as error:
        location = Location(file=shown, line=error.lineno, column=error.colno)
        message = f"is not JSON: {error.msg}"
    except ValueError as error:
        message = f"is not JSON that a plan can use: {error}"
    if message:
        raise PlanError([Diagnostic(code=Code.JSON_SYNTAX, message=message, location=location)])
    return dict(value)


def _table(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        msg = "a key occurs twice in a table"
        raise ValueError(msg)
    return {name: value for name, value in table.items() if value is not None}


def _not_a_number(name: str) -> NoReturn:
    msg = f"{name} is not a number"
    raise ValueError(msg)


def _has_null(value: Any) -> bool:
    """Whether a list in `value`, at any depth, contains null."""
    match value:
        case list():
            return any(item is None or _has_null(item) for item in value)
        case dict():
            return any(map(_has_null, value.values()))
        case _:
            return False
