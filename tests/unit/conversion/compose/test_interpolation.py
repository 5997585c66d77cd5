"""Interpolation: the values were watched with `docker buildx bake --print` of buildx 0.36."""

from __future__ import annotations

import pytest

from mpbake.conversion.compose.interpolation import MOST_NESTED, BadReferenceError, Reference, parse
from mpbake.conversion.syntax import Literal, Variable
from tests.unit.conversion.compose.files import attributes, read, variables


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("$A", (Reference(name="A"),)),
        ("$A-x", (Reference(name="A"), "-x")),
        ("${A}b", (Reference(name="A"), "b")),
        ("$$A", ("$A",)),
        ("$$${A}", ("$", Reference(name="A"))),
        ("a$", ("a$",)),
        ("$1 $- $", ("$1 $- $",)),
        ("${A:-x}", (Reference(name="A", operator=":-", word=("x",)),)),
        ("${A-}", (Reference(name="A", operator="-"),)),
        ("${A:-b:-c?d}", (Reference(name="A", operator=":-", word=("b:-c?d",)),)),
        ("${A:-${B}c}", (Reference(name="A", operator=":-", word=(Reference(name="B"), "c")),)),
        ('{"a":"${A:-x}"}', ('{"a":"', Reference(name="A", operator=":-", word=("x",)), '"}')),
        ("${A:-x} $B}", (Reference(name="A", operator=":-", word=("x",)), " ", Reference(name="B"), "}")),
        ("${A:-{x}", (Reference(name="A", operator=":-", word=("{x",)),)),
        ("${A:-{}}", (Reference(name="A", operator=":-", word=("{}",)),)),
    ],
)  # fmt: skip
def test_a_text_has_parts(text: str, parts: tuple[str | Reference, ...]) -> None:
    assert parse(text) == parts


@pytest.mark.parametrize("text", ["${", "${}", "${1}", "${A", "${A:-x", "${A:-\n}", "${A:-${}}", "${A!x}", "${A:x}"])
def test_a_brace_must_begin_a_reference(text: str) -> None:
    with pytest.raises(BadReferenceError):
        parse(text)


def test_references_are_nested_only_so_deep() -> None:
    parse("${A:-" * MOST_NESTED + "}" * MOST_NESTED)
    with pytest.raises(BadReferenceError):
        parse("${A:-" * (MOST_NESTED + 1) + "}" * (MOST_NESTED + 1))


def test_a_long_line_with_many_references_is_read() -> None:
    assert len(parse("${A:-x}," * 2000)) == 4000


@pytest.mark.parametrize(
    ("value", "variable", "expression"),
    [
        ("$V", '""', "V"),
        ("${V-}", '""', "V"),
        ("${V:-}", '""', "V"),
        ("${V:-d}", '""', '((V != "") ? V : "d")'),
        ("${V-d}", '"d"', "V"),
        ("${V:+a}", '""', '((V != "") ? "a" : "")'),
        ("${V+a}", "null", '((V != null) ? "a" : "")'),
        ("${V:+}", '""', '""'),
        ("${V:?text}", '""', "V"),
        ("${V?text}", "null", "V"),
        ("x$V", '""', '"x${V}"'),
        ("$COMPOSE_PROJECT_NAME", '""', '((COMPOSE_PROJECT_NAME != "") ? COMPOSE_PROJECT_NAME : "bake")'),
    ],
)
def test_a_reference_is_an_expression(value: str, variable: str, expression: str) -> None:
    file = read(f"services: {{ web: {{ build: {{ target: '{value}' }} }} }}")
    assert list(variables(file).values()) == [variable]
    assert attributes(file, "web") == ({"target": expression} if expression != '""' else {})


@pytest.mark.parametrize(
    ("first", "second", "expressions"),
    [
        ("${V-d}", "$V", ['((V != null) ? V : "d")', '((V != null) ? V : "")']),
        ("${V-d}", "${V-e}", ['((V != null) ? V : "d")', '((V != null) ? V : "e")']),
        ("${V-d}", "${V:-e}", ['((V != null) ? V : "d")', '(((V != null) && (V != "")) ? V : "e")']),
        ("${V-$W}", "x", ["((V != null) ? V : W)", '"x"']),
    ],
)
def test_unset_and_empty_differ_where_the_file_tells_them_apart(
    first: str, second: str, expressions: list[str]
) -> None:
    file = read(f"services: {{ web: {{ build: {{ target: '{first}', network: '{second}' }} }} }}")
    assert variables(file)["V"] == "null"
    assert list(attributes(file, "web").values()) == expressions


def test_a_variable_of_the_dotenv_file_is_set() -> None:
    text = "services: { web: { build: { target: '${V-d}', network: '${V+a}', args: [V], tags: ['${W:?}'] } } }"
    file = read(text, dotenv="V=1\nW=w\nUNUSED=x\n")
    assert variables(file) == {"V": '"1"', "W": '"w"'}
    assert attributes(file, "web") == {"target": "V", "network": '"a"', "args": '{("V") = V}', "tags": "[W]"}


def test_a_secret_of_the_dotenv_file_stays_there() -> None:
    file = read("services: { web: { build: { args: ['A=$NPM_TOKEN', 'B=$V'] } } }", dotenv="NPM_TOKEN=hidden\nV=1\n")
    token, plain = (block for block in file.blocks if isinstance(block, Variable))
    assert (token.default, len(token.validations)) == (Literal(value=""), 1)
    assert token.comments.after == "the value in .env may be a secret, so it is not here"
    assert (plain.default, plain.comments.after) == (Literal(value="1"), "from .env")
    assert "hidden" not in repr(file)


def test_a_required_variable_is_validated_with_its_message() -> None:
    file = read("services: { web: { build: { target: '${V:?set $$V}', network: '${W:-${X:?}}' } } }")
    found = {block.name: block.validations for block in file.blocks if isinstance(block, Variable)}
    assert found["V"][0].error_message == Literal(value="set $V")
    assert found["V"][0].condition.text == "${V:?set $$V}"
    assert (found["W"], found["X"]) == ((), ())


def test_values_keep_the_text_of_the_file() -> None:
    file = read("services: { web: { build: { target: 'a${V:-${W}}' } } }")
    (entry,) = (entry for block in file.blocks for entry in getattr(block, "entries", ()))
    assert entry.value.text == "a${V:-${W}}"
    assert [part.text for part in entry.value.parts] == ["a", "${V:-${W}}"]
