"""The limits of the sandbox: no access to Python, and bounded time and memory."""

from __future__ import annotations

import itertools
import resource
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.base.codes import Code
from mpbake.resolve.template import Function, PlanLimits, PlanTooLargeError, Renderer, TemplateProblem
from mpbake.resolve.template.budget import Budget
from tests.unit.resolve.template.scope import SCOPE

ESCAPES = [
    "{{ tag.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ platforms | map(attribute='__class__') | list }}",
    "{{ platforms | attr('__class__') }}",
    "{{ tag['__class__'] }}",
    "{{ '{0.__class__}'.format(tag) }}",
    "{{ ('{0.__cl' ~ 'ass__}').format(tag) }}",
    "{{ '{x.__class__}'.format_map({'x': tag}) }}",
    "{{ tag.format.__globals__ }}",
    "{{ range.__globals__ }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{% set x = tag.__class__ %}{{ x }}",
    "{% for x in [tag.__class__] %}{{ x }}{% endfor %}",
    "{% macro m() %}{{ varargs.__class__ }}{% endmacro %}{{ m(1) }}",
    "{{ platforms.append(1) }}",
    "{{ platforms.pop() }}",
    "{{ row.update({'a': 1}) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}{{ os }}",
    "{% extends 'x' %}",
    "{{ lipsum.__globals__ }}",
    "{{ cycler }}",
    "{{ joiner }}",
    "{{ namespace() }}",
    "{{ dict(a=1) }}",
    "{{ environment }}",
    "{{ open('/etc/passwd') }}",
    "{{ platforms | random }}",
    "{{ tag | urlize }}",
    "{{ row | xmlattr }}",
    "{{ row | pprint }}",
    "{{ git._ask }}",
    "{{ git._told }}",
    "{{ git['_ask'] }}",
    "{{ git | attr('_ask') }}",
    "{{ git.__init__ }}",
    "{{ git.__getattr__('commit') }}",
    "{{ timestamp.__globals__ }}",
    "{{ timestamp.__self__ }}",
    "{{ ('1.2.3' | semver)._rank }}",
    "{{ ('1.2.3' | semver).__class__ }}",
    "{{ ('1.2.3-{0}' | semver) }}",
    # comprehensions and functions of the plan
    "{{ [x.__class__ for x in platforms] }}",
    "{{ [x for x in platforms.__class__.__mro__] }}",
    "{{ {x: x['__class__'] for x in platforms} }}",
    "{{ [x.append(1) for x in [platforms]] }}",
    "{{ comprehend(0, {}) }}",
    "{{ collect(1) }}",
    "{{ image }}",
    "{{ [image] }}",
    "{{ image.__call__('a') }}",
    "{{ image._evaluate.__globals__ }}",
    "{{ image._function.result }}",
    "{{ (image | attr('_evaluate')).__self__ }}",
    "{{ '%s' % image }}",
    "{{ '{0._evaluate}'.format(image) }}",
    "{{ inside('__class__') }}",
    "{{ ['__class__'] | map('inside') | list }}",
    "{{ [1] | map('append') }}",
    "{{ 'a' | regex_search.__globals__ }}",
]


def renderer_with_functions() -> Renderer:
    """Return a renderer with functions: one passes values on, and one reads an attribute of a list."""
    renderer = Renderer()
    renderer.define(Function(name="image", params=("name",), result="{{ name }}"))
    renderer.define(Function(name="inside", params=("name",), result="{{ [] | attr(name) }}{{ [][name] }}"))
    renderer.define(Function(name="twice", params=("x",), result="{{ x ~ x }}"))
    renderer.define(Function(name="pair", params=("x",), result=["{{ x }}", "{{ x }}"]))
    renderer.define(Function(name="level0", result="{{ 'a' * 100000 }}"))
    for level in range(40):
        renderer.define(Function(name=f"level{level + 1}", result=f"{{{{ level{level}() ~ level{level}() }}}}"))
        renderer.define(Function(name=f"calls{level + 1}", result=f"{{{{ calls{level}() + calls{level}() }}}}"))
    renderer.define(Function(name="calls0", result="{{ 1 }}"))
    renderer.define(Function(name="endless", result="{{ endless() }}"))
    return renderer


