"""The functions of a plan: calls, results, and the problems that are found when the plan is read."""

from __future__ import annotations

import pytest

from mpbake.resolve import Inputs, given_secrets
from tests.unit.plans import problems_of_text, read_text, resolve_text, target_of_text

PLAN = """
    [variables]
    registry = "r.example"
    version = "1.2"
    versions = ["1", "2"]
    [functions.image]
    params = ["name", "suffix"]
    defaults = { suffix = "" }
    result = "{{ registry }}/{{ name }}:{{ version }}{{ suffix }}"
    [functions.images]
    variadic-param = "names"
    result = "{{ [image(name) for name in names] }}"
    [functions.both]
    params = ["name"]
    result = ["{{ image(name) }}", "{{ image(name, '-x') if name == 'web' else none }}"]
    [functions.labels]
    params = ["title"]
    result = { title = "{{ title }}", extra = "{{ none }}", vendor = "me" }
    [functions.size]
    params = ["items"]
    result = "{{ items | length }}"
    """


@pytest.mark.parametrize(
    ("template", "tags"),
    [
        ("{{ [image('web')] }}", ["r.example/web:1.2"]),
        (
            "{{ ['web' | image, 'web' | image('-a'), image('web', suffix='-b')] }}",
            ["web:1.2", "web:1.2-a", "web:1.2-b"],
        ),
        ("{{ ['a', 'b'] | map('image', '-c') }}", ["a:1.2-c", "b:1.2-c"]),
        ("{{ images('a', 'b') }}", ["a:1.2", "b:1.2"]),
        ("{{ images() + both('web') }}", ["web:1.2", "web:1.2-x"]),
        ("{{ both('api') }}", ["api:1.2"]),
        ("{{ [image(version) for version in versions] }}", ["1:1.2", "2:1.2"]),
        ("{{ ['r.example/n:' ~ size(versions)] }}", ["n:2"]),
        ("{{ ['r.example/n:' ~ (versions | map('upper') | size + 1)] }}", ["n:3"]),
        ("{{ [image(labels('t').title)] if 'extra' not in labels('t') else [] }}", ["t:1.2"]),
    ],
)
def test_a_template_calls_functions(template: str, tags: list[str]) -> None:
    target = target_of_text(f'{PLAN}[targets.web]\ntags = "{template}"')
    assert target.tags == tuple(f"r.example/{tag.removeprefix('r.example/')}" for tag in tags)


def test_variables_and_groups_call_functions() -> None:
    plan = resolve_text(
        PLAN
        + """
        [variables.first]
        default = "{{ image('v') }}"
        [functions.again]
        result = "{{ first }}"
        [groups]
        all = "{{ [kind('a'), kind('b')] }}"
        [functions.kind]
        params = ["x"]
        result = "{{ x }}-image"
        [targets.a-image]
        args = { FIRST = "{{ again() }}" }
        [targets.b-image]
        """
    )
    assert plan.targets["a-image"].attributes["args"] == {"FIRST": "r.example/v:1.2"}
    assert [target.name for target in plan.groups["all"].targets] == ["a-image", "b-image"]


def test_a_function_does_not_see_the_names_of_a_row() -> None:
    assert problems_of_text("""
        [functions.image]
        result = "r.example/{{ os }}"
        [targets.web]
        matrix = { os = ["a"] }
        name = "web-{{ os }}"
        tags = ["{{ image() }}"]
        """) == (
        'build.toml:3: functions.image.result: unknown variable "os"\n    result = "r.example/{{ os }}"\n'
        "  = there are no variables"
    )


