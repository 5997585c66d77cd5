"""The expected durations of steps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mpbake.graph.estimates import (
    KEPT_BUILDS,
    SAVED_SHARE,
    UNKNOWN_SECONDS,
    Estimates,
    expectations,
    remaining_paths,
    with_results,
)
from mpbake.model.steps import Execution, StepResult, StepStatus
from tests.unit.graphs import graph_of_text, piece_of

if TYPE_CHECKING:
    from mpbake.graph.dag import BuildGraph

PLAN = """
    [targets.web]
    platforms = ["linux/amd64", "linux/arm64"]
    tags = ["r/web:1", "s/web:1"]
    push = true
    [targets.tool]
    needs = ["web"]
    [targets.new]
    """
RECORDED = {"web": {"linux/amd64": [40.0, 10.0, 12.0], "linux/arm64": [20.0, 30.0, 40.0]}, "tool": {"native": [8.0]}}


def graph() -> BuildGraph:
    return graph_of_text(PLAN)


def test_a_piece_takes_as_long_as_the_longest_of_its_platforms_usually_does() -> None:
    estimates = Estimates(recorded=RECORDED)
    assert [estimates.usual(piece_of(graph(), name)) for name in ("web", "tool", "new")] == [30, 8, None]
    assert Estimates().usual(piece_of(graph(), "web")) is None


def test_a_cache_saves_the_difference_between_slow_and_fast_builds() -> None:
    estimates = Estimates(recorded=RECORDED)
    assert [estimates.saved(piece_of(graph(), name)) for name in ("web", "tool", "new")] == [30, 8 * SAVED_SHARE, 0]


def test_two_builds_tell_what_a_cache_saves() -> None:
    estimates = Estimates(recorded={"tool": {"native": [8.0, 7.0]}})
    assert estimates.saved(piece_of(graph(), "tool")) == 1


def test_what_is_not_known_takes_as_long_as_what_is() -> None:
    seconds_of = expectations(graph(), Estimates(recorded=RECORDED))
    assert {step.key.partition(" on")[0]: seconds for step, seconds in seconds_of.items()} == {
        "bootstrap default/local": 0,
        "build web linux/amd64,linux/arm64": 30,
        "publish web": 1,
        "verify web": 1,
        "build tool native": 8,
        "build new native": 19,
    }
    this = graph()
    assert expectations(this, Estimates())[piece_of(this, "new")] == UNKNOWN_SECONDS


def test_the_longest_path_that_remains() -> None:
    this = graph()
    paths = remaining_paths(this, expectations(this, Estimates(recorded=RECORDED)))
    assert [paths[step] for step in this.steps] == [40, 40, 10, 9, 8, 19]


def test_what_was_built_is_remembered_and_what_is_in_the_plan_no_more_is_forgotten() -> None:
    web, tool = piece_of(graph(), "web"), piece_of(graph(), "tool")
    results = [
        StepResult(step=web, status=StepStatus.DONE, seconds=11.23456),
        StepResult(step=tool, status=StepStatus.FAILED, seconds=1.0),
        *(StepResult(step=step, status=StepStatus.DONE) for step in graph().steps[:1]),
    ]
    before = {"web": {"linux/amd64": [1.0] * KEPT_BUILDS}, "gone": {"native": [1.0]}}
    recorded = with_results(before, results, ["web", "tool"])
    assert recorded == {"web": {"linux/amd64": [1.0] * (KEPT_BUILDS - 1) + [11.235], "linux/arm64": [11.235]}}
    assert len(before["web"]["linux/amd64"]) == KEPT_BUILDS


def test_what_is_emulated_is_recorded_apart() -> None:
    web = piece_of(graph(), "web")
    emulated = replace(
        web, platforms=tuple(replace(placed, execution=Execution.EMULATED) for placed in web.platforms[:1])
    )
    results = [StepResult(step=emulated, status=StepStatus.DONE, seconds=9.0)]
    assert with_results({}, results, ["web"]) == {"web": {"linux/amd64 emulated": [9.0]}}


@pytest.mark.parametrize("seconds", [[], [0.0]])
def test_empty_records(seconds: list[float]) -> None:
    estimates = Estimates(recorded={"tool": {"native": seconds}})
    assert estimates.saved(piece_of(graph(), "tool")) == 0
