"""The spans of keys and values in written and generated documents, compared with tomli's values."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Any, cast

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpbake.spec.files.source_map import SourceMap, SourceSpot, Span
from tests.unit.plans import text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.base.errors import KeyPath


def lines_of(document: str) -> dict[KeyPath, int]:
    """Return the line of the first occurrence of each key."""
    places = SourceMap(document)
    return {key: places.line(span.start) for key, span in places.keys.items()}


def shown(toml: str) -> dict[str, int]:
    """Return the lines of a document, by dotted key."""
    return {"/".join(str(part) for part in key): line for key, line in lines_of(text(toml)).items()}


def test_tables_keys_and_items() -> None:
    assert shown("""
        # a comment
        version = 1

        [targets.web]
        context = "web"    # another
        tags = ["a", "b"]
        """) == {
        "version": 2,
        "targets": 4,
        "targets/web": 4,
        "targets/web/context": 5,
        "targets/web/tags": 6,
        "targets/web/tags/0": 6,
        "targets/web/tags/1": 6,
    }


def test_a_table_named_only_in_the_header_of_another_stands_there() -> None:
    assert shown("""
        [builders.release.nodes.amd64]
        endpoint = "x"
        [builders.release.nodes.arm64]
        [builders.release]
        driver = "remote"
        """) == {
        "builders": 1,
        "builders/release": 1,
        "builders/release/nodes": 1,
        "builders/release/nodes/amd64": 1,
        "builders/release/nodes/amd64/endpoint": 2,
        "builders/release/nodes/arm64": 3,
        "builders/release/driver": 5,
    }


def test_arrays_of_tables() -> None:
    assert shown("""
        [[a]]
        x = 1
        [[a.b]]
        y = 1
        [[a.b]]
        y = 2
        [[a]]
        x = 2
        [a.c]
        z = 1
        [[a.b]]
        """) == {
        "a": 1,
        "a/0": 1,
        "a/0/x": 2,
        "a/0/b": 3,
        "a/0/b/0": 3,
        "a/0/b/0/y": 4,
        "a/0/b/1": 5,
        "a/0/b/1/y": 6,
        "a/1": 7,
        "a/1/x": 8,
        "a/1/c": 9,
        "a/1/c/z": 10,
        "a/1/b": 11,
        "a/1/b/0": 11,
    }


def test_values_over_several_lines() -> None:
    assert shown('''
        list = [
          1,            # one, two ] "
          [
            2, { a = 3 },
          ],
          "]",
        ]
        long = """
        key = "no key"
        [no.table]
        """
        raw = \'\'\'
        # no comment
        \'\'\'
        after = { b.c = 1, d = [ "x",
          "y" ] }
        ''') == {
        "list": 1,
        "list/0": 2,
        "list/1": 3,
        "list/1/0": 4,
        "list/1/1": 4,
        "list/1/1/a": 4,
        "list/2": 6,
        "long": 8,
        "raw": 12,
        "after": 15,
        "after/b": 15,
        "after/b/c": 15,
        "after/d": 15,
        "after/d/0": 15,
        "after/d/1": 16,
    }


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("a", ("a",)),
        ("a-b_1", ("a-b_1",)),
        ("1", ("1",)),
        ("1.5", ("1", "5")),
        ('"a.b"', ("a.b",)),
        ("'a.b'", ("a.b",)),
        ('""', ("",)),
        ("''", ("",)),
        ('a."b c".d', ("a", "b c", "d")),
        ("a . b\t.c", ("a", "b", "c")),
        (r'"tab\t quote\" back\\ nul\u0000 whale\U0001F433"', ('tab\t quote" back\\ nul\x00 whale🐳',)),
        (r"'raw\t'", (r"raw\t",)),
        ('"#]=["', ("#]=[",)),
        ('"ä漢"', ("ä漢",)),
    ],
)
def test_spellings_of_a_key(written: str, key: KeyPath) -> None:
    document = f"\n{written} = 1\n[table]\n[ table.{written} ]\n"
    places = lines_of(document)
    assert places[key] == 2
    assert places["table", *key] == 4
    assert set(places) == set(keys_of(tomli.loads(document)))


STRINGS = [
    '""',
    "''",
    '""""""',
    "''''''",
    '""""a"""',
    '"""""a"""',
    '"""a"""""',
    '"""a""""',
    "'''a'''''",
    "'''''a'''",
    '"""a ""b"" c"""',
    r'"""\""""',
    r'"""\\"""',
    '"""a \\\n   b"""',
    r'"\\"',
    r'"a\"b # ] } , ="',
    "'a\"b # ] } , ='",
    "'\\'",
]
OTHERS = ["1", "+1_000", "0xff", "1e3", "-inf", "true", "1979-05-27 07:32:00", "1979-05-27T07:32:00.5Z", "07:32:00"]


