"""Lists and tables with conditional entries, and the comments in them."""

from __future__ import annotations

import pytest

from tests.unit.conversion.plan.conversions import plan_of, toml

_VARIABLES = 'variable "FULL" { default = false }\n'


def attributes_of(attributes: str) -> str:
    """Return the attributes of the target `web` in the plan."""
    text = plan_of(f'{_VARIABLES}target "web" {{\n{attributes}\n}}')
    return text.partition("[targets.web]\n")[2].rstrip()


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ('tags = concat(["a"], FULL ? ["b"] : [])', """tags = ["a", "{{ 'b' if full }}"]"""),
        (
            'platforms = FULL ? ["linux/amd64", "linux/arm64"] : ["linux/amd64"]',
            """platforms = ["linux/amd64", "{{ 'linux/arm64' if full }}"]""",
        ),
        ('tags = FULL ? ["a", "b"] : []', """tags = "{{ ['a', 'b'] if full else [] }}\""""),
        (
            'tags = concat(["a"], FULL ? ["b", "c", "d", "e"] : [])',
            """tags = "{{ ['a'] + (['b', 'c', 'd', 'e'] if full else []) }}\"""",
        ),
        ('tags = FULL ? ["a"] : ["b"]', """tags = ["{{ 'a' if full else 'b' }}"]"""),
        ('tags = FULL ? ["a", "b"] : ["c", "d"]', """tags = "{{ ['a', 'b'] if full else ['c', 'd'] }}\""""),
        ('secret = FULL ? [{ id = "key", env = "KEY" }] : []', """secret = ["{{ 'id=key,env=KEY' if full }}"]"""),
        ('inherits = FULL ? ["base"] : []', """inherits = "{{ ['_base'] if full else [] }}\""""),
        (
            'args = merge({ A = "1" }, FULL ? { B = "2" } : {})',
            """args = { A = "1", B = "{{ '2' if full else none }}" }""",
        ),
        (
            'labels = FULL ? { a = "1", b = null } : { a = "2" }',
            """labels = { a = "{{ '1' if full else '2' }}", b = "{{ none }}" }""",
        ),
        (
            'args = merge({ A = "1" }, FULL ? { A = "2" } : {})',
            """args = "{{ {'A': '1'} | merge({'A': '2'} if full else {}) }}\"""",
        ),
        ('contexts = FULL ? { src = "." } : {}', """contexts = "{{ {'src': '.'} if full else {} }}\""""),
    ],
)
def test_entries_are_conditional_where_they_can_be_left_out(attribute: str, expected: str) -> None:
    assert attributes_of(attribute) == expected


def test_function_that_only_gives_tags_has_conditional_items_with_their_comments() -> None:
    text = plan_of(
        _VARIABLES
        + """
        function "tags" {
          params = [name]
          result = concat(
            ["shop/${name}:1"], # always
            # only for releases
            FULL ? ["shop/${name}:latest"] : [],
            [name]
            # the last
          )
        }
        target "web" { tags = tags("web") }
        """
    )
    assert (
        toml("""
        [functions.tags]
        params = ["name"]
        result = [
          "shop/{{ name }}:1", # always
          # only for releases
          "{{ 'shop/' ~ name ~ ':latest' if full }}",
          # the last
          "{{ name }}",
        ]
    """)
        in text
    )


@pytest.mark.parametrize(
    "use",
    [
        'args = { A = join(",", list("web")) }',
        'tags = list("web")\nargs = { A = length(list("x")) }',
        'tags = [for name in list("web") : "x${name}"]',
    ],
)
def test_function_whose_items_count_keeps_its_list(use: str) -> None:
    text = plan_of(f"""{_VARIABLES}
        function "list" {{
          params = [name]
          result = FULL ? [name] : []
        }}
        target "web" {{
          {use}
        }}
    """)
    assert 'result = "{{ [name] if full else [] }}"' in text


def test_a_repeated_comment_in_a_value_that_becomes_a_template_stands_above_it_once() -> None:
    text = plan_of("""
        target "web" {
          tags = [for tag in [
            # ----
            # soon removed
            # ----
            "a",
            # soon removed
            "b",
          ]: "web:${tag}"]
        }
    """)
    assert text == toml("""
        [targets.web]
        # ----
        # soon removed
        # ----
        tags = "{{ ['web:' ~ tag for tag in ['a', 'b']] }}"
    """)


def test_comments_in_a_value_that_becomes_a_template_stand_above_it() -> None:
    text = attributes_of("""
        args = merge({
          A = "1" # a
          # about b
          B = "2"
        }, { for name in ["c"] : name => "3" })
    """)
    above, _, value = text.rpartition("\n")
    assert above.splitlines() == ["# a", "# about b"]
    assert value.startswith("args = ")
