"""The parser of BuildKit's progress. It reads chunks of bytes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.buildkit.bake.progress import FailedOperation, Progress, ProgressUpdate
from tests.unit.plans import text
from tests.unit.rawjson import EXCERPT, FAILED, PROCESS, PUSHED, log, raw, vertex


def followed(*chunks: bytes) -> tuple[Progress, list[str], list[str]]:
    """Return the progress of a finished build, the lines of its log, and its activities."""
    progress = Progress()
    updates = [*(progress.feed(chunk) for chunk in chunks), progress.close()]
    log_lines = [line for update in updates for line in update.lines]
    return progress, log_lines, [name for update in updates for name in update.activities]


def by_line(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


# --- builds -----------------------------------------------------------------------------------------------------------


def test_a_build_that_is_pushed() -> None:
    progress, log_lines, activities = followed(*by_line(PUSHED))
    assert log_lines == text("""
        => [internal] load local bake definitions
        => [internal] load local bake definitions: done 0.0s
        => [internal] load build definition from Dockerfile
        => [internal] load build definition from Dockerfile: done 0.1s
        => [1/2] FROM localhost:5000/base:1@sha256:5dc4
        => [1/2] FROM localhost:5000/base:1@sha256:5dc4: cached
        => [2/2] RUN make
          one
          two
          100%
        => [2/2] RUN make: done 10.2s
        => exporting to image
        => exporting to image: done 1.1s
          no newline
        """).split("\n")
    assert activities == ["[2/2] RUN make", "exporting to image"]
    assert progress.failed is None
    assert progress.text == ""


def test_a_build_that_fails() -> None:
    progress, log_lines, activities = followed(*by_line(FAILED))
    assert log_lines == text(f"""
        => [1/3] FROM localhost:5000/base:1@sha256:5dc4
        => [1/3] FROM localhost:5000/base:1@sha256:5dc4: cached
        => [2/3] RUN echo ERROR: hello; exit 3
          ERROR: hello
        => [2/3] RUN echo ERROR: hello; exit 3: ERROR {PROCESS}
          last 漢
        """).split("\n")
    assert activities == ["[2/3] RUN echo ERROR: hello; exit 3"]
    assert progress.failed == FailedOperation(
        name="[2/3] RUN echo ERROR: hello; exit 3", error=PROCESS, tail=("ERROR: hello", "last 漢")
    )
    assert progress.text == f"{EXCERPT}ERROR: failed to solve: {PROCESS}"


def test_objects_may_stand_on_one_line() -> None:
    objects = [json.loads(source) for source in PUSHED.decode().replace("}\n{", "}\0{").split("\0")]
    assert followed(raw(*objects, one_line=True))[1] == followed(PUSHED)[1]


@given(st.data())
def test_it_does_not_matter_where_the_bytes_are_split(data: st.DataObject) -> None:
    for output in (PUSHED, FAILED):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=20)))
        parts = [output[start:end] for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True)]
        expected, actual = followed(*by_line(output)), followed(*parts)
        assert actual[1] == expected[1]
        assert actual[2][-1:] == expected[2][-1:]
        assert (actual[0].text, actual[0].failed) == (expected[0].text, expected[0].failed)


@given(st.binary(max_size=300))
def test_no_bytes_make_it_stumble(data: bytes) -> None:
    followed(data, b"\n", raw(log(1, data)), data)


def test_a_byte_at_a_time() -> None:
    progress, log_lines, _ = followed(*(bytes([byte]) for byte in FAILED))
    assert log_lines == followed(FAILED)[1]
    assert progress.failed == followed(FAILED)[0].failed


# --- operations -------------------------------------------------------------------------------------------------------


def said_of(*parts: dict[str, Any] | str) -> list[str]:
    return followed(raw(*parts))[1]


@pytest.mark.parametrize(
    ("started", "completed", "ending"),
    [
        ("1", "2", "done 1.0s"),
        ("1.5", "2.123456789", "done 0.6s"),
        ("1.000000001", "59.999999999", "done 59.0s"),
        ("", "2", "done"),
    ],
)
def test_how_long_it_took(started: str, completed: str, ending: str) -> None:
    assert said_of(vertex(1, "RUN make", started, completed))[-1] == f"=> RUN make: {ending}"


def test_what_is_told_twice_is_said_once() -> None:
    again = [vertex(1, "RUN make", "1"), vertex(1, "RUN make", "1"), vertex(1, "RUN make", "1", "2")]
    assert said_of(*again, *again) == ["=> RUN make", "=> RUN make: done 1.0s"]


def test_names_are_one_line_and_safe() -> None:
    assert said_of(vertex(1, "RUN <<EOF\n  echo \x1b[31m1\x07\nEOF", "1")) == [r"=> RUN <<EOF echo 1\x07 EOF"]


@pytest.mark.parametrize(
    "name",
    [
        "[internal] load build definition from Dockerfile",
        "[web internal] load metadata for localhost:5000/base:1",
        "[web linux/amd64 internal] load .dockerignore",
        "[linux/amd64 1/2] FROM localhost:5000/base:1",
        "resolve image config for docker-image://docker.io/docker/dockerfile:1",
    ],
)
def test_housekeeping_is_no_activity(name: str) -> None:
    _, log_lines, activities = followed(raw(vertex(1, "RUN make", "1")), raw(vertex(2, name, "1")))
    assert log_lines[-1] == f"=> {name}"
    assert activities == ["RUN make"]


def test_what_is_in_the_cache_is_no_activity() -> None:
    cached = raw(vertex(1, "[base 2/2] RUN make", "1.5", "1.5", cached=True))
    _, log_lines, activities = followed(cached)
    assert log_lines == ["=> [base 2/2] RUN make", "=> [base 2/2] RUN make: cached"]
    assert activities == []


def test_of_several_that_start_together_each_is_an_activity() -> None:
    two = {"vertexes": [*vertex(1, "RUN one", "1")["vertexes"], *vertex(2, "RUN two", "1")["vertexes"]]}
    assert followed(raw(two))[2] == ["RUN one", "RUN two"]


def test_what_was_cancelled_with_others_is_not_what_failed() -> None:
    progress, _, _ = followed(
        raw(
            vertex(1, "RUN one", "1", "2", error="context canceled: context canceled"),
            vertex(2, "RUN two", "1", "2", error="exit code: \x1b[1m1"),
            vertex(3, "RUN three", "1", "2", error="exit code: 2"),
        )
    )
    assert progress.failed == FailedOperation(name="RUN two", error="exit code: 1", tail=())


def test_only_the_last_lines_of_a_failure_are_kept() -> None:
    lines = [f"line {number}" for number in range(100)]
    progress, log_lines, _ = followed(
        raw(vertex(1, "RUN make", "1"), log(1, "\n".join(lines) + "\n"), vertex(1, "RUN make", "1", "2", error="no"))
    )
    assert progress.failed is not None
    assert progress.failed.tail == tuple(lines[-30:])
    assert len(log_lines) == 102


def test_control_sequences_of_builds_go_nowhere() -> None:
    parts = [vertex(1, "RUN make", "1"), log(1, "\x1b]0;title\x07\x1b[2J\x1b[31mred\x1b[0m\x08\nunfinished \x1b[31m")]
    progress, log_lines, _ = followed(raw(*parts, vertex(1, "RUN make", "1", "2", error="no")))
    assert log_lines == ["=> RUN make", r"  red\x08", "=> RUN make: ERROR no", "  unfinished "]
    assert progress.failed is not None
    assert progress.failed.tail == (r"red\x08", "unfinished ")


@pytest.mark.parametrize("chunks", [[b"\xe6\xbc\xa2\n"], [b"\xe6", b"\xbc\xa2\n"], [b"\xe6\xbc", b"\xa2", b"\n"]])
def test_characters_may_be_split_between_messages(chunks: list[bytes]) -> None:
    assert said_of(vertex(1, "RUN", "1"), *(log(1, chunk) for chunk in chunks))[1:] == ["  漢"]


def test_what_is_no_utf8_is_replaced() -> None:
    assert said_of(log(1, b"\xff\xfe\n")) == ["  \ufffd\ufffd"]


def test_a_log_without_data_says_nothing() -> None:
    assert said_of({"logs": [{"vertex": "sha256:1", "stream": 1}]}) == []


def test_objects_without_any_of_it() -> None:
    assert said_of({"vertexes": None, "statuses": None, "logs": None}, {}, {"warnings": [{"vertex": "sha256:1"}]}) == []


# --- output that is no progress ---------------------------------------------------------------------------------------


def test_plain_text_is_kept_without_control_sequences() -> None:
    progress, log_lines, _ = followed(raw("\x1b[31mERROR: \x07no\r\n", "\n", vertex(1, "RUN", "1"), "  more\n"))
    assert progress.text == "ERROR: \\x07no\n  more"
    assert log_lines == ["=> RUN"]


def test_text_that_looks_like_an_object_is_kept_as_text() -> None:
    progress, _, _ = followed(b'{"broken": \n}\n{not json}\n')
    assert progress.text == '{"broken": \n}\n{not json}'


def test_an_object_that_never_ends_is_kept_as_text() -> None:
    progress, log_lines, _ = followed(b'ERROR: died\n{\n  "vertexes": [')
    assert progress.text == 'ERROR: died\n{\n  "vertexes": ['
    assert log_lines == []


def test_a_last_line_without_its_end_counts() -> None:
    progress = Progress()
    assert progress.feed(raw(vertex(1, "RUN", "1"), one_line=True).rstrip()) == ProgressUpdate()
    assert progress.close() == ProgressUpdate(lines=("=> RUN",), operations=("RUN",), activities=("RUN",))
    progress = Progress()
    progress.feed(b"ERROR: half a li")
    progress.close()
    assert progress.text == "ERROR: half a li"


def test_each_line_says_what_it_is_about() -> None:
    progress = Progress()
    update = progress.feed(raw(vertex(1, "[web 1/2] RUN a", "1"), log(1, "one\ntwo"), vertex(2, "[api] FROM b", "1")))
    assert list(zip(update.operations, update.lines, strict=True)) == [
        ("[web 1/2] RUN a", "=> [web 1/2] RUN a"),
        ("[web 1/2] RUN a", "  one"),
        ("[api] FROM b", "=> [api] FROM b"),
    ]
    assert progress.close() == ProgressUpdate(lines=("  two",), operations=("[web 1/2] RUN a",))


def test_every_text_is_hidden_once_it_is_whole() -> None:
    data = raw(
        vertex(1, "[1/2] RUN a\x1b[31mb\x1b[0mc", "1"),
        log(1, "1 a"),
        log(1, "bc\n2 a\x1b[1mbc\n3 abc"),
        vertex(1, "", "1", "2", error="no abc"),
        "ERROR: abc\n",
        '{"abc": [',
    )
    progress = Progress(lambda text: text.replace("abc", "***"))
    updates = [*(progress.feed(bytes([byte])) for byte in data), progress.close()]
    assert [line for update in updates for line in update.lines] == [
        "=> [1/2] RUN ***",
        "  1 ***",
        "  2 ***",
        "=> [1/2] RUN ***: ERROR no ***",
        "  3 ***",
    ]
    assert [name for update in updates for name in update.activities] == ["[1/2] RUN ***"]
    assert progress.failed == FailedOperation(name="[1/2] RUN ***", error="no ***", tail=("1 ***", "2 ***", "3 ***"))
    assert progress.text == 'ERROR: ***\n{"***": ['
