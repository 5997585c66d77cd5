"""The rendering of templates: values, errors, names, facts of git, and documented examples."""

from __future__ import annotations

import json
import re
import resource
import sys
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.base.codes import Code
from mpbake.base.platforms import PlatformText, parse_platform
from mpbake.resolve.functions import define_functions
from mpbake.resolve.template import RESERVED, Renderer, TemplateProblem
from mpbake.resolve.template.data_filters import DATA_FILTERS
from mpbake.resolve.template.filters import FILTERS, GIT_FACTS, FilterError, GitFact
from mpbake.resolve.template.functions import Function
from mpbake.resolve.template.regexes import RegexFilters
from mpbake.spec.files.toml_values import WrittenFloat
from mpbake.spec.tables.plan_tables import PlanSpec
from tests.checkout import DOCS
from tests.unit.resolve.template.scope import SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.spec.problem import Problem


@pytest.mark.parametrize(
    ("template", "value"),
    [
        # a text without a template
        ("plain", "plain"),
        ("", ""),
        ("}} {", "}} {"),
        ("${TAG} $tag %{tag}", "${TAG} $tag %{tag}"),
        # a text that contains expressions renders to a text
        ("v{{ tag }}", "v1.2"),
        ("{{ n }}{{ n }}", "55"),
        ("{{ n }} ", "5 "),
        ("{{ n }}\n", "5\n"),
        ("line\n{{ n }}\n", "line\n5\n"),
        ("{{ debug }}!", "true!"),
        ("{{ 'on' if debug }}", "on"),
        ("{{ 'off' if not debug }}", ""),
        ("<{{ 'off' if not debug }}{{ ('off' if not debug) ~ '' }}>", "<>"),
        ("{% if debug %}on{% else %}off{% endif %}", "on"),
        ("{% for p in platforms %}{{ loop.index }}{{ p }};{% endfor %}", "1linux/amd64;2linux/arm64;"),
        ("{# a comment #}", ""),
        ("{{ n }}{# a comment #}", "5"),
        ("{% raw %}{{ tag }}{% endraw %}", "{{ tag }}"),
        ("{% for p in platforms if 'arm' in p %}{{ p }}{% else %}none{% endfor %}", "linux/arm64"),
        ("{% for p in platforms[:1] %}{{ loop.length }}{{ loop.last }}{% endfor %}", "1true"),
        ("{% for key, value in row.items() %}{{ key }}={{ value }}{% endfor %}", "os=alpine"),
        ("{% for each in row %}{{ each }}{% endfor %}{% for each in 'ab' %}{{ each }},{% endfor %}", "osa,b,"),
        ("{% for x in [1, [2]] recursive %}{{ loop(x) if x is iterable else x }};{% endfor %}", "1;2;;"),
        ("{% macro m(x) %}<{{ x }}>{% endmacro %}{{ m(1) }}{{ m(2) }}", "<1><2>"),
        ("{% set x %}{{ n }}{{ tag }}{% endset %}{{ x ~ x }}", "51.251.2"),
        ("<{{ '<&>' }}>", "<<&>>"),
        # a single expression without other text keeps its type
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
        ("{{ n ~ debug ~ platforms[:1] }}", '5true["linux/amd64"]'),
        ("a{{ none }}{{ none ~ 'b' }}", "ab"),
        ("{{ debug | string }}", "true"),
        ("{{ [debug, n, 'a', row] | join(debug) }}", 'truetrue5trueatrue{ os = "alpine" }'),
        ("{{ [row, row] | join('+', attribute='os') }}", "alpine+alpine"),
        ("<{{ row }}{{ row.keys() }}{{ {} }}{{ {1: [n > 4]} }}>", '<{ os = "alpine" }["os"]{}{ 1 = [true] }>'),
        ("{{ tag[::-1] }}", "2.1"),
        ("{{ version | replace('.', '-') }}", "8-10"),
        ("{{ platforms | join(',') }}", "linux/amd64,linux/arm64"),
        ("{{ platforms | map('upper') }}", ["LINUX/AMD64", "LINUX/ARM64"]),
        ("<{{ platforms | map('upper') }}>", '<["LINUX/AMD64", "LINUX/ARM64"]>'),
        ("{{ ['1.9.0', '1.10.0'] | map('semver') | max }}", "1.10.0"),
        ("{{ ['1.10.0', 'v1.9.0'] | map('semver') | sort | join(' ') }}", "1.9.0 1.10.0"),
        ("{{ (('v' ~ tag ~ '.0') | semver).minor }}", 2),
        ("{{ '0' | timestamp(format='%Y') }}", "1970"),
        ("{{ nope | default('A B') | slug }}", "a-b"),
        # the result is not rendered again
        ("{{ braces }}", "{{ tag }}"),
        ("x{{ braces }}", "x{{ tag }}"),
        # a sign next to the braces controls white space, and any other sign belongs to the expression
        ("{{- n -}}", 5),
        ("{{-n}}", 5),
        ("{{ n -}}", 5),
        ("{{+ n }}", 5),
        ("{{ -n }}", -5),
        ("{{ +n }}", 5),
        ("{{- -n -}}", -5),
        ("a {{- n -}} b", "a5b"),
        # the limits of arithmetic
        ("{{ 2 ** 64 }}", 2**64),
        ("{{ '=' * 3 }}", "==="),
        ("{{ 7 // 2 * 2 }}", 6),
    ],
)
def test_rendering(template: str, value: object) -> None:
    result = Renderer().render(template, SCOPE)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ tga }}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("a{{ tga }}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("{{ [tag, tga] }}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("{{ {'a': [tga]} }}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("{{ (1, tga) }}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("a{{ [tga] }}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("{{ tga | upper }}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("{% if tga %}{% endif %}", 'unknown variable "tga"\ndid you mean "tag"?'),
        ("{{ row.oz }}", 'the table has no "oz"\nknown names: os'),
        ("{{ {'name': 1}.nam }}", 'the table has no "nam"\ndid you mean "name"?'),
        ("{{ row['a\nb'] }}", 'the table has no "a\\nb"\nknown names: os'),
        ("{{ row[5] }}", 'the table has no "5"\nknown names: os'),
        ("{{ {1: 2}.x }}", 'the table has no "x"\n'),
        ("{{ tag.uper() }}", "'str object' has no attribute 'uper'"),
        (
            "{{ ['off' if not debug] }}",
            "the template cannot be rendered: an `if` without `else` has no value here: add `else`",
        ),
        (
            "{{ [platforms | map('upper')] }}",
            "the template cannot be rendered: a lazy sequence is not a value: add | list",
        ),
        ("{{ [] | first }}", "No first item, sequence was empty."),
        ("{{ ('1.2.3' | semver).mayor }}", 'a version has no "mayor"\ndid you mean "major"?'),
        (
            "{{ tag | semver }}",
            '"1.2" is not a semantic version\nwrite MAJOR.MINOR.PATCH, such as 1.4.0 or v1.4.0-rc.1',
        ),
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
        ("{{ 'a' ~ [none] }}", "the template cannot be rendered: none is not a value"),
        ("a{{ 'b'.encode() }}", "the template cannot be rendered: bytes are not text"),
        ("{{ 1e400 | timestamp }}", "the template cannot be rendered: a number this large is not allowed"),
        ("{{ 1e999 + 1 }}", "the template cannot be rendered: a number this large is not allowed"),
        ("{{ [1e308 / 1e-9] }}", "the template cannot be rendered: a number this large is not allowed"),
        *(
            (
                template,
                "the template cannot be rendered: the result contains half a character (a surrogate)",
            )
            for template in ("{{ '%c' % 55296 }}", "a{{ '\\ud800' }}", "{{ ['\\udfff'] }}")
        ),
        ("{{ n | slugg }}", 'unknown filter "slugg"\ndid you mean "slug"?'),
        (
            "{{ n | semver.major }}",
            'unknown filter "semver.major"\nput the filter in parentheses: (n | semver).major',
        ),
        (
            "{{ f(n) | semver.major }}",
            'unknown filter "semver.major"\nput the filter in parentheses: (value | semver).major',
        ),
        ("{{ n | a.b }}", 'unknown filter "a.b"\ndid you mean "abs"?'),
        ("{{ (n | slugg) if n else 1 }}", 'unknown filter "slugg"\ndid you mean "slug"?'),
        ("{{ [tag] | map('slugg') }}", 'unknown filter "slugg"\ndid you mean "slug"?'),
        ("{{ n is evn }}", 'unknown test "evn"\ndid you mean "even"?'),
        ("{{ n | random }}", 'the filter "random" is not available\nsee docs/templates.md for the filters of mpbake'),
        ("{{ slug(tag) }}", 'unknown variable "slug"\nuse slug as a filter: {{ value | slug }}'),
        ("{{ timestmp() }}", 'unknown variable "timestmp"\ndid you mean "timestamp"?'),
        ("{{ gitt.commit }}", 'unknown variable "gitt"\ndid you mean "git"?'),
    ],
)
def test_what_cannot_be_rendered(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, SCOPE)
    assert str(caught.value) == problem


def test_an_undefined_name_without_a_near_one_lists_what_there_is() -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render("{{ zzz }}", {"tag": 1, "registry": 2})
    assert str(caught.value) == 'unknown variable "zzz"\nknown variables: registry, tag'


def test_an_undefined_name_without_any_variable() -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render("{{ zzz }}", {})
    assert str(caught.value) == 'unknown variable "zzz"\nthere are no variables'


def test_one_renderer_serves_many_scopes() -> None:
    renderer = Renderer()
    assert [renderer.render("{{ n }}", {"n": n}) for n in (1, "one", [1])] == [1, "one", [1]]
    assert [renderer.render("n{{ n }}", {"n": n}) for n in (1, "one")] == ["n1", "none"]
    with pytest.raises(TemplateProblem):
        renderer.render("{{ n }}", {})


# --- bare names, which mpbake compiles without Jinja ------------------------------------------------------------------

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
    ("1.2", "", "{{ n }}", "é\r\n", 5, 10**3000, 0.5, WrittenFloat("8.10"), True, None, ["a", 1], {"a": "b"})
)
SCOPES = st.dictionaries(st.sampled_from(NAMES), VALUES) | st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES))


