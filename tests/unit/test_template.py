"""Templates: strict, typed, and shut in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.loader import WrittenFloat
from mpbake.template import Renderer, TemplateProblem

if TYPE_CHECKING:
    from collections.abc import Callable

SCOPE: dict[str, Any] = {
    "tag": "1.2",
    "version": "8.10",
    "n": 5,
    "ratio": 0.5,
    "debug": True,
    "platforms": ["linux/amd64", "linux/arm64"],
    "row": {"os": "alpine"},
    "empty": "",
    "braces": "{{ tag }}",
    "result": "a variable may have this name",
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        # no template at all
        ("plain", "plain"),
        ("", ""),
        ("}} {", "}} {"),
        ("${TAG} $tag %{tag}", "${TAG} $tag %{tag}"),
        # text with expressions in it is text
        ("v{{ tag }}", "v1.2"),
        ("{{ n }}{{ n }}", "55"),
        ("{{ n }} ", "5 "),
        ("{{ n }}\n", "5\n"),
        ("line\n{{ n }}\n", "line\n5\n"),
        ("{{ debug }}!", "True!"),
        ("{% if debug %}on{% else %}off{% endif %}", "on"),
        ("{% for p in platforms %}{{ loop.index }}{{ p }};{% endfor %}", "1linux/amd64;2linux/arm64;"),
        ("{# a comment #}", ""),
        ("{{ n }}{# a comment #}", "5"),
        ("{% raw %}{{ tag }}{% endraw %}", "{{ tag }}"),
        ("<{{ '<&>' }}>", "<<&>>"),
        # a lone expression keeps its type
        ("{{ tag }}", "1.2"),
        ("{{ version }}", "8.10"),
        ("{{ '8.10' }}", "8.10"),
        ("{{ n }}", 5),
        ("{{ ratio }}", 0.5),
        ("{{ debug }}", True),
        ("{{ not debug }}", False),
        ("{{ platforms }}", ["linux/amd64", "linux/arm64"]),
        ("{{ platforms + ['linux/386'] }}", ["linux/amd64", "linux/arm64", "linux/386"]),
        ("{{ platforms if n > 4 else [] }}", ["linux/amd64", "linux/arm64"]),
        ("{{ row.os }}", "alpine"),
        ("{{ row }}", {"os": "alpine"}),
        ("{{ empty }}", ""),
        ("{{ result }}", "a variable may have this name"),
        ("{{ none }}", None),
        ("{{ nope | default('none given') }}", "none given"),
        ("{{ nope is defined }}", False),
        ("{{ range(3) | list }}", [0, 1, 2]),
        ("{{ '}}' }}", "}}"),
        ("{{ 'a' ~ n }}", "a5"),
        ("{{ version | replace('.', '-') }}", "8-10"),
        ("{{ platforms | join(',') }}", "linux/amd64,linux/arm64"),
        # what comes out is not read again
        ("{{ braces }}", "{{ tag }}"),
        ("x{{ braces }}", "x{{ tag }}"),
        # a sign that touches the braces is white space control, another one a sign
        ("{{- n -}}", 5),
        ("{{-n}}", 5),
        ("{{ n -}}", 5),
        ("{{+ n }}", 5),
        ("{{ -n }}", -5),
        ("{{ +n }}", 5),
        ("{{- -n -}}", -5),
        ("a {{- n -}} b", "a5b"),
        # as far as arithmetic goes
        ("{{ 2 ** 64 }}", 2**64),
        ("{{ '=' * 3 }}", "==="),
        ("{{ 7 // 2 * 2 }}", 6),
    ],
)
def test_rendering(template: str, value: object) -> None:
    found = Renderer().render(template, SCOPE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ tga }}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("a{{ tga }}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("{{ [tag, tga] }}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("{{ {'a': [tga]} }}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("{{ (1, tga) }}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("a{{ [tga] }}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("{{ tga | upper }}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("{% if tga %}{% endif %}", 'there is no variable "tga"\ndid you mean "tag"?'),
        ("{{ row.oz }}", "'dict object' has no attribute 'oz'"),
        ("{{ row['a\nb'] }}", r"'dict object' has no attribute 'a\nb'"),
        ("{{ platforms[9] }}", "list object has no element 9"),
        ("{{ 1 / 0 }}", "the template cannot be rendered: division by zero"),
        ("{{ 'a' + 1 }}", 'the template cannot be rendered: can only concatenate str (not "int") to str'),
        ("{{ 1 +", "the template cannot be rendered: unexpected 'end of template'"),
        ("{{", "the template cannot be rendered: unexpected 'end of template'"),
        (
            "{{ }}",
            "the template cannot be rendered: Expected an expression, got 'end of print statement'",
        ),
        ("{% if %}", "the template cannot be rendered: Expected an expression, got 'end of statement block'"),
        ("{{ 1, 2 }}", "the template cannot be rendered: chunk after expression"),
        ("{{ n | nofilter }}", "the template cannot be rendered: No filter named 'nofilter'."),
        ("{{ n is notest }}", "the template cannot be rendered: No test named 'notest'."),
    ],
)
def test_what_cannot_be_rendered(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, SCOPE)
    assert str(caught.value) == problem


def test_an_undefined_name_without_a_near_one_lists_what_there_is() -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render("{{ zzz }}", {"tag": 1, "registry": 2})
    assert str(caught.value) == 'there is no variable "zzz"\nknown variables: registry, tag'


def test_an_undefined_name_without_any_variable() -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render("{{ zzz }}", {})
    assert str(caught.value) == 'there is no variable "zzz"\nthere are no variables'


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
]


@pytest.mark.parametrize("template", ESCAPES)
def test_a_template_cannot_leave_its_box(template: str) -> None:
    before = repr(SCOPE)
    for text in (template, f"text around {template}"):
        with pytest.raises(TemplateProblem):
            Renderer().render(text, SCOPE)
    assert repr(SCOPE) == before


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
        ("{{ range }}", "the template cannot be rendered: a function is no value: it must be called"),
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
    ],
)
def test_deep_nesting_is_a_problem_not_a_crash(template: str) -> None:
    with pytest.raises(TemplateProblem, match="the template cannot be rendered: "):
        Renderer().render(template, SCOPE)


def test_one_renderer_serves_many_scopes() -> None:
    renderer = Renderer()
    assert [renderer.render("{{ n }}", {"n": n}) for n in (1, "one", [1])] == [1, "one", [1]]
    assert [renderer.render("n{{ n }}", {"n": n}) for n in (1, "one")] == ["n1", "none"]
    with pytest.raises(TemplateProblem):
        renderer.render("{{ n }}", {})


# --- bare names, which Jinja does not see -----------------------------------------------------------------------------

NAMES = (
    *("tag", "n", "_x", "nope", "range", "é", "context", "environment", "import", "__debug__"),
    *("self", "super", "loop", "caller", "varargs", "kwargs", "not", "if", "else", "in", "is", "and", "or"),
    *("true", "True", "false", "False", "none", "None"),
)
PIECES = ("{{", "}}", "{", "}", "{%", "%}", "{#", "#}", "-", " ", "\t", "\n", "\r\n", "\r", "a", "'", "$", "<&>", "0")
BARE = st.builds(
    "{{{{{}{}{}}}}}".format, st.sampled_from(("", " ", "\t ")), st.sampled_from(NAMES), st.sampled_from((" ", ""))
)
TEMPLATES = st.lists(BARE | st.sampled_from((*PIECES, *NAMES)), max_size=6).map("".join)
VALUES = st.sampled_from(
    ("1.2", "", "{{ n }}", "é\r\n", 5, 10**5000, 0.5, WrittenFloat("8.10"), True, None, ["a", 1], {"a": "b"})
)
SCOPES = st.dictionaries(st.sampled_from(NAMES), VALUES) | st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES))


@given(TEMPLATES, SCOPES)
@settings(max_examples=1000)
def test_bare_names_are_filled_in_as_jinja_does(template: str, scope: dict[str, Any]) -> None:
    found = outcome(template, scope)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mpbake.template._plain", lambda _: None)
        assert outcome(template, scope) == found


def outcome(template: str, scope: dict[str, Any]) -> tuple[str, object]:
    """What a template gives, and of which type; or why it cannot be rendered."""
    try:
        value = Renderer().render(template, scope)
    except TemplateProblem as problem:
        return "problem", str(problem)
    return type(value).__name__, value if isinstance(value, str | int | float | list | dict) else repr(value)


def test_jinja_is_not_asked_for_bare_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Renderer, "_by_jinja", lambda *_: pytest.fail("compiled"))
    renderer = Renderer()
    assert renderer.render("{{tag}}-{{ n }}{ }} %}", SCOPE) == "1.2-5{ }} %}"
    assert renderer.render("{{ platforms }}", SCOPE) is SCOPE["platforms"]


def test_jinja_compiles_a_template_with_an_unknown_name_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    by_jinja = Renderer._by_jinja

    def counted(self: Renderer, text: str) -> Callable[[Any], Any]:
        compiled.append(text)
        return by_jinja(self, text)

    monkeypatch.setattr(Renderer, "_by_jinja", counted)
    renderer = Renderer()
    for _ in range(3):
        with pytest.raises(TemplateProblem, match='there is no variable "nope"'):
            renderer.render("{{ nope }}", {})
    assert renderer.render("{{ nope }}", {"nope": 1}) == 1
    assert compiled == ["{{ nope }}"]


def test_a_bare_name_must_not_grow_without_bound() -> None:
    with pytest.raises(TemplateProblem, match="the template renders to more than 1000000 characters"):
        Renderer().render("{{ a }}{{ a }}", {"a": "a" * 600_000})


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
