"""The files of a plan: their values, the merged values, and the file that contains a value."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, reduce
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Diagnostic, Location
from mpbake.base.redaction import Redactor, credentials_in, scalars_in
from mpbake.base.text import LONGEST_MESSAGE, closest_name, shortened
from mpbake.spec.files.source_map import SourceMap, SourceSpot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.model.reading import ReadAccess
    from mpbake.spec.problem import Problem

_SHORT_FORMS: Mapping[str | int, str] = MappingProxyType({"variables": "default", "groups": "targets"})
SETTING = "--set"
"""The first part of the key of a value from the command line. The second part is the index of the setting."""


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A plan file with its path, its name in messages (`shown`), its text and its tables.

    If the file is not `quotable`, messages show none of its lines: a plan can include any file of the machine.
    """

    path: Path
    shown: str
    text: str
    data: Mapping[str, Any]
    quotable: bool = True

    def locate(self, key: KeyPath, culprit: str = "", *, of_key: bool = False) -> Location:
        """Return the location of `key`, or of the nearest enclosing table in the file. See `SourceMap.find`.

        Pass the location to `redacted_location` before you print it.
        """
        key = self._as_written(key)
        spot = self._source_map.find(key, culprit, of_key=of_key)
        if spot is None:
            return Location(file=self.shown, key=key)
        return location_of_span(spot, self.shown, key, quotable=self.quotable)

    def _as_written(self, key: KeyPath) -> KeyPath:
        """Return the part of `key` that the file writes: a table in short form is a value without keys."""
        if len(key) < 3 or _SHORT_FORMS.get(key[0]) != key[2]:
            return key
        table = self.data.get(str(key[0]))
        is_short = isinstance(table, dict) and not isinstance(table.get(key[1], {}), dict)
        return (*key[:2], *key[3:]) if is_short else key

    def holds(self, key: KeyPath) -> int:
        """Return the number of leading parts of `key` that this file contains."""
        value: Any = self.tables
        for length, part in enumerate(key):
            if not _has(value, part):
                return length
            value = value[part]
        return len(key)

    @cached_property
    def tables(self) -> Mapping[str, Any]:
        """Return the values of the file, with short forms replaced by tables."""
        return _long_forms(self.data)

    @cached_property
    def _source_map(self) -> SourceMap:
        return SourceMap(self.text)


def location_of_span(spot: SourceSpot, shown: str, key: KeyPath = (), *, quotable: bool) -> Location:
    """Return the location of a part of a file that messages call `shown`.

    Pass the location to `redacted_location` before you print it.
    """
    excerpt = spot.excerpt if quotable else ""
    return Location(file=shown, key=key, line=spot.line, column=spot.column, length=spot.length, excerpt=excerpt)


def redacted_location(location: Location, redact: Callable[[str], str]) -> Location:
    """Return `location` without sensitive values. A redacted line has no mark, since its columns differ."""
    excerpt = redact(location.excerpt)
    if excerpt != location.excerpt:
        location = replace(location, excerpt=excerpt, column=0, length=0)
    return replace(location, file=redact(location.file))