@pytest.mark.parametrize("value", [*STRINGS, *OTHERS])
def test_every_kind_of_value_is_passed_over(value: str) -> None:
    document = f"a = {value}\nb = [{value}, {value} , # comment\n{value}]\nc = {{ d = {value} , e = {value} }}\nf = 1"
    places = lines_of(document)
    assert set(places) == set(keys_of(tomli.loads(document)))
    assert places["f",] == document.count("\n") + 1


@pytest.mark.parametrize(
    "document",
    [
        "",
        "\n\n# only a comment",
        "a=1",
        "[a]",
        "a = []\nb = {}\nc = [[], [[]], {}]",
        "a = [1, 2,]\nb = [\n\n]\nc = [ # x\n]",
        "[a]\nb.c = 1\nb.d = 2\n[a.e]\nf = {g.h = 1, g.i = [{j = 1}]}",
        "[[a]]\n[[a]]\n[a.b.c]\n[[a.b.d]]\n[a.b.d.e]",
        "\r\n[a]\r\nb = '''\r\nx\r\n'''\r\nc = 1\r\n",
    ],
)
def test_the_keys_are_those_that_tomli_finds(document: str) -> None:
    assert set(lines_of(document)) == set(keys_of(tomli.loads(document)))


def test_lines_count_with_windows_line_ends() -> None:
    assert lines_of("a = 1\r\n\r\nb = '''\r\n\r\n'''\r\nc = 1") == {("a",): 1, ("b",): 3, ("c",): 6}


def test_what_newer_toml_allows() -> None:
    document = 'a = {\n  b = 1,  # comment\n  c = "\\e\\x41",\n}\n"\\x41\\e" = 1\n'
    try:
        expected = set(keys_of(tomli.loads(document)))
    except tomli.TOMLDecodeError:
        pytest.skip("this tomli reads TOML 1.0 only")
    assert set(lines_of(document)) == expected
    assert lines_of(document)["A\x1b",] == 5


@pytest.mark.parametrize(
    ("document", "places"),
    [
        ("a = 1\nb = [ }", {("a",): 1, ("b",): 2, ("b", 0): 2}),
        ("a = 1\nb = [ 1, , 2 # no end", {("a",): 1, ("b",): 2, ("b", 0): 2, ("b", 1): 2}),
        ("a = 1\nb =\nc = 1", {("a",): 1, ("b",): 2}),
        ("a = 1\n!", {("a",): 1}),
        ("a = 1\n[b", {("a",): 1}),
        ('a = "no end\nb = 1', {("a",): 1}),
        ("a = 1\nb", {("a",): 1}),
        ("a = {b = 1", {("a",): 1, ("a", "b"): 1}),
        ('"\\UFFFFFFFF" = 1', {}),
    ],
)
def test_of_a_broken_document_as_much_as_can_be_read(document: str, places: dict[KeyPath, int]) -> None:
    assert lines_of(document) == places


@pytest.mark.timeout(10)
@pytest.mark.parametrize("blank", ["\xa0", "\u3000", "\x85", "\u2028", "\x0b", "\x0c", "\x1c", "\x1f"])
@pytest.mark.parametrize("document", ["a = ['b'{}]\nc = 1", "a = [{}]\nc = 1", "a = ['b'{}, 'd']\nc = 1"])
def test_a_blank_that_is_none_in_toml_is_an_item_of_its_own(document: str, blank: str) -> None:
    places = SourceMap(document.format(blank))
    assert places.line(places.keys["c",].start) == 2
    assert blank in {places.text[span.start : span.end] for span in places.values.values()}


def test_a_value_of_nothing_ends_the_map() -> None:
    assert SourceMap("a = { b = \r}\nc = 1").values == {}


def test_deep_nesting_gives_a_partial_map() -> None:
    assert lines_of("a = 1\nb = " + "[" * 5000)["a",] == 1