@pytest.mark.parametrize("template", ESCAPES)
def test_a_template_cannot_leave_its_box(template: str) -> None:
    before = repr(SCOPE)
    for text in (template, f"text around {template}"):
        with pytest.raises(TemplateProblem):
            renderer_with_functions().render(text, SCOPE)
    assert repr(SCOPE) == before


_MANY = PlanLimits(work=10**10)
"""Limits of a plan that a single template cannot reach."""
_ROUNDS = "the template cannot be rendered: more than 100000 rounds of loops are not allowed"
_WIDTH = "the template cannot be rendered: a width of this many digits is not allowed"
_TEXTS = "the template cannot be rendered: texts this long are not allowed here"


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ 'a' * 1000001 }}", "the template cannot be rendered: a repetition this long is not allowed"),
        ("{{ 1000001 * 'a' }}", "the template cannot be rendered: a repetition this long is not allowed"),
        ("{{ platforms * 1000000 }}", "the template cannot be rendered: a repetition this long is not allowed"),
        ("{{ 2 ** 65 }}", "the template cannot be rendered: a power this large is not allowed"),
        ("{{ 2 ** -65 }}", "the template cannot be rendered: a power this large is not allowed"),
        ("{{ 10 ** 7 ** 2 }}", "the template cannot be rendered: a power this large is not allowed"),
        ("{{ 'a' ** 2 }}", "the template cannot be rendered: bad operand type for abs(): 'str'"),
        ("{{ 'a' * 600000 }}{{ 'a' * 600000 }}", "the template renders to more than 1000000 characters"),
        ("{{ 'a'.ljust(1000001) }}", "the template cannot be rendered: a number this large is not allowed here"),
        ("{{ 'a' | center(1000001) }}", "the template cannot be rendered: a number this large is not allowed here"),
        ("{{ 'a'.ljust(1000000) }}{{ 'a' }}", "the template renders to more than 1000000 characters"),
        ("{% for i in range(99999) %}{% for j in range(9) %}{% endfor %}{% endfor %}", _ROUNDS),
        (
            "{% for i in range(99) %}{{ 'a' * 99999 }}{% endfor %}",
            "the template renders to more than 1000000 characters",
        ),
        ("{{ '%999999d' | format(1) }}", _WIDTH),
        ("{{ '%999999d' % 1 }}", _WIDTH),
        ("{{ '{:999999}'.format(1) }}", _WIDTH),
        ("{{ ('a' * 90000) | replace('a', 'b' * 90000) }}", _TEXTS),
        ("{{ ('a' * 90000).replace('a', 'b' * 90000) }}", _TEXTS),
        ("{{ range }}", "the template cannot be rendered: a function is not a value: it must be called"),
        ("{{ timestamp }}", "the template cannot be rendered: a function is not a value: it must be called"),
        ("{{ range(99999) | map('string') | map('center', 99999) }}", _TEXTS),
        (
            "{{ range(100001) }}",
            (
                "the template cannot be rendered: Range too big. The sandbox blocks ranges larger than"
                " MAX_RANGE (100000)."
            ),
        ),
        (
            "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
            "the template cannot be rendered: maximum recursion depth exceeded",
        ),
    ],
)
def test_a_template_cannot_grow_without_bound(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, SCOPE)
    assert str(caught.value).startswith(problem)


def doubled(first: str, step: str, end: str) -> str:
    """Return a template in which x starts as `first` and is replaced forty times by `step`, an expression of x."""
    names = [f"x{number}" for number in range(41)]
    steps = (f"{{% set {name} = {step.replace('x', last)} %}}" for last, name in itertools.pairwise(names))
    return f"{{% set x0 = {first} %}}{''.join(steps)}{end.replace('x', 'x40')}"