@dataclass(frozen=True, kw_only=True)
class PlanFiles:
    """The files of a plan. If several files have the same key, the value of the last file wins.

    The folder of `main` is the folder of the plan. `access` decides which other files mpbake may read for the plan.
    `settings` are the values of `--set`, as on the command line. With `relative`, the paths of targets are relative to
    the folder of the plan; otherwise they are absolute.
    """

    main: PlanFile
    sources: tuple[PlanFile, ...]
    access: ReadAccess
    settings: tuple[str, ...] = field(default=())
    relative: bool = False

    @property
    def path(self) -> Path:
        """Return the main file of the plan."""
        return self.main.path

    @property
    def root(self) -> Path:
        """Return the folder of the plan."""
        return self.main.path.parent

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """Return the merged values of all files."""
        if len(self.sources) == 1:
            return self.main.data
        return reduce(_merged, (file.tables for file in self.sources))

    def folder(self, key: KeyPath) -> Path:
        """Return the folder that a path at `key` is relative to: the folder of the file that contains the path."""
        return self._shown(self._owner(key).path.parent)

    @property
    def context(self) -> Path:
        """Return the default context of targets: the folder of the plan."""
        return self._shown(self.root)

    def _shown(self, folder: Path) -> Path:
        """Return a folder as the prefix of paths of targets."""
        return Path(os.path.relpath(folder, self.root)) if self.relative else folder

    def stated(self, key: KeyPath) -> KeyPath:
        """Return the leading part of `key`, an attribute or one of its entries, that a file contains; () if none.

        If a template replaces the whole value, an entry has no location of its own.
        """
        if key[:1] == (SETTING,):
            return key
        length = self._owner(key).holds(key)
        return key[:length] if length >= len(key) - 1 and length > 2 else ()

    def states(self, key: KeyPath) -> bool:
        """Return whether a file has a value for `key`."""
        return self._owner(key).holds(key) == len(key)

    def locate(self, key: KeyPath, culprit: str = "", *, of_key: bool = False) -> Location:
        """Return the redacted location of `key`, or of the nearest enclosing table, in the file with this key."""
        if key[:1] == (SETTING,):
            location = Location(file=f"{SETTING} {self.settings[int(key[1])]}")
        else:
            location = self._owner(key).locate(key, culprit, of_key=of_key)
        return redacted_location(location, self._redact)

    def diagnose(self, problem: Problem) -> Diagnostic:
        """Return `problem` with its location, without sensitive values of the files."""
        location = self.locate(problem.key, problem.culprit, of_key=problem.of_key)
        # Redact before shortening: the redactor does not detect half a secret.
        message, hint = (
            shortened(self._redactor.redact(text), LONGEST_MESSAGE) for text in (problem.message, problem.hint)
        )
        return Diagnostic(message=message, hint=hint, location=location, code=problem.code)

    @cached_property
    def _redactor(self) -> Redactor:
        """Return the redactor for sensitive values in the files, created when mpbake first prints a location."""
        values = [text.partition("=")[2] for text in self.settings]
        written = [text for file in self.sources for text in scalars_in(file.data)]
        credentials = [credential for text in (*values, *written) for credential in credentials_in(text)]
        return Redactor([*_sensitive_defaults(self.sources), *credentials])

    @cached_property
    def _redact(self) -> Callable[[str], str]:
        """Return a cached function that redacts lines and file names: many problems may concern the same line."""
        return cache(self._redactor.redact)

    def _owner(self, key: KeyPath) -> PlanFile:
        """Return the file that contains the longest leading part of `key`; of several such files, the last."""
        if len(self.sources) == 1 or key[:1] == (SETTING,):
            return self.main
        owner = self.sources[-1]
        candidates: list[tuple[PlanFile, Any]] = [(file, file.tables) for file in self.sources]
        for part in key:
            candidates = _effective([(file, value[part]) for file, value in candidates if _has(value, part)])
            if not candidates:
                break
            owner = candidates[-1][0]
        return owner


def _sensitive_defaults(sources: tuple[PlanFile, ...]) -> Iterator[str]:
    """Yield the values of variables that a file declares as sensitive, even if the key `sensitive` is misspelt."""
    tables = [table for file in sources if isinstance(table := file.data.get("variables"), dict)]
    sensitive = {name for table in tables for name, variable in table.items() if _is_sensitive(variable)}
    for table in tables:
        for name in sensitive & table.keys():
            variable = table[name]
            yield from scalars_in(variable.get("default") if isinstance(variable, dict) else variable)


def _is_sensitive(variable: Any) -> bool:
    """Return whether the table of a variable sets `sensitive`, even if this key is misspelt."""
    keys = variable if isinstance(variable, dict) else {}
    return any(closest_name(key, ["sensitive"]) and value is not False for key, value in keys.items())


def _has(value: Any, part: str | int) -> bool:
    """Return whether `value` is a table with the key `part`, or a list with the index `part`."""
    return part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))


def _effective(values: list[tuple[PlanFile, Any]]) -> list[tuple[PlanFile, Any]]:
    """Return the values of a key that take effect: the tables at the end, which are merged, or else the last value."""
    tables = list(takewhile(lambda entry: isinstance(entry[1], dict), reversed(values)))
    return tables[::-1] or values[-1:]


def _merged(before: Any, after: Any) -> Any:
    """Merge two values: tables by key, recursively; otherwise the later value wins."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return before | {key: _merged(before[key], value) if key in before else value for key, value in after.items()}


def _long_forms(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `data` with short forms replaced by tables, which can be merged."""
    tables = dict(data)
    for name, key in _SHORT_FORMS.items():
        table = data.get(str(name))
        if isinstance(table, dict):
            tables[str(name)] = {
                entry: value if isinstance(value, dict) else {key: value} for entry, value in table.items()
            }
    return tables
