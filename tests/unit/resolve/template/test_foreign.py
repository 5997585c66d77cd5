"""Hints for what people know from bake and Ansible."""

from __future__ import annotations

import pytest

from mpbake.resolve.template import Renderer, TemplateProblem
from mpbake.resolve.template.foreign import FILTERS, FUNCTIONS

VALUES = {
    "a": 2,
    "b": 3,
    "x": "1.2",
    "path": "a/b",
    "epoch": "1767225600",
    "items": ["1.2", "b", "1.2"],
    "others": ["x", "y", "z"],
    "table": {"key": "value", "1.2": 1},
    "rows": [{"key": "a", "value": 1}],
    "condition": True,
}


@pytest.mark.parametrize("form", sorted({*FUNCTIONS.values(), *FILTERS.values()}))
def test_the_forms_of_hints_work(form: str) -> None:
    scope: dict[str, object] = dict(VALUES)
    if "semver" in form:
        scope |= {"a": "1.2.0", "b": "1.1.0"}
    if "merge" in form:
        scope |= {"a": {"k": 1}, "b": {"k": 2}}
    if "{{ x in table" in form or "abs" in form or "round" in form or "-x" in form:
        scope |= {"x": 1.5}
    if "from_base64" in form:
        scope |= {"x": "YQ=="}
    assert Renderer().render(form, scope) is not None


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ split(',', x) }}", "unknown variable \"split\"\nwrite {{ x | split(',') }}"),
        ("{{ split }}", 'unknown variable "split"\nuse split as a filter: {{ value | split }}'),
        ("{{ formatlist('v%s', x) }}", "unknown variable \"formatlist\"\nwrite {{ ['v' ~ x for x in items] }}"),
        ("{{ coalesce(x, 'a') }}", 'unknown variable "coalesce"\nwrite {{ b if a is none else a }}'),
        ("{{ equal(x, 'a') }}", 'unknown variable "equal"\nwrite {{ a == b }}'),
        ("{{ notequal(x, 'a') }}", 'unknown variable "notequal"\nwrite {{ a != b }}'),
        ("{{ and(x, x) }}", 'unknown variable "and"\nwrite {{ a and b }}'),
        ("{{ or(x, x) }}", 'unknown variable "or"\nwrite {{ a or b }}'),
        ("{{ lookup(x, 'a', 'b') }}", "unknown variable \"lookup\"\nwrite {{ table.get('key', 'default') }}"),
        (
            "{{ regex_replace(x, 'a', 'b') }}",
            "unknown variable \"regex_replace\"\nwrite {{ x | regex_replace('[0-9]+', 'N') }}",
        ),
        ("{{ null }}", 'unknown variable "null"\nwrite none: {{ x is none }}'),
        ("{{ x | combine(x) }}", 'unknown filter "combine"\nwrite {{ a | merge(b) }}'),
        ("{{ x | ternary('a', 'b') }}", 'unknown filter "ternary"\nwrite {{ a if condition else b }}'),
        ("{{ x | to_json }}", 'unknown filter "to_json"\nwrite {{ x | json }}'),
        ("{{ x | concat }}", 'unknown filter "concat"\nwrite {{ a + b }}'),
        (
            "{{ x ? 1 : 2 }}",
            "the template cannot be rendered: unexpected char '?' at 5\nwrite {{ a if condition else b }}",
        ),
        ("{{ x ?? 2 }}", "the template cannot be rendered: unexpected char '?' at 5\nwrite {{ a or b }}"),
        ("{{ x && x }}", "the template cannot be rendered: unexpected char '&' at 5\nwrite {{ a and b }}"),
        ("{{ x || x }}", "the template cannot be rendered: expected token 'name', got '|'\nwrite {{ a or b }}"),
        ("{{ !x }}", "the template cannot be rendered: unexpected char '!' at 3\nwrite {{ not a }}"),
        (
            "{{ ${x} }}",
            (
                "the template cannot be rendered: unexpected char '$' at 3\n"
                "write the name of a variable without $: {{ tag }}"
            ),
        ),
        (
            "{{ .x }}",
            "the template cannot be rendered: unexpected '.'\nwrite the name of a variable without a dot: {{ tag }}",
        ),
        ("{{ f(x...) }}", "the template cannot be rendered: expected name or number\nwrite {{ name(*items) }}"),
        (
            "{{ x[*].y }}",
            "the template cannot be rendered: unexpected '*'\nwrite {{ items | map(attribute='name') | list }}",
        ),
        (
            "{{ x.*.y }}",
            (
                "the template cannot be rendered: expected name or number\n"
                "write {{ items | map(attribute='name') | list }}"
            ),
        ),
    ],
)
def test_the_hint_names_the_form_of_mpbake(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, {"x": "1"})
    assert str(caught.value) == problem


def test_the_hint_for_a_variable_of_bake_names_the_function() -> None:
    with pytest.raises(TemplateProblem, match=r"write \{\{ machine_platform\(\) \}\}"):
        Renderer().render("{{ BAKE_LOCAL_PLATFORM }}", {})


def test_a_name_that_is_not_called_may_be_a_misspelt_variable() -> None:
    with pytest.raises(TemplateProblem, match='did you mean "value"'):
        Renderer().render("{{ values }}", {"value": "1"})