PARTS = [*"[]{}=,.#'\"\n \\ab1\r\xa0\f\u2028", '"""', "'''", "[[", "]]", "a = ", "\r\n"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(PARTS)).map("".join))
def test_any_text_gives_some_map(document: str) -> None:
    lines = document.count("\n") + 1
    assert all(1 <= line <= lines for line in lines_of(document).values())
    places = SourceMap(document)
    for key in places.keys:
        spot = places.find(key, "a")
        assert spot is not None
        assert 1 <= spot.column <= len(spot.excerpt) + 1
        assert spot.length >= 1


@pytest.mark.parametrize(
    ("document", "duplicate", "first"),
    [
        ("a = 1\nb = 2\na = 3", ("a",), 1),
        ("[a]\n[b]\n[a]", ("a",), 1),
        ("[t.a]\nx = 1\ny.z = 1\ny.z = 2", ("t", "a", "y", "z"), 3),
        ("a = { b = 1, b = 2 }", ("a", "b"), 1),
        ("a = { b = 1 }\n[a]", ("a",), 1),
        ("[a.b]\n[a]\nb = 1", ("a", "b"), 1),
        ("[[a]]\nb = 1\n[[a]]\nb = 1\nb = 2", ("a", 1, "b"), 4),
        ("[a.b]\n[a]\nc = 1\n[[d]]\n[d.e]\n[[d]]\n[d.e]", None, 0),
    ],
)
def test_a_key_that_is_given_twice(document: str, duplicate: KeyPath | None, first: int) -> None:
    places = SourceMap(document)
    if duplicate is None:
        assert places.duplicate is None
        tomli.loads(document)
        return
    assert places.duplicate is not None
    path, span = places.duplicate
    assert (path, places.line(places.keys[path].start)) == (duplicate, first)
    assert places.text[span.start : span.end] == path[-1]
    with pytest.raises(tomli.TOMLDecodeError):
        tomli.loads(document)


DOCUMENT = text(
    """
    [targets.web]
    context = "web"  # a comment
    tags = ["x:1", "{{ tag }}:tag"]
    labels = { a = "b", "c d" = 1 }
    dockerfile-inline = '''
    FROM base
    COPY tag {{ tag }} /
    '''
    platforms = [
      "linux/amd64",
      "linux/arm64",
    ]
    """
)
WEB = ("targets", "web")


def marked(key: KeyPath, culprit: str = "", *, of_key: bool = False) -> tuple[int, str]:
    """Return the line with its marked part."""
    spot = SourceMap(DOCUMENT).find(key, culprit, of_key=of_key)
    assert spot is not None
    assert spot.excerpt == DOCUMENT.split("\n")[spot.line - 1]
    return spot.line, spot.excerpt[spot.column - 1 :][: spot.length]


@pytest.mark.parametrize(
    ("key", "culprit", "line", "part"),
    [
        (WEB, "", 1, "web"),
        (("targets",), "", 1, "targets"),
        ((*WEB, "context"), "", 2, '"web"'),
        ((*WEB, "context"), "web", 2, "web"),
        ((*WEB, "context"), "no part of it", 2, '"web"'),
        ((*WEB, "tags"), "", 3, '["x:1", "{{ tag }}:tag"]'),
        ((*WEB, "tags", 0), "", 3, '"x:1"'),
        ((*WEB, "tags", 0), "1", 3, "1"),
        ((*WEB, "labels", "c d"), "", 4, "1"),
        ((*WEB, "labels"), "", 4, '{ a = "b", "c d" = 1 }'),
        ((*WEB, "dockerfile-inline"), "", 5, "dockerfile-inline"),
        ((*WEB, "dockerfile-inline"), "base", 6, "base"),
        ((*WEB, "platforms"), "", 9, "platforms"),
        ((*WEB, "platforms", 1), "", 11, '"linux/arm64"'),
    ],
)
def test_what_is_marked(key: KeyPath, culprit: str, line: int, part: str) -> None:
    assert marked(key, culprit) == (line, part)


@pytest.mark.parametrize(
    ("key", "line", "part"),
    [
        ((*WEB, "secret", 0), 1, "web"),
        ((*WEB, "tags", 7), 3, '["x:1", "{{ tag }}:tag"]'),
        ((*WEB, "context", "no", "table"), 2, '"web"'),
        ((*WEB, "labels", "e"), 4, "labels"),
        ((*WEB, "platforms", 2), 9, "platforms"),
    ],
)
def test_what_does_not_stand_there_is_marked_at_the_nearest_that_does(key: KeyPath, line: int, part: str) -> None:
    assert marked(key) == (line, part)


