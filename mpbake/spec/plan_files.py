"""The files that make up one plan: what each says, what all say together, and who says what."""

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
from mpbake.spec.source_map import SourceMap, SourceSpot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.spec.problem import Problem

_SHORT_FORMS: Mapping[str | int, str] = MappingProxyType({"variables": "default", "groups": "targets"})
SETTING = "--set"
"""The first part of the key of a value that the command line sets; the second is its number."""


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """A file as read: where it is, how to call it in messages, its text, and its tables.

    Of one that is not `quotable` (a plan may include any file that it can name) messages show no lines.
    """

    path: Path
    shown: str
    text: str
    data: Mapping[str, Any]
    quotable: bool = True

    def locate(self, key: KeyPath, culprit: str = "", *, of_key: bool = False) -> Location:
        """The place of `key`, or of the nearest table above it that stands in the file; for the rest, see `Places`.

        It is to be `concealed` before it is printed.
        """
        key = self._as_written(key)
        spot = self._places.find(key, culprit, of_key=of_key)
        if spot is None:
            return Location(file=self.shown, key=key)
        return location_of_span(spot, self.shown, key, quotable=self.quotable)

    def _as_written(self, key: KeyPath) -> KeyPath:
        """`key`, without the name of the one value that the short form of a table states by itself."""
        if len(key) < 3 or _SHORT_FORMS.get(key[0]) != key[2]:
            return key
        table = self.data.get(str(key[0]))
        short = isinstance(table, dict) and not isinstance(table.get(key[1], {}), dict)
        return (*key[:2], *key[3:]) if short else key

    def holds(self, key: KeyPath) -> int:
        """How many parts of `key`, from its first, this file states."""
        value: Any = self.tables
        for length, part in enumerate(key):
            if not _has(value, part):
                return length
            value = value[part]
        return len(key)

    @cached_property
    def tables(self) -> Mapping[str, Any]:
        """What the file says, without short forms."""
        return _long_forms(self.data)

    @cached_property
    def _places(self) -> SourceMap:
        return SourceMap(self.text)


def location_of_span(spot: SourceSpot, shown: str, key: KeyPath = (), *, quotable: bool) -> Location:
    """A part of a file that messages call `shown`, as a place; to be `concealed` before it is printed."""
    excerpt = spot.excerpt if quotable else ""
    return Location(file=shown, key=key, line=spot.line, column=spot.column, length=spot.length, excerpt=excerpt)


def redacted_location(place: Location, redact: Callable[[str], str]) -> Location:
    """`place` without what is to be hidden; in a line that is not shown as it is, nothing is marked."""
    excerpt = redact(place.excerpt)
    if excerpt != place.excerpt:
        place = replace(place, excerpt=excerpt, column=0, length=0)
    return replace(place, file=redact(place.file))


