"""Long templates."""

from __future__ import annotations

import pytest

from mpbake.conversion.plan.text.folding import folded_template


@pytest.mark.parametrize(
    ("template", "folded"),
    [
        ("{{ ['a,b', \"c]\"] if x else [] }}", "{{ [\n  'a,b',\n  \"c]\"\n] if x else [] }}"),
        ("{{ ['a' ~ b, c] + ['d', e(f, g)[0]] }}", "{{ [\n  'a' ~ b,\n  c\n] + [\n  'd',\n  e(f, g)[0]\n] }}"),
        ("{{ {'a': [1, 2], 'b': 3} | merge(c) }}", "{{ {\n  'a': [1, 2],\n  'b': 3\n} | merge(c) }}"),
        ("{{ ['it\\'s', 'b'] }}", "{{ [\n  'it\\'s',\n  'b'\n] }}"),
    ],
)
def test_outermost_lists_get_a_line_for_each_item(template: str, folded: str) -> None:
    assert folded_template(template, 100) == folded


@pytest.mark.parametrize(
    "text",
    [
        "{{ a }} and {{ b }}",
        "registry/{{ ['a', 'b'] }}",
        "{{ ['a'] }}",
        "{{ f(a, b)[1] }}",
        "{{ [x ~ 'a' for x in [1, 2] if x] | b }}",
        "{{ ([x] if a else [y]) + z }}",
        "{{ [a, b] in '}}' }} {{ x }}",
        "{{ 'x' if a in ['1', 'true'] }}",
        "plain, text",
    ],
)
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert folded_template(text, 100) == text


def test_lines_that_are_still_too_long_are_divided_again() -> None:
    template = (
        "{{ [[(['first ' ~ x] if x else []) + [f(x, y) ~ ' second'] for x in xs] for y in get(a, b)] | flatten }}"
    )
    lines = [
        "{{ [",
        "  [",
        "    (['first ' ~ x] if x else [])",
        "      + [f(x, y) ~ ' second']",
        "    for x in xs",
        "  ]",
        "  for y in get(a, b)",
        "] | flatten }}",
    ]
    assert folded_template(template, 40).split("\n") == lines


def test_a_long_sum_has_a_line_for_each_term() -> None:
    template = "{{ ['first', 'second'] + (['third ' ~ x] if x else []) + [f(x) for x in xs if x is not none] }}"
    lines = [
        "{{ [",
        "  'first',",
        "  'second'",
        "]",
        "  + (['third ' ~ x] if x else [])",
        "  + [",
        "    f(x)",
        "    for x in xs if x is not none",
        "  ] }}",
    ]
    assert folded_template(template, 32).split("\n") == lines


def test_a_loop_is_divided_only_if_it_is_much_too_long() -> None:
    template = "{{ [name ~ ':' ~ tag for tag in tags] | b }}"
    assert folded_template(template, 30) == template
    assert folded_template(template, 20) == "{{ [\n  name ~ ':' ~ tag\n  for tag in tags\n] | b }}"


def test_a_long_condition_has_a_line_of_its_own_and_then_for_each_part() -> None:
    template = "{{ registry ~ '/web:' ~ version if on_tag == 'true' and is_default(jdk) else none }}"
    lines = [
        "{{ registry ~ '/web:' ~ version",
        "  if on_tag == 'true' and is_default(jdk)",
        "  else none }}",
    ]
    assert folded_template(template, 45).split("\n") == lines
    lines[1:2] = ["  if on_tag == 'true'", "    and is_default(jdk)"]
    assert folded_template(template, 32).split("\n") == lines


def test_a_choice_in_parentheses_is_divided_if_its_line_is_too_long() -> None:
    template = "{{ url or ('https://example.com/weekly/app.war' if is_weekly() else 'https://example.com/app.war') }}"
    lines = [
        "{{ url",
        "  or ('https://example.com/weekly/app.war' if is_weekly()",
        "    else 'https://example.com/app.war') }}",
    ]
    assert folded_template(template, 60).split("\n") == lines


def test_a_long_call_has_a_line_for_each_argument() -> None:
    template = "{{ versions | merge(checksums_of_all_platforms, go_versions, f(a, b)) }}"
    lines = [
        "{{ versions | merge(",
        "    checksums_of_all_platforms,",
        "    go_versions,",
        "    f(a, b)",
        "  ) }}",
    ]
    assert folded_template(template, 40, "  ").split("\n") == lines


def test_a_long_choice_has_a_line_for_each_case() -> None:
    template = "{{ 'tomcat9' if version == '7' else 'tomcat10' if version == '23' else 'tomcat11' }}"
    lines = ["{{ 'tomcat9' if version == '7'", "  else 'tomcat10' if version == '23'", "  else 'tomcat11' }}"]
    assert folded_template(template, 40).split("\n") == lines
