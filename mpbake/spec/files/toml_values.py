"""Read TOML: files, single values and keys. Numbers keep their notation."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Any, Self, cast

import tomli

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError
from mpbake.base.files import is_descriptor, read_bounded
from mpbake.spec.files.plan_limits import MAX_BYTES, DeepKeyError, check_keys
from mpbake.spec.files.source_map import SourceMap
from mpbake.spec.files.toml_errors import syntax_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_WITH_BASE = re.compile(r"0[xob][0-9A-Fa-f_]+")
_MAY_HAVE_BASE = re.compile(r"[=\[,\s]0[xob]")


class WrittenFloat(float):
    """A number that keeps its text as written: version 8.10 is not 8.1."""

    def __new__(cls, text: str) -> Self:
        """Read `text`, a float of TOML."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        """Return the number as written."""
        return self.text


class WrittenInt(int):
    """A whole number that keeps its text as written: the mode 0o755 is not 493."""

    def __new__(cls, text: str) -> Self:
        """Read `text`, an integer of TOML."""
        number = super().__new__(cls, text, 0)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        """Return the number as written."""
        return self.text


def read_file(path: Path) -> bytes:
    """Return the content of a plan file, at most `MAX_BYTES`. Raises OSError.

    mpbake waits for a pipe only if a shell passes it as a descriptor: a checkout may contain a pipe.
    """
    return read_bounded(path, pipe=is_descriptor(path), most=MAX_BYTES)


def read_text(path: Path, shown: str, read: Callable[[Path], bytes] = read_file) -> str:
    """Return the text of a file that messages call `shown`. Raises PlanError if the file is unreadable or not UTF-8."""
    try:
        return read(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError([_not_utf8(error, shown)]) from None
    except IsADirectoryError:
        code, message = Code.FILE_UNREADABLE, "is a folder, not a plan"
    except OSError as error:
        code, message = Code.FILE_UNREADABLE, f"cannot be read: {error.strerror}"
    raise PlanError([Diagnostic(code=code, message=message, location=Location(file=shown))])


def _not_utf8(error: UnicodeDecodeError, shown: str) -> Diagnostic:
    before = error.object[: error.start].decode("utf-8")
    location = Location(file=shown, line=before.count("\n") + 1, column=len(before.rpartition("\n")[2]) + 1)
    message, hint = f"is not UTF-8 text: byte 0x{error.object[error.start]:02x}", "save the file as UTF-8"
    return Diagnostic(code=Code.FILE_ENCODING, message=message, hint=hint, location=location)


def parse_toml(text: str, shown: str, *, quotable: bool = True) -> dict[str, Any]:
    """Return the values of a TOML file that messages call `shown`. Raises PlanError.

    If the file is not `quotable`, messages show none of its lines.
    """
    try:
        return _values(text)
    except tomli.TOMLDecodeError as error:
        raise PlanError([syntax_error(error, shown, SourceMap(text), quotable=quotable)]) from None
    except DeepKeyError as error:
        location = Location(file=shown, line=error.line)
        raise PlanError([Diagnostic(code=Code.TOO_DEEP, message=str(error), location=location)]) from None
    except RecursionError:
        code, message = Code.TOO_DEEP, "nested too deeply"
    except ValueError:  # Python limits the digits of a number
        code, message = Code.NUMBER_TOO_LONG, "a number has too many digits"
    raise PlanError([Diagnostic(code=code, message=message, location=Location(file=shown))])


def read_values(path: Path, *, shown: str, read: Callable[[Path], bytes] = read_file) -> dict[str, Any]:
    """Return the values of a TOML file that is no plan. Raises PlanError.

    Any of the values may be sensitive, so messages show no line of the file.
    """
    return parse_toml(read_text(path, shown, read), shown, quotable=False)


def read_value(text: str) -> Any:
    """Parse `text` as a value in TOML; None if `text` is not a value."""
    try:
        return _values(f"value = {text}").get("value")
    except (ValueError, RecursionError):
        return None


def read_key(text: str) -> list[str]:
    """Return the parts of a dotted key of TOML: `args."a.b"`. Raises ValueError if `text` is not a key."""
    table: Any = tomli.loads(f"{text} = 0")
    parts = []
    while isinstance(table, dict):
        ((part, table),) = table.items()
        parts.append(part)
    return parts


def top_level_keys(text: str) -> set[str]:
    """Return the keys and table names at the top of a TOML document. Raises ValueError, RecursionError."""
    check_keys(text)
    return set(tomli.loads(text))


def same_values(text: str, other: str) -> bool:
    """Return whether two TOML documents have the same values; False if either document is not TOML."""
    try:
        return tomli.loads(text) == tomli.loads(other)
    except (ValueError, RecursionError):
        return False


def _values(text: str) -> dict[str, Any]:
    """Return the values of a TOML document; numbers keep their notation. Raises ValueError, RecursionError."""
    check_keys(text)
    values = tomli.loads(text, parse_float=WrittenFloat)
    if _MAY_HAVE_BASE.search(text):
        _keep_bases(values, SourceMap(text))
    return values


def _keep_bases(data: dict[str, Any], source_map: SourceMap) -> None:
    """Replace the hexadecimal, octal and binary numbers of `data` by WrittenInt: tomli returns only their value."""
    for (*tables, name), span in source_map.values.items():
        written = source_map.text[span.start : span.end]
        if _WITH_BASE.fullmatch(written):
            table = reduce(lambda parent, part: parent[part], tables, cast("Any", data))
            table[name] = WrittenInt(written)


def with_other_texts(value: Any, texts: Mapping[str, str]) -> Any:
    """Return a value in which every string that is a key of `texts` is replaced."""
    match value:
        case dict():
            return {key: with_other_texts(item, texts) for key, item in value.items()}
        case list():
            return [with_other_texts(item, texts) for item in value]
        case str():
            return texts.get(value, value)
        case _:
            return value
