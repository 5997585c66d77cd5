"""The rendering and validation of whole values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.codes import Code
from mpbake.resolve.names import key_below
from mpbake.resolve.template import Renderer
from mpbake.resolve.values import ValueRenderer, drop_absent
from mpbake.spec.problem import Problem
from mpbake.spec.tables.builder_tables import BuilderSpec
from mpbake.spec.tables.target_tables import TargetSpec
from tests.unit.plans import problems_of_text, target_of_text, text

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath

SCOPE = {"tag": "1.2", "all": ["a", "b"], "no": ""}
WHERE = key_below("targets", "web")


def value_renderer() -> ValueRenderer:
    return ValueRenderer(templates=Renderer(), problems=[])


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("v{{ tag }}", "v1.2"),
        (5, 5),
        (True, True),
        (["{{ tag }}", "x", "{{ no }}", "", "{% if no %}y{% endif %}"], ["1.2", "x", "", "", ""]),
        ("{{ all }}", ["a", "b"]),
        (["{{ all }}"], [["a", "b"]]),
        ({"A": "{{ tag }}", "{{ tag }}": "{{ no }}"}, {"A": "1.2", "{{ tag }}": ""}),
        ([["{{ no }}", ["{{ tag }}"]], 0, False], [["", ["1.2"]], 0, False]),
        ({}, {}),
    ],
)
def test_a_value_is_filled_in_all_the_way_down(value: object, rendered: object) -> None:
    renderer = value_renderer()
    assert renderer.render(value, SCOPE, WHERE) == rendered
    assert not renderer.problems


def test_what_is_empty_in_a_list_means_nothing() -> None:
    assert drop_absent({"a": ["", "x", ["", {"b": [""], "c": ""}]], "d": ""}) == {
        "a": ["x", [{"b": [], "c": ""}]],
        "d": "",
    }


def test_every_template_that_fails_has_its_key() -> None:
    renderer = value_renderer()
    value = {"tags": ["a", "{{ x }}"], "args": {"A": "{{ y }}"}, "context": "{{ 1 / 0 }}"}
    assert renderer.render(value, SCOPE, WHERE) == {"tags": ["a", ""], "args": {"A": ""}, "context": ""}
    hint = "known variables: all, no, tag"
    assert renderer.problems == [
        Problem(
            code=Code.UNDEFINED_VARIABLE,
            key=("targets", "web", "tags", 1),
            message='unknown variable "x"',
            hint=hint,
            culprit="x",
        ),
        Problem(
            code=Code.UNDEFINED_VARIABLE,
            key=("targets", "web", "args", "A"),
            message='unknown variable "y"',
            hint=hint,
            culprit="y",
        ),
        Problem(
            code=Code.TEMPLATE_FAILED,
            key=("targets", "web", "context"),
            message="the template cannot be rendered: division by zero",
        ),
    ]


@pytest.mark.parametrize(("depth", "problems"), [(49, []), (50, ["nested too deeply"]), (300, ["nested too deeply"])])
def test_how_deep_a_value_may_be(depth: int, problems: list[str]) -> None:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    renderer = value_renderer()
    renderer.render({"matrix": value}, {}, WHERE)
    assert [problem.message for problem in renderer.problems] == problems
    assert {problem.key for problem in renderer.problems} <= {("targets", "web", "matrix", 0)}


def test_a_table_is_checked_without_leave_for_templates() -> None:
    renderer = value_renderer()
    table = renderer.validated(TargetSpec, {"context": "{{ no longer a template }}", "push": True}, WHERE)
    assert table.written() == {"context": "{{ no longer a template }}", "push": True}
    assert not renderer.problems


def test_a_wrong_table_becomes_an_empty_one() -> None:
    renderer = value_renderer()
    table = renderer.validated(
        BuilderSpec, {"driver": "{{", "nodes": {"a": {"platforms": 7}}}, key_below("builders", "x")
    )
    assert table.written() == {}
    assert renderer.problems == [
        Problem(
            code=Code.UNKNOWN_DRIVER,
            key=("builders", "x", "driver"),
            message='unknown value "{{"',
            hint="known values: docker, docker-container, kubernetes, remote",
        ),
        Problem(
            code=Code.WRONG_TYPE,
            key=("builders", "x", "nodes", "a", "platforms"),
            message="must be a list in square brackets, not a number",
        ),
    ]


@pytest.mark.parametrize("key", [("targets", "web", "push"), ("targets", "web", "tags", 0)])
def test_what_has_been_complained_of_is_not_complained_of_again(key: KeyPath) -> None:
    renderer = value_renderer()
    renderer.problems.append(Problem(code=Code.WRONG_TYPE, key=key, message="earlier"))
    renderer.validated(TargetSpec, {"push": "", "tags": ["A"]}, WHERE)
    assert [problem.key for problem in renderer.problems].count(key) == 1
    assert len(renderer.problems) == 2


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('context = "{{ (1, 2) }}"', "context: must be text in quotes, not something else"),
        ("context = \"{{ [1] | map('string') }}\"", "context: must be text in quotes, not a list"),
        ('context = "{{ 1 == 1 and [] }}"', "context: must be text in quotes, not a list"),
        ('push = "{{ 1 }}"', "push: must be true or false, not a number"),
        ("push = \"{{ 'true' }}\"", "push: must be true or false, not text"),
        ('push = "{{ true }}!"', "push: must be true or false, not text"),
        ('platforms = ["{{ 5 }}"]', "platforms[0]: must be text in quotes, not a number"),
        (
            'platforms = ["x{{ 5 }}"]',
            'platforms[0]: "x5" is not a platform: write os/architecture[/variant], such as linux/arm64',
        ),
        ("tags = \"{{ 'web' }}\"", "tags: must be a list in square brackets, not text"),
        ('tags = ["{{ [1] }}"]', "tags[0]: must be text in quotes, not a list"),
        ('args = "{{ [] }}"', "args: must be a table, not a list"),
        ('args = { A = "{{ {} }}" }', "args.A: must be text in quotes, not a table"),
        (
            "platforms = [\"{{ 'arm' }}\"]",
            'platforms[0]: "arm" is not a platform: write os/architecture[/variant], such as linux/arm64',
        ),
        (
            "tags = [\"{{ '{{' }}\"]",
            'tags[0]: "{{" is not an image name: write [registry/]repository[:tag], the repository in lower case',
        ),
        (
            "secret = ['''{{ '\"x' }}''']",
            'secret[0]: ""x" is not a list of key=value fields separated by commas',
        ),
        ('push = "{{ nope }}"', 'push: unknown variable "nope"\n  = there are no variables'),
        ('tags = "{{ [nope] }}"', 'tags: unknown variable "nope"\n  = there are no variables'),
    ],
)
def test_a_template_that_gives_the_wrong_thing(written: str, problem: str) -> None:
    message, _, hint = problem.partition("\n")
    expected = f"build.toml:3: targets.web.{message}\n    {written}" + (f"\n{hint}" if hint else "")
    assert problems_of_text(f"\n[targets.web]\n{written}") == expected


def test_numbers_and_booleans_of_an_expression_become_text() -> None:
    target = target_of_text("""
        [variables]
        n = 7
        [targets.web]
        args = { N = "{{ n }}", D = "{{ n > 3 }}", F = "{{ n / 2 }}", S = "{{ '8.10' }}", J = "{{ [n] | tojson }}" }
        """)
    assert target.attributes["args"] == {"N": "7", "D": "true", "F": "3.5", "S": "8.10", "J": "[7]"}


def test_a_problem_stands_where_the_value_is_inherited_from() -> None:
    assert problems_of_text("""
        [targets._image]
        labels = { a = "{{ nope }}", b = "b" }
        push = "{{ 1 }}"
        [targets.web]
        inherits = ["_image"]
        labels = { b = "b" }
        [targets.db]
        inherits = ["_image"]
        """) == text("""
        build.toml:3: targets._image.labels.a: unknown variable "nope"
            labels = { a = "{{ nope }}", b = "b" }
          = there are no variables
        build.toml:4: targets._image.push: must be true or false, not a number
            push = "{{ 1 }}"
        """)
