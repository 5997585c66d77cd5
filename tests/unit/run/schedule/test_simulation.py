"""A small version of benchmarks/simulate.py: runs are close to the lower bound, and every piece is built."""

from __future__ import annotations

import pytest

from benchmarks.simulate import Case, simulate


@pytest.mark.parametrize("layers", [1, 5, 20])
@pytest.mark.parametrize(("nodes", "slots"), [(50, 1), (20, 3)])
@pytest.mark.parametrize("lost", [0.0, 0.1])
def test_near_the_best_there_can_be(nodes: int, slots: int, layers: int, lost: float) -> None:
    outcome = simulate(Case(pieces=600, nodes=nodes, slots=slots, layers=layers, lost=lost), seed=layers)
    assert outcome.built == 600
    assert outcome.ratio <= 1.1


def test_decisions_are_fast() -> None:
    outcome = simulate(Case(pieces=2_000, nodes=200, layers=4))
    assert outcome.deciding < 1.0
