"""The filters for regular expressions."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.resolve.template import Renderer, TemplateProblem


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (r"{{ 'v1.24' | regex_search('\d+') }}", "1"),
        (r"{{ 'v1.24' | regex_search('(\d+)\.(?P<minor>\d+)', 'minor') }}", "24"),
        (r"{{ 'v1.24' | regex_search('(\d+)\.(\d+)', 2) }}", "24"),
        (r"{{ 'v1.24' | regex_search('(\d+)(x)?', group=2) }}", None),
        ("{{ 'abc' | regex_search('x') }}", None),
        ("{{ 'abc' | regex_search('x') or 'none' }}", "none"),
        ("{{ 124 | regex_search('2') }}", "2"),
        (r"{{ 'é1é2' | regex_findall('é(\d)') }}", ["1", "2"]),
        (r"{{ 'a1b2' | regex_findall('[a-z]\d') }}", ["a1", "b2"]),
        (r"{{ 'a1b' | regex_findall('([a-z])(\d)?') }}", [["a", "1"], ["b", ""]]),
        (r"{{ 'a1b' | regex_findall('[a-z](\d)?') }}", ["1", ""]),
        ("{{ 'abc' | regex_findall('x') }}", []),
        ("{{ 'aXbX' | regex_replace('X', '-') }}", "a-b-"),
        (r"{{ 'v1.2' | regex_replace('v(\d)\.(?P<b>\d)', '$2/${1}/$b/$$1') }}", "2/1/2/$1"),
        ("{{ 'ab' | regex_replace('(x)?b', '[$1]') }}", "a[]"),
        ("{{ 'ab' | regex_replace('', '-') }}", "-a-b-"),
        (r"{{ 'a b' | regex_replace('\\bb', 'c') }}", "a c"),
        (r"{{ ['v1', 'v2'] | map('regex_replace', '^v', '') | join(' ') }}", "1 2"),
    ],
)
def test_regular_expressions(template: str, value: object) -> None:
    assert Renderer().render(template, {}) == value


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (
            "{{ 'a' | regex_search('(') }}",
            (
                "the pattern ( is invalid: missing ): (\n"
                "write a regular expression of RE2: https://github.com/google/re2/wiki/Syntax"
            ),
        ),
        (r"{{ 'a' | regex_search('(?=a)') }}", "the pattern (?=a) is invalid: invalid perl operator: (?=\n"),
        (
            r"{{ 'a' | regex_search('\ba') }}",
            "the pattern \\x08a contains a control character\nin a template, write \\\\b for the end of a word",
        ),
        (
            r"{{ 'a' | regex_replace('a', '\1') }}",
            "a replacement cannot contain a backslash\nwrite $1 for the first group",
        ),
        (r"{{ 'a' | regex_replace('a', '\\1') }}", "a replacement cannot contain a backslash\n"),
        (
            "{{ 'a' | regex_replace('a', 'b$') }}",
            "a replacement contains a lone $\nwrite $$ for a dollar sign, and $1 for the first group",
        ),
        ("{{ 'a' | regex_replace('a', '$1') }}", 'the pattern has no group "1"\nnumber the groups from 1'),
        ("{{ 'a' | regex_search('a', 'b') }}", 'the pattern has no group "b"\n'),
        ("{{ 'a' | regex_search('a', []) }}", 'the pattern has no group "[]"\n'),
        ("{{ 'a' | regex_search('a' * 501) }}", "the pattern has more than 500 characters\nshorten it"),
        ("{{ ('a' * 100001) | regex_search('b') }}", "regex_search takes at most 100000 characters\n"),
        ("{{ ['a'] | regex_search('b') }}", "regex_search takes text or a number\n"),
        ("{{ 'a' | regex_search(['b']) }}", "regex_search takes text or a number\n"),
        ("{{ nope | regex_search('b') }}", 'unknown variable "nope"\n'),
    ],
)
def test_wrong_regular_expressions(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, {})
    assert str(caught.value).startswith(problem)


@given(st.text(st.sampled_from("ab1.é\n"), max_size=12), st.sampled_from(["a", "[0-9]", "b*", "(a|b)", "é.", "a|"]))
def test_they_find_what_python_finds(text: str, pattern: str) -> None:
    renderer = Renderer()
    scope = {"text": text, "pattern": pattern}
    match = re.search(pattern, text)
    assert renderer.render("{{ text | regex_search(pattern) }}", scope) == (match[0] if match else None)
    if pattern not in {"b*", "a|"}:  # Python and RE2 differ in empty matches next to other matches
        assert renderer.render("{{ text | regex_findall(pattern) }}", scope) == re.findall(pattern, text)
        expected = re.sub(pattern, "<x>", text)
        assert renderer.render("{{ text | regex_replace(pattern, '<x>') }}", scope) == expected
