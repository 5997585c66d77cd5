"""Values and tables as TOML text, which parses to the same value and is safe to print."""

from __future__ import annotations

import math
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.text import printable
from mpbake.base.toml_text import toml_document, toml_key, toml_value
from mpbake.spec.files.toml_values import read_value
from tests.unit.plans import text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", '""'),
        ("web", '"web"'),
        ("Zürich 你好 🚢", '"Zürich 你好 🚢"'),
        ("\"quoted\" \\ and 'single'", r'''"\"quoted\" \\ and 'single'"'''),
        ("two\nlines\tand a tab", r'"two\nlines\tand a tab"'),
        ("\0\x1b[31m\x7f\x9b", r'"\u0000\u001b[31m\u007f\u009b"'),
        ("left\u202eright\u200b\ufeff", r'"left\u202eright\u200b\ufeff"'),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (0.5, "0.5"),
        (1e16, "1e+16"),
        (math.inf, "inf"),
        ([], "[]"),
        (["a", 1, True], '["a", 1, true]'),
        (("a",), '["a"]'),
        ({}, "{}"),
        ({"a": 1, "b c": {"d": []}}, '{ a = 1, "b c" = { d = [] } }'),
    ],
)
def test_values(value: Any, written: str) -> None:
    assert toml_value(value) == written


@pytest.mark.parametrize(
    ("name", "written"),
    [("A_b-9", "A_b-9"), ("", '""'), ("a.b", '"a.b"'), ("a b", '"a b"'), ("ä", '"ä"'), ('"', r'"\""')],
)
def test_keys(name: str, written: str) -> None:
    assert toml_key(name) == written


def test_a_number_stays_as_it_was_written() -> None:
    assert toml_value(read_value("8.10")) == "8.10"
    assert toml_value(read_value("[0o755, { a = 0xDE_AD }, '0b1', 1_0]")) == '[0o755, { a = 0xDE_AD }, "0b1", 10]'


VALUES = st.recursive(
    st.text() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.text() | VALUES)
def test_what_is_written_reads_back(value: Any) -> None:
    written = toml_value(value)
    assert tomli.loads(f"value = {written}") == {"value": value}
    assert "\n" not in written
    assert printable(written) == written


@given(st.text())
def test_a_key_reads_back(name: str) -> None:
    assert tomli.loads(f"{toml_key(name)} = 1\n") == {name: 1}


@given(st.characters(categories=["Cs"]))
def test_half_a_character_which_is_no_toml_does_no_harm(half: str) -> None:
    """An environment variable that is not valid UTF-8 contains surrogates, which TOML does not allow."""
    assert toml_value(half) == f'"\\u{ord(half):04x}"'


def test_a_table_of_tables() -> None:
    config = {
        "registry": {
            "docker.io": {"mirrors": ["m.example"]},
            "r.example:5000": {"http": True, "keypair": [{"key": "k"}]},
        },
        "debug": True,
        "worker": {"oci": {"max-parallelism": 4, "gcpolicy": [{"all": True, "keepDuration": "48h"}]}},
    }
    assert (
        toml_document(config)
        == text("""
        debug = true
        [registry."docker.io"]
        mirrors = ["m.example"]
        [registry."r.example:5000"]
        http = true
        [[registry."r.example:5000".keypair]]
        key = "k"
        [worker.oci]
        max-parallelism = 4
        [[worker.oci.gcpolicy]]
        all = true
        keepDuration = "48h"
        """)
        + "\n"
    )


def test_an_empty_table() -> None:
    assert toml_document({}) == ""


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_a_table_reads_back(table: dict[str, Any]) -> None:
    assert tomli.loads(toml_document(table)) == table
