"""The steps that are ready to start."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, JoinArchives, Publish, Verify
from mpbake.run.schedule.piece_queue import QueuedPiece
from mpbake.run.schedule.step_tracker import is_on_demand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.model.steps import Step
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.scheduled_node import ScheduledNode
    from mpbake.run.schedule.step_tracker import StepTracker

REGISTRY_STEPS = 8
"""The maximum number of targets that are published or verified in parallel: registries limit the rate of requests."""


StepWithoutSlot = JoinArchives | CheckPiece | Publish | Verify
"""A step that occupies no slot of a node. Such a step starts as soon as it is ready."""


class ReadySteps:
    """The steps that are ready to start: pieces in the queues of their pools, and all other steps.

    `seconds` maps each step to its expected duration, `paths` to its longest remaining path in seconds.
    """

    def __init__(
        self, tracker: StepTracker, fleet: Fleet, *, seconds: Mapping[Step, float], paths: Mapping[Step, float]
    ) -> None:
        self._tracker = tracker
        self._fleet = fleet
        self._seconds = seconds
        self._paths = paths
        self._without_slot: list[StepWithoutSlot] = []

    def add(self, steps: Iterable[Step]) -> None:
        """Queue the `steps` that wait for no other step and are not over; leave out the rest."""
        for step in steps:
            if self._tracker.is_over(step) or self._tracker.is_waiting(step) or is_on_demand(step):
                continue
            match step:
                case BuildPiece():
                    place = self._tracker.place[step]
                    entry = QueuedPiece(-self._paths[step], place, step, self._seconds[step])
                    self._fleet.pool_of(step).queue.push(entry)
                case JoinArchives() | CheckPiece() | Publish() | Verify():
                    self._without_slot.append(step)
                case BootstrapNode():
                    continue  # lazy, see above
                case _:
                    assert_never(step)

    def take_steps_without_slot(self) -> list[StepWithoutSlot]:
        """Take the steps that start now and occupy no slot. At most `REGISTRY_STEPS` steps use registries at a time."""
        ready, self._without_slot = [step for step in self._without_slot if not self._tracker.is_over(step)], []
        if not ready:
            return []
        room = REGISTRY_STEPS - sum(map(_uses_registry, self._tracker.running))
        place = self._tracker.place
        taken: list[StepWithoutSlot] = []
        for step in sorted(ready, key=lambda step: (-self._paths[step], place[step])):
            uses_registry = _uses_registry(step)
            (taken if not uses_registry or room > 0 else self._without_slot).append(step)
            room -= uses_registry
        return sorted(taken, key=place.__getitem__)

    def discard(self, steps: Iterable[Step]) -> None:
        """Remove the pieces among `steps` from the queues of pools: these pieces will never start."""
        for step in steps:
            if isinstance(step, BuildPiece):
                self._fleet.pool_of(step).queue.discard(step)

    def requeue_waiting_on(self, node: ScheduledNode) -> None:
        """Queue again the pieces and checks that wait for `node`, so that another node may take the work."""
        waiting: list[Step] = [*node.parked, *node.checks]
        node.parked, node.checks = [], []
        self.add(waiting)
        node.note_load()


def _uses_registry(step: Step) -> bool:
    match step:
        case Publish() | Verify():
            return True
        case BootstrapNode() | BuildPiece() | JoinArchives() | CheckPiece():
            return False
        case _:
            assert_never(step)
