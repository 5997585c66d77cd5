"""The results of a run by target, and by kind of step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mpbake.model.steps import BuildPiece, CheckPiece, Publish, StepResult, StepStatus, Verify
from mpbake.report.progress.target_results import TargetResults, is_worth_reporting, results_by_target
from tests.unit.graphs import graph_of_text

if TYPE_CHECKING:
    from mpbake.graph.dag import BuildGraph

PLAN = """
    [defaults.target]
    platforms = ["linux/amd64"]
    [targets.base]
    [targets.web]
    contexts = { base = "target:base" }
    tags = ["r/web:1"]
    push = true
    checks = [{ run = ["true"] }]
    [targets.tool]
    contexts = { base = "target:base" }
    """


def results_of(graph: BuildGraph, **seconds: float) -> dict[str, TargetResults]:
    """Return the results of a successful run by name. Keywords are the seconds of the steps whose keys start so."""
    results = [
        StepResult(step=step, status=StepStatus.DONE, seconds=seconds.get(step.key.partition(" ")[0], 0.0))
        for step in graph.steps
    ]
    by_target = results_by_target(graph.targets, results)
    return {target.name: results for target, results in by_target.items()}


def test_steps_of_a_target_by_kind() -> None:
    results = results_of(graph_of_text(PLAN, "web", "tool"))
    assert list(results) == ["web", "tool"], "the shared base belongs to no target of the run"
    web, tool = results["web"], results["tool"]
    assert [type(result.step) for result in web.results] == [BuildPiece, CheckPiece, Publish, Verify]
    assert [piece.target.name for piece, _ in web.pieces] == ["web"]
    assert [[type(result.step) for result in part] for part in (web.publishes, web.verifies)] == [[Publish], [Verify]]
    assert (len(tool.results), tool.publishes, tool.verifies) == (1, [], [])


def test_seconds_of_parallel_steps_count_once() -> None:
    graph = graph_of_text(PLAN.replace("checks = [", 'checks = [{ target = "test" }, '), "web")
    assert results_of(graph, build=10.0, check=2.0, publish=1.0)["web"].seconds == 13.0


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([], StepStatus.DONE),
        ([StepStatus.DONE], StepStatus.DONE),
        ([StepStatus.DONE, StepStatus.SKIPPED], StepStatus.SKIPPED),
        ([StepStatus.SKIPPED, StepStatus.CANCELLED], StepStatus.CANCELLED),
        ([StepStatus.CANCELLED, StepStatus.FAILED, StepStatus.DONE], StepStatus.FAILED),
    ],
)
def test_the_worst_status_counts(statuses: list[StepStatus], status: StepStatus) -> None:
    results = TargetResults()
    steps = (step for step in graph_of_text(PLAN, "web").steps if isinstance(step, BuildPiece | Publish | Verify))
    for step, one in zip(steps, statuses, strict=False):
        results.add(StepResult(step=step, status=one))
    assert results.status is status


def test_skipped_steps_that_are_reported() -> None:
    graph = graph_of_text(PLAN, "web", "tool")
    web, tool = (
        {
            type(step): step
            for step in graph.steps
            if step.key.startswith(("build", "check", "publish", "verify")) and f" {name}" in step.key
        }
        for name in ("web", "tool")
    )
    blocked_by = {BuildPiece: tool[BuildPiece], Publish: tool[BuildPiece]}
    skipped = [
        StepResult(step=step, status=StepStatus.SKIPPED, blocked_by=blocked_by.get(kind)) for kind, step in web.items()
    ]
    assert [type(result.step) for result in skipped if is_worth_reporting(result)] == [BuildPiece, Publish]
    own = StepResult(step=web[Publish], status=StepStatus.SKIPPED, blocked_by=web[BuildPiece])
    assert not is_worth_reporting(own), "the failure of the target's own build explains it"
