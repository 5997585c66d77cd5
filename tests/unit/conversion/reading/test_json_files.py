"""Bake files in JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.conversion.reading import read_bake_json
from mpbake.conversion.reading.hcl.source import Source
from mpbake.conversion.reading.json_values import JsonArray, JsonObject, JsonScalar, JsonValue, parse_json
from mpbake.conversion.syntax import (
    Binary,
    Call,
    Comments,
    Entry,
    Format,
    Function,
    Group,
    Ignored,
    Item,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
    Place,
    Target,
    Template,
    Validation,
    Variable,
)
from tests.unit.conversion.reading.bakefiles import error


def place(line: int, column: int) -> Place:
    return Place(file="docker-bake.json", line=line, column=column)


def read(value: Any) -> tuple[Any, ...]:
    return read_bake_json(json.dumps(value), "docker-bake.json").blocks


def test_all_blocks_and_values() -> None:
    file = read_bake_json(
        """{
  "//": "Written by hand",
  "REGISTRY": "example.com",
  "variable": {
    "TAG": {
      "default": "latest", "type": "list(string)", "description": "not a ${template}",
      "validation": [{"condition": "${TAG != \\"\\"}", "error_message": "name a tag"}]
    }
  },
  "function": {"f": {"params": ["a"], "variadic_params": "b", "result": "${a}-x"}},
  "group": {"default": {"targets": ["web"]}},
  "target": {
    "web": {
      "//": ["no text"],
      "args": {"${TAG}": null, "N": 1.0, "PUSH": true},
      "tags": ["$${x}:${TAG}"]
    }
  }
}""",
        "docker-bake.json",
    )

    assert (file.format, file.heading) == (Format.JSON, ("Written by hand",))
    assert file.blocks == (
        Variable(name="REGISTRY", default=Literal(value="example.com"), constant=True, place=place(3, 3)),
        Variable(
            name="TAG",
            default=Literal(value="latest"),
            type=Call(function="list", arguments=(Name(name="string"),)),
            description=Literal(value="not a ${template}"),
            validations=(
                Validation(
                    condition=Template(parts=(Binary(operator="!=", left=Name(name="TAG"), right=Literal(value="")),)),
                    error_message=Literal(value="name a tag"),
                    place=place(7, 7),
                ),
            ),
            place=place(5, 5),
        ),
        Function(
            name="f",
            params=("a",),
            variadic="b",
            result=Template(parts=(Name(name="a"), Literal(value="-x"))),
            place=place(10, 16),
        ),
        Group(name="default", targets=ListOf(items=(Item(value=Literal(value="web")),)), place=place(11, 13)),
        Target(
            name="web",
            entries=(
                Entry(
                    name="args",
                    value=ObjectOf(
                        pairs=(
                            Pair(key=Template(parts=(Name(name="TAG"),)), value=Literal(value=None)),
                            Pair(key=Literal(value="N"), value=Literal(value=1)),
                            Pair(key=Literal(value="PUSH"), value=Literal(value=True)),
                        )
                    ),
                    place=place(15, 7),
                ),
                Entry(
                    name="tags",
                    value=ListOf(items=(Item(value=Template(parts=(Literal(value="${x}:"), Name(name="TAG")))),)),
                    place=place(16, 7),
                ),
            ),
            place=place(13, 5),
        ),
    )


def test_blocks_may_be_lists_of_tables() -> None:
    (target, other, last) = read(
        {"target": [{"a": [{"context": "1"}, {"context": "2"}]}, {"b": {"//": "one\ntwo"}}, {"c": None}, {}]}
    )

    assert [block.name for block in (target, other, last)] == ["a", "a", "b"]
    assert last.comments == Comments(before=("one", "two"))


def test_what_bake_ignores_is_listed() -> None:
    file = read_bake_json('{"group": {"g": {"targets": [], "x": 1}}}', "docker-bake.json")
    assert file.ignored == (Ignored(what='`x` of group "g"', place=place(1, 33)),)


def test_null_and_an_empty_file_have_no_blocks() -> None:
    assert read(None) == read({}) == read({"target": None}) == read({"target": {"a": None}}) == ()


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a value, not the end of the file"),
        ("{", 2, "expected a key in quotes, not the end of the file"),
        ('{"a": 1,}', 9, "expected another item, not `}`"),
        ('{"a" 1}', 6, "expected `:` and a value, not `1`"),
        ('{"a": 1 "b": 2}', 9, 'expected `,` or `}`, not `"`'),
        ("[1 2]", 4, "expected `,` or `]`, not `2`"),
        ('{"a": "x', 7, "the string is not closed"),
        (r'{"a": "\d"}', 8, "a string has a character or an escape that JSON does not allow"),
        ('{"a": 01}', 7, "expected a value, not `01`"),
        ('{"a": NaN}', 7, "expected a value, not `NaN`"),
        ('{"a": // x\n 1}', 7, "expected a value, not `/`"),
        ("{'a': 1}", 2, "expected a key in quotes, not `'`"),
        ('{"a": 1} x', 10, "expected the end of the file, not `x`"),
        ("[1]", 1, "the file must be a table"),
        ('{"target": ["b"]}', 12, "`target` must be a table"),
        ('{"target": {"a": "b"}}', 18, "a `target` block must be a table"),
        ('{"function": {"f": {"params": []}}}', 15, 'function "f" has no `result`'),
    ],
)
def test_a_wrong_file(text: str, column: int, message: str) -> None:
    first, *rest = error(text, "docker-bake.json").split("\n")
    assert first == f"docker-bake.json:1:{column}: {message} [json-syntax]"
    assert rest[-1].startswith("  = ")


def test_an_error_in_a_template_has_the_place_of_its_string() -> None:
    first, excerpt, *_ = error('{\n  "a": "x ${y"\n}', "docker-bake.json").split("\n")
    assert first == "docker-bake.json:2:8: the template `${` is not closed [hcl-syntax]"
    assert excerpt == '    "a": "x ${y"'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"target": {"a": {"x": 1, "x": 2}}}', Code.DUPLICATE_KEY),
        ('{"target": {"a": {"args": {"x": 1, "x": 2}}}}', Code.DUPLICATE_KEY),
        ('{"a": 1, "a": 2}', Code.DUPLICATE_KEY),
        ('{"a": ' * 100, Code.TOO_DEEP),
        ('{"a": 1e999999}', Code.NUMBER_TOO_LONG),
        ('{"a": ' + "1" * 999 + "}", Code.NUMBER_TOO_LONG),
    ],
)
def test_a_file_that_bake_or_mpbake_refuses(text: str, code: Code) -> None:
    with pytest.raises(PlanError) as raised:
        read_bake_json(text, "docker-bake.json")
    assert [diagnostic.code for diagnostic in raised.value.diagnostics] == [code]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
)


def plain(value: JsonValue) -> Any:
    """Return a parsed value as `json` has it."""
    match value:
        case JsonScalar(is_number=True):
            return json.loads(str(value.value))
        case JsonScalar():
            return value.value
        case JsonArray(items=items):
            return [plain(item) for item in items]
        case JsonObject(pairs=pairs):
            return {str(key.value): plain(item) for key, item in pairs}


@settings(max_examples=40, deadline=None)
@given(JSON, st.sampled_from([None, 1]))
def test_json_is_parsed_as_python_parses_it(value: Any, indent: int | None) -> None:
    assert plain(parse_json(Source(json.dumps(value, indent=indent), "x.json"))) == value
