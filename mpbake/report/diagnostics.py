"""Diagnostics for people, for programs and for the annotations of a workflow. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Severity
from mpbake.base.errors import key_path_text
from mpbake.base.text import LONGEST_MESSAGE, json_lines, printable, shared_names, shortened, split_subject

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from mpbake.base.errors import Diagnostic

FORMAT = 1
"""Rises when a field of the JSON goes away or changes its meaning; further fields may come at any time."""

_NOWHERE: Mapping[str, Any] = {"file": "", "line": 0, "column": 0, "length": 0, "key": [], "excerpt": ""}


def diagnostics_text(found: Iterable[Diagnostic]) -> str:
    """Each as an error is printed; a warning that several places share once, with the names of the others."""
    shared: dict[Hashable, list[Diagnostic]] = {}
    for index, each in enumerate(found):
        key: Hashable = index
        if each.severity is Severity.WARNING:
            key = (each.code, split_subject(each.message)[1], each.hint)
        shared.setdefault(key, []).append(each)
    return "".join(f"{each[0]}\n{_others(each[1:])}" for each in shared.values())


def _others(found: Sequence[Diagnostic]) -> str:
    """A line with the names of what has the same warning as the one above it; empty where there is none."""
    names = dict.fromkeys(map(_name, found))
    return f"    the same: {shared_names(tuple(names))}\n" if names else ""


def _name(diagnostic: Diagnostic) -> str:
    """What a diagnostic is on: the name that its message begins with, else its key."""
    key = key_path_text(diagnostic.location.key) if diagnostic.location else ""
    return split_subject(diagnostic.message)[0] or key


def diagnostics_json(found: Iterable[Diagnostic]) -> str:
    """The fields that `docs/diagnostics.md` lists, a line for each diagnostic; only ASCII."""
    return f'{{\n"format": {FORMAT},\n"diagnostics": {json_lines(map(_fields, found))}\n}}\n'


def _fields(diagnostic: Diagnostic) -> dict[str, Any]:
    place = diagnostic.location
    where = {name: getattr(place, name) for name in _NOWHERE} if place else _NOWHERE
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        **where,
        # Each of many problems of a long line would repeat all of it.
        "excerpt": shortened(where["excerpt"], LONGEST_MESSAGE),
    }


def diagnostics_github(found: Iterable[Diagnostic]) -> str:
    """Workflow commands, with which GitHub marks the lines of a change."""
    return "".join(f"{_command(each)}\n" for each in found)


def _command(diagnostic: Diagnostic) -> str:
    properties: dict[str, str | int] = {}
    key, place = "", diagnostic.location
    if place is not None:
        key = f"{key_path_text(place.key)}: " if place.key else ""
        properties = {"file": place.file, "line": place.line, "col": place.column}
        properties["endColumn"] = place.column + place.length - 1 if place.length else 0
    properties["title"] = diagnostic.code
    written = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items() if value)
    hint = f"\n{diagnostic.hint}" if diagnostic.hint else ""
    return f"::{diagnostic.severity} {written}::{_escaped(key + diagnostic.message + hint)}"


def _escaped(text: str, more: str = "") -> str:
    """Text for a workflow command, which ends at a line break; `more` would end a property."""
    for character in f"%\r\n{more}":
        text = text.replace(character, f"%{ord(character):02X}")
    return printable(text)
