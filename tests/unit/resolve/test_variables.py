"""The source and the type of a variable's value."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.base.errors import PlanError, UsageError
from mpbake.resolve.template import RESERVED
from tests.unit.plans import problems_of_text, resolve_text, target_of_text, text


def value_of(default: str, **inputs: Any) -> str:
    """Return the value of the variable `v` in a template.

    Its default and its environment variable `V` are parameters.
    """
    written = f"""
        [variables]
        v = {{ default = {default}, env = "V" }}
        [targets.web]
        args = {{ V = "<{{{{ v }}}}>" }}
        """
    shown: str = target_of_text(written, **inputs).attributes["args"]["V"]
    return shown[1:-1]


@pytest.mark.parametrize(
    ("variables", "environment", "value"),
    [
        ({}, {}, "default"),
        ({}, {"V": "env"}, "env"),
        ({}, {"V": ""}, ""),
        ({}, {"v": "other name", "OTHER": "x"}, "default"),
        ({"v": "var"}, {}, "var"),
        ({"v": "var"}, {"V": "env"}, "var"),
        ({"v": ""}, {"V": "env"}, ""),
    ],
)
def test_the_command_line_wins_over_the_environment_over_the_default(
    variables: dict[str, str], environment: dict[str, str], value: str
) -> None:
    assert value_of('"default"', variables=variables, environment=environment) == value


def test_the_environment_is_read_only_where_a_variable_names_it() -> None:
    plan = """
        [variables]
        HOME = "none"
        empty = { default = "none", env = "" }
        [targets.web]
        args = { A = "{{ HOME }}", B = "{{ empty }}" }
        """
    attributes = target_of_text(plan, environment={"HOME": "/root", "": "x"}).attributes
    assert attributes["args"] == {"A": "none", "B": "none"}


@pytest.mark.parametrize(
    ("default", "given", "value"),
    [
        ('"8.1"', "8.10", "8.10"),
        ('""', "a b\nc", "a b\nc"),
        ("true", "false", "false"),
        ("true", "0", "false"),
        ("true", "no", "false"),
        ("true", "OFF", "false"),
        ("true", "", "false"),
        ("false", "true", "true"),
        ("false", "1", "true"),
        ("false", "Yes", "true"),
        ("false", "on", "true"),
        ("1", "42", "42"),
        ("1", "-7", "-7"),
        ("1", " 42", "42"),
        ("0.5", "2", "2"),
        ("0.5", "1e3", "1e3"),
        ("0.5", "-0.50 ", "-0.50"),
        ("0.5", ".5", "0.5"),
        ("8.3", "8.10", "8.10"),
        ("[1]", "[0x1F, 8.10]", "[0x1F, 8.10]"),
        ("[]", "a, b,,c ,", '["a", "b", "c"]'),
        ("[1]", "", "[]"),
    ],
)
def test_a_given_text_takes_the_type_of_the_default(default: str, given: str, value: str) -> None:
    assert value_of(default, variables={"v": given}) == value
    assert value_of(default, environment={"V": given}) == value


def test_text_in_a_default_is_a_number_as_it_is_written() -> None:
    plan = """
        [variables]
        php = { default = "8.10", type = "float" }
        [targets.web]
        args = { A = "{{ php }}", B = "{{ php * 2 }}" }
        """
    assert target_of_text(plan).attributes["args"] == {"A": "8.10", "B": "16.2"}


ZEROS = "has a leading zero; for text, put the default in quotes"


@pytest.mark.parametrize(
    ("default", "given", "problem"),
    [
        ("true", "maybe", 'the value "maybe" of --var is not true or false'),
        ("1", "1.5", 'the value "1.5" of --var is not a whole number'),
        ("1", "", 'the value "" of --var is not a whole number'),
        ("1", "9" * 5000, f'the value "{"9" * 99}…" of --var is not a whole number'),
        ("1", "007", f'the value "007" of --var {ZEROS}'),
        ("0.5", "08.10", f'the value "08.10" of --var {ZEROS}'),
        ("1", "0o7", 'the value "0o7" of --var is not a whole number'),
        ("0.5", "half\n", r'the value "half\n" of --var is not a number'),
    ],
)
def test_a_text_that_does_not_fit_the_type(default: str, given: str, problem: str) -> None:
    plan = f"\n[variables]\nv = {default}"
    expected = f'build.toml:3: variables.v: variable "v": {problem}\n    v = {default}'
    assert problems_of_text(plan, variables={"v": given}) == expected


def test_a_bad_value_from_the_environment_names_the_variable_there() -> None:
    plan = """
        [variables.port]
        default = 80
        env = "PORT"
        """
    assert problems_of_text(plan, environment={"PORT": "http"}) == text("""
        build.toml:2: variables.port: variable "port": the value "http" of the environment variable PORT \
