"""Where the value of a variable comes from, and its type."""

from __future__ import annotations

from typing import Any

import pytest

from mpbake.errors import UsageError
from tests.unit.plans import problems_of_text, resolve_text, target_of_text, text


def value_of(default: str, **inputs: Any) -> str:
    """How a template prints the variable `v`, whose default and environment variable `V` are given."""
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
        ("true", "false", "False"),
        ("true", "0", "False"),
        ("true", "no", "False"),
        ("true", "OFF", "False"),
        ("true", "", "False"),
        ("false", "true", "True"),
        ("false", "1", "True"),
        ("false", "Yes", "True"),
        ("false", "on", "True"),
        ("1", "42", "42"),
        ("1", "-7", "-7"),
        ("0.5", "2", "2.0"),
        ("0.5", "1e3", "1000.0"),
        ("[]", "a, b,,c ,", "['a', 'b', 'c']"),
        ("[1]", "", "[]"),
    ],
)
def test_a_given_text_takes_the_type_of_the_default(default: str, given: str, value: str) -> None:
    assert value_of(default, variables={"v": given}) == value
    assert value_of(default, environment={"V": given}) == value


@pytest.mark.parametrize(
    ("default", "given", "problem"),
    [
        ("true", "maybe", 'cannot take "maybe" from --var: it is not true or false'),
        ("1", "1.5", 'cannot take "1.5" from --var: it is not a whole number'),
        ("1", "", 'cannot take "" from --var: it is not a whole number'),
        ("1", "9" * 5000, f'cannot take "{"9" * 5000}" from --var: it is not a whole number'),
        ("0.5", "half\n", r'cannot take "half\n" from --var: it is not a number'),
    ],
)
def test_a_text_that_does_not_fit_the_type(default: str, given: str, problem: str) -> None:
    plan = f"\n[variables]\nv = {default}"
    expected = f'build.toml:3: variables.v: variable "v" {problem}\n    v = {default}'
    assert problems_of_text(plan, variables={"v": given}) == expected


def test_a_bad_value_from_the_environment_names_the_variable_there() -> None:
    plan = """
        [variables.port]
        default = 80
        env = "PORT"
        """
    assert problems_of_text(plan, environment={"PORT": "http"}) == text("""
        build.toml:2: variables.port: variable "port" cannot take "http" from the environment variable PORT: \
it is not a whole number
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
    assert [str(each) for each in target.platforms] == ["linux/amd64", "linux/arm64"]
    assert target.push is True


@pytest.mark.parametrize(
    ("variables", "message", "hint"),
    [
        ("tag = 1", '--var: the plan has no variable "tga"', 'did you mean "tag"?'),
        ("x = 1\ny = 1", '--var: the plan has no variable "tga"', "known variables: x, y"),
        ("", '--var: the plan has no variable "tga"', "there are no variables"),
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
        f'build.toml:3: variables.{key}: "{shown}" is no variable name\n'
        f"    {written} = 1\n"
        "  = use letters, digits and underscores"
    )


def test_a_bad_name_with_a_bad_value() -> None:
    assert problems_of_text('\n[variables]\n"a\\nb" = 1', variables={"a\nb": "x"}) == text(r"""
        build.toml:3: variables."a\nb": variable "a\nb" cannot take "x" from --var: it is not a whole number
            "a\nb" = 1
        build.toml:3: variables."a\nb": "a\nb" is no variable name
            "a\nb" = 1
          = use letters, digits and underscores
        """)