def test_a_parameter_hides_a_variable() -> None:
    target = target_of_text("""
        [variables]
        name = "variable"
        [functions.image]
        params = ["name"]
        result = "r.example/{{ name }}"
        [targets.web]
        tags = ["{{ image('parameter') }}", "r.example/{{ name }}"]
        """)
    assert target.tags == ("r.example/parameter:latest", "r.example/variable:latest")


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (
            "[functions.upper]\nresult = 1",
            'build.toml:4: functions.upper: "upper" is also a filter\n    [functions.upper]\n  = rename the function',
        ),
        (
            "[functions.taken]\nresult = 1",
            (
                'build.toml:4: functions.taken: "taken" is also a variable of the plan\n'
                "    [functions.taken]\n  = rename the function"
            ),
        ),
        (
            "[functions.git]\nresult = 1",
            (
                'build.toml:4: functions.git: "git" is also a reserved name in templates\n'
                "    [functions.git]\n  = rename the function"
            ),
        ),
        (
            "[functions.a-b]\nresult = 1",
            (
                'build.toml:4: functions.a-b: "a-b" is not a valid name of a function\n'
                "    [functions.a-b]\n  = choose another name, of letters, digits and underscores"
            ),
        ),
        (
            "[functions.f]\nresult = 1\nparams = ['if']",
            (
                'build.toml:6: functions.f.params[0]: "if" is not a valid name of a parameter\n'
                "    params = ['if']\n  = choose another name, of letters, digits and underscores"
            ),
        ),
        (
            "[functions.f]\nresult = 1\nparams = ['platform']",
            (
                'build.toml:6: functions.f.params[0]: "platform" is a reserved name in templates\n'
                "    params = ['platform']\n  = choose another name, of letters, digits and underscores"
            ),
        ),
        (
            "[functions.f]\nresult = 1\nparams = ['f']",
            (
                'build.toml:6: functions.f.params[0]: "f" is also a function\n'
                "    params = ['f']\n  = rename the parameter"
            ),
        ),
        (
            "[functions.f]\nresult = 1\nparams = ['x']\nvariadic-param = 'x'",
            (
                'build.toml:7: functions.f.variadic-param: two parameters are called "x"\n'
                "    variadic-param = 'x'\n  = rename one of them"
            ),
        ),
        (
            "[functions.f]\nresult = 1\nparams = ['x', 'y']\ndefaults = { x = 1 }",
            (
                'build.toml:6: functions.f.params: the parameter "y" has no default, '
                "but follows one with a default\n"
                "    params = ['x', 'y']\n  = move parameters with a default to the end"
            ),
        ),
        (
            "[functions.f]\nresult = 1\nparams = ['tag']\ndefaults = { tga = 1 }",
            (
                'build.toml:7: functions.f.defaults.tga: the function has no parameter "tga"\n'
                '    defaults = { tga = 1 }\n  = did you mean "tag"?'
            ),
        ),
        (
            "[functions.f]\nresult = 1\nparams = ['x']\ndefaults = { x = '{{ taken }}' }",
            (
                "build.toml:7: functions.f.defaults.x: a default cannot contain a template\n"
                "    defaults = { x = '{{ taken }}' }\n  = put the template into `result`"
            ),
        ),
        (
            "[functions.f]\nresult = '{{ takn }}'",
            (
                "build.toml:5: functions.f.result: unknown variable \"takn\"\n    result = '{{ takn }}'\n"
                '  = did you mean "taken"?'
            ),
        ),
        (
            "[functions.f]\nresult = '{{ platform }}'",
            (
                "build.toml:5: functions.f.result: `platform` is not available in functions\n"
                "    result = '{{ platform }}'\n  = pass it: add a parameter to the function"
            ),
        ),
        (
            "[functions.f]\nresult = '{{ 1 + }}'",
            (
                "build.toml:5: functions.f.result: the template cannot be rendered: "
                "unexpected 'end of print statement'\n    result = '{{ 1 + }}'"
            ),
        ),
        (
            "[functions.f]\nresult = '{{ 1 | slugg }}'",
            (
                "build.toml:5: functions.f.result: unknown filter \"slugg\"\n    result = '{{ 1 | slugg }}'\n"
                '  = did you mean "slug"?'
            ),
        ),
        (
            "[functions.f]\nresult = '{{ g(1) }}'\n[functions.g]\nresult = ''",
            (
                'build.toml:5: functions.f.result: the function "g": too many positional arguments\n'
                "    result = '{{ g(1) }}'\n  = call it as g()"
            ),
        ),
        (
            "[functions.f]\nresult = '{{ [1 | g(2) for x in [1]] }}'\n[functions.g]\nparams = ['x']\nresult = ''",
            (
                'build.toml:5: functions.f.result: the function "g": too many positional arguments\n'
                "    result = '{{ [1 | g(2) for x in [1]] }}'\n  = call it as g(x)"
            ),
        ),
        (
            "[functions.f]\nresult = '{{ f() }}'",
            (
                "build.toml:4: functions.f: references form a cycle: f -> f\n    [functions.f]\n"
                "  = remove one of these references"
            ),
        ),
        (
            (
                "[functions.f]\nresult = '{{ 1 | g }}'\n"
                "[functions.g]\nparams = ['x']\nresult = '{{ [h() for y in x] }}'\n"
                "[functions.h]\nresult = '{{ [1] | map(\"f\") | list }}'"
            ),
            (
                "build.toml:4: functions.f: references form a cycle: f -> g -> h -> f\n    [functions.f]\n"
                "  = remove one of these references"
            ),
        ),
        ("[functions.f]\nparams = []", 'build.toml:4: functions.f: "result" is missing\n    [functions.f]'),
    ],
)
def test_functions_are_checked_when_the_plan_is_read(function: str, problem: str) -> None:
    assert problems_of_text(f"\n[variables]\ntaken = 1\n{function}") == problem


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ image() }}", 'the function "image": missing a required argument: \'name\'\n  = image(name, suffix="")'),
        ("{{ image(1, 2, 3) }}", 'the function "image": too many positional arguments\n  = image(name, suffix="")'),
        (
            "{{ image(1, sufix=2) }}",
            'the function "image": got an unexpected keyword argument \'sufix\'\n  = image(name, suffix="")',
        ),
    ],
)
def test_a_call_with_wrong_arguments(template: str, problem: str) -> None:
    message, _, form = problem.partition("\n  = ")
    assert problems_of_text(f"{PLAN}[targets.web]\ntags = ['{template}']").splitlines() == [
        f"build.toml:23: targets.web.tags[0]: {message}",
        f"    tags = ['{template}']",
        f"  = call it as {form}",
    ]


