"""Explanations of placements."""

from __future__ import annotations

import re

import pytest

from mpbake.base.platforms import parse_platforms
from mpbake.graph.explain import explain_placement, placement_reason
from mpbake.graph.placement import place
from tests.unit.graphs import facts_of
from tests.unit.plans import resolve_text, target_of_text, text

PLAN = """
    [targets._t]
    builder = "x"
    platforms = ["linux/amd64", "linux/386", "linux/arm64"]
    [targets.base]
    inherits = ["_t"]
    [targets.web]
    inherits = ["_t"]
    contexts = { base = "target:base" }
    [builders.x]
    driver = "remote"
    nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
    nodes.b = { endpoint = "unix:///b", platforms = ["linux/amd64"] }
    nodes.c = { endpoint = "unix:///c", platforms = ["linux/386"] }
    nodes.arm = { endpoint = "unix:///arm" }
    """

SECOND = "chosen: equal to x/a, and takes over if that is busy or lost"


def test_before_anybody_was_asked() -> None:
    one = PLAN.replace("nodes.b", "#")
    assert (
        explain_placement(target_of_text(one), {}, parse_platforms(["linux/amd64"]))
        == text("""
        web on builder x (remote, emulation: warn)

        linux/amd64
          x/a    declares it                         chosen: best node
          x/c    declares linux/386; not probed yet  not chosen: x/a declares it
          x/arm  declares nothing; not probed yet    not chosen: x/a declares it
        """)
        + "\n"
    )
    shown = explain_placement(target_of_text(PLAN), {})
    assert rows(shown, "linux/amd64")[:2] == [
        'x/a | declares it | chosen, and preferred for the cache of "base", which it links to',
        f"x/b | declares it | {SECOND}",
    ]
    assert rows(shown, "linux/arm64")[3] == (
        "x/arm | declares nothing; not probed yet | not chosen: x/a comes first in the plan, and "
        "this node builds other platforms"
    )


def rows(shown: str, platform: str) -> list[str]:
    """Return the rows below a platform, with `|` between the columns."""
    block = next(block for block in shown.split("\n\n") if block.startswith(f"{platform}\n"))
    return [re.sub(" {2,}", " | ", line.strip()) for line in block.splitlines()[1:]]


def test_what_nodes_said() -> None:
    facts = facts_of({"x/arm": "linux/arm64 linux/amd64", "x/c": "linux/amd64 linux/386", "x/b": "linux/amd64"})
    shown = explain_placement(target_of_text(PLAN, "base"), facts)
    assert rows(shown, "linux/amd64") == [
        "x/a | declares it | chosen, and preferred for its cache, by the target's name",
        f"x/b | declares it | {SECOND}",
        "x/c | declares linux/386, but runs linux/amd64 natively | not chosen: x/a declares it",
        "x/arm | runs linux/arm64 natively, and emulates it | not chosen: x/a declares it",
    ]
    wrong = explain_placement(target_of_text(PLAN, "base"), facts_of({"x/a": "linux/arm64 linux/amd64"}))
    assert rows(wrong, "linux/amd64")[0].startswith("x/a | declares it, but runs linux/arm64 natively | chosen")
    assert rows(shown, "linux/386") == [
        "x/a | declares linux/amd64, which includes it | chosen, and preferred for its cache, by the target's name",
        f"x/b | declares linux/amd64, which includes it | {SECOND}",
        "x/c | declares it | not chosen: x/a comes first in the plan, and this node builds other platforms",
        "x/arm | runs linux/arm64 natively, and emulates it | not chosen: x/a declares it",
    ]
    assert rows(shown, "linux/arm64") == [
        "x/a | declares linux/amd64; not probed yet | not chosen: x/arm runs it natively",
        "x/b | builds linux/amd64 only | cannot build it",
        "x/c | builds linux/amd64, linux/386 only | cannot build it",
        "x/arm | runs it natively | chosen: best node",
    ]


