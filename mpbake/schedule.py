"""Which steps may start now: a pure state machine without threads, clock or I/O."""

from __future__ import annotations

import bisect
from collections import Counter
from typing import TYPE_CHECKING

from mpbake.steps import BuildPiece, Step, StepStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.graph import BuildGraph

SLOTS = 4
"""Pieces that one node builds side by side unless told otherwise; BuildKit shares its CPUs among them."""


class Schedule:
    """The state of a run: what waits, what runs, what is over.

    `slots` maps node ids to how many pieces each builds at once.
    """

    def __init__(self, graph: BuildGraph, slots: Mapping[str, int] | None = None) -> None:
        self._graph = graph
        self._slots = slots or {}
        self._place = {step: index for index, step in enumerate(graph.steps)}
        self._waits_for = {step: len(graph.before[step]) for step in graph.steps}
        self._ready = [index for index, step in enumerate(graph.steps) if not self._waits_for[step]]
        self._running: set[Step] = set()
        self._busy: Counter[str] = Counter()
        self._over: dict[Step, StepStatus] = {}

    @property
    def finished(self) -> bool:
        """Whether every step is over."""
        return len(self._over) == len(self._graph.steps)

    @property
    def running(self) -> frozenset[Step]:
        """The steps that have been started and are not over."""
        return frozenset(self._running)

    def ready(self) -> list[Step]:
        """The steps that may start now, in the graph's order, as many as their nodes have room for."""
        room = Counter[str]()
        steps = []
        for index in self._ready:
            step = self._graph.steps[index]
            node = step.node.id if isinstance(step, BuildPiece) else ""
            if not node or self._busy[node] + room[node] < self._slots.get(node, SLOTS):
                room[node] += 1
                steps.append(step)
        return steps

    def start(self, step: Step) -> None:
        """`step`, which was ready, now runs."""
        self._ready.remove(self._place[step])
        self._running.add(step)
        if isinstance(step, BuildPiece):
            self._busy[step.node.id] += 1

    def finish(self, step: Step, status: StepStatus) -> tuple[Step, ...]:
        """`step` is over. Returns the steps that will never start because of it, in the graph's order."""
        self._running.remove(step)
        self._over[step] = status
        if isinstance(step, BuildPiece):
            self._busy[step.node.id] -= 1
        if status is not StepStatus.DONE:
            return self._skip_all_after(step)
        for following in self._graph.after[step]:
            self._waits_for[following] -= 1
            if not self._waits_for[following] and following not in self._over:
                bisect.insort(self._ready, self._place[following])
        return ()

    def abandon(self) -> tuple[Step, ...]:
        """Nothing more is to start. Returns the steps that are given up, in the graph's order."""
        given_up = tuple(step for step in self._graph.steps if step not in self._over and step not in self._running)
        self._over |= dict.fromkeys(given_up, StepStatus.CANCELLED)
        self._ready.clear()
        return given_up

    def _skip_all_after(self, step: Step) -> tuple[Step, ...]:
        skipped: set[Step] = set()
        queue = [step]
        while queue:
            for following in self._graph.after[queue.pop()]:
                if following not in self._over:
                    self._over[following] = StepStatus.SKIPPED
                    skipped.add(following)
                    queue.append(following)
        return tuple(sorted(skipped, key=self._place.__getitem__))
