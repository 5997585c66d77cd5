"""Variables: names, types, the environment and constraints."""

from __future__ import annotations

import pytest

from tests.unit.conversion.plan.conversions import converted, notes_of, plan_of, toml


@pytest.mark.parametrize(
    ("hcl", "line"),
    [
        ('variable "TAG" { default = "dev" }', 'tag = { default = "dev", env = "TAG" }'),
        ('variable "TAG" {}', 'tag = { default = "", env = "TAG" }'),
        ('variable "TAG" { default = null }', 'tag = { default = "{{ none }}", env = "TAG" }'),
        ('variable "TAG" { type = string }', 'tag = { default = "{{ none }}", env = "TAG" }'),
        ('variable "DEBUG" { default = false }', 'debug = { default = false, env = "DEBUG" }'),
        ('variable "DEBUG" { type = bool }', 'debug = { type = "bool", default = "{{ none }}", env = "DEBUG" }'),
        ('variable "DEBUG" {\n type = bool\n default = "true"\n}', 'debug = { default = true, env = "DEBUG" }'),
        ('variable "N" {\n type = number\n default = "8"\n}', 'n = { default = 8, env = "N" }'),
        ('variable "N" { default = 1.5 }', 'n = { default = 1.5, env = "N" }'),
        ('variable "V" {\n type = string\n default = 8\n}', 'v = { default = "8", env = "V" }'),
        ('variable "P" { default = ["a", "b"] }', 'p = ["a", "b"]'),
        (
            'variable "P" {\n type = list(string)\n default = ["a", 1]\n}',
            'p = { default = ["a", "1"], env = "P" }',
        ),
        ('variable "P" { type = list(string) }', 'p = { type = "list", default = "{{ none }}", env = "P" }'),
        (
            'variable "P" {\n type = set(string)\n default = ["b", "a", "b"]\n}',
            'p = { default = ["a", "b"], env = "P" }',
        ),
        ('variable "M" { default = { a = 1 } }', "m = { default = { a = 1 } }"),
        ('tag = "v1"', 'tag = "v1"'),
        ("tag = 5", "tag = 5"),
        (
            'variable "TAG" {\n default = "dev"\n description = "the tag"\n}',
            'tag = { default = "dev", env = "TAG", description = "the tag" }',
        ),
    ],
)
def test_variable_has_the_type_and_the_source_of_bake(hcl: str, line: str) -> None:
    assert plan_of(hcl) == f"[variables]\n{line}\n"


def test_default_can_use_other_variables() -> None:
    text = plan_of("""
        variable "OWNER" { default = "shop" }
        variable "REPO" { default = "ghcr.io/${OWNER}" }
        variable "ALIAS" { default = REPO }
        all = [OWNER, REPO]
    """)
    assert text == toml("""
        [variables]
        owner = { default = "shop", env = "OWNER" }
        repo = { default = "ghcr.io/{{ owner }}", env = "REPO" }
        alias = { default = "{{ repo }}", env = "ALIAS" }
        all = ["{{ owner }}", "{{ repo }}"]
    """)


def test_comments_stay_with_their_variable() -> None:
    text = plan_of("""
        # The shop.

        # about the tag
        variable "TAG" { default = "dev" } # end
    """)
    assert text == toml("""
        # The shop.

        [variables]
        # about the tag
        tag = { default = "dev", env = "TAG" } # end
    """)


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hcl", "names"),
    [
        ('variable "TAG" {}\nvariable "tag" {}', {"TAG": "TAG", "tag": "tag"}),
        ('variable "PHP" {}\ntarget "a" {\n matrix = { php = ["8"] }\n name = php\n}', {"PHP": "PHP"}),
        ('variable "php" {}\ntarget "a" {\n matrix = { php = ["8"] }\n name = php\n}', {"php": "PHP"}),
        ('variable "GIT" {}\nvariable "IF" {}', {"GIT": "GIT", "IF": "IF"}),
        ('variable "platform" {}', {"platform": "PLATFORM"}),
        ('variable "my-tag" {}', {"my-tag": "my_tag"}),
        ('variable "dockerTag" {}', {"dockerTag": "dockerTag"}),
        ('variable "TAG" {}\nfunction "f" {\n params = [tag]\n result = "${tag}"\n}', {"TAG": "tag"}),
        ('variable "TAG" {}\nfunction "f" {\n params = [tag]\n result = "${tag}${TAG}"\n}', {"TAG": "TAG"}),
        ('variable "TAG" {}\nvariable "L" { default = [for tag in ["a"]: "${tag}${TAG}"] }', {"TAG": "TAG", "L": "l"}),
        ('variable "TAG" {}\nfunction "tag" {\n params = []\n result = TAG\n}', {"TAG": "TAG"}),
    ],
)
def test_name_is_in_lower_case_if_nothing_hides_it(hcl: str, names: dict[str, str]) -> None:
    assert converted(hcl).variables == names