BOMBS = [
    # repeated doubling
    doubled("'a'", "x ~ x", "{{ x | length }}"),
    doubled("'a'", "x + x", "{{ x | length }}"),
    doubled("[1]", "x + x", "{{ x | length }}"),
    doubled("(1,)", "x + x", "{{ x | length }}"),
    doubled("2", "x * x", "{{ x > 1 }}"),
    doubled("'a'", "'%s%s' % (x, x)", "{{ x | length }}"),
    doubled("'a'", "'{0}{0}'.format(x)", "{{ x | length }}"),
    doubled("'a'", "[x, x] | join", "{{ x | length }}"),
    doubled("'aa'", "x.replace('a', 'aa')", "{{ x | length }}"),
    *(
        doubled("[1]", "[x, x]", end)
        for end in ("{{ x }}", "{{ x | string }}", "{{ x | format }}", "{{ x ~ '' }}", "{{ x | tojson }}")
    ),
    doubled("[1]", "{'a': x, 'b': x}", "{{ x.values() }}"),
    doubled("[1]", "{'a': x, 'b': x}", "{{ x == x.values() | string }}"),
    "{% set x %}aaaaaaaaaa{% endset %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 40 + "{{ x | length }}",
    "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    # loops
    "{% for i in [1] * 90000 %}{% for j in [1] * 90000 %}{% endfor %}{% endfor %}",
    "{% for i in 'a' * 90000 %}{% for j in 'a' * 90000 %}{% endfor %}{% endfor %}",
    "{% for i in [[1] * 999] * 999 recursive %}{{ loop(i) if i is iterable else 1 }}{% endfor %}",
    "{% for i in range(90000) %}{% set x = ('a' * 999999) | sha256 %}{% endfor %}",
    "{% for i in range(90000) %}{% set x = ('a' * 999999)[1:] %}{% endfor %}",
    "{% set x = [1] * 9999 %}{% set y %}{% for i in range(90000) %}{{ x }}{% endfor %}{% endset %}",
    # widths
    "{{ '%(n)999999999d' % {'n': 1} }}",
    "{{ '%((n))999999999d' % {'(n)': 1} }}",
    "{{ '%(n)999999999d' | format(n=1) }}",
    "{{ '%*d' % (999999999, 1) }}",
    "{{ '%.999999999f' % 1 }}",
    "{{ '%.*f' % (999999999, 1) }}",
    "{{ '{n:999999999}'.format(n=1) }}",
    "{{ '{n:999999999}'.format_map({'n': 1}) }}",
    "{{ '{0!s:>999999999}'.format(1) }}",
    "{{ '{:{}}'.format('a', 999999999) }}",
    "{{ '{:\u0669\u0669\u0669\u0669\u0669}'.format(1) }}",
    "{{ ('{0:9999}' * 90000).format(1) | length }}",
    "{{ ('%9999d' * 90000) % (range(90000) | list) }}",
    "{{ ('\\n' * 500000) | indent(999999) }}",
    "{{ 1.5 | round(99999999, 'ceil') }}",
    "{{ (5).to_bytes(999999999, 'big') | length }}",
    # many copies of a long text
    "{{ ([''] * 99999) | join('a' * 999999) | length }}",
    "{{ ('a' * 999999).join([''] * 99999) | length }}",
    "{{ (['a' * 999999] * 99999) | join | length }}",
    "{{ ('{0}' * 99999).format('a' * 999999) | length }}",
    "{{ ('a' * 999999).translate({97: 'b' * 999999}) | length }}",
    "{{ range(99999) | map('center', 99999) | list | length }}",
    "{{ range(99999) | map('center', 99999) }}",
    "{{ ('f' * 999999) | int(0, 16) }}",
    # much work in one call, repeated
    "{% for i in range(99999) %}{% set x = range(99999) | map('abs') | sum %}{% endfor %}",
    "{% for i in range(99999) %}{% set x = range(99999) | unique | list %}{% endfor %}",
    "{% for i in range(99999) %}{% set x = range(99999) | sort %}{% endfor %}",
    "{% for i in range(99999) %}{{ loop.cycle(*range(99999)) }}{% endfor %}",
    "{% macro m() %}{{ varargs | length }}{% endmacro %}{% for i in range(99999) %}{{ m(*range(99999)) }}{% endfor %}",
    "{% for i in range(99999) %}{% set x = ('a b' * 300000) | title %}{% endfor %}",
    f"{{{{ range(0, {99999 * (2**61 - 1)}, {2**61 - 1}) | unique | list | length }}}}",
    # lazy sequences
    "{{ range(99999) | batch(1) | sum(start=[]) }}",
    "{{ range(99999) | batch(1) | map('list') | sum(start=[]) | length }}",
    "{{ range(99999) | map('string') | join('a' * 999999) | length }}",
    "{{ ('a' * 999999).join(range(99999) | map('string')) | length }}",
    "{{ range(99999) | map(attribute='nope', default=[1] * 1000) | sort | length }}",
    # comparisons and searches
    "{% set L = range(99999) | map('string') | list %}{% for i in range(99000) if 'x' in L %}{{ i }}{% endfor %}",
    "{% set L = range(99999) | list %}{% for i in range(99000) %}{% set x = 'x' not in L %}{% endfor %}",
    "{% for i in range(99000) %}{% set x = 'x' in range(99999) %}{% endfor %}",
    "{% for i in range(99000) %}{% set x = 'x' is in range(99999) %}{% endfor %}",
    "{% for i in range(99000) %}{% set x = 'x' in range(99999) | map('abs') %}{% endfor %}",
    "{{ range(99999) | select('in', range(99999) | map('string') | list) | list | length }}",
    "{% set x = [1] * 9999 %}{% set y = [1] * 9999 %}{% for i in range(99999) %}{% if x == y %}{% endif %}{% endfor %}",
    doubled("[1]", "[x, x]", "") + doubled("[1]", "[x, x]", "").replace("x", "y") + "{{ x40 == y40 }}",
    "{% for i in range(99999) %}{% set x = {1: 1}.keys() - range(99999) %}{% endfor %}",
    # time that grows quadratically with the length of a text
    "{{ ('a' * 1000000) | wordwrap(1) }}",
    "{{ ('-' * 1000000) | wordwrap(80) }}",
    "{{ ('<>' * 500000) | striptags }}",
    "{% for i in range(99999) %}{% set x = ('<>' * 5000) | striptags %}{% endfor %}",
    "{% for i in range(99999) %}{% set x = ('{}' * 90000).format(*range(90000)) %}{% endfor %}",
    # large numbers
    "{{ ('f' * 1000000) | int(base=16) // ('f' * 500000) | int(base=16) }}",
    "{{ ('f' * 1000000) | int(base=16) is odd }}",
    "{{ (1).from_bytes(('a' * 1000000).encode(), 'big') is odd }}",
    "{% for i in range(99999) %}{% set x = 1 | round(1000000, 'ceil') %}{% endfor %}",
    # comprehensions
    "{{ [i for i in range(90000) for j in range(90000)] }}",
    "{{ [[j for j in range(99999)] for i in range(99999)] | length }}",
    "{{ ['a' * 999999 for i in range(99999)] | length }}",
    "{{ {i: 'a' * 999999 for i in range(99999)} | length }}",
    "{{ [range(99999) | map('string') for i in range(99999)] | length }}",
    doubled("[1]", "[y for y in [x, x]]", "{{ x }}"),
    doubled("[1]", "{1: x, 2: x}", "{{ {y: x for y in [1]} }}"),
    # functions of the plan
    "{{ level40() | length }}",
    "{{ calls40() }}",
    "{{ [level0() for i in range(99999)] | length }}",
    "{{ [calls10() for i in range(99999)] | length }}",
    "{% for i in range(99999) %}{{ level5() | length }}{% endfor %}",
    doubled("'a'", "twice(x)", "{{ x | length }}"),
    doubled("[1]", "pair(x)", "{{ x }}"),
    # filters for lists, tables and JSON
    doubled("[1]", "[x, x]", "{{ x | flatten | length }}"),
    doubled("[1]", "[x, x]", "{{ x | json | length }}"),
    doubled("{'a': 1}", "{'a': x, 'b': x}", "{{ x | json | length }}"),
    "{{ ('[' ~ '[],' * 300000 ~ '1]') | from_json | length }}",
    "{{ [('[' ~ '1,' * 90000 ~ '1]') | from_json for i in range(99999)] | length }}",
    "{{ [range(99999) | zip(range(99999)) for i in range(99999)] | length }}",
    "{{ [('a,' * 99999) | split(',') for i in range(99999)] | length }}",
    "{{ ('a' * 99999) | replace('a', 'b' * 999999) | md5 }}",
    # regular expressions
    "{{ ('a' * 99999) | regex_findall('a.*b|a') | length }}",
    "{{ ('a' * 99999) | regex_replace('a', 'b' * 99999) | length }}",
    "{% for i in range(99999) %}{% set x = ('a' * 99999) | regex_search('(((a{10}){10}){9}b?c)') %}{% endfor %}",
    "{% for i in range(99999) %}{% set x = 'a' | regex_search('a' ~ i ~ '[^b]{900}') %}{% endfor %}",
    "{{ range(99999) | map('string') | map('regex_replace', '^', 'x' * 99999) | join | length }}",
]


