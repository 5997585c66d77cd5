"""The results of a run by target, and by kind of step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    JoinArchives,
    Publish,
    StepStatus,
    Verify,
    is_shared,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.model.plan import Target
    from mpbake.model.steps import Step, StepResult


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetResults:
    """The results of a target's own steps, in the order of the run.

    Each list is a part of `results`. `pieces` has the build pieces, `publishes` the steps that move tags, and
    `verifies` the steps that verify the tags. Shared pieces do not belong to a target's own steps.
    """

    results: list[StepResult] = field(default_factory=list)
    pieces: list[tuple[BuildPiece, StepResult]] = field(default_factory=list)
    publishes: list[StepResult] = field(default_factory=list)
    verifies: list[StepResult] = field(default_factory=list)

    @property
    def status(self) -> StepStatus:
        """The final status of the target: the worst status of its steps."""
        statuses = {result.status for result in self.results}
        order = (StepStatus.FAILED, StepStatus.CANCELLED, StepStatus.SKIPPED)
        return next((status for status in order if status in statuses), StepStatus.DONE)

    @property
    def seconds(self) -> float:
        """The seconds that the target took. Steps of one kind run in parallel, so the longest of them counts."""
        longest: dict[type[Step], float] = {}
        for result in self.results:
            longest[type(result.step)] = max(result.seconds, longest.get(type(result.step), 0.0))
        return sum(longest.values())

    def add(self, result: StepResult) -> None:
        """Add the result of one of the target's own steps."""
        self.results.append(result)
        match result.step:
            case BuildPiece():
                self.pieces.append((result.step, result))
            case Publish():
                self.publishes.append(result)
            case Verify():
                self.verifies.append(result)
            case BootstrapNode() | JoinArchives() | CheckPiece():
                pass
            case _:
                assert_never(result.step)


def results_by_target(targets: Iterable[Target], results: Iterable[StepResult]) -> dict[Target, TargetResults]:
    """Return the results of each target. Steps of linked targets and bootstraps of nodes belong to no target."""
    by_target = {target: TargetResults() for target in targets}
    for result in results:
        target = step_target(result.step)
        if target is not None and target in by_target and not is_shared(result.step):
            by_target[target].add(result)
    return by_target


def step_target(step: Step | None) -> Target | None:
    """Return the target of a step; None if it is the bootstrap of a node, or None."""
    match step:
        case BootstrapNode() | None:
            return None
        case BuildPiece() | JoinArchives() | CheckPiece() | Publish() | Verify():
            return step.target
        case _:
            assert_never(step)


def is_worth_reporting(result: StepResult) -> bool:
    """Return whether the metadata file reports a step that was not started.

    The file reports builds, and publish steps whose tags wait for another target.
    """
    match result.step:
        case BuildPiece():
            return True
        case Publish():
            return step_target(result.blocked_by) is not result.step.target
        case BootstrapNode() | JoinArchives() | CheckPiece() | Verify():
            return False
        case _:
            assert_never(result.step)
