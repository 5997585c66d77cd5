"""Filters of mpbake for digests, names, paths, JSON, lists and tables."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import posixpath
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mpbake.base.text import one_line, short_name
from mpbake.resolve.template.filters import EXCERPT, FilterError, input_text
from mpbake.resolve.template.values import is_collection, rendered_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_NAMESPACES = {
    "dns": uuid.NAMESPACE_DNS,
    "url": uuid.NAMESPACE_URL,
    "oid": uuid.NAMESPACE_OID,
    "x500": uuid.NAMESPACE_X500,
}


def md5(value: object) -> str:
    """Return the MD5 digest of `value` in UTF-8, as 32 hexadecimal digits. Raises FilterError."""
    return hashlib.md5(input_text("md5", value).encode(), usedforsecurity=False).hexdigest()


def sha1(value: object) -> str:
    """Return the SHA-1 digest of `value` in UTF-8, as 40 hexadecimal digits. Raises FilterError."""
    return hashlib.sha1(input_text("sha1", value).encode(), usedforsecurity=False).hexdigest()


def sha512(value: object) -> str:
    """Return the SHA-512 digest of `value` in UTF-8, as 128 hexadecimal digits. Raises FilterError."""
    return hashlib.sha512(input_text("sha512", value).encode()).hexdigest()


def uuid5(value: object, namespace: object) -> str:
    """Return the UUID of a name in a namespace: `dns`, `url`, `oid`, `x500` or a UUID. Raises FilterError."""
    name, text = input_text("uuid5", value), input_text("uuid5", namespace)
    try:
        return str(uuid.uuid5(_NAMESPACES.get(text) or uuid.UUID(text), name))
    except ValueError:
        message = f'"{short_name(text, EXCERPT)}" is not a namespace of uuid5'
        raise FilterError(message, f"use one of {', '.join(_NAMESPACES)}, or a UUID") from None


def split(value: object, separator: object = None) -> list[str]:
    """Split a text at a separator or, without one, at white space. Raises FilterError."""
    text = input_text("split", value)
    if separator is None:
        return text.split()
    at = input_text("split", separator)
    if not at:
        raise FilterError("the separator of split is empty", "for single characters, write value | list")
    return text.split(at)


def basename(value: object) -> str:
    """Return the last part of a path: `.` for an empty path. Raises FilterError."""
    path = input_text("basename", value)
    return posixpath.basename(path.rstrip("/")) or ("/" if path else ".")


def dirname(value: object) -> str:
    """Return a path without its last part: `.` for a path without folders. Raises FilterError."""
    path = posixpath.normpath(posixpath.dirname(input_text("dirname", value)))
    return path.replace("//", "/")


def to_base64(value: object) -> str:
    """Return a text in UTF-8 as Base64. Raises FilterError."""
    return base64.b64encode(input_text("base64", value).encode()).decode("ascii")


def from_base64(value: object) -> str:
    """Return the text that Base64 contains. Raises FilterError."""
    try:
        return base64.b64decode(input_text("from_base64", value), validate=True).decode()
    except ValueError:
        message = "from_base64 cannot decode the text"
        raise FilterError(message, "check the value with `base64 --decode`: it must contain text in UTF-8") from None


def to_json(value: Any) -> str:
    """Return `value` as JSON on one line, with the keys of tables in order. Raises TypeError for other values."""
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _plain(value: Any) -> Any:
    """Return `value` with all collections converted to lists and dicts."""
    if isinstance(value, Mapping):
        return {rendered_text(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if is_collection(value) or isinstance(value, range) else value


def from_json(value: object) -> Any:
    """Parse a JSON text. Raises FilterError."""
    text = input_text("from_json", value)
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        message = f"from_json cannot parse the text: {one_line(str(error))}"
        raise FilterError(message, "check the value with jq or another JSON parser") from None


def _refuse_constant(name: str) -> Any:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def merge(value: object, *others: object) -> dict[Any, Any]:
    """Merge tables by key; a later table wins. Raises FilterError."""
    merged: dict[Any, Any] = {}
    for table in (value, *others):
        if not isinstance(table, Mapping):
            raise FilterError("merge takes tables", "write {{ table | merge(other_table) }}")
        merged |= table
    return merged


def flatten(value: object) -> list[Any]:
    """Return the items of a list and, in place of each list in it, the items of that list at any depth."""
    flat: list[Any] = []
    pending = [value]
    while pending:
        item = pending.pop()
        if is_collection(item) and not isinstance(item, Mapping):
            pending += reversed(list(item))  # type: ignore[call-overload]
        else:
            flat.append(item)
    return flat


def zipped(value: Iterable[Any], *others: Iterable[Any]) -> list[list[Any]]:
    """Return the first items of all lists, then the second items, and so on. Raises FilterError for unequal lengths."""
    lists = [list(items) for items in (value, *others)]
    if len({len(items) for items in lists}) > 1:
        raise FilterError("zip takes lists of the same length", "shorten the longer list, for example names[:3]")
    return [list(items) for items in itertools.zip_longest(*lists)]


DATA_FILTERS: Mapping[str, Callable[..., Any]] = {
    "base64": to_base64,
    "basename": basename,
    "dirname": dirname,
    "flatten": flatten,
    "from_base64": from_base64,
    "from_json": from_json,
    "json": to_json,
    "md5": md5,
    "merge": merge,
    "sha1": sha1,
    "sha512": sha512,
    "split": split,
    "uuid5": uuid5,
    "zip": zipped,
}
LINEAR_FILTERS = frozenset({"flatten", "from_base64", "from_json", "json", "merge", "zip"})
"""Filters whose result is at most as large as all their arguments together."""
