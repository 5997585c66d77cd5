"""Expressions are translated as a person would write them."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from mpbake.base.toml_text import toml_value
from mpbake.conversion.reading import read_expression
from mpbake.conversion.syntax import Call, Literal, Name
from mpbake.conversion.translation import (
    Bound,
    Scope,
    Untranslatable,
    sparse_list,
    template_name,
    translate_text,
    translate_value,
)
from mpbake.conversion.translation.functions.standard_library import STANDARD_LIBRARY
from mpbake.conversion.translation.types import STRING
from mpbake.resolve.template import RESERVED
from mpbake.resolve.template.foreign import FUNCTIONS
from tests.unit.conversion.translation.scopes import SCOPE, translated


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('"${TAG}"', "{{ tag }}"),
        ('"registry/app:${TAG}"', "registry/app:{{ tag }}"),
        ('TAG != "" ? TAG : "latest"', "{{ tag or 'latest' }}"),
        ('notequal("", TAG) ? TAG : "latest"', "{{ tag or 'latest' }}"),
        ("names[length(names) - 1]", "{{ names[-1] }}"),
        ("names[length(NUMBERS) - 1]", "{{ names[numbers | length - 1] }}"),
        ("flatten([[for n in names : [n, TAG]]])[0]", "{{ [[[n, tag] for n in names]] | flatten | first }}"),
        ('"${"a"}${"b"}${TAG}${"c"}-"', "ab{{ tag }}c-"),
        ('FULL ? "${"a"}b" : TAG', "{{ 'ab' if full else tag }}"),
        ('UNSET != null && UNSET != "" ? UNSET : "latest"', "{{ unset or 'latest' }}"),
        ('UNSET != null ? UNSET : "latest"', "{{ unset if unset is not none else 'latest' }}"),
        ('"app${TAG != "" ? "-${TAG}" : ""}"', "app{{ '-' ~ tag if tag }}"),
        ('TAG == "" ? "" : FULL ? "full" : ""', "{{ 'full' if tag and full }}"),
        ('FULL ? "a" : null', "{{ 'a' if full else none }}"),
        ('!(OFF || TAG != "x") ? "a" : "b"', "{{ 'b' if off or tag != 'x' else 'a' }}"),
        ('FULL == "true" ? "a" : "b"', "b"),
        ('["a", TAG, FULL ? "b" : ""]', ["a", "{{ tag }}", "{{ 'b' if full }}"]),
        ("{ A = TAG, B = null, C = 1 }", {"A": "{{ tag }}", "B": "{{ none }}", "C": 1}),
        ('[for n in names: "app:${n}" if n != "x"]', "{{ ['app:' ~ n for n in names if n != 'x'] }}"),
        ('[for i, n in names: "${i}-${n}"]', "{{ [loop.index0 ~ '-' ~ n for n in names] }}"),
        ("[for k, v in MAP: k]", "{{ [k for k, v in map | dictsort(true)] }}"),
        ('[for tag in names: "${tag}-${TAG}"]', "{{ [tag_2 ~ '-' ~ tag for tag_2 in names] }}"),
        ('flatten([for a in names: [for b in LIST: "${a}${b}"]])', "{{ [a ~ b for a in names for b in list] }}"),
        ('flatten([for n in names: ["app:${n}"] if n != "x"])', "{{ ['app:' ~ n for n in names if n != 'x'] }}"),
        ("flatten([for n in names: [LIST]])", "{{ [[list] for n in names] | flatten }}"),
        ("flatten([for n in names: [n, TAG]])", "{{ [[n, tag] for n in names] | flatten }}"),
        ('formatlist("app:%s", names)', "{{ ['app:' ~ name for name in names] }}"),
        ('split(".", TAG)[0]', "{{ tag.split('.')[0] }}"),
        ('join(".", slice(split(".", TAG), 0, 2))', "{{ tag.split('.')[:2] | join('.') }}"),
        ('split(".", TAG)', "{{ tag | split('.') }}"),
        ('split("", TAG)[0]', "{{ (tag | list)[0] }}"),
        ('format("%s/app:%s", "registry", TAG)', "registry/app:{{ tag }}"),
        ('length(regexall("^v", TAG)) > 0 ? "a" : "b"', "{{ 'a' if tag | regex_findall('^v') else 'b' }}"),
        ('can(regex("^v[0-9]", TAG)) ? "a" : "b"', "{{ 'a' if tag | regex_search('^v[0-9]') else 'b' }}"),
        ('try(regex("v([0-9]+)", TAG)[0], "0")', "{{ tag | regex_search('v([0-9]+)', 1) or '0' }}"),
        ("object.items", "{{ object['items'] }}"),
        ('lookup(merge(MAP, object), TAG, "")', "{{ object.get(tag, map.get(tag, '')) }}"),
        (
            'setsubtract(names, ["api"])[*]',
            "{{ [x for x in names if x not in ['api']] | unique(true) | sort(case_sensitive=true) }}",
        ),
        ('"%{ for n in names }${n} %{ endfor }"', "{% for n in names %}{{ n }} {% endfor %}"),
    ],
)
def test_the_form_of_an_expression(line: str, value: Any) -> None:
    if line.endswith("[*]"):
        line = line.removesuffix("[*]")
    assert translated(line) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{{.Name}}", "{{ '{{' }}.Name}}"),
        ("{% if %} {# note", "{{ '{%' }} if %} {{ '{#' }} note"),
        ("a { b", "a { b"),
        ("line\r\n", "line{{ '\\r' }}\n"),
    ],
)
def test_literal_text_survives(text: str, value: str) -> None:
    assert translate_text(Literal(value=text), Scope()) == value


def test_text_in_templates_needs_no_escapes_in_toml() -> None:
    """A TOML string with Jinja's single quotes contains no backslashes."""
    text = translated('TAG != "" ? "a" : "b"')
    assert toml_value(text) == "\"{{ 'a' if tag else 'b' }}\""
    assert tomllib.loads(f"a = {toml_value(text)}") == {"a": text}


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('concat(["a"], FULL ? ["b"] : [])', ["a", "{{ 'b' if full }}"]),
        ('compact(["a", TAG])', ["a", "{{ tag }}"]),
        (
            'flatten([["a"], FULL ? [] : ["b", "c"], TAG])',
            ["a", "{{ 'b' if not full }}", "{{ 'c' if not full }}", "{{ tag }}"],
        ),
        ('FULL ? ["a"] : ["b"]', ["{{ 'a' if full else 'b' }}"]),
        ('concat(names, ["a"])', "{{ names + ['a'] }}"),
        ('flatten([names, "a"])', "{{ [names, 'a'] | flatten }}"),
        ('FULL ? ["a", "b"] : ["c"]', "{{ ['a', 'b'] if full else ['c'] }}"),
        ("FULL ? [names] : []", "{{ [names] if full else [] }}"),
    ],
)
def test_a_list_whose_items_can_be_missing(line: str, values: Any) -> None:
    assert translate_value(sparse_list(read_expression(line), SCOPE), SCOPE) == values