is not a whole number
            [variables.port]
        """)


def test_a_default_keeps_its_type_in_a_lone_expression() -> None:
    plan = """
        [variables]
        all = ["linux/amd64", "linux/arm64"]
        release = true
        [targets.web]
        platforms = "{{ all }}"
        push = "{{ release }}"
        tags = ["web"]
        """
    target = target_of_text(plan)
    assert [str(platform) for platform in target.platforms] == ["linux/amd64", "linux/arm64"]
    assert target.push is True


@pytest.mark.parametrize(
    ("variables", "message", "hint"),
    [
        ("tag = 1", '--var: unknown variable "tga"', 'did you mean "tag"?'),
        ("x = 1\ny = 1", '--var: unknown variable "tga"', "known variables: x, y"),
        ("", '--var: unknown variable "tga"', "there are no variables"),
    ],
)
def test_a_variable_that_the_plan_does_not_have(variables: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve_text(f"\n[variables]\n{variables}", variables={"tga": "x", "zzz": "y"})
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("written", "key"), [("a-b", "a-b"), ('"1a"', "1a"), ('""', '""'), (r'"a\nb"', r'"a\nb"'), ('"a.b"', '"a.b"')]
)
def test_a_name_that_no_template_could_use(written: str, key: str) -> None:
    shown = key.strip('"')
    assert problems_of_text(f"\n[variables]\n{written} = 1") == (
        f'build.toml:3: variables.{key}: "{shown}" is not a valid variable name\n'
        f"    {written} = 1\n"
        "  = use letters, digits and underscores"
    )


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_name_that_means_something_else_in_templates(name: str) -> None:
    assert problems_of_text(f'\n[variables]\n{name} = "x"\nother = "{{{{ {name} }}}}"') == (
        f'build.toml:3: variables.{name}: "{name}" is a reserved name in templates\n'
        f'    {name} = "x"\n'
        "  = rename the variable"
    )


def test_a_bad_name_with_a_bad_value() -> None:
    assert problems_of_text('\n[variables]\n"a\\nb" = 1', variables={"a\nb": "x"}) == text(r"""
        build.toml:3: variables."a\nb": "a\nb" is not a valid variable name
            "a\nb" = 1
          = use letters, digits and underscores
        """)


# --- types and limits ---------------------------------------------------------------------------------------------


def shown(variable: str, **inputs: Any) -> str:
    """Return the value in a template of `v`, declared as `variable`, or the problems."""
    plan = f'\n[variables]\nv = {variable}\n[targets.web]\nargs = {{ V = "<{{{{ v }}}}>" }}'
    try:
        return str(target_of_text(plan, **inputs).attributes["args"]["V"][1:-1])
    except PlanError as error:
        (problem,) = error.diagnostics
        return f"{problem.message}{f'; {problem.hint}' if problem.hint else ''}"


@pytest.mark.parametrize(
    ("variable", "given", "value"),
    [
        ('{ type = "string" }', "x", "x"),
        ('{ type = "int", default = 1 }', "7", "7"),
        ('{ type = "float", default = 1 }', "0.5", "0.5"),
        ('{ type = "bool" }', "yes", "true"),
        ('{ type = "list" }', "a,b", '["a", "b"]'),
        ('{ type = "list" }', '["a,b", "c"]', '["a,b", "c"]'),
        ('{ type = "map" }', '{ a = 1, "b.c" = "x" }', '{ a = 1, "b.c" = "x" }'),
        ('{ type = "int" }', "x", 'variable "v": the value "x" of --var is not a whole number'),
        ('{ type = "list" }', "[1", 'variable "v": the value "[1" of --var is not a list'),
        ('{ type = "list" }', "a, b\n\nc\n", '["a, b", "c"]'),
        ('{ type = "list" }', "a,b\n", '["a", "b"]'),
        ('{ type = "list" }', '[{"a": 8.10, "b": null}]', "[{ a = 8.10 }]"),
        ('{ type = "list" }', "[null]", 'variable "v": the value "[null]" of --var is not a list'),
        ('{ type = "map" }', '{"a": {"b": [true, 1.50]}}', "{ a = { b = [true, 1.50] } }"),
        ('{ type = "map" }', "a=1,2 = x\n\n b.c = \n", '{ a = "1,2 = x", "b.c" = "" }'),
        ('{ type = "map" }', "", "{}"),
        ('{ type = "map" }', "a=1\nb", 'variable "v": the value "a=1\\nb" of --var is not a table'),
        ('{ type = "map" }', "=1", 'variable "v": the value "=1" of --var is not a table'),
        ('{ type = "map" }', '{"a": NaN}', 'variable "v": the value "{"a": NaN}" of --var is not a table'),
        ('{ type = "map" }', '{"a": 1, "a": 2}', 'variable "v": the value "{"a": 1, "a": 2}" of --var is not a table'),
        ('{ type = "map" }', "{", 'variable "v": the value "{" of --var is not a table'),
        ('{ choices = ["a", "b"] }', "a", "a"),
        ('{ choices = ["a", "b"] }', "c", 'variable "v": the value "c" of --var is not one of a, b'),
        ("{ default = 1, choices = [1, 2] }", "2", "2"),
        ("{ default = 8.3, choices = [8.3, 8.10] }", "8.10", "8.10"),
        (
            "{ default = 8.3, choices = [8.1, 8.3] }",
            "8.10",
            'variable "v": the value "8.10" of --var is not one of 8.1, 8.3',
        ),
        ("{ default = 1, min = 1, max = 3 }", "3", "3"),
        ("{ default = 1, min = 1, max = 3 }", "0", 'variable "v": the value "0" of --var is less than the minimum 1'),
        (
            "{ default = 1, min = 1, max = 3 }",
            "4",
            'variable "v": the value "4" of --var is greater than the maximum 3',
        ),
        (
            '{ default = "a", min = 1 }',
            "b",
            'variable "v": the value "b" of --var is not a number, but the variable has `min` or `max`',
        ),
        ('{ pattern = "^[a-z]+$" }', "abc", "abc"),
        ('{ pattern = "^[a-z]+$" }', "abc1", 'variable "v": the value "abc1" of --var does not match ^[a-z]+$'),
        (
            '{ default = 1, pattern = "1" }',
            "1",
            'variable "v": the value "1" of --var is not text, but the variable has a `pattern`',
        ),
        (
            '{ pattern = "(" }',
            "a",
            'variable "v": the pattern ( is invalid: missing ): (',
        ),
        ('{ pattern = "(a+)+$" }', "a" * 5000 + "b", None),
        ("{ required = true }", "", 'variable "v": the value "" of --var is empty, but the variable is required'),
        ('{ required = true, default = "" }', "x", "x"),
    ],
)
def test_types_and_limits_of_what_is_given(variable: str, given: str, value: str | None) -> None:
    outcome = shown(variable, variables={"v": given})
    assert outcome == value if value is not None else "does not match" in outcome


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ('{ type = "string" }', 'variable "v" has no value; pass --var v=…'),
        ('{ type = "string", env = "V" }', 'variable "v" has no value; pass --var v=…, or set V'),
        ('{ required = true, default = "" }', 'variable "v": the default "" is empty, but the variable is required'),
        ('{ default = "c", choices = ["a"] }', 'variable "v": the default "c" is not one of a'),
        ('{ default = [1], type = "string" }', 'variable "v": the default "[1]" is not text'),
        ('{ default = true, type = "string" }', "true"),
        ('{ default = 3.10, type = "string" }', "3.10"),
        ('{ default = 3, type = "float" }', "3"),
        (
            '{ default = true, type = "int" }',
            'variable "v": the default "True" is not a whole number',
        ),
        ("{ default = { a = 1 } }", "{ a = 1 }"),
        ('{ type = "number" }', 'unknown value "number"; known values: bool, float, int, list, map, string'),
    ],
)
def test_types_and_limits_of_the_default(variable: str, value: str) -> None:
    assert shown(variable) == value


def test_a_file_of_values_wins_over_the_environment_and_keeps_its_types() -> None:
    variable = '{ default = "d", env = "V" }'
    assert shown(variable, environment={"V": "env"}, values={"v": "file"}) == "file"
    assert shown(variable, environment={"V": "env"}, values={"v": "file"}, variables={"v": "var"}) == "var"
    assert shown("{ default = [] }", values={"v": [1, "a,b"]}) == '[1, "a,b"]'
    assert shown("{ default = 1 }", values={"v": [1]}) == (
        'variable "v": the value "[1]" of --var-file is not a whole number'
    )
    with pytest.raises(UsageError, match='--var-file: unknown variable "w"'):
        shown(variable, values={"w": 1})


def test_a_default_may_refer_to_other_variables_in_any_order() -> None:
    target = target_of_text(
        """
        [variables]
        image = "{{ registry }}/{{ team }}/web"
        team = { default = "core" }
        registry = "r.example.com"
        all = ["{{ image }}", "{{ n + 1 }}"]
        n = 3
        [targets.web]
        args = { A = "{{ image }}", B = "{{ all | join(' ') }}" }
        """,
        variables={"team": "{{ not a template }}"},
    )
    image = "r.example.com/{{ not a template }}/web"
    assert target.attributes["args"] == {"A": image, "B": f"{image} 4"}


def test_variables_that_refer_to_one_another_in_a_circle() -> None:
    problems = problems_of_text("""
        [variables]
        a = "{{ b }}"
        b = "{{ c }}"
        c = "{{ a }}"
        """)
    assert problems == text("""
        build.toml:3: variables.a: references form a cycle: a -> b -> c -> a
            a = "{{ b }}"
          = remove one of these references
        """)


# --- follow-ups ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "given", "message"),
    [
        ('type = "map"', None, 'variable "v" has no value'),
        ('type = "map"', "x", 'variable "v": the value "x" of --var is not a table'),
        ('type = "map", default = "x"', None, 'variable "v": the default "x" is not a table'),
        ('type = "bool", default = "x"', None, 'variable "v": the default "x" is not true or false'),
        ('type = "map", default = "{{ nobody }}"', None, 'unknown variable "nobody"'),
    ],
)
@pytest.mark.parametrize(
    "uses",
    [
        'args = "{{ v }}"',
        'args = { A = "{{ v.key }}" }',
        'push = "{{ v }}"',
        'tags = ["{{ w }}"]',
        'matrix = "{{ w }}"\nname = "web-{{ x }}"',
        'inherits = ["{{ v }}"]',
    ],
)
def test_the_uses_of_a_variable_without_a_value_draw_no_further_errors(
    declared: str, given: str | None, message: str, uses: str
) -> None:
    plan = f"""
