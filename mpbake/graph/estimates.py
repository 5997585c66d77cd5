"""How long steps are expected to take, from what earlier runs recorded. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.model.steps import BootstrapNode, BuildPiece, Execution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.steps import Step, StepResult

Recorded = Mapping[str, Mapping[str, Sequence[float]]]
"""Seconds of the last builds by target and platform, the newest last."""

UNKNOWN = 60.0
"""Seconds of a piece while not one of the run's pieces has a record; later the median of those that have."""
SAVED = 0.5
"""The share of its usual time that a piece saves on its preferred node, while only one build of it is known."""
KEPT = 5
"""Builds of a target for a platform that are remembered."""
_OTHER = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimates:
    """What is known of pieces from earlier runs. A piece of several platforms takes as long as the longest of them."""

    recorded: Recorded = field(default_factory=dict)

    def usual(self, piece: BuildPiece) -> float | None:
        """The seconds that `piece` usually takes, or None where that is not known."""
        found = [statistics.median(each) for each in self._records(piece)]
        return max(found, default=None)

    def last(self, piece: BuildPiece) -> float | None:
        """The seconds that `piece` took the last time, or None where that is not known."""
        return max((each[-1] for each in self._records(piece)), default=None)

    def saved(self, piece: BuildPiece) -> float:
        """The seconds that the cache of its preferred node saves: the difference between its slow and fast builds.

        Nothing where there is no record: then nothing is known to be in any cache.
        """
        return max((_saved(each) for each in self._records(piece)), default=0.0)

    def _records(self, piece: BuildPiece) -> list[Sequence[float]]:
        of_target = self.recorded.get(piece.target.name, {})
        return [of_target[name] for name in _names(piece) if of_target.get(name)]


def _saved(seconds: Sequence[float]) -> float:
    return max(seconds) - min(seconds) if len(seconds) > 1 else seconds[0] * SAVED


def _names(piece: BuildPiece) -> list[str]:
    """The names under which `piece` is recorded: its platforms, or `native` where the node decides.

    An emulated platform has a name of its own: it takes several times as long.
    """
    names = [f"{each.platform}{' emulated' if each.how is Execution.EMULATED else ''}" for each in piece.platforms]
    return names or ["native"]


def expectations(graph: BuildGraph, estimates: Estimates) -> dict[Step, float]:
    """The seconds that each step of `graph` is expected to take. What is not known takes as long as others do."""
    usual = {step: estimates.usual(step) for step in graph.steps if isinstance(step, BuildPiece)}
    known = [seconds for seconds in usual.values() if seconds is not None]
    unknown = statistics.median(known) if known else UNKNOWN

    def expected(step: Step) -> float:
        if isinstance(step, BuildPiece):
            seconds = usual[step]
            return unknown if seconds is None else seconds
        return 0.0 if isinstance(step, BootstrapNode) else _OTHER

    return {step: expected(step) for step in graph.steps}


def remaining_paths(graph: BuildGraph, seconds: Mapping[Step, float]) -> dict[Step, float]:
    """For each step the seconds from its start to the end of the longest chain of steps that begins with it."""
    found: dict[Step, float] = {}
    for step in reversed(graph.steps):
        found[step] = seconds[step] + max((found[each] for each in graph.after[step]), default=0.0)
    return found


def with_results(recorded: Recorded, results: Iterable[StepResult], names: Iterable[str]) -> Recorded:
    """`recorded`, and what the pieces of a run took that were built; only of the targets called `names`."""
    known = set(names)
    found = {
        target: {name: list(seconds) for name, seconds in of_target.items()}
        for target, of_target in recorded.items()
        if target in known
    }
    for result in results:
        if isinstance(result.step, BuildPiece) and result.built and result.step.target.name in known:
            of_target = found.setdefault(result.step.target.name, {})
            for name in _names(result.step):
                of_target[name] = [*of_target.get(name, ()), round(result.seconds, 3)][-KEPT:]
    return found
