"""From a file's bytes to `PlanSpec`: finding the plan, reading TOML, and naming the line of every problem."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import tomli
from pydantic import ValidationError

from mpbake import __version__
from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError
from mpbake.base.files import Kind, access_error, kind_of, read_bounded
from mpbake.base.redaction import Redactor, credentials_in_source, sensitive_defaults_in_source
from mpbake.base.text import one_line
from mpbake.spec.plan_files import PlanFile, PlanFiles, location_of_span, redacted_location
from mpbake.spec.plan_tables import PlanSpec, version_range
from mpbake.spec.problem import Problem
from mpbake.spec.source_map import SourceMap, Span
from mpbake.spec.validation import problems_of
from mpbake.spec.value_types import AS_WRITTEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath


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


class WrittenInt(int):
    """A whole number that is text again as it was written: the mode 0o755 is not 493."""

    def __new__(cls, text: str) -> Self:
        """Read `text`, an integer of TOML."""
        number = super().__new__(cls, text, 0)
        number.text = text
        return number

    text: str

    def __str__(self) -> str:
        """As written."""
        return self.text


FILE_NAMES = ("build.toml", "mpbake.toml")
_KEYS = frozenset(field.alias or name for name, field in PlanSpec.model_fields.items())
_FOREIGN = "has neither version = 1 nor any other key of a plan"
_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanLocation:
    """The plan that is meant where none is named, and what might be taken for it.

    That is what was `passed_over` in folders below the plan's, each with why, and other plans `beside` it.
    """

    path: Path
    passed_over: Mapping[Path, str]
    beside: tuple[Path, ...]


def find_plan(folder: Path) -> PlanLocation:
    """The plan of `folder` or of the nearest folder above it. Raises PlanError when there is none.

    `build.toml` is a common name: a file that is plainly another tool's is passed over, and so is what is no file.
    Beside a plan such a file is as it should be: for that there is a second name.
    """
    passed_over: dict[Path, str] = {}
    for place in (folder, *folder.parents):
        kinds = {place / name: kind_of(place / name) for name in FILE_NAMES}
        plans = [path for path, kind in kinds.items() if kind is Kind.FILE and not _is_foreign(path)]
        if plans:
            return PlanLocation(path=plans[0], passed_over=passed_over, beside=tuple(plans[1:]))
        there = {path: kind for path, kind in kinds.items() if kind is not Kind.NOTHING}
        passed_over |= {path: _FOREIGN if kind is Kind.FILE else f"is {kind}" for path, kind in there.items()}
    raise PlanError([_no_plan(folder, passed_over)])


def _is_foreign(path: Path) -> bool:
    """Readable TOML without any key of ours; what cannot be read is reported later."""
    try:
        text = read_bounded(path).decode("utf-8-sig")
        return not (_is_begun(text) or _KEYS & tomli.loads(text).keys())
    except (OSError, ValueError, RecursionError):
        return False


def _is_begun(text: str) -> bool:
    """Whether keys of ours come before all tables, as in most plans: those are parsed in full only once, later."""
    header = _HEADER.search(text)
    try:
        return not _KEYS.isdisjoint(tomli.loads(text[: header.start()] if header else ""))
    except (ValueError, RecursionError):  # that was no header, but a line of a longer value
        return False


def _no_plan(folder: Path, passed_over: Mapping[Path, str]) -> Diagnostic:
    told = ", ".join(f"{path} {why}" for path, why in passed_over.items())
    return Diagnostic(
        code=Code.NO_PLAN,
        message=f"no {' or '.join(FILE_NAMES)} in {folder} or any folder above it"
        + (f" (passed over: {told})" if told else ""),
        hint="mpbake init writes a first one; or name a plan with -f FILE",
    )


def read_plan(
    paths: Sequence[Path], *, show: Callable[[Path], str] = str, settings: Sequence[str] = ()
) -> tuple[PlanFiles, PlanSpec]:
    """Read and check the files of one plan, and those that they include; of several, a later one wins.

    `show` says how messages call a file; `settings` are the values of `--set`, for messages. Raises PlanError with
    every problem of their shape.
    """
    reader = _Reader(paths[0].parent, show)
    for path in paths:
        reader.read(path)
    sources = reader.finished()
    main = next(source for source in sources if source.path == paths[0])
    document = PlanFiles(main=main, sources=sources, settings=tuple(settings))
    try:
        return document, PlanSpec.model_validate(document.data, context=dict(AS_WRITTEN))
    except ValidationError as error:
        raise PlanError(document.diagnose(each) for each in problems_of(error, PlanSpec)) from None


_DEEPEST = 50
"""How many files may be included one within the other."""


class _Reader:
    """Reads files, each after those that it includes, and each once. `folder` is the plan's."""

    def __init__(self, folder: Path, show: Callable[[Path], str]) -> None:
        self._folder = folder
        self._show = show
        self._open: dict[str, Path] = {}
        self._sources: dict[str, PlanFile] = {}
        self._problems: list[Diagnostic] = []

    def read(self, path: Path) -> None:
        """Read `path` and what it includes; what is wrong becomes problems."""
        file = os.path.realpath(path)  # a symlink makes no second file of it, nor ever more
        if file in self._sources:
            return
        try:
            source = self._source(path)
        except PlanError as error:
            self._problems += error.diagnostics
            return
        self._open[file] = path
        for index, name in _included(source):
            self._include(source, index, name)
        del self._open[file]
        self._sources[file] = source

    def finished(self) -> tuple[PlanFile, ...]:
        """What was read, in the order in which it counts. Raises PlanError."""
        sources = tuple(self._sources.values())
        for source in sources:
            self._check_requirement(source)
            if len(sources) > 1:
                self._check_head(source)
        if self._problems:
            raise PlanError(self._problems)
        return sources

    def _source(self, path: Path) -> PlanFile:
        shown = self._show(path)
        own = not self._open or Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self._folder))
        data = _parse(text := _read_text(path, shown), shown, quotable=own)
        # A plan may include any file that it can name; what is no plan is none of its reader's business.
        return PlanFile(path=path, shown=shown, text=text, data=data, quotable=own or "version" in data)

    def _include(self, source: PlanFile, index: int, name: str) -> None:
        path = Path(os.path.normpath(source.path.parent / name))
        kind = kind_of(path)
        code, message, hint = Code.BAD_INCLUDE, "", "paths count from the file that includes"
        file = os.path.realpath(path) if kind is Kind.FILE else ""
        if file in self._open:
            cycle = [*self._open][[*self._open].index(file) :]
            names = [self._show(self._open[each]) for each in (*cycle, file)]
            code, message, hint = Code.CYCLE, f"a cycle: {one_line(' -> '.join(names))}", "take one of them away"
        elif len(self._open) > _DEEPEST:
            code, message, hint = Code.TOO_DEEP, f"files include one another more than {_DEEPEST} times over", ""
        elif refused := access_error(path):
            message, hint = f"{one_line(self._show(path))} cannot be read: {refused}", ""
        elif kind in {Kind.NOTHING, Kind.LOOSE_LINK}:
            message = f"there is no file {one_line(self._show(path))}"
        elif kind is not Kind.FILE:
            message = f"{one_line(self._show(path))} is no file"
        else:
            self.read(path)
            return
        self._report(source, Problem(code=code, key=("include", index), message=message, hint=hint))

    def _check_requirement(self, source: PlanFile) -> None:
        """That this mpbake understands the file; else what it says of the file would mislead."""
        required = source.data.get("requires")
        if isinstance(required, str) and not _is_met(required):
            message = f"requires mpbake {one_line(required)}, and this is {__version__}"
            hint = "install another mpbake"
            self._report(source, Problem(code=Code.OTHER_MPBAKE, key=("requires",), message=message, hint=hint))

    def _check_head(self, source: PlanFile) -> None:
        """That each file of several is a plan by itself: in what all say together, the last hides what others say."""
        head = {name: source.data[name] for name in ("version", "requires", "include") if name in source.data}
        try:
            PlanSpec.model_validate(head, context=dict(AS_WRITTEN))
        except ValidationError as error:
            for problem in problems_of(error, PlanSpec):
                self._report(source, problem)

    def _report(self, source: PlanFile, problem: Problem) -> None:
        self._problems.append(PlanFiles(main=source, sources=(source,)).diagnose(problem))


