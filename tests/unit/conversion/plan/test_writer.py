"""The form of a plan: lines, lists, tables and comments."""

from __future__ import annotations

import pytest
import tomli

from mpbake.conversion.plan.text.document import Array, ArrayItem, Document, KeyValue, Section, Table, as_value
from mpbake.conversion.plan.text.writer import document_text, value_text
from mpbake.conversion.syntax import Comments
from tests.unit.conversion.plan.conversions import toml


def written(*pairs: KeyValue, path: tuple[str, ...] = ("targets", "web")) -> str:
    """Return the text of a document with one section."""
    return document_text(Document(sections=(Section(path=path, pairs=pairs),)))


def pair(key: str, value: object, before: tuple[str, ...] = (), after: str = "") -> KeyValue:
    """Return a key with its value and comments."""
    return KeyValue(key=key, value=as_value(value), comments=Comments(before=before, after=after))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", '"plain"'),
        ('say "hi"', "'say \"hi\"'"),
        ("C:\\build", "'C:\\build'"),
        ("it's \\d", "'''it's \\d'''"),
        ("a\\'", '"a\\\\\'"'),
        ("bell\x07", '"bell\\u0007"'),
        ("one\rtwo", '"one\\rtwo"'),
        ("FROM a\nRUN b\n", '"""\nFROM a\nRUN b\n"""'),
        ('FROM a\nCMD ["b"]\n', "'''\nFROM a\nCMD [\"b\"]\n'''"),
        ("'''\n\"", '"""\n\'\'\'\n\\""""'),
        (8080, "8080"),
        (1.5, "1.5"),
        (True, "true"),
        ([], "[]"),
        ({}, "{}"),
        (["a", {"b c": 1}], '["a", { "b c" = 1 }]'),
    ],
)
def test_value_is_written_with_the_fewest_escapes(value: object, text: str) -> None:
    assert value_text(as_value(value)) == text
    assert tomli.loads(f"x = {text}") == {"x": value}


def test_short_values_stay_on_one_line() -> None:
    text = written(pair("tags", ["a", "b"]), pair("args", {"A": 1, "B": "x"}), pair("pull", value=True, after="why"))
    assert text == toml("""
        [targets.web]
        tags = ["a", "b"]
        args = { A = 1, B = "x" }
        pull = true # why
    """)


def test_long_list_has_a_line_for_each_item() -> None:
    text = written(pair("platforms", [f"linux/platform-{number}" for number in range(5)]))
    assert text == toml("""
        [targets.web]
        platforms = [
          "linux/platform-0",
          "linux/platform-1",
          "linux/platform-2",
          "linux/platform-3",
          "linux/platform-4",
        ]
    """)


def test_long_table_gets_a_header_below_the_other_keys() -> None:
    text = written(
        pair("args", {f"ARGUMENT_{number}": "value" for number in range(4)}, before=("about args",), after="side"),
        pair("context", "web"),
    )
    assert text == toml("""
        [targets.web]
        context = "web"

        # about args
        [targets.web.args] # side
        ARGUMENT_0 = "value"
        ARGUMENT_1 = "value"
        ARGUMENT_2 = "value"
        ARGUMENT_3 = "value"
    """)


def test_table_with_only_one_long_table_has_no_header_of_its_own() -> None:
    text = written(pair("default", {"a": "x" * 50, "b": "y" * 50}, before=("why",)), path=("variables", "map"))
    assert text == toml(f"""
        # why
        [variables.map.default]
        a = "{"x" * 50}"
        b = "{"y" * 50}"
    """)


def test_matrix_stays_where_it_is() -> None:
    text = written(pair("matrix", {"first": ["a" * 30], "second": ["b" * 30, "c" * 60]}), pair("name", "{{ first }}"))
    assert text == toml(f"""
        [targets.web]
        matrix.first = ["{"a" * 30}"]
        matrix.second = [
          "{"b" * 30}",
          "{"c" * 60}",
        ]
        name = "{{{{ first }}}}"
    """)


def test_long_variable_stays_where_it_is() -> None:
    long = {"default": f"{'x' * 60}", "env": "LONG", "description": "y" * 40}
    table = {"default": {"a": "x" * 60, "b": "y" * 60}, "env": "TABLE"}
    variables = pair("a", "1"), pair("long", long, before=("About it",)), pair("table", table), pair("z", "2")
    assert written(*variables, path=("variables",)) == toml(f"""
        [variables]
        a = "1"
        # About it
        long.default = "{"x" * 60}"
        long.env = "LONG"
        long.description = "{"y" * 40}"
        z = "2"

        [variables.table]
        env = "TABLE"

        [variables.table.default]
        a = "{"x" * 60}"
        b = "{"y" * 60}"
    """)


def test_long_template_in_a_list_has_several_lines() -> None:
    template = f"{{{{ image ~ ':{'x' * 60}' ~ version if is_released and version != 'dev' else none }}}}"
    text = written(pair("tags", ["{{ ['short', 'list'] | join }}", template]))
    assert text == toml(f"""
        [targets.web]
        tags = [
          "{{{{ ['short', 'list'] | join }}}}",
          \"\"\"{{{{ image ~ ':{"x" * 60}' ~ version
            if is_released and version != 'dev'
            else none }}}}\"\"\",
        ]
    """)
    assert " ".join(tomli.loads(text)["targets"]["web"]["tags"][1].split()) == template


def test_list_of_long_tables_becomes_an_array_of_tables() -> None:
    rows = Array(
        items=(
            ArrayItem(value=as_value({"name": "web", "text": "x" * 90}), comments=Comments(before=("first",))),
            ArrayItem(value=as_value({"name": "api", "text": "y" * 90})),
        )
    )
    text = written(KeyValue(key="rows", value=rows), path=("variables", "list"))
    assert text == toml(f"""
        # first
        [[variables.list.rows]]
        name = "web"
        text = "{"x" * 90}"

        [[variables.list.rows]]
        name = "api"
        text = "{"y" * 90}"
    """)


def test_comments_stay_with_their_items() -> None:
    items = Array(
        items=(
            ArrayItem(value="a", comments=Comments(before=("first", "", "second"), after="end")),
            ArrayItem(value=Table(pairs=(pair("b", 1, before=("inner",)),))),
        ),
        trailing=("last",),
    )
    assert written(KeyValue(key="list", value=items)) == toml("""
        [targets.web]
        list = [
          # first

          # second
          "a", # end
          # inner
          { b = 1 },
          # last
        ]
    """)


def test_comment_cannot_control_a_terminal_or_end_early() -> None:
    text = written(pair("a", 1, before=("evil\x1b[2J", "b = 2\rc = 3"), after="\u202ex"))
    assert text == toml("""
        [targets.web]
        # evil[2J
        # b = 2c = 3
        a = 1 # x
    """)


def test_document_keeps_its_heading_and_its_end() -> None:
    document = Document(
        heading=("The shop.", " ", "  By its owner.", "# Chapter"),
        sections=(Section(path=(), pairs=(pair("version", 1),)), Section(path=("targets", "a.b"))),
        trailing=("end",),
    )
    assert document_text(document) == toml("""
        # The shop.
        #
        #   By its owner.
        ## Chapter

        version = 1

        [targets."a.b"]

        # end
    """)


def test_text_without_toml_form_is_refused() -> None:
    with pytest.raises(TypeError, match="TOML has no value for None"):
        as_value([None])
