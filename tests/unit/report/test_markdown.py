"""Markdown that no text of a plan can break out of."""

from __future__ import annotations

import pytest

from mpbake.report import markdown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web", "`web`"),
        ("@team fixes #2 https://x.org/issues/1", "`@team fixes #2 https://x.org/issues/1`"),
        ("<img src=x> ![a](b) $x$", "`<img src=x> ![a](b) $x$`"),
        ("a\nb\x1b[1m\u202e", "<code>a&#92;nb&#92;x1b&#91;1m&#92;u202e</code>"),
        ("a|b", "<code>a&#124;b</code>"),
        ("`a`", "<code>&#96;a&#96;</code>"),
        ("</code>|<script>", "<code>&#60;&#47;code&#62;&#124;&#60;script&#62;</code>"),
        ("a@b|c", "<code>a<!-- -->&#64;b&#124;c</code>"),
        (" a", "<code> a</code>"),
        ("", "<code></code>"),
    ],
)
def test_text_becomes_inline_code(text: str, expected: str) -> None:
    assert markdown.code(text) == expected


def test_a_list_of_texts() -> None:
    assert markdown.codes(["a", "b|c"]) == "`a`, <code>b&#124;c</code>"


def test_text_in_the_summary_of_a_folded_section_is_no_html() -> None:
    summary = markdown.html_code("</summary><b>\n\n`x`")
    assert markdown.folded(summary, "body") == (
        "<details>\n<summary><code>&lt;/summary&gt;&lt;b&gt;\\n\\n`x`</code></summary>\n\nbody\n\n</details>"
    )
    assert markdown.folded("a", "b", is_open=True).startswith("<details open>\n")


def test_a_table() -> None:
    assert markdown.table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_empty_parts_leave_no_paragraph() -> None:
    assert markdown.paragraphs("a", "", "b") == "a\n\nb\n"


def test_the_first_form_that_fits_is_taken() -> None:
    forms = [lambda: "a" * 11, lambda: "ä" * 6, lambda: "ä" * 5, lambda: "a"]
    assert markdown.fitting(forms, 10) == "ä" * 5
    assert markdown.fitting(forms[:2], 10) is None


@pytest.mark.parametrize(("most", "length"), [(100, 10), (3, 3), (0, 0)])
def test_as_much_as_fits_is_taken(most: int, length: int) -> None:
    assert markdown.longest_fitting(lambda number: "a" * number, most, 10) == "a" * length


def test_what_never_fits_is_as_short_as_possible() -> None:
    assert markdown.longest_fitting(lambda number: "a" * (20 + number), 5, 10) == "a" * 20