def test_the_failure_of_a_function_names_the_function() -> None:
    assert problems_of_text("""
        [functions.outer]
        params = ["x"]
        result = "{{ inner(x) }}"
        [functions.inner]
        params = ["x"]
        result = "{{ (x | semver).major }}"
        [targets.web]
        tags = ["r.example/web:{{ outer('latest') }}"]
        """) == (
        'build.toml:9: targets.web.tags[0]: in the function "inner": "latest" is not a semantic version\n'
        "    tags = [\"r.example/web:{{ outer('latest') }}\"]\n"
        "  = write MAJOR.MINOR.PATCH, such as 1.4.0 or v1.4.0-rc.1"
    )


def test_a_wrong_function_brings_no_errors_where_it_is_called() -> None:
    problems = problems_of_text("""
        [functions.f]
        params = ["x", "x"]
        result = "{{ nope }}"
        [functions.g]
        result = "{{ g() }}"
        [targets.web]
        tags = ["r.example/{{ f(1, 2) }}", "r.example/{{ g() }}"]
        """)
    assert [line.partition(": ")[2] for line in problems.splitlines() if line.startswith("build")] == [
        'functions.f.params[1]: two parameters are called "x"',
        "functions.g: references form a cycle: g -> g",
    ]


def test_a_function_never_replaces_a_filter_or_a_reserved_name() -> None:
    problems = problems_of_text("""
        [variables]
        taken = "r.example"
        [functions.upper]
        result = "r"
        [functions.git]
        result = "r"
        [functions.taken]
        result = "r"
        [targets.web]
        tags = ["{{ taken }}/{{ 'a' | upper | lower }}"]
        args = { A = "{{ range }}" }
        [targets.two]
        matrix = { v = ["a", "b"] }
        name = "two-{{ v | upper }}"
        """)
    assert [line.partition(": ")[2] for line in problems.splitlines() if line.startswith("build")] == [
        'functions.upper: "upper" is also a filter',
        'functions.git: "git" is also a reserved name in templates',
        'functions.taken: "taken" is also a variable of the plan',
        "targets.web.args.A: the template cannot be rendered: a function is not a value: it must be called",
    ]


