"""Functions of a plan as values that templates can call."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.codes import Code
from mpbake.resolve.template import Function, Renderer, TemplateProblem
from mpbake.resolve.template.functions import bind

FUNCTION = Function(name="f", params=("a", "b"), defaults={"b": ["x", 1]}, variadic="rest", result="{{ [a, b, rest] }}")


def test_the_form_of_a_call() -> None:
    assert FUNCTION.shown() == 'f(a, b=["x", 1], *rest)'
    assert Function(name="g").shown() == "g()"


@pytest.mark.parametrize(
    ("call", "values"),
    [
        ("f(1)", [1, ["x", 1], []]),
        ("f(1, 2, 3, 4)", [1, 2, [3, 4]]),
        ("f(b=2, a=1)", [1, 2, []]),
        ("f(*[1, 2])", [1, 2, []]),
        ("f(**{'a': 1})", [1, ["x", 1], []]),
        ("1 | f(2)", [1, 2, []]),
        ("'ab' | map('upper') | f", [["A", "B"], ["x", 1], []]),
    ],
)
def test_arguments_become_values_of_parameters(call: str, values: list[Any]) -> None:
    renderer = Renderer()
    renderer.define(FUNCTION)
    assert renderer.render(f"{{{{ {call} }}}}", {}) == values


def test_wrong_arguments_are_a_problem_of_their_own() -> None:
    renderer = Renderer()
    renderer.define(FUNCTION)
    with pytest.raises(TemplateProblem) as caught:
        renderer.render("{{ f() }}", {})
    assert (caught.value.code, caught.value.culprit) == (Code.WRONG_ARGUMENTS, "f")
    assert bind(FUNCTION, FUNCTION.signature(), [1], {}).arguments == {"a": 1}


def test_a_function_sees_the_variables_that_it_depends_on() -> None:
    renderer = Renderer()
    renderer.define(Function(name="f", result="{{ x is defined }}{{ y is defined }}"), ["x"])
    assert renderer.render("{{ f() }}", {"x": 1, "y": 1}) == "truefalse"


@pytest.mark.parametrize(
    ("text", "functions"),
    [
        ("plain f", set()),
        ("{{ f(1) }}", {"f"}),
        ("{{ 1 | f }}{{ g() }}", {"f", "g"}),
        ("{{ [1] | map('f') }}", {"f"}),
        ("{{ [1] | map(name) }}", {"f", "g"}),
        ("{{ [1] | map(*names) }}", {"f", "g"}),
        ("{{ [1] | map(attribute='f') }}", set()),
        ("{{ [f(x) for x in [g() for y in z]] }}", {"f", "g"}),
        ("{% filter f %}{% endfilter %}", {"f"}),
        ("{{ f( }}", {"f"}),
        ("{{ x.f }}", set()),
    ],
)
def test_the_functions_that_a_text_calls(text: str, functions: set[str]) -> None:
    renderer = Renderer()
    renderer.define(FUNCTION)
    renderer.define(Function(name="g"), ["v"])
    assert renderer.called([text]) == functions
    assert ("v" in renderer.names(text)) is ("g" in functions)


def test_the_words_that_point_to_a_variable() -> None:
    renderer = Renderer()
    renderer.define(FUNCTION)
    assert renderer.words_for(["v"]) == {"v"}
    renderer.define(Function(name="g"), ["v"])
    assert renderer.words_for(["v"]) == {"v", "g", "map"}
    assert renderer.words_for([]) == frozenset()
