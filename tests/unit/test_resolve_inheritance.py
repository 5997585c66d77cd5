"""Where each value of a target was written, its own and the inherited ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from mpbake.resolve.inheritance import families
from tests.unit.plans import problems_of_text, read_text

if TYPE_CHECKING:
    from mpbake.errors import KeyPath

PLAN = """
    [targets._far]
    context = "far"
    args = { A = 1, B = 1, C = 1 }
    tags = ["far"]
    needs = ["one", "two"]
    secret = ["id=a", "id=b"]
    [targets._near]
    inherits = ["_far"]
    args = { A = 2, B = 2 }
    needs = ["three"]
    secret = ["id=b,src=near"]
    [targets.web]
    inherits = ["_near"]
    args = { A = 3 }
    needs = ["four"]
    secret = ["id=c"]
    """


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("context",), ("_far", "context")),
        (("args", "A"), ("web", "args", "A")),
        (("args", "B"), ("_near", "args", "B")),
        (("args", "C"), ("_far", "args", "C")),
        (("args", "D"), ("web", "args", "D")),
        (("args",), ("web", "args")),
        (("tags", 0), ("_far", "tags", 0)),
        (("tags", 7), ("_far", "tags", 7)),
        (("needs", 0), ("_far", "needs", 0)),
        (("needs", 1), ("_far", "needs", 1)),
        (("needs", 2), ("_near", "needs", 0)),
        (("needs", 3), ("web", "needs", 0)),
        (("secret", 0), ("_far", "secret", 0)),
        (("secret", 1), ("_near", "secret", 0)),
        (("secret", 2), ("web", "secret", 0)),
        (("labels", "x"), ("web", "labels", "x")),
        ((), ("web",)),
    ],
)
def test_the_place_of_a_value(path: KeyPath, place: tuple[Any, ...]) -> None:
    _, spec = read_text(PLAN)
    problems: list[Any] = []
    web = families(spec, problems)["web"]
    assert web.where(path) == ("targets", *place)
    assert web.raw["secret"] == ["id=a", "id=b,src=near", "id=c"]
    assert problems == []


def test_a_mistake_in_an_inherited_list_is_shown_where_it_stands() -> None:
    found = problems_of_text("""
        [targets.ok]
        [targets._base]
        needs = ["okk"]
        [targets.web]
        inherits = ["_base"]
        needs = ["ok"]
    """)
    assert found == (
        'build.toml:4: targets._base.needs[0]: unknown target "okk"\n    needs = ["okk"]\n  = did you mean "ok"?'
    )