@pytest.mark.parametrize("template", BOMBS)
def test_a_template_cannot_eat_the_machine(template: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateProblem) as caught:
        renderer_with_functions().render(template, {})
    assert caught.value.code is Code.TEMPLATE_SANDBOX
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 300_000_000


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ ('{' * 1000000) | length }}", 1_000_000),
        ("{{ '100%%(20261124) %(n)5d|' % {'n': 1} }}", "100%(20261124)     1|"),
        ("{{ '20261124 {:>5}|{{20261124}}'.format(1) }}", "20261124     1|{20261124}"),
        ("{{ 2 ** 64 * 2 ** 64 }}", 2**128),
        ("{% for i in range(99999) %}{% endfor %}", ""),
        ("{{ range(30000) | map('string') | join(',') | length }}", 168_889),
        ("{{ range(9999) | batch(10) | map('first') | list | length }}", 1000),
        ("{{ range(20000) | map('string') | list | length }}", 20_000),
        ("{{ range(99999) | sum }}", 4_999_850_001),
        ("{{ [[1], [2, 3]] | sum(start=[]) }}", [1, 2, 3]),
        ("{{ [{'a': 1.5}, {'a': 2}] | sum(attribute='a') }}", 3.5),
        ("{{ ['1.0.0', 'no version'] | map('semver') | first }}", "1.0.0"),
        ("{{ ('word ' * 20000) | wordwrap(20) | length }}", 99_999),
        ("{{ 3 in range(5) | map('abs') and 1 < 2 <= 2 == 2.0 != 'a' }}", True),
        ("{% for i in range(9) if i is in [1, 2] and i in range(2) %}{{ i }}{% endfor %}", "1"),
        ("{{ ('ff' | int(base=16)) // 2 % 5 - 1 }}", 1),
    ],
)
def test_what_looks_like_much_and_is_not(template: str, value: object) -> None:
    assert Renderer().render(template, {}) == value