@given(TEMPLATES, SCOPES)
@settings(max_examples=1000)
def test_bare_names_are_filled_in_as_jinja_does(template: str, scope: dict[str, Any]) -> None:
    expected = outcome(template, scope)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mpbake.resolve.template.renderer._compile_bare_names", lambda _: None)
        assert outcome(template, scope) == expected


def outcome(template: str, scope: dict[str, Any]) -> tuple[str, object]:
    """Return the result of a template with its type, or the error."""
    try:
        value = Renderer().render(template, scope)
    except TemplateProblem as problem:
        return "problem", str(problem)
    return type(value).__name__, value if isinstance(value, str | int | float | list | dict) else repr(value)


def test_a_variable_with_half_a_character_is_no_text() -> None:
    for template in ("{{ tag }}", "a{{ tag }}"):
        with pytest.raises(TemplateProblem, match="surrogate"):
            Renderer().render(template, {"tag": "\udcff"})


def test_jinja_is_not_asked_for_bare_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Renderer, "_compile_with_jinja", lambda *_: pytest.fail("compiled"))
    renderer = Renderer()
    assert renderer.render("{{tag}}-{{ n }}{ }} %}", SCOPE) == "1.2-5{ }} %}"
    assert renderer.render("{{ platforms }}", SCOPE) is SCOPE["platforms"]