def test_nothing_is_marked_where_nothing_of_the_key_stands() -> None:
    assert SourceMap(DOCUMENT).find(("groups", "web")) is None
    assert SourceMap(DOCUMENT).find(()) is None


def test_a_key_itself() -> None:
    assert marked((*WEB, "labels", "c d"), of_key=True) == (4, '"c d"')
    assert marked((*WEB, "labels"), "a", of_key=True) == (4, "labels")
    assert marked(WEB, of_key=True) == (1, "web")


def test_a_name_in_a_template_comes_before_the_same_word_elsewhere() -> None:
    assert SourceMap(DOCUMENT).find((*WEB, "dockerfile-inline"), "tag") == SourceSpot(
        line=7, column=13, length=3, excerpt="COPY tag {{ tag }} /"
    )
    spot = SourceMap("a = 'tags {% if tags and tag %} tag {% endif %}'").find(("a",), "tag")
    assert spot is not None
    assert spot.column == 26


def test_a_span_over_several_lines_is_marked_on_its_first() -> None:
    places = SourceMap('a = [\n \'x\', """b\nc""" ]')
    assert places.find(("a", 1)) == SourceSpot(line=2, column=7, length=4, excerpt=' \'x\', """b')
    assert places.spot(Span(0, len(places.text))) == SourceSpot(line=1, column=1, length=5, excerpt="a = [")
    assert places.spot(Span(len(places.text), len(places.text) + 1)).length == 1


def test_a_line_is_kept_once_however_many_parts_of_it_are_marked() -> None:
    places = SourceMap(f"[t]\na = {{ {', '.join(f'a{number} = 1' for number in range(99))} }}\n")
    spots = [places.find(("t", "a", f"a{number}")) for number in range(99)]
    assert len({id(spot.excerpt) for spot in spots if spot}) == 1


def test_columns_count_with_windows_line_ends() -> None:
    assert SourceMap("[t]\r\na = 'b'\r\n").find(("t", "a")) == SourceSpot(line=2, column=5, length=3, excerpt="a = 'b'")


def keys_of(value: Any, path: KeyPath = ()) -> Iterable[KeyPath]:
    """Yield the path of every key in a document, as tomli reads it."""
    if path:
        yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from keys_of(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from keys_of(item, (*path, index))


def _basic(value: str) -> str:
    """Return a text in double quotes."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub("[\x00-\x1f\x7f]", lambda control: f"\\u{ord(control.group()):04x}", escaped) + '"'


KEYS = st.one_of(
    st.sampled_from(["a", "b", "c", "key-1", "key_2", "0", "1", "-", "A"]),
    st.sampled_from(
        ["", "a.b", "a b", 'q"uote', "it's", "ä漢🐳", "#", "]", "=", "[x]", '"""', "'''", "\\", "\n", "\0"]
    ),
    st.text(max_size=3).filter(lambda key: key.isprintable()),
)
SCALARS = st.one_of(
    st.sampled_from([*STRINGS, *OTHERS]),
    st.text("ab\"'\\\n #]}=,[{", max_size=12).map(_basic),
)
BLANKS = st.sampled_from(["", "", "", "\n", "# a = 1 [\n", "\n\n", "  # ]]\n\t\n"])


