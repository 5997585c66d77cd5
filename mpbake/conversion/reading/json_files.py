"""Read bake files in the JSON syntax of HCL: strings are templates, and blocks are tables or lists of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.conversion.reading.hcl.block_builder import BLOCK_KINDS, BlockBuilder, Body, NestedBlock
from mpbake.conversion.reading.hcl.files import read_expression, read_template
from mpbake.conversion.reading.hcl.numbers import number_literal
from mpbake.conversion.reading.hcl.source import MAX_JSON, read_source
from mpbake.conversion.reading.json_values import JsonArray, JsonObject, JsonScalar, parse_json
from mpbake.conversion.syntax import (
    BakeFile,
    Comments,
    Entry,
    Format,
    Item,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.base.errors import Diagnostic
    from mpbake.conversion.reading.hcl.source import Source
    from mpbake.conversion.reading.json_values import JsonValue
    from mpbake.conversion.syntax import Expression

_COMMENT = "//"
"""The key of a comment in a block. bake ignores it."""
_TABLE = "write a table: { … }"


def read_bake_json(text: str, path: str) -> BakeFile:
    """Return a bake file in JSON that messages call `path`. Raises PlanError with all problems."""
    source = read_source(text, path, Code.JSON_SYNTAX, MAX_JSON)
    reader = _Reader(source)
    body, heading = reader.file(parse_json(source))
    builder = BlockBuilder(source)
    blocks = builder.build(body)
    if problems := [*reader.problems, *builder.problems]:
        raise PlanError(problems)
    return BakeFile(path=path, format=Format.JSON, blocks=blocks, heading=heading, ignored=tuple(builder.ignored))


class _Reader:
    """Reads the values of one file, and collects its problems."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.problems: list[Diagnostic] = []

    def file(self, value: JsonValue) -> tuple[Body, tuple[str, ...]]:
        """Return the content of the file, and its comments."""
        items: list[Entry | NestedBlock] = []
        comments: list[str] = []
        names: set[str] = set()
        for key, content in self._pairs(value, "the file"):
            name = str(key.value)
            if name == _COMMENT:
                comments.extend(_comment(content))
            elif name in BLOCK_KINDS:
                items.extend(self._labelled(name, content))
            elif name in names:
                self._add_repeated(key)
            else:
                items.append(self._entry(key, self._expression(content)))
            names.add(name)
        return Body(items=tuple(items)), tuple(comments)

    def _labelled(self, kind: str, value: JsonValue) -> Iterator[NestedBlock]:
        """Yield the blocks of a kind: the keys are their names."""
        for label, content in self._pairs(value, f"`{kind}`"):
            if label.value != _COMMENT:
                yield from self._blocks(kind, (str(label.value),), label, content)

    def _blocks(self, kind: str, labels: tuple[str, ...], key: JsonScalar, value: JsonValue) -> Iterator[NestedBlock]:
        """Yield one block for a table, several for a list of tables, and none for null."""
        match value:
            case JsonScalar(value=None):
                return
            case JsonArray(items=items):
                contents = items
            case _:
                contents = (value,)
        for content in contents:
            body, comments = self._body(kind, content)
            place = self._source.place(key.start)
            yield NestedBlock(kind=kind, labels=labels, body=body, place=place, comments=Comments(before=comments))

    def _body(self, kind: str, value: JsonValue) -> tuple[Body, tuple[str, ...]]:
        """Return the content of a block, and its comments."""
        items: list[Entry | NestedBlock] = []
        comments: list[str] = []
        names: set[str] = set()
        for key, content in self._pairs(value, f"a `{kind}` block"):
            name = str(key.value)
            if name == _COMMENT:
                comments.extend(_comment(content))
            elif (kind, name) == ("variable", "validation"):
                items.extend(self._blocks(name, (), key, content))
            elif name in names:
                self._add_repeated(key)
            else:
                items.append(self._entry(key, self._attribute(kind, name, content)))
            names.add(name)
        return Body(items=tuple(items)), tuple(comments)

    def _entry(self, key: JsonScalar, value: Expression) -> Entry:
        return Entry(name=str(key.value), value=value, place=self._source.place(key.start))

    def _pairs(self, value: JsonValue, owner: str) -> Iterator[tuple[JsonScalar, JsonValue]]:
        """Yield the keys and values of a table or of a list of tables. null is an empty table."""
        match value:
            case JsonScalar(value=None):
                return
            case JsonObject(pairs=pairs):
                yield from pairs
            case JsonArray(items=items) if all(isinstance(item, JsonObject) for item in items):
                for item in items:
                    yield from self._pairs(item, owner)
            case _:
                self._add(value, f"{owner} must be a table", _TABLE)

    def _attribute(self, kind: str, name: str, value: JsonValue) -> Expression:
        """Return the value of an attribute. Types and parameters are expressions; a description is plain text."""
        match kind, name, value:
            case "variable", "type", JsonScalar(value=str(text), is_number=False):
                place = self._source.place(value.start)
                return read_expression(text, place, self._source.line_text(place.line))
            case "variable", "description", JsonScalar(value=str(text), is_number=False):
                return Literal(value=text, place=self._source.place(value.start), text=self._text(value))
            case "function", "params", JsonArray(items=items):
                return ListOf(
                    items=tuple(Item(value=self._parameter(item)) for item in items),
                    place=self._source.place(value.start),
                    text=self._text(value),
                )
            case "function", "variadic_params", _:
                return self._parameter(value)
            case _:
                return self._expression(value)

    def _parameter(self, value: JsonValue) -> Expression:
        match value:
            case JsonScalar(value=str(name), is_number=False):
                return Name(name=name.strip(), place=self._source.place(value.start), text=name)
            case _:
                return self._expression(value)

    def _expression(self, value: JsonValue) -> Expression:
        place, text = self._source.place(value.start), self._text(value)
        match value:
            case JsonScalar(value=str(number), is_number=True):
                return number_literal(number, value.start, self._source)
            case JsonScalar(value=str(template)):
                return read_template(template, place, self._source.line_text(place.line))
            case JsonScalar(value=constant):
                return Literal(value=constant, place=place, text=text)
            case JsonArray(items=items):
                return ListOf(items=tuple(Item(value=self._expression(item)) for item in items), place=place, text=text)
            case JsonObject(pairs=pairs):
                self._check_keys(value)
                return ObjectOf(
                    pairs=tuple(Pair(key=self._expression(key), value=self._expression(item)) for key, item in pairs),
                    place=place,
                    text=text,
                )

    def _check_keys(self, value: JsonObject) -> None:
        names: set[str] = set()
        for key, _ in value.pairs:
            if str(key.value) in names:
                self._add_repeated(key)
            names.add(str(key.value))

    def _text(self, value: JsonValue) -> str:
        return self._source.text[value.start : value.end]

    def _add_repeated(self, key: JsonScalar) -> None:
        self._add(key, f"`{str(key.value)[:40]}` is already set", "remove one of them", Code.DUPLICATE_KEY)

    def _add(self, value: JsonValue, message: str, hint: str, code: Code | None = None) -> None:
        self.problems.append(self._source.problem(value.start, message, hint=hint, code=code))


def _comment(value: JsonValue) -> list[str]:
    match value:
        case JsonScalar(value=str(text)):
            return text.split("\n")
        case _:
            return []
