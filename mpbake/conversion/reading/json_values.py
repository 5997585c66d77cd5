"""Parse JSON into values that know where they are. Keys may occur more than once, as in HCL's JSON syntax."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from mpbake.base.codes import Code
from mpbake.conversion.reading.hcl.source import MAX_DEPTH

if TYPE_CHECKING:
    from mpbake.base.errors import PlanError
    from mpbake.conversion.reading.hcl.source import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonScalar:
    """A string, a number (as written), a boolean or null, from `start` up to `end` of the source."""

    value: str | bool | None
    is_number: bool = False
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonArray:
    """A list."""

    items: tuple[JsonValue, ...]
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonObject:
    """A table: its keys, which are strings, and its values, in order."""

    pairs: tuple[tuple[JsonScalar, JsonValue], ...]
    start: int
    end: int


JsonValue: TypeAlias = JsonScalar | JsonArray | JsonObject

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])")
_WORD = re.compile(r"true|false|null")
_WORDS = {"true": True, "false": False, "null": None}
_TOKEN = re.compile(r"[\w.+-]+|.", re.DOTALL)


def parse_json(source: Source) -> JsonValue:
    """Return the value of a JSON text. Raises PlanError."""
    parser = _Parser(source)
    value = parser.value(0)
    if parser.peek():
        raise parser.unexpected("the end of the file")
    return value


class _Parser:
    """Reads the text from the front to the end."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._text = source.text
        self._end = 0

    def peek(self) -> str:
        """Skip space, and return the next character, empty at the end."""
        space = _SPACE.match(self._text, self._end)
        self._end = space.end() if space else self._end
        return self._text[self._end : self._end + 1]

    def unexpected(self, expected: str) -> PlanError:
        """Return the error that something else is expected."""
        self.peek()
        token = _TOKEN.match(self._text, self._end)
        shown = f"`{token.group()[:40]}`" if token else "the end of the file"
        length = len(token.group()) if token else 1
        hint = _hint(self._text, self._end)
        return self._source.error(self._end, f"expected {expected}, not {shown}", length=length, hint=hint)

    def value(self, depth: int) -> JsonValue:
        """Read a value with `depth` lists and tables around it."""
        character, start = self.peek(), self._end
        if depth > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} levels deep"
            raise self._source.error(start, message, hint="use fewer levels", code=Code.TOO_DEEP)
        match character:
            case "{":
                return self._object(start, depth)
            case "[":
                return self._array(start, depth)
            case '"':
                return self._string()
        if number := _NUMBER.match(self._text, start):
            self._end = number.end()
            return JsonScalar(value=number.group(), is_number=True, start=start, end=self._end)
        if word := _WORD.match(self._text, start):
            self._end = word.end()
            return JsonScalar(value=_WORDS[word.group()], start=start, end=self._end)
        raise self.unexpected("a value")

    def _string(self) -> JsonScalar:
        start = self._end
        try:
            text, self._end = _DECODER.raw_decode(self._text, start)
        except json.JSONDecodeError as error:
            if "Unterminated" in error.msg:
                raise self._source.error(start, "the string is not closed", hint='add `"` where it ends') from None
            message = "a string has a character or an escape that JSON does not allow"
            hint = r"write \\ for a backslash, \n for a new line, \t for a tab and \uXXXX for others"
            raise self._source.error(error.pos, message, hint=hint) from None
        return JsonScalar(value=text, start=start, end=self._end)

    def _array(self, start: int, depth: int) -> JsonArray:
        self._end = start + 1
        items: list[JsonValue] = []
        while self._continues("]", bool(items)):
            items.append(self.value(depth + 1))
        return JsonArray(items=tuple(items), start=start, end=self._end)

    def _object(self, start: int, depth: int) -> JsonObject:
        self._end = start + 1
        pairs: list[tuple[JsonScalar, JsonValue]] = []
        while self._continues("}", bool(pairs)):
            if self.peek() != '"':
                raise self.unexpected("a key in quotes")
            key = self._string()
            if self.peek() != ":":
                raise self.unexpected("`:` and a value")
            self._end += 1
            pairs.append((key, self.value(depth + 1)))
        return JsonObject(pairs=tuple(pairs), start=start, end=self._end)

    def _continues(self, closing: str, has_items: bool) -> bool:  # noqa: FBT001
        """Read what is before the next item: whether there is one. After the last item, read the closing bracket."""
        character = self.peek()
        if character == closing:
            self._end += 1
            return False
        if not has_items:
            return True
        if character != ",":
            raise self.unexpected(f"`,` or `{closing}`")
        self._end += 1
        if self.peek() == closing:
            raise self.unexpected("another item")
        return True


def _hint(text: str, offset: int) -> str:
    if text.startswith(("//", "/*", "#"), offset):
        return 'remove the comment: JSON has none; bake takes a key "//" in a block'
    if text.startswith("'", offset):
        return 'write double quotes: "…"'
    if text.startswith(("]", "}"), offset):
        return "remove the comma before it, or add what is missing"
    return "check what is before it: a comma, a quote or a bracket may be missing"