class Writer:
    """A writer of a random document. It records the line and the spelling of the first occurrence of each key."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}
        self.spellings: dict[KeyPath, str] = {}

    def pick(self, *options: str) -> str:
        return self.draw(st.sampled_from(options))

    def some_keys(self, most: int = 3) -> list[str]:
        return self.draw(st.lists(KEYS, max_size=most, unique=True))

    def note(self, path: KeyPath, spelling: str) -> None:
        if path not in self.lines:
            self.lines[path] = self.text.count("\n") + 1
            self.spellings[path] = spelling

    def spelled(self, key: str) -> str:
        if re.fullmatch("[A-Za-z0-9_-]+", key) and self.pick("bare", "quoted") == "bare":
            return key
        if "'" not in key and key.isprintable() and self.pick("raw", "basic") == "raw":
            return f"'{key}'"
        return _basic(key)

    def key(self, path: KeyPath, new: KeyPath) -> str:
        """Return the dotted key `new` below `path`, and record its parts."""
        written = []
        for length, part in enumerate(new, start=1):
            if isinstance(part, str):
                written.append(self.spelled(part))
            self.note((*path, *new[:length]), written[-1] if isinstance(part, str) else "[[")
        return self.pick(".", " . ", "\t.").join(written)

    def body(self, path: KeyPath, depth: int) -> None:
        """Write the pairs of a table, and then its nested tables."""
        later = []
        for key in self.some_keys():
            kind = self.pick("value", "value", "dotted", "table", "implicit", "array")
            self.text += self.draw(BLANKS)
            if kind == "dotted":
                for sub in self.some_keys(2):
                    self.pair(path, (key, sub), depth)
            elif kind == "value" or depth > 2:
                self.pair(path, (key,), depth)
            else:
                later.append((kind, key))
        for kind, key in later:
            self.text += self.draw(BLANKS)
            self.table(kind, (*path, key), depth + 1)

    def pair(self, path: KeyPath, key: KeyPath, depth: int) -> None:
        self.text += self.pick("", "  ")
        self.text += self.key(path, key) + self.pick("=", " = ")
        self.value((*path, *key), depth)
        self.text += self.pick("\n", "  # = [x]\n")

    def table(self, kind: str, path: KeyPath, depth: int) -> None:
        if kind == "array":
            for index in range(self.draw(st.integers(1, 3))):
                self.header((*path, index), "[[", "]]")
                self.body((*path, index), depth)
            return
        if kind == "implicit":
            self.header((*path, "sub"), "[", "]")
            if self.pick("with", "without") == "without":
                return
        self.header(path, "[", "]")
        if kind == "table":
            self.body(path, depth)

    def header(self, path: KeyPath, left: str, right: str) -> None:
        self.text += self.pick("", " ")
        self.text += left + self.pick("", " ") + self.key((), path) + right + self.pick("\n", " # [c]\n")

    def value(self, path: KeyPath, depth: int) -> None:
        kind = self.pick("scalar", "scalar", "array", "inline") if depth < 4 else "scalar"
        if kind == "scalar":
            self.text += self.draw(SCALARS)
        elif kind == "array":
            self.array(path, depth + 1)
        else:
            self.inline_table(path, depth + 1)

    def array(self, path: KeyPath, depth: int) -> None:
        gap = st.sampled_from(["", " ", "\n  ", " # ], [\n"])
        self.text += "[" + self.draw(gap)
        for index in range(self.draw(st.integers(0, 3))):
            self.text += "," + self.draw(gap) if index else ""
            self.note((*path, index), "")
            self.value((*path, index), depth)
            self.text += self.draw(gap)
        self.text += "]"

    def inline_table(self, path: KeyPath, depth: int) -> None:
        self.text += "{" + self.pick("", " ")
        for index, key in enumerate(self.some_keys(2)):
            self.text += ", " if index else ""
            new: KeyPath = (key, "x") if self.pick("plain", "dotted") == "dotted" else (key,)
            self.text += self.key(path, new) + " = "
            self.value((*path, *new), depth)
        self.text += self.pick("", " ") + "}"


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    writer = Writer(draw)
    writer.body((), 0)
    writer.text += draw(BLANKS)
    return writer


def check_places(writer: Writer, line_end: str) -> None:
    document = writer.text.replace("\n", line_end)
    assert set(keys_of(tomli.loads(document))) == set(writer.lines), document
    assert lines_of(document) == writer.lines, document
    lines = document.split("\n")
    for path, line in writer.lines.items():
        assert writer.spellings[path] in lines[line - 1]
    check_spans(document)


def check_spans(document: str) -> None:
    """Assert that every span contains its key or value as tomli reads it."""
    places, data = SourceMap(document), tomli.loads(document)
    for path, span in places.keys.items():
        if isinstance(path[-1], str):
            assert tomli.loads(f"{places.text[span.start : span.end]} = 1") == {path[-1]: 1}
    for path, span in places.values.items():
        value = reduce(lambda table, part: table[part], path, cast("Any", data))
        parsed = tomli.loads(f"value = {places.text[span.start : span.end]}")["value"]
        assert parsed == value or (parsed != parsed and value != value)  # noqa: PLR0124 - nan
    assert set(keys_of(data)) - places.values.keys() <= places.keys.keys()
    assert places.duplicate is None


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.sampled_from(["\n", "\r\n"]))
def test_every_key_of_a_generated_document_has_its_line(writer: Writer, line_end: str) -> None:
    check_places(writer, line_end)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=10_000, derandomize=False, suppress_health_check=[HealthCheck.too_slow])
@given(documents(), st.sampled_from(["\n", "\r\n"]))
def test_every_key_of_many_generated_documents_has_its_line(writer: Writer, line_end: str) -> None:
    check_places(writer, line_end)