def test_a_node_that_does_not_answer() -> None:
    facts = facts_of({"x/arm": "", "x/a": "linux/amd64 linux/arm64"})
    one = re.sub("nodes.[bc].*", "", PLAN).replace('driver = "remote"', 'driver = "remote"\nemulation = "allow"')
    assert rows(explain_placement(target_of_text(one), facts), "linux/arm64") == [
        "x/a | runs linux/amd64 natively, and emulates it | chosen: best node",
        "x/arm | declares nothing; does not answer | not chosen: x/a answers",
    ]
    assert rows(explain_placement(target_of_text(one), facts), "linux/amd64") == [
        "x/a | declares it | chosen: best node",
        "x/arm | declares nothing; does not answer | not chosen: x/a answers",
    ]
    assert rows(explain_placement(target_of_text(PLAN), facts_of({"x/c": ""})), "linux/amd64")[2] == (
        "x/c | declares linux/386; does not answer | not chosen: x/a answers"
    )
    two = text("""
        [targets.web]
        builder = "x"
        platforms = ["linux/amd64"]
        [builders.x]
        driver = "remote"
        nodes.a = { endpoint = "unix:///a" }
        nodes.b = { endpoint = "unix:///b" }
        """)
    assert rows(explain_placement(target_of_text(two), facts_of({"x/a": ""})), "linux/amd64") == [
        "x/a | declares nothing; does not answer | not chosen: x/b may answer",
        "x/b | declares nothing; not probed yet | chosen: best node",
    ]
    assert rows(explain_placement(target_of_text(PLAN), facts_of({"x/c": ""})), "linux/386")[2] == (
        "x/c | declares it | not chosen: x/a comes first in the plan, and this node builds other platforms"
    ), "what it declares holds, whether it answers or not"


def test_the_own_platform_of_a_node_that_has_not_been_asked() -> None:
    assert (
        explain_placement(target_of_text("[targets.web]"), {})
        == text("""
        web on builder default (automatic, emulation: warn)

        it is built for the native platform of the first node, default/local, which is not known yet
        """)
        + "\n"
    )


@pytest.mark.parametrize(
    "reported", [{}, {"x/arm": "linux/arm64 linux/386"}, {"x/c": "linux/s390x linux/arm64"}, {"x/arm": ""}]
)
def test_what_is_chosen_is_what_placement_chooses(reported: dict[str, str]) -> None:
    facts = facts_of(reported)
    for target in resolve_text(PLAN).targets.values():
        blocks = explain_placement(target, facts).split("\n\n")[1:]
        for piece in place(target, facts).pieces:
            for placed in piece.platforms:
                block = next(block for block in blocks if block.startswith(f"{placed.platform}\n"))
                chosen = {line.split()[0] for line in block.splitlines() if "  chosen" in line}
                assert chosen == {node.id for node in piece.nodes}


@pytest.mark.parametrize(
    ("nodes", "reported", "reason"),
    [
        ('a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }', {}, "x/a declares it"),
        ('a = { endpoint = "unix:///a" }', {}, "x/a declares nothing; not probed yet"),
        ('a = { endpoint = "unix:///a" }', {"x/a": "linux/amd64"}, "x/a runs it natively"),
        (
            'a = { endpoint = "unix:///a" }',
            {"x/a": "linux/arm64 linux/amd64"},
            "x/a runs linux/arm64 natively, and emulates it",
        ),
        ('a = { endpoint = "unix:///a" }', {"x/a": ""}, "x/a declares nothing; does not answer"),
    ],
)
def test_the_reason_for_a_node(nodes: str, reported: dict[str, str], reason: str) -> None:
    plan = f"[targets.web]\nbuilder = 'x'\nplatforms = ['linux/amd64']\n[builders.x]\ndriver = 'remote'\nnodes.{nodes}"
    facts = facts_of(reported)
    (piece,) = place(target_of_text(plan), facts).pieces
    assert placement_reason(piece, piece.platforms[0].platform, facts) == reason


def test_the_reason_for_a_preferred_node() -> None:
    piece = next(piece for piece in place(target_of_text(PLAN), {}).pieces if len(piece.nodes) == 2)
    reason = 'x/a declares it; preferred for the cache of "base", which it links to'
    assert placement_reason(piece, parse_platforms(["linux/amd64"])[0], {}) == reason
