"""Filters for digests, names, paths, JSON, lists and tables."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.resolve.template import Renderer, TemplateProblem


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ 'é' | md5 }}", "66ddcd97cfdeabb2f6fb8a999b4bc76f"),
        ("{{ 'a' | sha1 }}", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"),
        ("{{ ('a' | sha512) | length }}", 128),
        ("{{ true | sha1 == 'true' | sha1 }}", True),
        ("{{ 'example.com' | uuid5('dns') }}", "cfbff0d1-9375-5685-968c-48ce8b15ae17"),
        ("{{ 'a' | uuid5('6ba7b810-9dad-11d1-80b4-00c04fd430c8') == 'a' | uuid5('dns') }}", True),
        ("{{ 'a,b,' | split(',') }}", ["a", "b", ""]),
        ("{{ ' a  b ' | split }}", ["a", "b"]),
        ("{{ 8.5 | split('.') }}", ["8", "5"]),
        ("{{ '/a/b/' | basename }}", "b"),
        ("{{ 'b' | basename }}", "b"),
        ("{{ '/' | basename }}", "/"),
        ("{{ '' | basename }}", "."),
        ("{{ '/a/b' | dirname }}", "/a"),
        ("{{ '/a/b/' | dirname }}", "/a/b"),
        ("{{ 'a//b/../c/d' | dirname }}", "a/c"),
        ("{{ '//a' | dirname }}", "/"),
        ("{{ 'b' | dirname }}", "."),
        ("{{ '' | dirname }}", "."),
        ("{{ 'hello ü' | base64 }}", "aGVsbG8gw7w="),
        ("{{ 'aGVsbG8gw7w=' | from_base64 }}", "hello ü"),
        ("{{ '' | base64 | from_base64 }}", ""),
        ("{{ {'b': [1, 0.5, true, none], 'a': '<\"é'} | json }}", '{"a":"<\\"é","b":[1,0.5,true,null]}'),
        ("{{ ['a'] | map('upper') | json }}", '["A"]'),
        ("{{ {1: range(2)} | json }}", '{"1":[0,1]}'),
        ("""{{ '{"a": [1, 1.5, true, null]}' | from_json }}""", {"a": [1, 1.5, True, None]}),
        ("{{ {'a': 1, 'b': 1} | merge({'b': 2}, {'c': 3}) }}", {"a": 1, "b": 2, "c": 3}),
        ("{{ {} | merge }}", {}),
        ("{{ [1, [2, [], [3]], {'a': [4]}] | flatten }}", [1, 2, 3, {"a": [4]}]),
        ("{{ ['ab'] | map('list') | flatten }}", ["a", "b"]),
        ("{{ ['a', 'b'] | zip([1, 2], 'xy') }}", [["a", 1, "x"], ["b", 2, "y"]]),
        ("{{ [] | zip([]) }}", []),
        ("{{ ['a'] | map('upper') | zip(range(1)) }}", [["A", 0]]),
    ],
)
def test_filters(template: str, value: object) -> None:
    assert Renderer().render(template, {}) == value


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ [1] | md5 }}", "md5 takes text or a number\nselect one value: {{ list[0] }}, {{ table.key }}"),
        ("{{ none | split(',') }}", "split takes text or a number\n"),
        (
            "{{ 'a' | split('') }}",
            "the separator of split is empty\nfor single characters, write value | list",
        ),
        (
            "{{ 'aGVsbG8' | from_base64 }}",
            "from_base64 cannot decode the text\ncheck the value with `base64 --decode`: it must contain text in UTF-8",
        ),
        ("{{ '/w==' | from_base64 }}", "from_base64 cannot decode the text\n"),
        ("{{ 'a' | uuid5('x') }}", '"x" is not a namespace of uuid5\nuse one of dns, url, oid, x500, or a UUID'),
        (
            "{{ 'a' | uuid5 }}",
            "the filter \"uuid5\": missing a required argument: 'namespace'\nwrite {{ value | uuid5(namespace) }}",
        ),
        ("{{ 'a' | merge({}) }}", "merge takes tables\nwrite {{ table | merge(other_table) }}"),
        (
            "{{ [1] | zip([]) }}",
            "zip takes lists of the same length\nshorten the longer list, for example names[:3]",
        ),
        (
            "{{ '{' | from_json }}",
            (
                "from_json cannot parse the text: Expecting property name enclosed in double quotes: "
                "line 1 column 2 (char 1)\n"
                "check the value with jq or another JSON parser"
            ),
        ),
        ("{{ '[NaN]' | from_json }}", "from_json cannot parse the text: NaN is not JSON\n"),
        ("{{ [nope] | json }}", 'unknown variable "nope"\n'),
        ("{{ [1].append | json }}", "the template cannot be rendered: "),
        ("{{ ('[' * 100000) | from_json }}", "the template cannot be rendered: maximum recursion depth exceeded"),
    ],
)
def test_wrong_values(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, {})
    assert str(caught.value).startswith(problem)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda values: (
        st.lists(values, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), values, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON)
def test_json_is_read_as_it_is_written(value: Any) -> None:
    renderer = Renderer()
    text = renderer.render("{{ x | json }}", {"x": value})
    assert json.loads(text) == value
    read = renderer.render("{{ x | from_json }}", {"x": text})
    assert read == value or (isinstance(value, float) and math.isclose(read, value))