def test_a_function_that_calls_itself_ends() -> None:
    """`define_functions` reports such a function, and does not define it."""
    with pytest.raises(TemplateProblem, match=r'in the function "endless": .*maximum recursion depth exceeded'):
        renderer_with_functions().render("{{ endless() }}", {})


def test_a_function_cannot_change_its_arguments() -> None:
    renderer = Renderer()
    renderer.define(Function(name="change", params=("x",), result="{{ x.append(1) }}"))
    scope = {"x": [0]}
    with pytest.raises(TemplateProblem, match='in the function "change": '):
        renderer.render("{{ change(x) }}", scope)
    assert scope == {"x": [0]}


PARTS = st.sampled_from(
    [
        "image",
        "twice",
        "pair",
        "a",
        "'__class__'",
        "'a'",
        "7",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "|",
        ".",
        ",",
        ":",
        "~",
        "for",
        "in",
        "if",
        "else",
        "x",
        "attr",
        "map",
        "'image'",
        "__class__",
        "_evaluate",
        "*",
        "flatten",
        "json",
    ]
)


@given(st.lists(PARTS, max_size=14).map(" ".join))
@settings(max_examples=500)
def test_no_combination_reaches_python_or_crashes(expression: str) -> None:
    renderer = renderer_with_functions()
    scope: dict[str, Any] = {"a": [1, "b"], "x": {"k": "v"}}
    before = repr(scope)
    for text in (f"{{{{ {expression} }}}}", f"-{{{{ {expression} }}}}"):
        renderer.names(text)
        try:
            result = renderer.render(text, scope)
        except TemplateProblem:
            continue
        assert set(map(type, contents(result))) <= {str, int, float, bool, type(None), list, dict, tuple}
        assert " object at 0x" not in str(result)
    assert repr(scope) == before


def contents(value: Any) -> list[Any]:
    """Return a value and, at any depth, all values in it."""
    match value:
        case dict():
            return [value, *(inner for item in (*value.keys(), *value.values()) for inner in contents(item))]
        case list() | tuple():
            return [value, *(inner for item in value for inner in contents(item))]
        case _:
            return [value]


