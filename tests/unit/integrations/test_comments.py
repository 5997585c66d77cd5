"""The comment that replaces itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mpbake.base.errors import MpbakeError
from mpbake.integrations.comments import (
    LONGEST_GITHUB_COMMENT,
    Comment,
    Marker,
    Placed,
    cut,
    marker_of,
    place_comment,
    with_key,
)

BODY = "<!-- mpbake plan id=abc1 title=release -->\n### Plan\n"


@dataclass
class Store:
    """Comments in memory."""

    stored: list[Comment] = field(default_factory=list)
    changes: list[tuple[str, str]] = field(default_factory=list)

    def comments(self) -> list[Comment]:
        return self.stored

    def create(self, body: str) -> None:
        self.changes.append(("new", body))

    def update(self, comment: Comment, body: str) -> None:
        self.changes.append((comment.id, body))


@pytest.mark.parametrize(
    ("line", "marker"),
    [
        ("<!-- mpbake plan id=abc1 -->", Marker(kind="plan", id="abc1")),
        ("<!-- mpbake diff id=0f title=a b -->", Marker(kind="diff", id="0f", subject="title=a b")),
        ("<!-- mpbake plan id=0f title= -->  ", Marker(kind="plan", id="0f", subject="title=")),
        ("text <!-- mpbake plan id=abc1 -->", None),
        ("<!-- mpbake plan id=abc1 --> text", None),
        ("<!-- mpbake plan id=XYZ -->", None),
        ("<!-- mpbake run id=abc1 -->", None),
        ("", None),
    ],
)
def test_markers(line: str, marker: Marker | None) -> None:
    assert marker_of(f"{line}\nmore") == marker
    assert marker_of(f"first\n{line}") is None


@pytest.mark.parametrize(
    ("line", "key", "keyed"),
    [
        ("<!-- mpbake plan id=0f -->", "sub release", "<!-- mpbake plan id=0f key=sub release -->"),
        ("<!-- mpbake plan id=0f title=x -->", "a--><b>-c", "<!-- mpbake plan id=0f title=x key=a_b_c -->"),
        ("<!-- mpbake plan id=0f -->", "", "<!-- mpbake plan id=0f -->"),
        ("### Plan", "sub", "### Plan"),
    ],
)
def test_comments_of_several_plans_have_keys(line: str, key: str, keyed: str) -> None:
    assert with_key(f"{line}\nmore\n", key) == f"{keyed}\nmore\n"
    assert (marker_of(keyed) is None) is (marker_of(line) is None)


def comment(body: str, author: str = "bot") -> Comment:
    return Comment(id=author, author=author, body=body)


@pytest.mark.parametrize(
    ("earlier", "placed", "changes"),
    [
        ([], Placed.CREATED, [("new", BODY)]),
        ([comment("hello")], Placed.CREATED, [("new", BODY)]),
        ([comment(BODY)], Placed.UNCHANGED, []),
        ([comment(BODY.replace("### Plan", "other words"))], Placed.UNCHANGED, []),
        ([comment(BODY.replace("abc1", "abc2"))], Placed.UPDATED, [("bot", BODY)]),
        ([comment(BODY.replace("\n", "\r\n").replace("abc1", "abc2"))], Placed.UPDATED, [("bot", BODY)]),
        ([comment(BODY.replace("title=release", "title=web"))], Placed.CREATED, [("new", BODY)]),
        ([comment(BODY.replace("mpbake plan", "mpbake diff"))], Placed.CREATED, [("new", BODY)]),
        # A stranger forges the comment of a plan: the reviewer must still see the real one.
        ([comment(BODY, "stranger")], Placed.CREATED, [("new", BODY)]),
        ([comment(BODY, "stranger"), comment(BODY.replace("abc1", "abc2"))], Placed.UPDATED, [("bot", BODY)]),
    ],
)
def test_a_comment_replaces_its_earlier_self(
    earlier: list[Comment], placed: Placed, changes: list[tuple[str, str]]
) -> None:
    store = Store(earlier)
    assert place_comment(store, BODY, "bot") is placed
    assert store.changes == changes


def test_a_change_that_is_taken_back_updates_but_does_not_create() -> None:
    store = Store([comment(BODY.replace("abc1", "abc2"))])
    assert place_comment(store, BODY, "bot", new=False) is Placed.UPDATED
    assert place_comment(Store(), BODY, "bot", new=False) is Placed.OMITTED


def test_markdown_without_a_marker_is_refused() -> None:
    with pytest.raises(MpbakeError, match="has no marker"):
        place_comment(Store(), "### Plan\n", "bot")


def test_a_long_comment_is_cut_at_a_line() -> None:
    body = BODY + "".join(f"line {number}\n" for number in range(10_000))
    short = cut(body)
    assert len(short) <= LONGEST_GITHUB_COMMENT
    assert marker_of(short) == marker_of(body)
    text, _, remark = short.partition("\n\n…\n")
    assert body.startswith(f"{text}\n")
    assert "The comment is cut" in remark
    assert cut("x" * LONGEST_GITHUB_COMMENT) == "x" * LONGEST_GITHUB_COMMENT