@pytest.mark.parametrize("name", ["not", "in", "is", "loop", "none", "true", "self", "if", *sorted(RESERVED)])
def test_words_of_templates_get_another_name(name: str) -> None:
    assert template_name(name) == f"{name}_"


def test_a_name_is_a_word_that_is_not_taken() -> None:
    assert template_name("php-version") == "php_version"
    assert template_name("7zip") == "_7zip"
    assert template_name("tag", ["tag", "tag_2"]) == "tag_3"


def test_a_reference_to_a_target_stands_for_its_expression() -> None:
    scope = Scope(
        names={"TAG": Bound(name="tag", type=STRING)},
        targets={"base": {"args": read_expression('{ VERSION = "v${TAG}" }'), "context": Literal(value="app")}},
    )
    assert translate_value(read_expression('"x-${target.base.args.VERSION}"'), scope) == "x-v{{ tag }}"
    assert translate_value(read_expression("target.base.context"), scope) == "app"
    assert translate_value(read_expression("target.base.args"), scope) == {"VERSION": "v{{ tag }}"}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("MISSING", 'there is no variable "MISSING"'),
        ('nonsense("a")', "the plan language has no nonsense"),
        ("uuidv4()", "uuidv4: its result is random"),
        ("target.base.tags", "a plan cannot refer to target.base.tags"),
        ("split(TAG)", "split: the number of arguments is wrong"),
        ("N / 2", "templates write the result of a division in another way than bake"),
    ],
)
def test_the_reason_why_an_expression_has_no_form(line: str, reason: str) -> None:
    with pytest.raises(Untranslatable) as caught:
        translated(line)
    assert caught.value.reason == reason


def test_the_reason_names_the_innermost_expression() -> None:
    with pytest.raises(Untranslatable) as caught:
        translated('"a-${upper(MISSING)}"')
    assert caught.value.expression == Name(name="MISSING")


def test_hints_of_templates_and_the_table_name_the_same_functions() -> None:
    """Each function for which a template gives a hint is a function that the import knows."""
    special = {"can", "try", "index", "abs", "dict", "tostring", "strrev"}
    assert set(FUNCTIONS) - special <= set(STANDARD_LIBRARY)


def test_every_function_has_a_form_or_a_reason() -> None:
    for name, function in STANDARD_LIBRARY.items():
        assert bool(function.form) + bool(function.write) + bool(function.reason) == 1, name
    assert isinstance(read_expression("upper(TAG)"), Call)
