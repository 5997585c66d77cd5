"""Runs in simulated time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from mpbake.graph.estimates import UNKNOWN_SECONDS, Estimates
from mpbake.model.steps import BuildPiece
from mpbake.run.schedule.simulation import simulated_seconds
from tests.unit.graphs import graph_of_text, graphs

if TYPE_CHECKING:
    from mpbake.graph.dag import BuildGraph

PLAN = """
    [defaults.target]
    builder = "x"
    platforms = ["linux/amd64"]
    [targets.a]
    [targets.b]
    [targets.c]
    needs = ["a"]
    [builders.x]
    driver = "remote"
    nodes.n = {{ endpoint = "unix:///n", slots = {slots}, platforms = ["linux/amd64"] }}
    """


@pytest.mark.parametrize(("slots", "seconds"), [(1, 60), (2, 50)])
def test_the_slots_of_nodes_count(slots: int, seconds: float) -> None:
    recorded = {name: {"linux/amd64": [duration]} for name, duration in (("a", 20), ("b", 10), ("c", 30))}
    graph = graph_of_text(PLAN.format(slots=slots))
    assert simulated_seconds(graph, Estimates(recorded=recorded)) == seconds


def test_a_shared_base_is_built_first_even_in_one_call() -> None:
    graph = graph_of_text(
        """
        [targets.a]
        contexts = { base = "target:base" }
        [targets.b]
        contexts = { base = "target:base" }
        [targets.base]
        """,
        "a",
        "b",
    )
    recorded = {"a": {"native": [5.0]}, "b": {"native": [7.0]}, "base": {"native": [100.0]}}
    assert simulated_seconds(graph, Estimates(recorded=recorded)) == 107


@given(graph=graphs())
def test_every_run_ends_and_takes_at_least_its_longest_build(graph: BuildGraph) -> None:
    own = [step for step in graph.steps if isinstance(step, BuildPiece) and not step.shared]
    seconds = simulated_seconds(graph, Estimates())
    assert seconds >= (UNKNOWN_SECONDS if own else 0)
    assert seconds <= UNKNOWN_SECONDS * (len(graph.steps) + 1) * 3