def test_tables_that_refer_to_one_another_again_and_again() -> None:
    renderer = Renderer(limits=_MANY)
    scope: dict[str, Any] = {"x": [1]}
    for _ in range(15):
        scope["x"] = renderer.render("{{ [x, x] }}", scope)
    with pytest.raises(TemplateProblem, match=_TEXTS):
        renderer.render("{{ [x] * 1000 }}", scope)


def test_exactly_a_million_characters_are_allowed() -> None:
    assert len(Renderer().render("{{ 'a' * 1000000 }}", SCOPE)) == 1_000_000


@pytest.mark.parametrize(
    "template",
    [
        "{% for x in [1] %}" * 30 + "{% endfor %}" * 30,
        "{{ " + "[" * 250 + "]" * 250 + " }}",
        "{{ " + "[" * 5000 + "]" * 5000 + " }}",
        "{{ " + "not " * 5000 + "1 }}",
        "{{ " + "n + " * 5000 + "1 }}",
        "{{ 0" + "9" * 5000 + " }}",
        f"{{{{ 0x{'f' * 900_000} // 0x{'f' * 400_000} }}}}",
        f"{{{{ 0x{'f' * 900_000} % 0x{'f' * 400_000} }}}}",
        f"{{{{ 0x{'f' * 900_000} is divisibleby 0x{'f' * 400_000} }}}}",
    ],
)
def test_deep_nesting_is_a_problem_not_a_crash(template: str) -> None:
    with pytest.raises(TemplateProblem, match="the template cannot be rendered: "):
        Renderer(limits=_MANY).render(template, SCOPE)


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ 20261124 | string }}", "20261124"),
        ("{{ '{}'.format(20261124) }}", "20261124"),
        ("{{ '%03d' % 5 }}", "005"),
        ("{{ 'x' | center(5) }}", "  x  "),
        ("{% for i in range(3) %}{% for j in range(3) %}{{ i * j }}{% endfor %}{% endfor %}", "000012024"),
    ],
)
def test_what_is_not_huge_is_allowed(template: str, value: str) -> None:
    renderer = Renderer()
    assert [renderer.render(template, {}) for _ in range(2)] == [value, value]


def test_each_rendering_may_loop_anew() -> None:
    renderer = Renderer()
    for number in range(3):
        assert renderer.render(f"{{{{ range(60000) | length + {number} }}}}", {}) == 60000 + number


# --- the budget of a plan ---------------------------------------------------------------------------------------------


def test_all_templates_of_a_plan_share_a_budget() -> None:
    renderer = Renderer(limits=PlanLimits(work=20_000_000))
    assert renderer.render("{{ 'a' * 900000 ~ 1 }}", SCOPE).endswith("a1")
    texts = (renderer.render("{{ 'a' * 900000 ~ n }}", {"n": number}) for number in range(20))
    with pytest.raises(PlanTooLargeError, match="the templates of this plan take too much work"):
        list(texts)


def test_small_templates_and_their_renderings_are_free() -> None:
    renderer = Renderer(limits=PlanLimits(work=1))
    for number in range(1000):
        assert renderer.render("{{ n | string | replace('1', 'x') | upper }}-{{ n + 1 }}", {"n": number})


def test_the_source_of_long_templates_counts() -> None:
    renderer = Renderer(limits=PlanLimits(work=100_000))
    assert renderer.render("{{ 1 + 1 }}" * 18, SCOPE) == "2" * 18
    with pytest.raises(PlanTooLargeError):
        renderer.render("{{ 1 + 1 }}" * 40, SCOPE)
    with pytest.raises(PlanTooLargeError):
        renderer.names("{{ 1 + a }}" * 40)


@pytest.mark.parametrize(
    ("value", "size"),
    [("a" * 9, 9), ("\u00e4" * 9, 36), ([], 0), (["a", ["b"]], 16 * 3 + 2), ({"key": "value"}, 16 + 8), (1, 0)],
)
def test_the_size_of_what_a_plan_keeps(value: Any, size: int) -> None:
    Budget(PlanLimits(kept=size)).keep_result(value)
    if size:
        with pytest.raises(PlanTooLargeError, match="the values of all targets together are too large"):
            Budget(PlanLimits(kept=size - 1)).keep_result(value)