def test_jinja_compiles_a_template_with_an_unknown_name_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    compile_with_jinja = Renderer._compile_with_jinja

    def counted(self: Renderer, text: str) -> Callable[[Any], Any]:
        compiled.append(text)
        return compile_with_jinja(self, text)

    monkeypatch.setattr(Renderer, "_compile_with_jinja", counted)
    renderer = Renderer()
    for _ in range(3):
        with pytest.raises(TemplateProblem, match='unknown variable "nope"'):
            renderer.render("{{ nope }}", {})
    assert renderer.render("{{ nope }}", {"nope": 1}) == 1
    assert compiled == ["{{ nope }}"]


def test_a_bare_name_must_not_grow_without_bound() -> None:
    with pytest.raises(TemplateProblem, match="the template renders to more than 1000000 characters"):
        Renderer().render("{{ a }}{{ a }}", {"a": "a" * 600_000})


def test_bare_names_are_not_joined_beyond_what_is_allowed() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TemplateProblem, match="the template renders to more than 1000000 characters"):
        Renderer().render("{{ a }}" * 1000, {"a": "a" * 1_000_000})
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 300_000_000


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "names"),
    [
        ("plain", set()),
        ("{{ a }}{{ b }}", {"a", "b"}),
        ("{{ a.b | default(c) }}", {"a", "c"}),
        ("{% for a in b %}{{ a }}{{ c }}{% endfor %}", {"b", "c"}),
        ("{{ git.commit }}{{ timestamp() }}{{ range(a) }}", {"a"}),
        ("{{ git }}", set()),
        ("{{ platform }}{{ platform.arch | upper }}", {"platform"}),
        ("{{ a | b.c", {"a", "b", "c"}),
        ("{{ a | nofilter }}", {"a", "nofilter"}),
        ("{{ " + "[" * 5000 + "a" + "]" * 5000 + " }}", {"a"}),
        ("{{ a + 0" + "9" * 5000 + " }}", {"a", "0" + "9" * 5000}),
    ],
)
def test_the_variables_of_a_template(template: str, names: set[str]) -> None:
    assert Renderer().names(template) == names


