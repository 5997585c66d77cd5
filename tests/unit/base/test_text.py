"""Text that is safe to print."""

from __future__ import annotations

import pytest

from mpbake.base.text import (
    closest_name,
    columns,
    count,
    did_you_mean,
    duration,
    is_unicode,
    join_shared,
    marked_line,
    one_line,
    parse_duration,
    printable,
    short_name,
    split_subject,
    without_colour,
)

RED = "\x1b[31m"
PLAIN = "\x1b[0m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 🐳", "plain ä 漢 🐳"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\x00b", r"a\x00b"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("back\rspace\x08", r"back\x0dspace\x08"),
        ("\x7f\x80\x9f", r"\x7f\x80\x9f"),
        ("bidi \u202eevil\u2066", r"bidi \u202eevil\u2066"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028separator", r"line\u2028separator"),
        ("lone \ud800 surrogate", r"lone \ud800 surrogate"),
        ("", ""),
    ],
)
def test_printable_shows_what_a_screen_would_hide_or_obey(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "expected"), [("", True), ("ä 🐳", True), ("\x00", True), ("a\udcff", False), ("ä\ud83d", False)]
)
def test_what_can_be_written(text: str, *, expected: bool) -> None:
    assert is_unicode(text) is expected


def test_one_line_escapes_tabs_and_newlines_too() -> None:
    assert one_line("a\tb\nc\x00") == r"a\tb\nc\x00"