@dataclass(frozen=True, kw_only=True)
class PlanFiles:
    """The files of a plan; what a later one says wins over what an earlier one says under the same key.

    `main` is the file whose folder is the plan's; `settings` are the values of `--set`, as given. With `relative`,
    paths count from the plan's folder, for a text that stands there; otherwise they are absolute.
    """

    main: PlanFile
    sources: tuple[PlanFile, ...]
    settings: tuple[str, ...] = field(default=())
    relative: bool = False

    @property
    def path(self) -> Path:
        """The plan's own file."""
        return self.main.path

    @property
    def root(self) -> Path:
        """The plan's folder."""
        return self.main.path.parent

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """What all files say together."""
        if len(self.sources) == 1:
            return self.main.data
        return reduce(_merged, (each.tables for each in self.sources))

    def folder(self, key: KeyPath) -> Path:
        """The folder from which a path at `key` counts: that of the file which states it."""
        return self._shown(self._owner(key).path.parent)

    @property
    def context(self) -> Path:
        """The context of a target that states none: the plan's folder."""
        return self._shown(self.root)

    def _shown(self, folder: Path) -> Path:
        """Return a folder as the paths of targets begin with it."""
        return Path(os.path.relpath(folder, self.root)) if self.relative else folder

    def stated(self, key: KeyPath) -> KeyPath:
        """As much of the key of an attribute, or of an entry of one, as is written; nothing when it is not.

        An entry has no place of its own where a template stands for the whole value.
        """
        if key[:1] == (SETTING,):
            return key
        length = self._owner(key).holds(key)
        return key[:length] if length >= len(key) - 1 and length > 2 else ()

    def states(self, key: KeyPath) -> bool:
        """Whether a file says something under `key`."""
        return self._owner(key).holds(key) == len(key)

    def locate(self, key: KeyPath, culprit: str = "", *, of_key: bool = False) -> Location:
        """The place of `key`, or of the nearest table above it, in the file that states it."""
        if key[:1] == (SETTING,):
            place = Location(file=f"{SETTING} {self.settings[int(key[1])]}")
        else:
            place = self._owner(key).locate(key, culprit, of_key=of_key)
        return redacted_location(place, self._hide)

    def diagnose(self, problem: Problem) -> Diagnostic:
        """`problem` with its place, without secrets of the files."""
        location = self.locate(problem.key, problem.culprit, of_key=problem.of_key)
        # First hidden, then cut: half a secret would not be found.
        message, hint = (
            shortened(self._hiding.redact(each), LONGEST_MESSAGE) for each in (problem.message, problem.hint)
        )
        return Diagnostic(message=message, hint=hint, location=location, code=problem.code)

    @cached_property
    def _hiding(self) -> Redactor:
        """Hides what the files themselves say and nobody may see; made only when a place is printed."""
        values = [text.partition("=")[2] for text in self.settings]
        written = [text for source in self.sources for text in scalars_in(source.data)]
        credentials = [each for text in (*values, *written) for each in credentials_in(text)]
        return Redactor([*_sensitive_defaults(self.sources), *credentials])

    @cached_property
    def _hide(self) -> Callable[[str], str]:
        """Hides the same in lines and names of files: as many problems as one has, it is gone through once."""
        return cache(self._hiding.redact)

    def _owner(self, key: KeyPath) -> PlanFile:
        """The file that states most of `key`; of several the last."""
        if len(self.sources) == 1 or key[:1] == (SETTING,):
            return self.main
        owner = self.sources[-1]
        stating: list[tuple[PlanFile, Any]] = [(source, source.tables) for source in self.sources]
        for part in key:
            stating = _counting([(source, value[part]) for source, value in stating if _has(value, part)])
            if not stating:
                break
            owner = stating[-1][0]
        return owner


def _sensitive_defaults(sources: tuple[PlanFile, ...]) -> Iterator[str]:
    """The values that the files give to variables which one of them calls sensitive, rightly spelt or not."""
    tables = [table for each in sources if isinstance(table := each.data.get("variables"), dict)]
    sensitive = {name for table in tables for name, variable in table.items() if _is_sensitive(variable)}
    for table in tables:
        for name in sensitive & table.keys():
            variable = table[name]
            yield from scalars_in(variable.get("default") if isinstance(variable, dict) else variable)


def _is_sensitive(variable: Any) -> bool:
    """Whether a variable as written is sensitive, or is to be."""
    keys = variable if isinstance(variable, dict) else {}
    return any(closest_name(key, ["sensitive"]) and value is not False for key, value in keys.items())


def _has(value: Any, part: str | int) -> bool:
    """Whether `value` is a table with the key `part`, or a list with that many items."""
    return part in value if isinstance(value, dict) else isinstance(value, list) and part in range(len(value))


def _counting(values: list[tuple[PlanFile, Any]]) -> list[tuple[PlanFile, Any]]:
    """Of what files say under one key, that which counts: the tables at the end, which are merged, else the last."""
    tables = list(takewhile(lambda each: isinstance(each[1], dict), reversed(values)))
    return tables[::-1] or values[-1:]


def _merged(before: Any, after: Any) -> Any:
    """Tables by key; of anything else the later wins."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    return before | {key: _merged(before[key], value) if key in before else value for key, value in after.items()}


def _long_forms(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` in which tables that have a short form are written out, so that they can be merged."""
    found = dict(data)
    for name, key in _SHORT_FORMS.items():
        table = data.get(str(name))
        if isinstance(table, dict):
            found[str(name)] = {
                each: value if isinstance(value, dict) else {key: value} for each, value in table.items()
            }
    return found