# --- constraints ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "constraint"),
    [
        ('contains(["a", "b"], X)', 'choices = ["a", "b"]'),
        ('X == "a"', 'choices = ["a"]'),
        ('X == "a" || "b" == X', 'choices = ["a", "b"]'),
        ('X != ""', "required = true"),
        ('"" != X', "required = true"),
        ("length(X) > 0", "required = true"),
        ("0 < length(X)", "required = true"),
        ('can(regex("^v[0-9]+$", X))', 'pattern = "^v[0-9]+$"'),
        ('X == regex("[0-9]+[.][0-9]+", X)', 'pattern = "^[0-9]+[.][0-9]+$"'),
        ('regex("^v[0-9]$", X) == X', 'pattern = "^v[0-9]$"'),
        ('X == regex("v[0-9]?\\\\$", X)', "pattern = '^v[0-9]?\\$$'"),
        ('length(regexall("[a-z]", X)) > 0', 'pattern = "[a-z]"'),
        ('X == "" || can(regex("^v", X))', 'pattern = "^$|^v"'),
        ('startswith(X, "v1.")', "pattern = '^v1\\.'"),
        ('endswith(X, ".0")', "pattern = '\\.0$'"),
        ('X != "" && can(regex("^v", X))', 'required = true, pattern = "^v"'),
    ],
)
def test_validation_of_text_becomes_a_constraint(condition: str, constraint: str) -> None:
    hcl = f'variable "X" {{\n default = "a"\n validation {{\n condition = {condition}\n error_message = "no"\n }}\n}}'
    assert plan_of(hcl) == f'[variables]\nx = {{ default = "a", env = "X", {constraint} }}\n'
    assert notes_of(hcl) == []


@pytest.mark.parametrize(
    ("condition", "constraint"),
    [
        ("X >= 1 && X <= 5", "min = 1, max = 5"),
        ("X > 0 && X < 6", "min = 1, max = 5"),
        ("1 <= X", "min = 1"),
        ("contains([1, 2], X)", "choices = [1, 2]"),
        ("X != null", "required = true"),
    ],
)
def test_validation_of_numbers_becomes_a_constraint(condition: str, constraint: str) -> None:
    hcl = f'variable "X" {{\n default = 2\n validation {{\n condition = {condition}\n error_message = "no"\n }}\n}}'
    assert plan_of(hcl) == f'[variables]\nx = {{ default = 2, env = "X", {constraint} }}\n'


@pytest.mark.parametrize(
    "condition",
    [
        "length(X) > 2",
        "X == Y",
        "X != null",
        'X > "a"',
        '!startswith(X, "a")',
        'X != "" || Y != ""',
        "contains(Y, X)",
        'can(regex(Y, X)) && X != ""',
        'X == "a" || X != "b"',
        'X == regex("a|ab", X)',
        'X == regex("(a)b", X)',
        'X == regex("ab??", X)',
    ],
)
def test_validation_that_a_plan_cannot_express_is_a_comment_and_a_note(condition: str) -> None:
    hcl = f"""
        variable "Y" {{}}
        variable "X" {{
          default = "a"
          validation {{
            # about the check
            condition = {condition}
            error_message = "no"
          }}
        }}
    """
    assert plan_of(hcl) == toml(f"""
        [variables]
        y = {{ default = "", env = "Y" }}

        # about the check
        # bake checks: {condition}
        x = {{ default = "a", env = "X" }}
    """)
    assert notes_of(hcl) == [f'lost: mpbake cannot check the validation of "X": {condition}']


def test_two_validations_must_both_hold() -> None:
    hcl = """
        variable "X" {
          default = "ab"
          validation {
            condition = can(regex("a", X))
            error_message = "a"
          }
          validation {
            condition = can(regex("b", X))
            error_message = "b"
          }
        }
    """
    assert plan_of(hcl) == toml("""
        [variables]
        # bake checks: can(regex("b", X))
        x = { default = "ab", env = "X", pattern = "a" }
    """)


# --- lists with empty texts, and the platform of the machine ----------------------------------------------------------


def test_list_with_an_empty_text_is_written_where_it_is_used() -> None:
    hcl = """
        suffixes = ["", "-debug"]
        target "app" {
          matrix = { suffix = suffixes }
          name = "app${suffix}"
        }
        target "all" {
          tags = [for suffix in suffixes: "app:1${suffix}"]
        }
    """
    assert plan_of(hcl) == toml("""
        [targets.app]
        matrix = { suffix = ["", "-debug"] }
        name = "app{{ suffix }}"

        [targets.all]
        tags = "{{ ['app:1' ~ suffix for suffix in ['', '-debug']] }}"
    """)
    assert notes_of(hcl) == [
        'lost: the variable "suffixes" is written where it is used: a list of a variable has no empty texts'
    ]


def test_platform_of_the_machine_is_local_in_platforms_and_else_a_variable() -> None:
    hcl = """
        target "app" {
          platforms = [BAKE_LOCAL_PLATFORM]
          tags = ["app:${replace(BAKE_LOCAL_PLATFORM, "/", "-")}"]
        }
        target "arm" {
          platforms = ["arm64", "${BAKE_LOCAL_PLATFORM}"]
        }
    """
    assert plan_of(hcl) == toml("""
        [variables]
        # The platform of the machine that runs mpbake, as bake writes it.
        bake_local_platform = "{{ machine_platform() | replace('arm64', 'arm64/v8') }}"

        [targets.app]
        platforms = ["local"]
        tags = ["app:{{ bake_local_platform | replace('/', '-') }}"]

        [targets.arm]
        platforms = ["linux/arm64", "local"]
    """)
    assert not converted(hcl).frozen


def test_clock_is_noted_once() -> None:
    hcl = 'target "a" {\n labels = { a = timestamp(), b = timestamp() }\n}'
    assert notes_of(hcl) == [
        "lost: timestamp() is the time in SOURCE_DATE_EPOCH, not that of the clock: set it before you build"
    ]
