"""Comprehensions of lists and tables, and escapes in the strings of templates."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.resolve.template import Renderer, TemplateProblem
from tests.unit.resolve.template.scope import SCOPE


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ [p for p in platforms] }}", ["linux/amd64", "linux/arm64"]),
        ("{{ ['x' ~ p for p in platforms if 'arm' in p] }}", ["xlinux/arm64"]),
        ("{{ [a for a in range(9) if a > 2 if a is even] }}", [4, 6, 8]),
        ("{{ [a ~ b for a in 'ab' for b in 'xy' if a != 'a' or b != 'y'] }}", ["ax", "bx", "by"]),
        ("{{ [b for a in [[1], [2, 3]] for b in a] }}", [1, 2, 3]),
        ("{{ [[n for n in range(m)] for m in range(3)] }}", [[], [0], [0, 1]]),
        ("{{ [k ~ v for k, v in row.items()] }}", ["osalpine"]),
        ("{{ [a ~ b ~ c for a, (b, c) in [[1, [2, 3]]]] }}", ["123"]),
        ("{{ {k: v | upper for k, v in row.items()} }}", {"os": "ALPINE"}),
        ("{{ {p: loop.index for p in platforms} }}", {"linux/amd64": 1, "linux/arm64": 2}),
        ("{{ {p: 1 for p in []} }}", {}),
        ("{{ [p if n > 3 else none for p in 'a'] }}", ["a"]),
        ("{{ [p for p in (platforms if n > 9 else ['x'])] }}", ["x"]),
        ("{{ [tag for tag in [tag, version]] }}", ["1.2", "8.10"]),
        ("{{ [p | upper for p in platforms | map('upper') | select] | length }}", 2),
        ("{{ [platforms | map('first') for p in [1]] }}", [["l", "l"]]),
        ("{{ [git is defined, n] + [range(m) | list | length for m in [2]] }}", [True, 5, 2]),
        ("{{ [(nope is defined) for x in [1]] }}", [False]),
        ("{{ [x | default('d') for x in [nope]] }}", ["d"]),
        ("<{{ [p for p in 'ab'] | join(',') }}>", "<a,b>"),
        ("{% for p in 'ab' %}{{ [p ~ q for q in 'cd'] | join }}{% endfor %}", "acadbcbd"),
        ("{% macro m(x) %}{{ [x ~ y for y in 'ab'] | join }}{% endmacro %}{{ m(1) }}", "1a1b"),
        ("{% set x = [n + m for m in [1]] %}{{ x[0] }}", "6"),
        # lists and tables without a loop are as in Jinja
        ("{{ [1, [2, ], {'a': 1, }] }}", [1, [2], {"a": 1}]),
        ("{{ [] }}", []),
        ("{{ {} }}", {}),
        ("{{ [1, 2][1] }}", 2),
        ("{{ {'for': 1}['for'] }}", 1),
    ],
)
def test_comprehensions(template: str, value: object) -> None:
    result = Renderer().render(template, SCOPE)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ [p for p in nope] }}", 'unknown variable "nope"\n'),
        ("{{ [nope ~ p for p in platforms] }}", 'unknown variable "nope"\n'),
        ("{{ [p for p in platforms] ~ p }}", 'unknown variable "p"\n'),
        ("{{ [p for p platforms] }}", "the template cannot be rendered: expected token 'in', got 'platforms'"),
        ("{{ [p for p in platforms, 1] }}", "the template cannot be rendered: expected token ']', got ','"),
        ("{{ [1, p for p in platforms] }}", "the template cannot be rendered: expected token ',', got 'for'"),
        ("{{ {p for p in platforms} }}", "the template cannot be rendered: expected token ':', got 'for'"),
        (
            "{{ [p is defined for p in platforms] }}",
            (
                "the template cannot be rendered: expected token ',', got 'p'\n"
                "put the test in parentheses: {{ [(x is defined) for x in items] }}"
            ),
        ),
        ("{{ [p for p in 5] }}", "the template cannot be rendered: 'int' object is not iterable"),
        ("{{ [a for a, b in [[1]]] }}", "the template cannot be rendered: not enough values to unpack"),
        ("{{ {p: 1 for p in [[1]]} }}", "the template cannot be rendered: unhashable type: 'list'"),
        (
            "{{ [for p in platforms: p] }}",
            "[for … : …] is not supported in templates\nput the value first: {{ [value for name in values] }}",
        ),
        (
            "{{ {for k, v in row: k => v} }}",
            (
                "{for … : …} is not supported in templates\n"
                "put the value first: {{ {key: value for key, value in table.items()} }}"
            ),
        ),
    ],
)
def test_wrong_comprehensions(template: str, problem: str) -> None:
    for text in (template, f"a{template}"):
        with pytest.raises(TemplateProblem) as caught:
            Renderer().render(text, SCOPE)
        assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("{{ [p for p in a] }}", {"a"}),
        ("{{ [p ~ b for p in a if c for q in d if q != e] }}", {"a", "b", "c", "d", "e"}),
        ("{{ [p for p in p] }}", {"p"}),
        ("{{ [loop.index for p in a] }}", {"a"}),
        ("{{ [[q ~ b for q in p] for p in a] }}", {"a", "b"}),
        ("{{ {k: v | default(b) for k, v in a.items()} }}", {"a", "b"}),
        ("{% for p in a %}{{ [p ~ q for q in b] }}{% endfor %}", {"a", "b"}),
    ],
)
def test_the_variables_of_a_comprehension(template: str, names: set[str]) -> None:
    assert Renderer().names(template) == names


ITEMS = st.lists(st.integers(-5, 5) | st.text(st.characters(codec="utf-8"), max_size=3), max_size=5)


@given(ITEMS, ITEMS)
def test_a_comprehension_gives_the_same_as_in_python(first: list[Any], second: list[Any]) -> None:
    scope = {"a": first, "b": second}
    renderer = Renderer()
    assert renderer.render("{{ [[x, y] for x in a for y in b if x != y] }}", scope) == [
        [x, y] for x in first for y in second if x != y
    ]
    assert renderer.render("{{ {x: [y for y in b if y == x] for x in a} }}", scope) == {
        x: [y for y in second if y == x] for x in first
    }


QUOTES = st.text(st.sampled_from("\"'`,;[]{}$\\\n| ab"), max_size=8)


@given(st.lists(QUOTES, max_size=4))
def test_no_character_of_a_value_breaks_a_list(values: list[str]) -> None:
    assert Renderer().render("{{ ['<' ~ v ~ '>' for v in values] }}", {"values": values}) == [f"<{v}>" for v in values]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (r"{{ '\d\.\w' }}", r"\d\.\w"),
        (r"{{ '\\d\n\t\x41\u00e9\'' }}", "\\d\n\tAé'"),
        (r"{{ 'é\d\\' }}", "é\\d\\"),
        (r"a\d{{ 'b' }}", r"a\db"),
    ],
)
def test_an_unknown_escape_keeps_its_backslash(template: str, value: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Renderer().render(template, {}) == value
