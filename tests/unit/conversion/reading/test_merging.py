"""Several bake files, and several blocks of one name. Comments say where buildx 0.36 was watched to do the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.conversion.reading import default_files, merged, read_bake_json, read_expression
from mpbake.conversion.syntax import (
    BakeFile,
    Comments,
    Conditional,
    Format,
    Function,
    Group,
    ListOf,
    Literal,
    ObjectOf,
    Target,
    Variable,
)
from tests.unit.conversion.reading.bakefiles import attribute, hcl

if TYPE_CHECKING:
    from mpbake.conversion.syntax import Expression


def json_file(text: str) -> BakeFile:
    return read_bake_json(text, "docker-bake.override.json")


def strings(value: Expression) -> list[object]:
    """Return the items of a list of literals, or the keys and values of a table of literals."""
    match value:
        case ListOf(items=items):
            return [item.value.value for item in items if isinstance(item.value, Literal)]
        case ObjectOf(pairs=pairs):
            return [
                (pair.key.value, pair.value.value)
                for pair in pairs
                if isinstance(pair.key, Literal) and isinstance(pair.value, Literal)
            ]
        case Literal(value=text):
            return [text]
        case _:
            return []


@pytest.mark.parametrize(
    ("name", "first", "second", "result"),
    [
        # All as `bake --print` of buildx 0.36 shows them.
        ("args", '{ A = "1", B = "1" }', '{ A = "2", B = null, C = "3" }', [("A", "2"), ("B", "1"), ("C", "3")]),
        ("labels", '{ l = "1" }', "null", [("l", "1")]),
        ("extra-hosts", '{ h = "1" }', "{ h = null }", [("h", "1")]),
        ("contexts", '{ c = "1", d = "2" }', '{ d = "" }', [("c", "1"), ("d", "")]),
        ("tags", '["a"]', '["b"]', ["b"]),
        ("platforms", '["linux/amd64"]', "[]", []),
        ("output", '["type=docker"]', "[]", []),
        ("cache-to", '["a"]', '["b"]', ["b"]),
        ("cache-from", '["a"]', '["b"]', ["a", "b"]),
        ("annotations", '["a=1"]', '["a=2"]', ["a=1", "a=2"]),
        ("attest", '["type=sbom"]', '["type=sbom,disabled=true"]', ["type=sbom", "type=sbom,disabled=true"]),
        ("secret", '["id=a"]', '["id=b"]', ["id=a", "id=b"]),
        ("entitlements", '["network.host"]', '["security.insecure"]', ["network.host", "security.insecure"]),
        ("ulimits", '["nofile=1"]', '["nofile=2"]', ["nofile=1", "nofile=2"]),
        ("no-cache-filter", '["a"]', '["b"]', ["a", "b"]),
        ("inherits", '["p"]', '["q"]', ["p", "q"]),
        ("context", '"a"', '"b"', ["b"]),
        ("target", '"t"', "null", ["t"]),
        ("description", '"one"', '""', ["one"]),
        ("pull", "true", "false", [False]),
    ],
)
def test_two_blocks_of_a_target(name: str, first: str, second: str, result: list[object]) -> None:
    file = merged([hcl(f'target "a" {{\n  {name} = {first}\n}}\ntarget "a" {{\n  {name} = {second}\n}}\n')])

    assert len(file.blocks) == 1
    assert strings(attribute(file, name)) == result


@pytest.mark.parametrize(
    ("name", "first", "second", "result"),
    [
        ("cache-from", '["a"]', "x", 'concat(["a"], x)'),
        ("args", "x", '{ A = "1" }', 'merge(x, { A = "1" })'),
        ("args", '{ A = "1" }', "y ? { A = null } : {}",
         'merge({ A = "1" }, {for key, value in (y ? { A = null } : {}) : key => value if value != null})'),
        ("contexts", '{ A = "1" }', "{ (x) = null }", 'merge({ A = "1" }, { (x) = null })'),
        ("tags", "x", "y ? x : null", "(y ? x : null) != null ? (y ? x : null) : x"),
    ],
)  # fmt: skip
def test_values_that_are_not_literal_are_merged_by_an_expression(
    name: str, first: str, second: str, result: str
) -> None:
    file = merged([hcl(f'target "a" {{\n  {name} = {first}\n}}\ntarget "a" {{\n  {name} = {second}\n}}\n')])
    assert attribute(file, name) == read_expression(result)


def test_an_argument_that_may_be_null_falls_back_on_the_earlier_one() -> None:
    file = merged([hcl('target "a" {\n  args = { A = "1" }\n}\ntarget "a" {\n  args = { A = x ? "2" : null }\n}\n')])
    args = attribute(file, "args")
    assert isinstance(args, ObjectOf)
    assert isinstance(args.pairs[0].value, Conditional)
    assert args.pairs[0].value.otherwise == Literal(value="1")


def test_later_files_replace_variables_functions_and_groups() -> None:
    file = merged(
        [
            hcl(
                """
                # The tag
                variable "TAG" {
                  default = "1"
                  type = string
                }
                function "f" {
                  params = [a]
                  result = a
                }
                group "g" {
                  description = "first"
                  targets = ["a"]
                }
                REGISTRY = "one"
                """
            ),
            json_file(
                """{"variable": {"TAG": {"default": "2"}, "NEW": {}}, "REGISTRY": "two",
                    "function": {"f": {"params": [], "result": "x"}}, "group": {"g": {"targets": ["b"]}}}"""
            ),
        ]
    )
    tag, function, group, registry, new = file.blocks

    assert isinstance(tag, Variable)
    assert (tag.name, tag.default, tag.type, tag.comments.before) == ("TAG", Literal(value="2"), None, ("The tag",))
    assert isinstance(function, Function)
    assert (function.params, function.result) == ((), Literal(value="x"))
    assert isinstance(group, Group)
    assert (strings(group.targets), group.description) == (["b"], None)
    assert isinstance(registry, Variable)
    assert (registry.default, registry.constant) == (Literal(value="two"), True)
    assert new.name == "NEW"


@pytest.mark.parametrize("is_first", [True, False])
def test_an_attribute_at_the_top_level_is_the_default_of_a_variable(is_first: bool) -> None:  # noqa: FBT001
    # buildx 0.36: the attribute wins in any order, and the environment can still change the value.
    files = [hcl('variable "TAG" {\n  type = string\n  default = "1"\n  validation {\n    condition = true\n  }\n}\n')]
    files.insert(0 if is_first else 1, json_file('{"TAG": "2"}'))

    (tag,) = merged(files).blocks
    assert isinstance(tag, Variable)
    assert (tag.default, tag.constant, tag.type, len(tag.validations)) == (Literal(value="2"), False, None, 1)


def test_compose_files_come_first() -> None:
    compose = BakeFile(
        path="compose.yaml",
        format=Format.COMPOSE,
        blocks=(hcl('target "a" {\n  context = "compose"\n  target = "t"\n}\n').blocks),
    )
    file = merged([hcl('target "b" {}\ntarget "a" {\n  context = "hcl"\n}\n'), compose])

    assert [block.name for block in file.blocks] == ["a", "b"]
    assert strings(attribute(file, "context")) == ["hcl"]
    assert strings(attribute(file, "target")) == ["t"]
    assert (file.path, file.format) == ("docker-bake.hcl", Format.HCL)


@pytest.mark.parametrize(
    ("default", "name"),
    [
        ('variable "TAG" {}', "TAG"),
        ('variable "TAG" {\n  default = "1"\n}', "TAG_COMPOSE"),
        ('TAG = ""', "TAG_COMPOSE"),
    ],
)
def test_a_compose_file_does_not_see_the_variables_of_other_files(default: str, name: str) -> None:
    # buildx 0.36: `${TAG}` in compose.yaml is empty if the environment has no TAG, whatever the HCL file says.
    compose = BakeFile(
        path="compose.yaml",
        format=Format.COMPOSE,
        blocks=hcl('variable "TAG" {\n  default = ""\n}\ntarget "a" {\n  tags = ["${TAG}-x", f(TAG)]\n}\n').blocks,
    )

    file = merged([compose, hcl(f'{default}\ntarget "b" {{\n  tags = [TAG]\n}}\n')])
    variables = {block.name: block for block in file.blocks if isinstance(block, Variable)}
    tags, other_tags = attribute(file, "tags"), attribute(file, "tags", target=1)

    assert set(variables) == {"TAG", name}
    assert variables[name].env == ("" if name == "TAG" else "TAG")
    assert tags == read_expression(f'["${{{name}}}-x", f({name})]')
    assert other_tags == read_expression("[TAG]")


def test_targets_with_matrices_are_merged_if_the_matrices_are_equal() -> None:
    file = merged(
        [
            hcl(
                """
                target "a" {
                  name = "a-${v}"
                  matrix = { v = ["1"] }
                  target = "t"
                }
                target "a" {
                  matrix = { v = ["1"] }
                  name = "a-${v}"
                  context = "c"
                }
                target "a" {
                  tags = ["x"]
                }
                """
            )
        ]
    )

    assert [sorted(entry.name for entry in block.entries) for block in file.blocks if isinstance(block, Target)] == [
        ["context", "matrix", "name", "target"],
        ["tags"],
    ]


def test_comments_of_all_files_are_kept() -> None:
    file = merged(
        [
            hcl(
                """
                # first heading

                # a
                target "a" {
                  args = {
                    A = 1 # A1
                    B = 1 # B1
                    # end of args
                  } # args
                  # end
                }
                # end of first
                """
            ),
            hcl(
                """
                # second heading

                # again
                target "a" {
                  args = { # more
                    # A2
                    A = 2
                  }
                }
                # end of second
                """
            ),
        ]
    )
    (target,) = file.blocks
    args = attribute(file, "args")
    assert isinstance(target, Target)
    assert isinstance(args, ObjectOf)

    assert (file.heading, file.trailing) == (("first heading",), ("end of first", "end of second"))
    assert target.comments == Comments(before=("a", "second heading", "", "again"))
    assert target.trailing == ("end",)
    assert target.entries[0].comments == Comments(before=("more",), after="args")
    assert [pair.comments for pair in args.pairs] == [Comments(before=("A2",)), Comments(after="B1")]
    assert args.trailing == ("end of args",)


def test_one_file_without_repeated_blocks_stays_as_it_is() -> None:
    file = hcl('# x\n\nvariable "A" {}\ntarget "a" {}\n# end\n')
    assert merged([file]) == file


def test_bake_reads_compose_files_before_its_own() -> None:
    names = ["docker-bake.override.hcl", "docker-bake.hcl", "compose.override.yaml", "docker-compose.yml",
             "compose.yaml", "docker-bake.json", "docker-bake.override.json", "Dockerfile"]  # fmt: skip
    assert default_files(names) == [
        *("compose.yaml", "docker-compose.yml", "docker-bake.json", "docker-bake.hcl"),
        *("docker-bake.override.json", "docker-bake.override.hcl"),
    ]
    assert default_files([]) == []


def test_comments_in_a_replaced_list_stay_above_the_new_list() -> None:
    first = hcl("""
        group "default" {
          # all
          targets = [
            "a", # first
            # not yet
            "b",
            # "c",
          ]
        }
        target "a" {
          tags = [
            "a:1" # old
          ]
        }
    """)
    second = hcl("""
        group "default" {
          targets = ["a"]
        }
        target "a" {
          tags = ["a:2"]
        }
    """)
    group, target = merged([first, second]).blocks
    assert group.comments.before == ("all", '"a" # first', "not yet", '"c",')
    assert isinstance(target, Target)
    assert target.entries[0].comments == Comments(before=('"a:1" # old',))
