"""The expressions of HCL."""

from __future__ import annotations

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError
from mpbake.conversion.reading import read_expression
from mpbake.conversion.syntax import (
    SPLAT_ITEM,
    Attribute,
    Binary,
    Call,
    Conditional,
    Expression,
    ForList,
    ForObject,
    Index,
    Item,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
    Splat,
    Unary,
)
from tests.unit.conversion.reading.bakefiles import value

A, B, C = (Name(name=name) for name in "abc")
ONE, TWO = Literal(value=1), Literal(value=2)


def items(*values: Expression) -> ListOf:
    return ListOf(items=tuple(Item(value=item) for item in values))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("true", Literal(value=True)),
        ("null", Literal(value=None)),
        ("-1.5", Literal(value=-1.5)),
        ("1e3", Literal(value=1000)),
        ("a || b && c", Binary(operator="||", left=A, right=Binary(operator="&&", left=B, right=C))),
        ("(a || b) && c", Binary(operator="&&", left=Binary(operator="||", left=A, right=B), right=C)),
        ("a - b - c", Binary(operator="-", left=Binary(operator="-", left=A, right=B), right=C)),
        ("a == b != c", Binary(operator="!=", left=Binary(operator="==", left=A, right=B), right=C)),
        ("a -1", Binary(operator="-", left=A, right=ONE)),
        ("a -12", Binary(operator="-", left=A, right=Literal(value=12))),
        ("a - -b", Binary(operator="-", left=A, right=Unary(operator="-", operand=B))),
        ("a-1", Name(name="a-1")),
        ("!a.b", Unary(operator="!", operand=Attribute(operand=A, name="b"))),
        ("!!a", Unary(operator="!", operand=Unary(operator="!", operand=A))),
        ("!-a", Unary(operator="!", operand=Unary(operator="-", operand=A))),
        ("a ? b : c", Conditional(condition=A, then=B, otherwise=C)),
        (
            "a ? 1 : b ? 2 : c",
            Conditional(condition=A, then=ONE, otherwise=Conditional(condition=B, then=TWO, otherwise=C)),
        ),
        ("f()", Call(function="f", arguments=())),
        ("f(a, b,)", Call(function="f", arguments=(A, B))),
        ("f(a, b...)", Call(function="f", arguments=(A, B), expand=True)),
        ("a.0", Index(operand=A, key=Literal(value=0))),
        ('a["b"].c', Attribute(operand=Index(operand=A, key=Literal(value="b")), name="c")),
        ("f(a)[b]", Index(operand=Call(function="f", arguments=(A,)), key=B)),
        ("[a, b,]", items(A, B)),
        ("{}", ObjectOf(pairs=())),
        (
            '{ a = 1, "b" : 2, (c) = a, true = 1, if = 2 }',
            ObjectOf(
                pairs=(
                    Pair(key=Literal(value="a"), value=ONE),
                    Pair(key=Literal(value="b"), value=TWO),
                    Pair(key=C, value=A),
                    Pair(key=Literal(value="true"), value=ONE),
                    Pair(key=Literal(value="if"), value=TWO),
                )
            ),
        ),
        ("[for a in b : c]", ForList(key="", value="a", collection=B, result=C)),
        ("[for a, b in c : a if b]", ForList(key="a", value="b", collection=C, result=A, condition=B)),
        ("{for a, b in c : a => b}", ForObject(key="a", value="b", collection=C, result_key=A, result=B)),
        (
            "{for a in b : a => c... if !c}",
            ForObject(
                key="",
                value="a",
                collection=B,
                result_key=A,
                result=C,
                grouped=True,
                condition=Unary(operator="!", operand=C),
            ),
        ),
    ],
)
def test_an_expression(text: str, expected: Expression) -> None:
    assert value(text) == expected
    assert read_expression(text) == expected


ITEM = Name(name=SPLAT_ITEM)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a[*]", Splat(operand=A, each=ITEM)),
        ("a[*].b[0]", Splat(operand=A, each=Index(operand=Attribute(operand=ITEM, name="b"), key=Literal(value=0)))),
        ("a.*.b", Splat(operand=A, each=Attribute(operand=ITEM, name="b"))),
        # The brackets belong to the list that a.*.b gives.
        (
            "a.*.b[0].c",
            Attribute(
                operand=Index(operand=Splat(operand=A, each=Attribute(operand=ITEM, name="b")), key=Literal(value=0)),
                name="c",
            ),
        ),
    ],
)
def test_a_splat(text: str, expected: Expression) -> None:
    assert value(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "(\na\n+\nb\n)",
        "[\n  a # first\n  ,\n  b\n]",
        "f(\n  a,\n  b\n)",
        "f(\n  a,\n  b,\n)",
        "[for a in\n  b :\n  c\n  if a\n]",
        "{\n  for a in b\n  :\n  a\n  =>\n  c\n}",
        "a[\n  b\n]",
        "(\n  a ?\n  b :\n  c\n)",
        "{ # loop for it\n  a = 1\n  b = 2\n}",
        "{\n  a = [\n    1,\n    2\n  ]\n\n\n  b = {\n  }\n}",
        "/* one */ a /* two\n*/ + b",
    ],
)
def test_new_lines_and_comments_may_be_where_hcl_has_them(text: str) -> None:
    flat = " ".join(line.partition("#")[0].strip() for line in text.split("\n"))
    if text.startswith("{") and "for a" not in text:
        flat = flat.replace("1   b", "1, b").replace("1 b", "1, b").replace("]   b", "], b")
    assert value(text) == value(flat)


def test_an_expression_knows_its_place_and_its_text() -> None:
    call = value('join("-", [a, é ? b : c.d])')
    assert isinstance(call, Call)
    items_of = call.arguments[1]
    assert isinstance(items_of, ListOf)
    condition = items_of.items[1].value
    assert isinstance(condition, Conditional)

    assert call.text == 'join("-", [a, é ? b : c.d])'
    assert (call.place.line, call.place.column) == (1, 5)
    assert (condition.text, condition.place.column) == ("é ? b : c.d", 19)
    assert (condition.otherwise.text, condition.otherwise.place.column) == ("c.d", 27)


def test_a_chain_of_operators_may_be_long_but_not_endless() -> None:
    assert isinstance(value(" + ".join(["a"] * 100)), Binary)
    with pytest.raises(PlanError) as raised:
        value(" + ".join(["a"] * 1000))
    assert raised.value.diagnostics[0].code is Code.TOO_DEEP


@pytest.mark.parametrize(
    "text",
    [
        "[" * 400 + "]" * 400,
        "(" * 400 + "a" + ")" * 400,
        '"${' * 400,
        "a ? b : " * 400 + "c",
        "!" * 20_000 + "a",
        "a" + ".b" * 1000,
        "a[*]" + ".b" * 1000,
        "a" + "[*]" * 1000,
        # Each template and each chain of operators is small enough, but not all of them together.
        '"${'.join("a + " * 30 for _ in range(20)) + "b" + '}"' * 19,
        '"' + "%{ if a }" * 1000 + "%{ endif }" * 1000 + '"',
    ],
)
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(PlanError) as raised:
        value(text)
    assert raised.value.diagnostics[0].code is Code.TOO_DEEP
