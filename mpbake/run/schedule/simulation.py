"""A run in simulated time: how long a run takes if every step takes its expected time. Pure."""

from __future__ import annotations

import heapq
from itertools import chain, count
from typing import TYPE_CHECKING

from mpbake.graph.estimates import expectations
from mpbake.model.steps import BuildPiece, StepStatus
from mpbake.run.schedule.schedule import Schedule

if TYPE_CHECKING:
    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.estimates import Estimates
    from mpbake.model.steps import Step


def simulated_seconds(graph: BuildGraph, estimates: Estimates) -> float:
    """Return the seconds of a run without faults, with the decisions and the slots of the real schedule.

    A node whose `slots` the plan does not set builds everything at once, so the real run may take longer.
    """
    return _Simulation(graph, estimates).run()


class _Simulation:
    def __init__(self, graph: BuildGraph, estimates: Estimates) -> None:
        self._graph = graph
        self._seconds = expectations(graph, estimates)
        self._schedule = Schedule(graph, estimates=estimates)
        self._running: list[tuple[float, int, Step]] = []
        self._ends: dict[tuple[Step, str], float] = {}
        self._numbers = count()
        self._now = 0.0

    def run(self) -> float:
        while not self._schedule.finished:
            for step in sorted(chain.from_iterable(self._schedule.start(self._now)), key=self._schedule.sort_key):
                self._start(step)
            if not self._wakes_first():
                if not self._running:  # no step can start any more, which a graph without faults rules out
                    break
                self._now, _, step = heapq.heappop(self._running)
                self._schedule.finish(step, StepStatus.DONE)
        return self._now

    def _start(self, step: Step) -> None:
        """Start a step. A build piece may be in one call with a shared piece, and ends after that."""
        origin = self._schedule.origin(step)
        node = step.node.id if isinstance(step, BuildPiece) else ""
        bases = (self._ends.get((before, node), 0.0) for before in self._graph.before.get(origin, ()))
        end = max([self._now, *bases]) + self._seconds.get(origin, 0.0)
        self._ends[origin, node] = end
        heapq.heappush(self._running, (end, next(self._numbers), step))

    def _wakes_first(self) -> bool:
        """Go on to the time at which the schedule reconsiders, if no step ends before. Return whether it was so."""
        wakes_at = self._schedule.wakes_at
        is_first = wakes_at is not None and wakes_at > self._now and not self._ends_by(wakes_at)
        self._now = wakes_at if is_first and wakes_at is not None else self._now
        return is_first

    def _ends_by(self, time: float) -> bool:
        return bool(self._running) and self._running[0][0] <= time