def test_a_variable_that_a_function_needs_comes_first() -> None:
    assert problems_of_text("""
        [variables]
        a = "{{ f() }}"
        [functions.f]
        result = "{{ a }}"
        [targets.web]
        """).startswith("build.toml:3: variables.a: references form a cycle: a -> a")


SECRET = """
    [variables]
    token = { default = "sesame-open", sensitive = true }
    [functions.hidden]
    result = "{{ token }}"
    [functions.url]
    params = ["host"]
    result = "https://{{ hidden() }}@{{ host }}"
    [targets.web]
    """


@pytest.mark.parametrize(
    "template",
    [
        *("{{ url('x') }}", "{{ 'x' | url }}", "{{ hidden() | upper }}", "{{ ['x'] | map('url') | first }}"),
        *(
            "{{ ['x'] | map('u' ~ 'rl') | first }}",
            "{{ [url(h) for h in ['x']] | first }}",
            "{{ [hidden()[:3]] | join }}",
        ),
        "{% set f = 'url' %}{{ ['x'] | map(f) | join }}",
    ],
)
def test_a_function_does_not_lose_that_a_variable_is_sensitive(template: str) -> None:
    problem = problems_of_text(f'{SECRET}args = {{ X = "{template}" }}')
    assert 'args.X: variable "token" is sensitive, but "args" is stored in the history of the image' in problem
    assert "sesame" not in problem
    assert 'tags[0]: variable "token" is sensitive' in problems_of_text(f'{SECRET}tags = ["{template}"]')


def test_the_value_of_a_function_with_a_sensitive_variable_is_redacted() -> None:
    plan = resolve_text(f"{SECRET}context = \"{{{{ url('git.example/x.git') }}}}\"")
    assert "sesame-open" in plan.sensitive
    whole = resolve_text(f'{SECRET}contexts = {{ x = "https://h.example/{{{{ hidden() | upper }}}}.git" }}')
    assert "https://h.example/SESAME-OPEN.git" in whole.sensitive


def test_the_failure_of_a_function_does_not_print_a_sensitive_value() -> None:
    problems = problems_of_text("""
        [variables]
        token = { default = "sesame-open", sensitive = true }
        [functions.major]
        result = "{{ (token | semver).major }}"
        [targets.web]
        context = "https://h.example/{{ major() }}"
        contexts = { x = "https://h.example/{{ start(token) }}" }
        [functions.start]
        params = ["x"]
        result = "{{ (x[:6] | semver).major }}"
        """)
    assert "sesame" not in problems
    assert [line.partition(": ")[2] for line in problems.splitlines() if line.startswith("build")] == [
        'targets.web.context: in the function "***" is not a semantic version',
        'targets.web.contexts.x: in the function "***" is not a semantic version',
    ]


def test_a_variable_is_sensitive_if_its_default_calls_a_function_that_is() -> None:
    _, spec = read_text("""
        [variables]
        token = { default = "sesame-open", sensitive = true }
        derived = { default = "{{ f() }}", env = "DERIVED" }
        [functions.f]
        result = "{{ token }}"
        """)
    assert given_secrets(spec, Inputs(environment={"DERIVED": "sesame-from-env"})) == {"sesame-from-env"}