def test_names_with_a_meaning_of_their_own() -> None:
    assert {"git", "machine_platform", "platform", "range", "timestamp"} == RESERVED


def test_the_platform_is_known_in_some_places_only() -> None:
    scope = {"platform": PlatformText(parse_platform("linux/arm/v7")), "platforms": []}
    assert Renderer().render("{{ platform }} {{ platform.slug }}", scope) == "linux/arm/v7 linux-arm-v7"
    for template in ("{{ platform }}", "a{{ platform }}", "{{ platform.arch }}"):
        with pytest.raises(TemplateProblem) as caught:
            Renderer().render(template, {"platforms": []})
        assert caught.value.culprit == "platform"
        assert str(caught.value) == (
            "`platform` is available only in some attributes of targets\n"
            "use it only in args, labels, contexts, dockerfile, target, cache-from and cache-to"
        )


@pytest.mark.parametrize(
    ("template", "code", "culprit"),
    [
        ("{{ tga }}", Code.UNDEFINED_VARIABLE, "tga"),
        ("{{ row.oz }}", Code.UNDEFINED_VARIABLE, "oz"),
        ("{{ platforms[9] }}", Code.UNDEFINED_VARIABLE, ""),
        ("{{ n | slugg }}", Code.UNKNOWN_FILTER, "slugg"),
        ("{{ n | random }}", Code.UNKNOWN_FILTER, "random"),
        ("{{ 1e400 | timestamp }}", Code.TEMPLATE_SANDBOX, ""),
        ("{{ '%c' % 55296 }}", Code.TEMPLATE_FAILED, ""),
        ("{{ n | semver }}", Code.TEMPLATE_FAILED, ""),
        ("a\r\r{{ 1 + }}", Code.TEMPLATE_SYNTAX, "{{ 1 + }}"),
        ("{{ git.commit }}", Code.GIT_FAILED, "git.commit"),
        ("{{ git['commit'] }}", Code.GIT_FAILED, "git.commit"),
        ("{{ git }}", Code.TEMPLATE_FAILED, "git"),
        ("{{ git.comit }}", Code.UNDEFINED_VARIABLE, "comit"),
    ],
)
def test_what_is_to_blame(template: str, code: Code, culprit: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, SCOPE)
    assert (caught.value.code, caught.value.culprit) == (code, culprit)


# --- git and the time -------------------------------------------------------------------------------------------------


class Asked:
    """A fake git that records the requested facts, and that cannot find tags."""

    def __init__(self) -> None:
        self.asked: list[GitFact] = []

    def __call__(self, name: GitFact) -> str | bool:
        self.asked.append(name)
        if name == "tag":
            raise FilterError("no tags", "make one", Code.GIT_FAILED)
        return False if name == "dirty" else f"the {name}"


