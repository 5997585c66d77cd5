"""Other values for the variables of a bake file."""

from __future__ import annotations

import pytest

from mpbake.conversion.reading import read_hcl
from mpbake.conversion.variations import needed_values, variations


def values(text: str, **environment: str) -> list[str]:
    """Return the variations of a bake file as `NAME=VALUE`."""
    found = variations(read_hcl(text, "docker-bake.hcl"), environment)
    return [f"{change.variable}={change.value}" for change in found]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ('variable "V" { default = "dev" }', ["V=dev2", "V="]),
        ('variable "V" { default = "" }', ["V=other"]),
        ('variable "V" {}', ["V=other"]),
        ('variable "V" { default = "8.3" }', ["V=8.4", "V="]),
        ('variable "V" { default = "v1.2.3-rc9" }', ["V=v1.2.3-rc10", "V="]),
        ('variable "V" { default = "linux/amd64" }', ["V=linux/arm64", "V="]),
        ('variable "V" { default = "true" }', ["V=false", "V="]),
        ('variable "V" { default = false }', ["V=true"]),
        ('variable "V" { default = true }', ["V=false"]),
        ('variable "V" { default = 3 }', ["V=4"]),
        ('variable "V" {\n type = number\n default = 3\n}', ["V=4"]),
        ('variable "V" {\n type = bool\n}', ["V=true"]),
        ('variable "V" {\n type = list(string)\n default = ["a"]\n}', ["V=first", "V=first,second"]),
        # bake takes these only as JSON, from another variable.
        ('variable "V" {\n type = object({a = string})\n default = {a = "b"}\n}', []),
        ('variable "V" { default = ["a"] }', []),
        # The environment does not change it.
        ('V = "dev"', []),
        ('variable "BAKE_LOCAL_PLATFORM" { default = "linux/amd64" }', []),
        # docker gives bake "1", whatever the value is.
        ('variable "DEBUG" { default = "false" }', ["DEBUG=1", "DEBUG="]),
        ('variable "DEBUG" { default = "" }', ["DEBUG=1"]),
        ('variable "DEBUG" { default = false }', ["DEBUG=1"]),
        ('variable "DEBUG" { default = true }', []),
        ('variable "DEBUG" { default = 1 }', []),
    ],
)
def test_the_type_decides(variable: str, expected: list[str]) -> None:
    assert values(f"{variable}\n") == expected


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ('V == "release" ? "a" : "b"', ["V=release", "V=dev2", "V="]),
        ('"" != V ? "a" : "b"', ["V=dev2", "V="]),
        ('equal(V, "release") ? "a" : "b"', ["V=release", "V=dev2", "V="]),
        ('contains(["dev", "edge", "stable", "lts"], V) ? "a" : "b"', ["V=edge", "V=stable", "V=dev2", "V="]),
        ('lookup({ dev = "a", edge = "b" }, V, "c")', ["V=edge", "V=dev2", "V="]),
        ('{ dev = "a", edge = "b" }[V]', ["V=edge", "V=dev2", "V="]),
    ],
)
def test_values_with_which_the_file_compares_come_first(use: str, expected: list[str]) -> None:
    text = f'variable "V" {{ default = "dev" }}\ntarget "web" {{\n  tags = [{use}]\n}}\n'
    assert values(text) == expected


def test_a_validation_names_values() -> None:
    text = """
    variable "V" {
      default = "edge"
      validation {
        condition = contains(["edge", "stable"], V)
      }
    }
    """
    assert values(text) == ["V=stable", "V=edge2", "V="]


def test_the_present_value_is_no_variation() -> None:
    assert values('variable "V" { default = "dev" }\n', V="dev2") == ["V=dev3", "V="]
    assert values('variable "V" { default = false }\n', V="true") == ["V=false"]


def test_a_variable_without_a_value_needs_one() -> None:
    file = read_hcl(
        """
        variable "EMPTY" { default = "" }
        variable "UNSET" {}
        variable "NULL" { default = null }
        variable "FIXED" { default = "dev" }
        variable "TEXT" { default = "<the tag>" }
        variable "KIND" { default = "" }
        target "web" { tags = [KIND == "release" ? "a" : "b"] }
        """,
        "docker-bake.hcl",
    )
    needed = {change.variable: change.value for change in needed_values(file, {"UNSET": "x"})}
    assert needed == {"EMPTY": "other", "NULL": "other", "TEXT": "other", "KIND": "release"}


def test_many_variables_get_the_empty_text_only_if_the_file_compares_it() -> None:
    declared = "".join(f'variable "V{number}" {{ default = "a" }}\n' for number in range(21))
    used = 'target "web" {\n  tags = [V1 != "" ? "x" : "y"]\n}\n'
    found = values(declared + used)
    assert len(found) == 22
    assert [value for value in found if value.endswith("=")] == ["V1="]


def test_no_value_is_made_from_a_secret_of_the_environment() -> None:
    text = 'variable "NPM_TOKEN" { default = "" }\nvariable "DB_PASS" {}'

    assert values(text, NPM_TOKEN="hunter1", DB_PASS="hunter2") == [
        "NPM_TOKEN=another",
        "NPM_TOKEN=",
        "DB_PASS=another",
        "DB_PASS=",
    ]


def test_a_variable_that_is_a_platform_needs_a_platform() -> None:
    text = """
    variable "ARCH" {}
    variable "OS" {}
    variable "TAG" {}
    target "web" {
      platforms = ["${ARCH}", "${OS}/arm64"]
      tags = ["web:${TAG}"]
    }
    """
    needed = {change.variable: change.value for change in needed_values(read_hcl(text, "docker-bake.hcl"), {})}
    assert needed == {"ARCH": "linux/amd64", "OS": "other", "TAG": "other"}
