"""Expressions that the plan language cannot express: values that bake evaluates."""

from __future__ import annotations

from textwrap import dedent

from mpbake.conversion.plan import Frozen, FrozenKey, convert
from mpbake.conversion.reading.hcl.files import read_hcl
from tests.unit.conversion.plan.conversions import toml

_HCL = dedent("""
    variable "SALT" { default = "x" }
    variable "HASH" { default = bcrypt(SALT) }
    group "all" { targets = [for n in [bcrypt("a")]: "web-${n}"] }
    target "web" {
      # the labels
      labels = {
        title = "web"
        # a hash
        hash = bcrypt(SALT) # end
      }
      args = { A = "${bcrypt("a")}-{{ x }}" }
    }
    target "php" {
      name = "php-${v}"
      matrix = {
        v = ["8", "9"]
      }
      tags = [
        "php:${v}",
        bcrypt(
          v
        )
      ]
    }
""")


def frozen_of(values: dict[FrozenKey, object]) -> tuple[str, tuple[Frozen, ...]]:
    """Return the plan with the evaluated `values`, without its first line, and what is frozen."""
    conversion = convert(read_hcl(_HCL, "docker-bake.hcl"), values)
    return conversion.text.removeprefix("version = 1\n\n"), conversion.frozen


def test_frozen_expressions_are_listed_with_their_scope() -> None:
    _, frozen = frozen_of({})
    row = {"v": "v"}
    assert [(entry.key.block, entry.key.name, entry.key.path, entry.target, entry.names) for entry in frozen] == [
        ("variable", "HASH", ("default",), "", {}),
        ("group", "all", ("targets",), "", {}),
        ("target", "web", ("labels", "hash"), "", {}),
        ("target", "web", ("args", "A"), "", {}),
        ("target", "php", ("tags", 1), "php", row),
    ]
    assert not any(entry.written for entry in frozen)
    assert {entry.reason for entry in frozen} == {"bcrypt: its result is random"}
    assert [entry.place.line for entry in frozen] == [3, 4, 10, 12, 21]


def test_values_are_written_with_the_original_expression() -> None:
    _, frozen = frozen_of({})
    answers = ["h1", ["web-h2", None], "h3", "{{ h4 }}", {"php-8": "h8", "php-9": "h9"}]
    text, evaluated = frozen_of({entry.key: answer for entry, answer in zip(frozen, answers, strict=True)})
    assert all(entry.written for entry in evaluated)
    assert text.startswith(
        toml("""
            [variables]
            salt = { default = "x", env = "SALT" }
            # bake: bcrypt(SALT)
            hash = { default = "h1", env = "HASH" }

            [groups]
            # bake: [for n in [bcrypt("a")]: "web-${n}"]
            all = ["web-h2", "{{ none }}"]

            # the labels
            [targets.web.labels]
            title = "web"
            # a hash
            # bake: bcrypt(SALT)
            hash = "h3" # end

            [targets.web.args]
            # bake: "${bcrypt("a")}-{{ x }}"
            A = "{{ '{{' }} h4 }}"

        """)
    )


def test_row_values_are_selected_by_the_name_of_the_row() -> None:
    _, frozen = frozen_of({})
    text, _ = frozen_of({frozen[-1].key: {"php-8": "h8", "php-9": "h9"}})
    assert text.endswith(
        toml("""
            [targets.php]
            let = { row = "php-{{ v }}", tags_of_row = { php-8 = "h8", php-9 = "h9" } }
            name = "{{ row }}"
            matrix = { v = ["8", "9"] }
            tags = [
              "php:{{ v }}",
              # bake: bcrypt(
              # bake:   v
              # bake: )
              "{{ tags_of_row[row] }}",
            ]
        """)
    )


def test_names_of_rows_that_only_bake_knows_become_values_of_the_rows() -> None:
    hcl = """
        row = "x"
        target "php" {
          matrix = { v = ["8", "9"] }
          name = "php-${bcrypt(v)}"
          args = { V = v, H = bcrypt(v) }
        }
    """
    file = read_hcl(dedent(hcl), "docker-bake.hcl")
    name, hash_ = convert(file).frozen
    assert (name.target, name.names, hash_.target) == ("php", {"v": "v"}, "php")
    rows = {"php-a": {"v": "8", "row_2": "php-a"}, "php-b": {"v": "9", "row_2": "php-b"}}
    text = convert(file, {name.key: rows, hash_.key: {"php-a": "a", "php-b": "b"}}).text
    assert text.removeprefix("version = 1\n\n") == toml("""
        [variables]
        row = "x"

        [targets.php]
        # bake: "php-${bcrypt(v)}"
        matrix = [{ v = "8", row_2 = "php-a" }, { v = "9", row_2 = "php-b" }]
        let = { h_of_row = { php-a = "a", php-b = "b" } }
        name = "{{ row_2 }}"

        [targets.php.args]
        V = "{{ v }}"
        # bake: bcrypt(v)
        H = "{{ h_of_row[row_2] }}"
    """)