def test_git_is_asked_when_it_is_used_and_once() -> None:
    git = Asked()
    renderer = Renderer(git=git)
    for template in (
        "{{ n }}",
        "{{ git.branch if false else n }}",
        "{{ git is defined and n }}",
        "{{ git.x is defined }}",
    ):
        renderer.render(template, SCOPE)
    assert git.asked == []
    for _ in range(3):
        assert renderer.render("{{ git.commit | upper }}", SCOPE) == "THE COMMIT"
        assert renderer.render("{{ git.dirty }}", SCOPE) is False
        with pytest.raises(TemplateProblem, match="no tags\nmake one"):
            renderer.render("{{ git.tag or 'none' }}", SCOPE)
    assert git.asked == ["commit", "dirty", "tag"]


@pytest.mark.parametrize(
    "template",
    [
        *("{{ git }}", "a{{ git }}", "{{ [git] }}", "{{ {'a': git} }}", "{{ git ~ 'a' }}", "{{ git | string }}"),
        *(
            "{{ '%s' % git }}",
            "{{ '{}'.format(git) }}",
            "{{ git | upper }}",
            "{{ [git] | join }}",
            "{{ [git] | string }}",
        ),
    ],
)
def test_git_itself_is_no_value(template: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer(git=Asked()).render(template, {})
    assert str(caught.value) == "git is not a value\nuse one of git.branch, git.commit, git.dirty, git.tag"


def test_git_has_a_few_facts_and_nothing_else() -> None:
    assert GIT_FACTS == ("branch", "commit", "dirty", "tag")
    for template in ("{{ git.comit }}", "{{ git['comit'] }}"):
        with pytest.raises(TemplateProblem) as caught:
            Renderer(git=Asked()).render(template, {})
        assert str(caught.value) == 'git has no "comit"\ndid you mean "commit"?'


def test_nothing_is_told_of_git_unless_somebody_can_be_asked() -> None:
    with pytest.raises(TemplateProblem, match="git facts are not available here\npass the value as a variable"):
        Renderer().render("{{ git.commit | default('x') }}", {})


def test_the_time_is_never_that_of_a_clock() -> None:
    assert Renderer(epoch="0").render("{{ timestamp() }} {{ timestamp('%Y') }}", {}) == "1970-01-01T00:00:00Z 1970"
    with pytest.raises(TemplateProblem, match=r"^timestamp\(\) needs the environment variable SOURCE_DATE_EPOCH\n"):
        Renderer().render("{{ timestamp() }}", {})


def test_the_platform_of_the_machine_is_the_one_that_the_caller_gives() -> None:
    assert Renderer(machine="linux/arm64").render("{{ machine_platform().split('/')[1] }}", {}) == "arm64"
    with pytest.raises(TemplateProblem, match=r"^the platform of this machine is unknown\nwrite the platform: linux/a"):
        Renderer().render("{{ machine_platform() }}", {})


def test_a_version_in_a_variable_is_text() -> None:
    version = Renderer().render("{{ '1.2.3' | semver }}", {})
    assert type(version) is str
    with pytest.raises(TemplateProblem, match="'str object' has no attribute 'major'"):
        Renderer().render("{{ v.major }}", {"v": version})


# --- the documentation ------------------------------------------------------------------------------------------------

PAGE = (DOCS / "templates.md").read_text(encoding="utf-8")
FACTS: dict[GitFact, str | bool] = {
    "branch": "main",
    "commit": "5f2c3a9e0d4b7186c2f4e1a0b9d8c7f6e5a4b3c2",
    "dirty": False,
    "tag": "v1.4.0",
}
EXAMPLES = [
    line.rsplit(" -> ", 1) for block in re.findall("```jinja\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()
]


@pytest.mark.parametrize(("template", "shown"), EXAMPLES)
def test_the_examples_of_the_documentation(template: str, shown: str) -> None:
    block = re.search(r"```toml\n(\[variables\]\n.*?)```", PAGE, re.DOTALL)
    epoch = re.search(r"`SOURCE_DATE_EPOCH=(\d+)`", PAGE)
    assert block
    assert epoch
    renderer = Renderer(git=FACTS.__getitem__, epoch=epoch[1], machine="linux/amd64")
    functions = re.search(r"```toml\n(\[functions\..*?)\[targets", PAGE, re.DOTALL)
    assert functions
    spec = PlanSpec.model_validate({"version": 1} | tomllib.loads(block[1]) | tomllib.loads(functions[1]))
    problems: list[Problem] = []
    define_functions(spec, renderer, problems)
    assert problems == []
    scope = {name: variable.default for name, variable in spec.variables.items()}
    result = renderer.render(template.rstrip(), scope)
    assert (result if isinstance(result, str) else json.dumps(result)) == shown


def test_the_documentation_shows_all_that_mpbake_adds() -> None:
    text = " ".join(template for template, _ in EXAMPLES)
    names = (
        "| semver",
        "| slug",
        *(f"| {name}" for name in (*FILTERS, *DATA_FILTERS, *RegexFilters(lambda _: None).filters())),
        "| timestamp",
        "timestamp()",
        "machine_platform()",
        "range(",
        *(f"git.{fact}" for fact in GIT_FACTS),
    )
    assert [name for name in names if name not in text] == []


def test_the_documentation_lists_filters_that_there_are() -> None:
    known = Renderer()._environment.filters
    _, _, section = PAGE.partition("## Filters of Jinja")
    use, taken = section.split("mpbake removes")
    listed = re.findall("`([a-z]+)`", use.partition("[Jinja's own list]")[0])
    assert len(listed) > 10
    assert [name for name in listed if name not in known] == []
    assert [
        name for name in re.findall("`([a-z]+)`", taken) if name in known or name in Renderer()._environment.globals
    ] == []


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (
            "{{ 'a' | regex_search }}",
            (
                "the filter \"regex_search\": missing a required argument: 'pattern'\n"
                "write {{ value | regex_search(pattern) }}"
            ),
        ),
        (
            "{{ 'a' | basename(1) }}",
            'the filter "basename": too many positional arguments\nwrite {{ value | basename }}',
        ),
        (
            "{{ 'a' | replace }}",
            "the filter \"replace\": missing a required argument: 'old'\nwrite {{ value | replace(old, new) }}",
        ),
        (
            "{{ ['a'] | map('slug', 3) | list }}",
            'the filter "slug": too many positional arguments\nwrite {{ value | slug }}',
        ),
        (
            "{{ ['a'] | join(by=1) }}",
            "the filter \"join\": got an unexpected keyword argument 'by'\nwrite {{ value | join }}",
        ),
    ],
)
def test_wrong_arguments_of_a_filter(template: str, problem: str) -> None:
    with pytest.raises(TemplateProblem) as caught:
        Renderer().render(template, {})
    assert (str(caught.value), caught.value.code) == (problem, Code.WRONG_ARGUMENTS)


