"""The blocks of files in HCL."""

from __future__ import annotations

import pytest

from mpbake.base.errors import PlanError
from mpbake.conversion.reading import read_expression, read_hcl, read_template
from mpbake.conversion.syntax import (
    BakeFile,
    Binary,
    Call,
    Entry,
    Format,
    Function,
    Group,
    Ignored,
    Item,
    ListOf,
    Literal,
    Name,
    ObjectOf,
    Pair,
    Place,
    Target,
    Template,
    Validation,
    Variable,
)
from tests.unit.conversion.reading.bakefiles import hcl


def place(line: int, column: int = 1) -> Place:
    return Place(file="docker-bake.hcl", line=line, column=column)


def test_a_variable_has_default_type_description_and_validations() -> None:
    file = hcl(
        """
        variable "PORTS" {
          type        = list(number)
          default     = [80]
          description = "Open ports"
          validation {
            condition     = PORTS != []
            error_message = "name a port"
          }
          validation {
            condition = true
          }
        }
        """
    )

    assert file.blocks == (
        Variable(
            name="PORTS",
            default=ListOf(items=(Item(value=Literal(value=80)),)),
            type=Call(function="list", arguments=(Name(name="number"),)),
            description=Literal(value="Open ports"),
            validations=(
                Validation(
                    condition=Binary(operator="!=", left=Name(name="PORTS"), right=ListOf(items=())),
                    error_message=Literal(value="name a port"),
                    place=place(5, 3),
                ),
                Validation(condition=Literal(value=True), place=place(9, 3)),
            ),
            place=place(1),
        ),
    )


def test_a_variable_without_default_an_unquoted_label_and_a_constant() -> None:
    file = hcl('variable TAG {}\nREGISTRY = "example.com"\n')

    assert file.blocks == (
        Variable(name="TAG", place=place(1)),
        Variable(name="REGISTRY", default=Literal(value="example.com"), constant=True, place=place(2)),
    )


def test_a_function_has_parameters_and_a_result() -> None:
    file = hcl(
        """
        function "image" {
          params          = [name]
          variadic_params = more
          result          = join("-", concat([name], more))
        }
        """
    )

    (function,) = file.blocks
    assert isinstance(function, Function)
    assert (function.params, function.variadic) == (("name",), "more")
    assert isinstance(function.result, Call)


def test_groups_and_targets_keep_their_order_and_their_attributes() -> None:
    file = hcl(
        """
        group "default" { targets = ["web"] }

        target "web" {
          name    = "web-${os}"
          matrix  = { os = ["linux"] }
          unknown = 1
        }
        """
    )

    group, target = file.blocks
    assert group == Group(name="default", targets=ListOf(items=(Item(value=Literal(value="web")),)), place=place(1))
    assert target == Target(
        name="web",
        place=place(3),
        entries=(
            Entry(name="name", value=Template(parts=(Literal(value="web-"), Name(name="os"))), place=place(4, 3)),
            Entry(
                name="matrix",
                value=ObjectOf(
                    pairs=(Pair(key=Literal(value="os"), value=ListOf(items=(Item(value=Literal(value="linux")),))),)
                ),
                place=place(5, 3),
            ),
            Entry(name="unknown", value=Literal(value=1), place=place(6, 3)),
        ),
    )


def test_what_bake_ignores_is_listed() -> None:
    file = hcl(
        """
        locals {
          a = 1
        }
        target = 1
        variable "TAG" {
          sensitive = true
          other {}
        }
        target "web" {
          args {
            A = 1
          }
        }
        """
    )

    assert file.ignored == (
        Ignored(what="the block `locals`", place=place(1)),
        Ignored(what="the attribute `target`", place=place(4)),
        Ignored(what='`sensitive` of variable "TAG"', place=place(6, 3)),
        Ignored(what='the block `other` of variable "TAG"', place=place(7, 3)),
        Ignored(what='the block `args` of target "web"', place=place(10, 3)),
    )
    assert [type(block) for block in file.blocks] == [Variable, Target]


def test_an_empty_file_has_no_blocks() -> None:
    assert read_hcl("", "docker-bake.hcl") == BakeFile(path="docker-bake.hcl", format=Format.HCL, blocks=())


def test_a_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    text = '# top\n\ntarget "web" {\n  tags = [\n    "a", # first\n    "b"\n  ]\n}\n'

    assert read_hcl("\ufeff" + text.replace("\n", "\r\n"), "docker-bake.hcl") == read_hcl(text, "docker-bake.hcl")


def test_names_may_have_letters_outside_ascii() -> None:
    assert hcl("größe = 1\nb = größe\n").blocks[1] == Variable(
        name="b", default=Name(name="größe"), constant=True, place=place(2)
    )


def test_a_template_without_quotes_has_no_escapes() -> None:
    assert read_template(r"a\n \"") == Literal(value=r"a\n \"")
    assert read_template("a\n$${b} ${c}") == Template(parts=(Literal(value="a\n${b} "), Name(name="c")))


def test_the_error_of_a_template_or_expression_has_the_place_and_line_of_the_caller() -> None:
    with pytest.raises(PlanError) as raised:
        read_template("a${", place(7, 3), '"a": "a${"')
    with pytest.raises(PlanError) as other:
        read_expression("list(", place(8, 3))

    assert str(raised.value).startswith("docker-bake.hcl:7:3: the template `${` is not closed [hcl-syntax]\n")
    assert '"a": "a${"' in str(raised.value)
    assert str(other.value).startswith("docker-bake.hcl:8:3: `(` is never closed")