def _is_met(required: str) -> bool:
    """Whether this mpbake is one that a plan asks for; a range that cannot be read is another problem."""
    try:
        return version_range(required).contains(__version__, prereleases=True)
    except ValueError:
        return True


def _included(source: PlanFile) -> Iterator[tuple[int, str]]:
    """What a file includes, as far as it is written rightly; the rest is told when the file is checked."""
    found = source.data.get("include", [])
    for index, name in enumerate(found if isinstance(found, list) else []):
        if isinstance(name, str) and name and "://" not in name:
            yield index, name


def _read_text(path: Path, shown: str) -> str:
    try:
        return read_bounded(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PlanError([_no_utf8(error, shown)]) from None
    except IsADirectoryError:
        code, message = Code.FILE_UNREADABLE, "is a folder, not a plan"
    except OSError as error:
        code, message = Code.FILE_UNREADABLE, f"cannot be read: {error.strerror}"
    raise PlanError([Diagnostic(code=code, message=message, location=Location(file=shown))])


def _no_utf8(error: UnicodeDecodeError, shown: str) -> Diagnostic:
    before = error.object[: error.start].decode("utf-8")
    location = Location(file=shown, line=before.count("\n") + 1, column=len(before.rpartition("\n")[2]) + 1)
    message, hint = f"is not UTF-8 text: byte 0x{error.object[error.start]:02x}", "save the file as UTF-8"
    return Diagnostic(code=Code.FILE_ENCODING, message=message, hint=hint, location=location)


def _parse(text: str, shown: str, *, quotable: bool = True) -> dict[str, Any]:
    try:
        return _values(text)
    except tomli.TOMLDecodeError as error:
        raise PlanError([_no_toml(error, shown, SourceMap(text), quotable=quotable)]) from None
    except RecursionError:
        code, message = Code.TOO_DEEP, "nested too deeply"
    except ValueError:  # Python's own limit on the digits of a number
        code, message = Code.NUMBER_TOO_LONG, "a number has too many digits"
    raise PlanError([Diagnostic(code=code, message=message, location=Location(file=shown))])


_WITH_BASE = re.compile(r"0[xob][0-9A-Fa-f_]+")
_MAY_HAVE_BASE = re.compile(r"[=\[,\s]0[xob]")


def _values(text: str) -> dict[str, Any]:
    """What a TOML document says, in numbers that know how they were written. Raises ValueError, RecursionError."""
    found = tomli.loads(text, parse_float=WrittenFloat)
    if _MAY_HAVE_BASE.search(text):
        _note_bases(found, SourceMap(text))
    return found


def _note_bases(data: dict[str, Any], places: SourceMap) -> None:
    """Put in, for each hexadecimal, octal or binary number of `data`, one that knows it: tomli tells only the value."""
    for (*tables, name), span in places.values.items():
        written = places.text[span.start : span.end]
        if _WITH_BASE.fullmatch(written):
            table = reduce(lambda above, part: above[part], tables, cast("Any", data))
            table[name] = WrittenInt(written)


_GIVEN_TWICE = ("Cannot overwrite a value", "Cannot declare", "Duplicate inline table key")
_PAIR = re.compile(r"[\w.\"-]+[ \t]*=")
_REMEDIES = {
    "Invalid value": 'text stands in quotes: name = "web"; true and false are written in small letters',
    "Expected '=' after a key": "write key = value",
    "Expected newline or end of document": "one key on each line; text stands in quotes",
    "Expected ']' at the end of a table": "close the name of the table with ]",
    "Cannot mutate immutable namespace": "a table in braces is complete: write this into it, or all below a header",
    "Unclosed array": "close the list with ]",
    "Unclosed inline table": "close the table with }",
    "Expected \"'": "end the text with the quotes that it begins with",
    "Unterminated string": "end the text with the quotes that it begins with",
    "Found invalid character": 'text of several lines stands in three quotes: """',
    "Illegal character": 'text of several lines stands in three quotes: """',
    "Unescaped '\\' in a string": "write \\\\, or put the text in single quotes",
}
_IN_A_KEY = ("Expected '=' after a key", "Expected ']", "Invalid initial character for a key part", "Invalid statement")
_TO_BE_QUOTED = re.compile(r"[/@+*]|[^\x00-\x7f]")
_NOT_CLOSED = ("Expected \"'", "Unterminated string")
_FORBIDDEN = ("Found invalid character", "Illegal character")


def _no_toml(error: tomli.TOMLDecodeError, shown: str, places: SourceMap, *, quotable: bool) -> Diagnostic:
    """What tomli has against a file, with its place."""
    quotable = quotable and not _is_of_secrets(places.text, error.pos)
    if error.msg.startswith(_GIVEN_TWICE) and places.duplicate:
        key, span = places.duplicate
        first = places.line(places.keys[key].start)
        location = _of_source(places, span, shown, key, quotable=quotable)
        hint = f"the first is on line {first}; keep one of them"
        return Diagnostic(code=Code.DUPLICATE_KEY, message="is given twice", hint=hint, location=location)
    before = _without_comma(error, places)
    said, hint = ("a comma is missing", "write one after this value") if before else (error.msg, _remedy(error))
    location = _of_source(places, before or Span(error.pos, error.pos + 1), shown, quotable=quotable)
    return Diagnostic(code=Code.TOML_SYNTAX, message=f"not valid TOML: {said}", hint=hint, location=location)


_VALUE = re.compile(r"""["'{\d+-]|\[(?!\[?\s*[\w.-]+\s*\])|(?:true|false|inf|nan)\b""")
"""The beginning of a value that is not a key or the header of a table."""
_NO_VALUE = re.compile(r"(?:\s|#[^\n]*\n)*")


def _without_comma(error: tomli.TOMLDecodeError, places: SourceMap) -> Span | None:
    """The value after which a comma is missing in a list or a table in braces, if it is that."""
    before = _value_before(error, places)
    is_pair = bool(_PAIR.match(error.doc, error.pos))
    if error.msg.startswith("Unclosed array"):
        return before if _VALUE.match(error.doc, error.pos) and not is_pair else None
    on_one_line = "\n" not in error.doc[before.end : error.pos]
    return before if error.msg.startswith("Unclosed inline table") and is_pair and on_one_line else None


def _value_before(error: tomli.TOMLDecodeError, places: SourceMap) -> Span:
    """The last value that ends before what is wrong; where that cannot be told, its last character."""
    end = len(error.doc[: error.pos].rstrip())
    ended = (each for each in places.values.values() if each.end <= error.pos)
    found = max(ended, key=lambda each: each.end, default=None)
    near = found is not None and _NO_VALUE.fullmatch(error.doc, found.end, error.pos)
    return found if found and near else Span(end - 1, end)


def _of_source(places: SourceMap, span: Span, shown: str, key: KeyPath = (), *, quotable: bool) -> Location:
    """A part of a file that cannot be parsed: what nobody may see is known by its looks only."""
    location = location_of_span(places.spot(span), shown, key, quotable=quotable)
    defaults = sensitive_defaults_in_source(places.text)
    return redacted_location(location, Redactor([*defaults, *credentials_in_source(location.excerpt)]).redact)


def _remedy(error: tomli.TOMLDecodeError) -> str:
    """What is most likely meant where a file is not TOML."""
    character = error.doc[error.pos : error.pos + 1]
    if error.msg == "Invalid value" and _PAIR.match(error.doc, error.pos):
        return "close the list above with ]"
    if error.msg.startswith(_IN_A_KEY) and _TO_BE_QUOTED.match(character) and character.isprintable():
        return "a key with other characters than A-Z, a-z, 0-9, - and _ stands in quotes"
    if error.msg.startswith(_FORBIDDEN) and character != "\n":
        if not _is_in_text(error):
            return "take it away: a comment holds no such characters"
        return f"write it as \\u{ord(character):04x} in double quotes, or take it away"
    return next((remedy for start, remedy in _REMEDIES.items() if error.msg.startswith(start)), "")


def _is_in_text(error: tomli.TOMLDecodeError) -> bool:
    """Whether what is wrong stands in quotes, and in no comment: without what follows, these are not closed."""
    try:
        tomli.loads(error.doc[: error.pos])
    except tomli.TOMLDecodeError as cut:
        return cut.msg.startswith(_NOT_CLOSED)
    return False


def _is_of_secrets(text: str, position: int) -> bool:
    """Whether the table around `position` speaks of what is sensitive: which of its values are, nobody can tell yet."""
    begin, end = text.rfind("\n[", 0, position), text.find("\n[", position)
    return "sensitive" in text[max(begin, 0) : end if end >= 0 else None]


def read_value(text: str) -> Any:
    """One value as TOML writes it; None when `text` is no such value."""
    try:
        return _values(f"value = {text}").get("value")
    except (ValueError, RecursionError):
        return None


def read_key(text: str) -> list[str]:
    """The parts of a dotted key as TOML writes it: `args."a.b"`. Raises ValueError when `text` is no key."""
    found: Any = tomli.loads(f"{text} = 0")
    parts = []
    while isinstance(found, dict):
        ((part, found),) = found.items()
        parts.append(part)
    return parts


def same_values(text: str, other: str) -> bool:
    """Whether two TOML documents have the same values; one that is none says nothing."""
    try:
        return tomli.loads(text) == tomli.loads(other)
    except (ValueError, RecursionError):
        return False


def read_values(path: Path, *, shown: str) -> dict[str, Any]:
    """The values of a `--var-file`: a TOML file of variables, any of which may be sensitive. Raises PlanError."""
    return _parse(_read_text(path, shown), shown, quotable=False)