[variables]
v = {{ {declared} }}
w = {{ type = "map", default = "{{{{ v }}}}" }}
[targets.web]
{uses}
"""
    problems = problems_of_text(plan, variables={"v": given} if given else {})
    assert problems.count("build.toml:") == 1
    assert message in problems


def test_a_default_that_is_not_used_may_fail() -> None:
    plan = """
        [variables]
        day = { default = "{{ 'today' | timestamp('%d') }}", env = "DAY" }
        days = { default = ["{{ 'today' | timestamp('%d') }}"] }
        [targets.web]
        tags = ["web:{{ day }}", "web:{{ days | join('-') }}"]
        """
    resolved = resolve_text(plan, environment={"DAY": "31"}, variables={"days": '["1", "2"]'})
    assert resolved.targets["web"].tags == ("web:31", "web:1-2")
    assert "variables.day.default: " in problems_of_text(plan, variables={"days": '["1", "2"]'})
    undefined = plan.replace("'today' | timestamp('%d')", "nobody")
    assert "variables.day.default: unknown variable" in problems_of_text(undefined, environment={"DAY": "31"})


def test_the_uses_of_a_variable_whose_default_fails_are_not_reported() -> None:
    plan = """
        [variables]
        now = "{{ 'today' | timestamp }}"
        day = { default = "{{ now | timestamp('%d') }}", type = "string" }
        [targets.web]
        tags = ["web:{{ now | timestamp('%Y') }}", "{{ 'Web' }}", "web:{{ day }}"]
        """
    problems = problems_of_text(plan)
    assert problems.count("build.toml:") == 2
    assert 'variables.now: "today" is not a time' in problems
    assert 'targets.web.tags[1]: "Web" is not an image name' in problems


def test_a_usable_default_takes_the_place_of_a_wrong_value() -> None:
    plan = """
        [variables]
        v = { default = { a = "x y" } }
        [targets.web]
        tags = ["{{ v.a }}"]
        """
    problems = problems_of_text(plan, variables={"v": "x"})
    assert 'variable "v": the value "x" of --var is not a table' in problems
    assert 'targets.web.tags[0]: "x y" is not an image name' in problems
