"""Read YAML text into values with places. The only module that knows ruamel.yaml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, UsageError
from mpbake.conversion.compose.values import List, Mapping, Problems, Scalar, Value, size
from mpbake.conversion.compose.yaml.scalars import resolved
from mpbake.conversion.syntax import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MOST_LEVELS = 50
"""The maximum depth of lists and tables."""
MOST_VALUES = 100_000
"""The maximum number of values of a document after aliases are replaced. Compose has the same limit."""

MOST_CHARACTERS = 1_000_000
"""The maximum length of a file."""

_MERGE = "<<"
_YAML_TAG = "tag:yaml.org,2002:"
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read_yaml(text: str, path: str) -> list[Value]:
    """Return the documents of a YAML text; empty documents are left out. Raises PlanError for the first problem."""
    problems = Problems()
    problems.add_file(path, text)
    if len(text) > MOST_CHARACTERS:
        message = f"the file has more than {MOST_CHARACTERS:,} characters"
        _fail(problems, Place(file=path), message, "split the file", Code.PLAN_TOO_LARGE)
    if match := _UNPRINTABLE.search(text):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - text.rfind("\n", 0, match.start())
        _fail(problems, Place(file=path, line=line, column=column), f"is not text: character {ord(match.group()):#04x}")
    reader = _Reader(_events(text, path, problems), path, problems)
    return list(reader.documents())


def _fail(problems: Problems, place: Place, message: str, hint: str = "", code: Code = Code.YAML_SYNTAX) -> NoReturn:
    raise PlanError([problems.diagnostic(place, message, hint, code)])


def _events(text: str, path: str, problems: Problems) -> Iterator[Any]:
    """Yield the events of ruamel's parser. Raises PlanError where the text is not YAML."""
    try:
        from ruamel.yaml import YAML  # noqa: PLC0415
        from ruamel.yaml.error import YAMLError  # noqa: PLC0415
    except ImportError as error:
        msg = "reading a Compose file needs the Python package ruamel.yaml"
        raise UsageError(msg, hint='run `pip install "mpbake[import]"`') from error
    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        place = Place(file=path) if mark is None else Place(file=path, line=mark.line + 1, column=mark.column + 1)
        problem = str(getattr(error, "problem", "") or "it cannot be read")
        message, hint = _in_words(problem, getattr(error, "context_mark", None))
        _fail(problems, place, f"is not YAML: {message}", hint)


_WORDS = (
    (r"'\\t' that cannot start", "a tab cannot indent a line", "indent with spaces"),
    (r"mapping values are not allowed", "a second `key:` in one line", "put the value in quotes if it contains `: `"),
    (r"unexpected end of stream", "a quote is not closed", "close the quote"),
    (r"expected ',' or '\]'", "a list is not closed", "write `,` between its items and `]` at its end"),
    (r"expected ',' or '}'", "a table is not closed", "write `,` between its entries and `}` at its end"),
    (r"expected <block end>", "the indentation does not fit", "indent all entries of a list or table alike"),
    (r"character '(.)' that cannot start", r"no value begins with `\1`", "put the value in quotes"),
    (r"unknown escape character '(.*)'", r"`\\\1` is no escape sequence", r"write `\\\\`, or use single quotes"),
    (r"could not find expected ':'", "a `:` is missing after a key", "write `key: value`"),
    (r"incompatible YAML document", "only YAML 1 is supported", "remove the %YAML line"),
)


def _in_words(problem: str, start: Any) -> tuple[str, str]:
    """Return the problem in a reader's words, and a hint. `start` is the mark where the unfinished value starts."""
    where = f" (it starts in line {start.line + 1})" if start is not None else ""
    for pattern, message, hint in _WORDS:
        if match := re.search(pattern, problem):
            unfinished = where if "not closed" in message else ""
            return match.expand(message) + unfinished, match.expand(hint)
    return problem, ""


