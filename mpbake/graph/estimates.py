"""The expected durations of steps, from the records of earlier runs. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, assert_never

from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Execution, JoinArchives, Publish, Verify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.steps import Step, StepResult

Recorded = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds of the last builds by target and platform, the newest last."""

UNKNOWN_SECONDS = 60.0
"""Expected seconds of a build piece if no piece of the run has a record; otherwise the median of all records counts."""
SAVED_SHARE = 0.5
"""The share of a piece's build time that the piece saves on its preferred node, if only one build is recorded."""
KEPT_BUILDS = 5
"""The number of builds that are recorded for each platform of a target."""
_OTHER_STEP_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """Expected durations from earlier runs. A build piece takes as long as its slowest platform."""

    recorded: Recorded = field(default_factory=dict)

    def usual(self, piece: BuildPiece) -> float | None:
        """Return the median seconds of the recorded builds of `piece`, or None without a record."""
        return max((statistics.median(seconds) for seconds in self._records(piece)), default=None)

    def last(self, piece: BuildPiece) -> float | None:
        """Return the seconds of the last build of `piece`, or None without a record."""
        return max((seconds[-1] for seconds in self._records(piece)), default=None)

    def saved(self, piece: BuildPiece) -> float:
        """Return the seconds that the cache of the preferred node saves: the slowest minus the fastest recorded build.

        Return 0 without a record, since then nothing is known about caches.
        """
        return max((_saved(seconds) for seconds in self._records(piece)), default=0.0)

    def _records(self, piece: BuildPiece) -> list[Sequence[float]]:
        by_platform = self.recorded.get(piece.target.name, {})
        return [by_platform[name] for name in _record_names(piece) if by_platform.get(name)]


def _saved(seconds: Sequence[float]) -> float:
    return max(seconds) - min(seconds) if len(seconds) > 1 else seconds[0] * SAVED_SHARE


def _record_names(piece: BuildPiece) -> list[str]:
    """Return the names under which `piece` is recorded: its platforms, or `native` if the node decides.

    An emulated platform has its own name, since emulation takes several times as long.
    """
    names = [
        f"{placed.platform} emulated" if placed.execution is Execution.EMULATED else str(placed.platform)
        for placed in piece.platforms
    ]
    return names or ["native"]


def expectations(graph: BuildGraph, estimates: Estimates) -> dict[Step, float]:
    """Return the expected seconds of each step of `graph`.

    A piece without a record gets the median duration of the other pieces.
    """
    usual = {step: estimates.usual(step) for step in graph.steps if isinstance(step, BuildPiece)}
    known = [seconds for seconds in usual.values() if seconds is not None]
    unknown = statistics.median(known) if known else UNKNOWN_SECONDS

    def expected(step: Step) -> float:
        match step:
            case BuildPiece():
                seconds = usual[step]
                return unknown if seconds is None else seconds
            case BootstrapNode():
                return 0.0
            case JoinArchives() | CheckPiece() | Publish() | Verify():
                return _OTHER_STEP_SECONDS
            case _:
                assert_never(step)

    return {step: expected(step) for step in graph.steps}


def remaining_paths(graph: BuildGraph, seconds: Mapping[Step, float]) -> dict[Step, float]:
    """Return, for each step, the seconds of the longest path that begins with this step."""
    paths: dict[Step, float] = {}
    for step in reversed(graph.steps):
        paths[step] = seconds[step] + max((paths[dependent] for dependent in graph.after[step]), default=0.0)
    return paths


def with_results(recorded: Recorded, results: Iterable[StepResult], names: Iterable[str]) -> Recorded:
    """Return `recorded` with the durations of the pieces that a run has built, for the targets called `names` only."""
    known = set(names)
    updated = {
        target: {name: list(seconds) for name, seconds in by_platform.items()}
        for target, by_platform in recorded.items()
        if target in known
    }
    for result in results:
        if isinstance(result.step, BuildPiece) and result.built and result.step.target.name in known:
            by_platform = updated.setdefault(result.step.target.name, {})
            for name in _record_names(result.step):
                by_platform[name] = [*by_platform.get(name, ()), round(result.seconds, 3)][-KEPT_BUILDS:]
    return updated
