"""The templates in strings."""

from __future__ import annotations

import pytest

from mpbake.conversion.syntax import (
    Binary,
    Call,
    Expression,
    Literal,
    Name,
    Template,
    TemplateFor,
    TemplateIf,
)
from tests.unit.conversion.reading.bakefiles import value

X, Y = Name(name="x"), Name(name="y")


def text(content: str) -> Literal:
    return Literal(value=content)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('""', text("")),
        ('"a"', text("a")),
        # One sequence alone is the value itself: a list stays a list.
        ('"${x}"', Template(parts=(X,))),
        ('"${x}${y}"', Template(parts=(X, Y))),
        ('"a-${x}"', Template(parts=(text("a-"), X))),
        ('" ${~ x ~} "', Template(parts=(X, text("")))),
        ('"${f("${x}")}"', Template(parts=(Call(function="f", arguments=(Template(parts=(X,)),)),))),
        ('"$${x} ${y}"', Template(parts=(text("${x} "), Y))),
        ('"%{ if x }a%{ endif }"', Template(parts=(TemplateIf(condition=X, then=text("a"), otherwise=text("")),))),
        (
            '"%{ if x == y }${x}%{ else }a${y}%{ endif }!"',
            Template(
                parts=(
                    TemplateIf(
                        condition=Binary(operator="==", left=X, right=Y),
                        then=Template(parts=(X,)),
                        otherwise=Template(parts=(text("a"), Y)),
                    ),
                    text("!"),
                )
            ),
        ),
        (
            '"%{ for k, v in x ~} ${v} %{~ endfor }"',
            Template(parts=(TemplateFor(key="k", value="v", collection=X, body=Template(parts=(Name(name="v"),))),)),
        ),
        (
            '"%{ for v in x }%{ if v }a%{ endif }%{ endfor }"',
            Template(
                parts=(
                    TemplateFor(
                        key="",
                        value="v",
                        collection=X,
                        body=Template(
                            parts=(TemplateIf(condition=Name(name="v"), then=text("a"), otherwise=text("")),)
                        ),
                    ),
                )
            ),
        ),
        ("<<-E\n    a ${x}\n      b\n  E\n", Template(parts=(text("a "), X, text("\n  b\n")))),
    ],
)
def test_a_string(written: str, expected: Expression) -> None:
    assert value(written) == expected


def test_the_parts_of_a_template_know_their_place_and_text() -> None:
    template = value('"a-${x}-%{ if upper(y) == "" }b%{ endif }"')
    assert isinstance(template, Template)
    first, name, _, condition = template.parts

    assert template.text == '"a-${x}-%{ if upper(y) == "" }b%{ endif }"'
    assert (first.text, first.place.column) == ("a-", 6)
    assert (name.text, name.place.column) == ("x", 10)
    assert isinstance(condition, TemplateIf)
    assert (condition.text, condition.place.column) == ('%{ if upper(y) == "" }b%{ endif }', 13)
    assert (condition.condition.text, condition.condition.place.column) == ('upper(y) == ""', 19)
