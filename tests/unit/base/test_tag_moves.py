"""The tags that moved, that may have moved, and that did not move."""

from __future__ import annotations

import pytest

from mpbake.base.tag_moves import TagMoves

ALL = TagMoves(moved=("a", "b"), unsure=("c",), unmoved=("d", "e"))


@pytest.mark.parametrize(
    ("moves", "text"),
    [
        (ALL, "moved: a, b; may have moved: c; not moved: d, e"),
        (TagMoves(), "moved: none; not moved: none"),
        (TagMoves(moved=("a",)), "moved: a; not moved: none"),
        (TagMoves(unsure=("a",)), "moved: none; may have moved: a; not moved: none"),
    ],
)
def test_as_a_sentence(moves: TagMoves, text: str) -> None:
    assert (str(moves), bool(moves)) == (text, moves != TagMoves())


def test_the_part_about_some_tags() -> None:
    assert ALL.of(["e", "c", "a"]) == TagMoves(moved=("a",), unsure=("c",), unmoved=("e",))
