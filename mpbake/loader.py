"""From a file's bytes to `PlanSpec`: finding the plan, reading TOML, and naming the line of every problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import tomli
from pydantic import ValidationError

from mpbake.errors import Diagnostic, KeyPath, Location, PlanError
from mpbake.places import find_places
from mpbake.spec import AS_WRITTEN, PlanSpec, Problem, problems_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


class WrittenFloat(float):
    """A number that is text again as it was written: version 8.10 is not 8.1."""

    def __new__(cls, text: str) -> Self:
        """Read `text`, a float of TOML."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        """As written."""
        return self.text


FILE_NAMES = ("build.toml", "mpbake.toml")
_SHORT_FORMS: Mapping[str | int, str] = MappingProxyType({"variables": "default", "groups": "targets"})


@dataclass(frozen=True, kw_only=True)
class Document:
    """A plan file as read: where it is, how to call it in messages, and its text."""

    path: Path
    shown: str
    text: str
    data: Mapping[str, Any]

    def locate(self, key: KeyPath) -> Location:
        """The place of `key`, or of the nearest table above it that stands in the file."""
        key = self._as_written(key)
        for length in range(len(key), 0, -1):
            line = self._places.get(key[:length])
            if line is not None:
                return Location(file=self.shown, line=line, key=key, excerpt=self._lines[line - 1])
        return Location(file=self.shown, key=key)

    def _as_written(self, key: KeyPath) -> KeyPath:
        """`key`, without the name of the one value that the short form of a table states by itself."""
        if len(key) < 3 or _SHORT_FORMS.get(key[0]) != key[2]:
            return key
        long = isinstance(self.data[str(key[0])][key[1]], dict)
        return key if long else (*key[:2], *key[3:])

    def diagnose(self, problem: Problem) -> Diagnostic:
        """`problem` with its place in this file."""
        return Diagnostic(message=problem.message, hint=problem.hint, location=self.locate(problem.key))

    @cached_property
    def _places(self) -> dict[KeyPath, int]:
        return find_places(self.text)

    @cached_property
    def _lines(self) -> list[str]:
        return self.text.split("\n")


def find_plan(folder: Path) -> Path:
    """The plan of `folder` or of the nearest folder above it. Raises PlanError when there is none.

    `build.toml` is a common name: a file that is plainly another tool's is passed over.
    """
    foreign: list[Path] = []
    for place in (folder, *folder.parents):
        for name in FILE_NAMES:
            path = place / name
            if not path.is_file():
                continue
            if not _is_foreign(path):
                return path
            foreign.append(path)
    raise PlanError([_no_plan(folder, foreign)])


def _is_foreign(path: Path) -> bool:
    """Readable TOML without `version` and without any table of ours; what cannot be read is reported later."""
    try:
        text = path.read_text(encoding="utf-8")
        if "version" in text:  # ours, as likely as not: it is parsed once, later
            return False
        data = tomli.loads(text)
    except (OSError, ValueError, RecursionError):
        return False
    return not {"targets", "builders", "groups"} & data.keys()


def _no_plan(folder: Path, foreign: Iterable[Path]) -> Diagnostic:
    passed_over = ", ".join(str(path) for path in foreign)
    return Diagnostic(
        message=f"no {' or '.join(FILE_NAMES)} in {folder} or any folder above it"
        + (f" (passed over, since it has neither version nor targets: {passed_over})" if passed_over else ""),
        hint="write one (the README shows it), or name a plan with -f FILE",
    )


def read_plan(path: Path, *, shown: str) -> tuple[Document, PlanSpec]:
    """Read and check one plan file. Raises PlanError with every problem of its shape."""
    text = _read_text(path, shown)
    document = Document(path=path, shown=shown, text=text, data=_parse(text, shown))
    try:
        return document, PlanSpec.model_validate(document.data, context=dict(AS_WRITTEN))
    except ValidationError as error:
        raise PlanError(document.diagnose(each) for each in problems_of(error, PlanSpec)) from None


def _read_text(path: Path, shown: str) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start})"
    except IsADirectoryError:
        message = "is a folder, not a plan"
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
    raise PlanError([Diagnostic(message=message, location=Location(file=shown))])


def _parse(text: str, shown: str) -> dict[str, Any]:
    try:
        return tomli.loads(text, parse_float=WrittenFloat)
    except tomli.TOMLDecodeError as error:
        lines = text.split("\n")
        line = min(error.lineno, len(lines))
        location = Location(file=shown, line=line, excerpt=lines[line - 1])
        raise PlanError([Diagnostic(message=f"not valid TOML: {error.msg}", location=location)]) from None
    except RecursionError:
        message = "nested too deeply"
    except ValueError:  # Python's own limit on the digits of a number
        message = "a number has too many digits"
    raise PlanError([Diagnostic(message=message, location=Location(file=shown))])


def read_value(text: str) -> Any:
    """One value as TOML writes it; None when `text` is no such value."""
    try:
        return tomli.loads(f"value = {text}", parse_float=WrittenFloat).get("value")
    except (ValueError, RecursionError):
        return None


def read_values(path: Path, *, shown: str) -> dict[str, Any]:
    """The values of a `--var-file`: a TOML file of variables. Raises PlanError."""
    return _parse(_read_text(path, shown), shown)