COSTLY = "{{ (words * 40) | map('upper') | join(',') | length }}/{{ tag }}{{ flag }}"
"""A template with much work, so that the renderer keeps its results."""


def test_a_costly_template_costs_nothing_again_for_the_same_values() -> None:
    renderer = Renderer()
    scope = {"words": ["alpha", "beta"] * 20, "tag": "a", "flag": 1, "unrelated": "x"}
    first = [renderer.render(COSTLY, scope) for _ in range(2)]
    renderer.budget.reset()
    assert renderer.render(COSTLY, scope | {"unrelated": "y"}) == first[0]
    assert renderer.budget.spent == 0


@pytest.mark.parametrize(
    "change", [{"tag": "b"}, {"flag": True}, {"flag": "1"}, {"flag": 1.5}, {"words": ["alpha", "gamma"]}]
)
def test_a_costly_template_is_rendered_again_for_other_values(change: dict[str, Any]) -> None:
    scope = {"words": ["alpha", "beta"] * 20, "tag": "a", "flag": 1}
    renderer = Renderer()
    for _ in range(2):
        renderer.render(COSTLY, scope)
    assert renderer.render(COSTLY, scope | change) == Renderer().render(COSTLY, scope | change)


def test_a_costly_template_is_rendered_again_for_other_values_of_a_function() -> None:
    renderer = Renderer()
    renderer.define(Function(name="listed", params=["x"], result="{{ x }}-{{ words | join }}"), variables=["words"])
    text = "{{ listed('a') }}{{ words_of_row | join | length }}"
    many = ["word"] * 600
    results = [renderer.render(text, {"words": [tag], "words_of_row": many}) for tag in ("a", "b", "b")]
    assert results == ["a-a2400", "a-b2400", "a-b2400"]