@pytest.mark.parametrize(
    ("output", "seen"),
    [
        (f"{RED}error{PLAIN}: no", "error: no"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b(Bnot all sequences", r"\x1b(Bnot all sequences"),
        ("10 %\r50 %\rdone", "done"),
        ("windows\r\nline\r\n", "windows\nline\n"),
        ("waiting\r", "waiting"),
        ("one\nten %\rall\nthree", "one\nall\nthree"),
        ("bell\x07", r"bell\x07"),
    ],
)
def test_without_colour_keeps_what_a_person_would_have_seen(output: str, seen: str) -> None:
    assert without_colour(output) == seen


@pytest.mark.parametrize(
    ("name", "names", "near"),
    [
        ("relase", ["release", "debug"], "release"),
        ("web", ["web"], "web"),
        ("zzz", ["release", "debug"], ""),
        ("anything", [], ""),
        ("wep", ["web", "wet"], "wet"),
    ],
)
def test_closest(name: str, names: list[str], near: str) -> None:
    assert closest_name(name, names) == near
    assert closest_name(name, reversed(names)) == near


@pytest.mark.parametrize(
    ("name", "names", "kind", "remedy"),
    [
        ("relase", ["release"], "groups", 'did you mean "release"?'),
        ("x", ["b", "a"], "", "known names: a, b"),
        ("x", ["b", "a"], "groups", "known groups: a, b"),
        ("x", [], "groups", "there are no groups"),
        ("x", [], "", ""),
        (
            "x",
            [f"t{number:02}" for number in range(13)],
            "targets",
            "known targets: t00, t01, t02, t03, t04, t05, t06, t07, t08, t09, t10, t11, …",
        ),
        ("a\nb", ["a\nc"], "", r'did you mean "a\nc"?'),
        ("x", ["\x00"], "", r"known names: \x00"),
    ],
)
def test_did_you_mean(name: str, names: list[str], kind: str, remedy: str) -> None:
    assert did_you_mean(name, names, kind=kind) == remedy


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0.0s"),
        (0.44, "0.4s"),
        (12.34, "12.3s"),
        (59.94, "59.9s"),
        (59.96, "1m00s"),
        (60, "1m00s"),
        (245.4, "4m05s"),
        (3599.4, "59m59s"),
        (3599.6, "1h00m"),
        (3720, "1h02m"),
        (100_000, "27h46m"),
    ],
)
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(("number", "shown"), [(0, "0 targets"), (1, "1 target"), (2, "2 targets")])
def test_count(number: int, shown: str) -> None:
    assert count(number, "target") == shown


def test_columns_are_aligned_without_trailing_blanks() -> None:
    rows = [("web", "linux/amd64", ""), ("a-longer-name", "x", "native")]
    assert columns(rows, indent="  ") == [
        "  web            linux/amd64",
        "  a-longer-name  x            native",
    ]


def test_columns_of_one_row() -> None:
    assert columns([("a", "b")]) == ["a  b"]


def test_columns_of_nothing() -> None:
    assert columns([]) == []


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h", 3600), ("1h30m", 5400), ("2h0m0.5s", 7200.5), ("0s", 0)],
)
def test_a_duration(written: str, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize("written", ["", "30", "m", "30 m", "1m1h", "-1s", "1d", "1e3s"])
def test_what_is_no_duration(written: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write 90s, 30m, 1h or 1h30m"):
        parse_duration(written)


@pytest.mark.parametrize("written", ["8761h", "8760h1s", "99999999999s", "9" * 400 + "h"])
def test_a_duration_is_a_year_at_most(written: str) -> None:
    assert parse_duration("8760h") == 365 * 24 * 3600
    with pytest.raises(ValueError, match=r'^"\d+\w*…?" is too long: at most 8760h$'):
        parse_duration(written)


@pytest.mark.parametrize(
    ("line", "column", "length", "shown"),
    [
        ("", 1, 1, []),
        ("", 0, 0, []),
        ("  \t ", 2, 1, []),
        ("a = 1", 0, 0, ["a = 1"]),
        ("a = 1", 5, 1, ["a = 1", "    ^"]),
        ('a = "bcd"  ', 5, 5, ['a = "bcd"', "    ^^^^^"]),
        ("  a = 1\r", 7, 1, ["a = 1", "    ^"]),
        ("\t\ta\t=\t1", 7, 1, ["a    =    1", "          ^"]),
        ("a = '\t\tb'", 5, 5, ["a = '        b'", "    ^^^^^^^^^^^"]),
        ("a\x00 = '\x1b'", 7, 2, ["a\\x00 = '\\x1b'", "         ^^^^^"]),
        ("漢字 = '漢b'", 7, 2, ["漢字 = '漢b'", "        ^^^"]),
        ("e\u0301 = 'b'", 7, 1, ["e\u0301 = 'b'", "     ^"]),
        ("a = 1", 6, 1, ["a = 1", "     ^"]),
        ("a = 1", 99, 9, ["a = 1", "     ^"]),
        ("    a = 1", 1, 1, ["a = 1", "^"]),
    ],
)
def test_a_part_of_a_line_is_marked(line: str, column: int, length: int, shown: list[str]) -> None:
    assert marked_line(line, column, length) == shown


@pytest.mark.parametrize(
    ("line", "column", "length", "shown"),
    [
        ("x" * 120, 100, 20, ["x" * 120, " " * 99 + "^" * 20]),
        ("  " + "x" * 120, 3, 1, ["x" * 120, "^"]),
        ("x" * 121, 1, 2, ["x" * 120 + "…", "^^"]),
        ("x" * 121, 121, 1, ["…" + "x" * 120, " " * 120 + "^"]),
        ("x" * 9000, 4001, 2, ["…" + "x" * 120 + "…", " " * 31 + "^^"]),
        ("x" * 9000, 4001, 500, ["…" + "x" * 120 + "…", " " * 31 + "^" * 90]),
        ("x" * 9000, 9000, 1, ["…" + "x" * 120, " " * 120 + "^"]),
        ("x" * 9000, 0, 0, ["x" * 120 + "…"]),
    ],
)
def test_of_a_long_line_what_surrounds_the_mark_is_shown(line: str, column: int, length: int, shown: list[str]) -> None:
    assert marked_line(line, column, length) == shown


def test_a_value_is_cut_after_its_credentials_are_taken_out() -> None:
    url = f"https://me:{'pass' * 50}@host/path"
    assert short_name(url) == "https://me:***@host/path"
    assert short_name(f"{'a' * 97}{url}", 100) == f"{'a' * 97}ht…"
    assert short_name("a" * 200) == f"{'a' * 119}…"


def test_a_warning_that_many_targets_share_is_one_line() -> None:
    names = [f"t{number}" for number in range(20)]
    messages = [f"{name}: linux/arm64 emulated" for name in names]
    messages[1:1] = ["ci/local: old", "t0: secret TOKEN is empty", "t3: secret TOKEN is empty", "no: target"]
    assert join_shared(messages, names) == [
        "20 targets (t0, t1, t2 and 17 more): linux/arm64 emulated",
        "ci/local: old",
        "2 targets (t0, t3): secret TOKEN is empty",
        "no: target",
    ]
    assert join_shared(["t0: x: y", "t0: x: y"], names) == ["t0: x: y"]
    assert join_shared([], names) == []


@pytest.mark.parametrize(
    ("message", "parts"),
    [("web: no: way", ("web", "no: way")), ("a key: is", ("", "a key: is")), ("none", ("", "none"))],
)
def test_the_subject_of_a_message(message: str, parts: tuple[str, str]) -> None:
    assert split_subject(message) == parts