class _Reader:
    """Makes values from events: one document after another."""

    def __init__(self, events: Iterator[Any], path: str, problems: Problems) -> None:
        self._events = events
        self._path = path
        self._problems = problems
        self._anchors: dict[str, Value | None] = {}

    def documents(self) -> Iterator[Value]:
        for event in self._events:
            if _kind(event) == "DocumentStart":
                self._anchors = {}
                document = self._value(next(self._events), 0)
                if not (isinstance(document, Scalar) and document.plain and not document.text):
                    yield document

    def _value(self, event: Any, level: int) -> Value:
        place = self._place(event)
        if level > MOST_LEVELS:
            message = f"lists and tables are nested more than {MOST_LEVELS} levels deep"
            _fail(self._problems, place, message, "use fewer levels", Code.TOO_DEEP)
        if _kind(event) == "Alias":
            return self._aliased(event.anchor, place)
        if event.anchor:
            self._anchors[event.anchor] = None
        match _kind(event):
            case "Scalar":
                value: Value = self._scalar(event, place)
            case "SequenceStart":
                value = self._sequence(event, place, level)
            case _:
                value = self._mapping(event, place, level)
        if size(value) > MOST_VALUES:
            message = f"the file has more than {MOST_VALUES:,} values after its aliases are replaced"
            _fail(self._problems, place, message, "use fewer aliases", Code.PLAN_TOO_LARGE)
        if event.anchor:
            self._anchors[event.anchor] = value
        return value

    def _aliased(self, anchor: str, place: Place) -> Value:
        if anchor not in self._anchors:
            _fail(self._problems, place, f"there is no anchor `&{anchor}` before this alias", "check the name")
        value = self._anchors[anchor]
        if value is None:
            _fail(self._problems, place, f"the value of `&{anchor}` contains itself", "remove this alias")
        return value

    def _scalar(self, event: Any, place: Place) -> Scalar:
        plain = event.implicit[0] and event.style is None
        end = event.end_mark
        last = {"last_line": end.line + 1, "last_column": end.column}
        return Scalar(text=event.value, place=place, plain=plain, tag=_tag(event), **last)

    def _sequence(self, event: Any, place: Place, level: int) -> List:
        items = []
        while _kind(item := next(self._events)) != "SequenceEnd":
            items.append(self._value(item, level + 1))
        total = 1 + sum(map(size, items))
        return List(items=tuple(items), place=place, tag=_tag(event), size=total)

    def _mapping(self, event: Any, place: Place, level: int) -> Mapping:
        written: dict[str, tuple[Scalar, Value]] = {}
        merged: dict[str, tuple[Scalar, Value]] = {}
        while _kind(start := next(self._events)) != "MappingEnd":
            key = self._key(start, level)
            value = self._value(next(self._events), level + 1)
            if key.plain and key.text == _MERGE:
                for name, pair in self._merge(value, key.place):
                    merged.setdefault(name, pair)
            elif key.text in written:
                first = written[key.text][0].place.line
                message = f"the key `{key.text}` occurs twice in this table: it is also in line {first}"
                _fail(self._problems, key.place, message, "remove one of them")
            else:
                written[key.text] = (key, value)
        pairs = tuple({**merged, **written}.values())
        total = 1 + len(pairs) + sum(size(value) for _, value in pairs)
        return Mapping(pairs=pairs, place=place, tag=_tag(event), size=total)

    def _key(self, event: Any, level: int) -> Scalar:
        key = self._value(event, level + 1)
        if not isinstance(key, Scalar):
            _fail(self._problems, key.place, "a key of a table must be text", "write `key: value`")
        if not isinstance(resolved(key), str):
            message = f"the key `{key.text}` is not text"
            _fail(self._problems, key.place, message, "put the key in quotes", Code.COMPOSE_VALUES)
        return key

    def _merge(self, value: Value, place: Place) -> Iterator[tuple[str, tuple[Scalar, Value]]]:
        """Yield the pairs that `<<: value` adds, by key: the first of several tables comes first."""
        tables = value.items if isinstance(value, List) else (value,)
        for table in tables:
            if not isinstance(table, Mapping):
                _fail(self._problems, place, "`<<` needs a table or a list of tables", "write `<<: *ANCHOR`")
            for key, entry in table.pairs:
                yield key.text, (key, entry)

    def _place(self, event: Any) -> Place:
        return Place(file=self._path, line=event.start_mark.line + 1, column=event.start_mark.column + 1)


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _tag(event: Any) -> str:
    """Return the explicit tag of a value: `str`, `!reset`, or nothing."""
    tag = "" if event.tag is None else str(event.tag)
    return tag.removeprefix(_YAML_TAG)
