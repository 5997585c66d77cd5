"""A node and its current state in a run.

Only `schedule` changes this state. The module has no threads, clock or I/O: callers pass `now`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Node
    from mpbake.model.steps import BuildPiece, CheckPiece
    from mpbake.run.schedule.pools import Pool

WEIGHT = 4
"""The weight of a node whose number of CPUs is not known."""
MAX_BATCH_SIZE = 20
"""The maximum number of pieces in one bake call.

bake fails with hundreds of targets, and after a failed piece mpbake must repeat the other pieces of the call.
"""
USUAL_CALLS = 3
"""The number of simultaneous bake calls among which the work of a node without slots is divided."""
MAX_CALLS = 8
"""The maximum number of simultaneous bake calls on a node without slots. A call is a docker process and its plugin."""


class NodeStatus(Enum):
    """The status of a node in a run."""

    UNUSED = "no step has used the node yet"
    STARTING = "the bootstrap of the node runs"
    UP = "the node answers"
    LOST = "the node does not answer; mpbake retries after a backoff"
    FAILED = "the node was lost too often and is not used again in this run"


@dataclass(kw_only=True, slots=True, eq=False)
class ScheduledNode:
    """A node and its current state in a run.

    `declared` is the node as the plan describes it, and `order` is its position among the nodes of the run.

    `slots` limits how many pieces the node builds at once, if the plan or its BuildKit sets a limit. 0 means no limit:
    BuildKit schedules by itself. Then `weight`, the number of CPUs, decides the node's share of the work of equal
    nodes. `slots_known` means that the node's bootstrap does not change `slots`.

    `running` maps pieces to their expected end: with `slots` the pieces that occupy a slot, otherwise all started
    pieces. `calls` maps running pieces to the numbers of their bake calls. `gathered` pieces begin as soon as they are
    divided into calls. `parked` pieces wait for the node's bootstrap, or for a shared piece that the node is building.
    `built` and `building` hold shared pieces. `checks` wait until the node is up, and occupy no slot.

    `outages` counts all losses of the node, `losses` the losses in a row. At `max_losses` losses in a row the node
    fails. A lost node is retried at `retry_at`. `platforms` are the platforms that the node reports, or None before its
    bootstrap. `pools` contain the node; `helped_pools` are pools of other nodes, whose pieces the node may emulate.
    """

    declared: Node
    order: int
    slots: int = 0
    weight: int = WEIGHT
    slots_known: bool = False
    max_losses: int = 0
    status: NodeStatus = NodeStatus.UNUSED
    losses: int = 0
    outages: int = 0
    retry_at: float = 0.0
    running: dict[BuildPiece, float] = field(default_factory=dict)
    calls: dict[BuildPiece, int] = field(default_factory=dict)
    gathered: list[BuildPiece] = field(default_factory=list)
    parked: list[BuildPiece] = field(default_factory=list)
    built: set[BuildPiece] = field(default_factory=set)
    building: set[BuildPiece] = field(default_factory=set)
    checks: list[CheckPiece] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    helped_pools: list[Pool] = field(default_factory=list)
    platforms: tuple[Platform, ...] | None = None
    id: str = field(init=False)

    def __post_init__(self) -> None:
        """Compute the id once: the scheduler reads it very often."""
        self.id = self.declared.id

    @property
    def usable(self) -> bool:
        """Whether the scheduler may assign work to the node."""
        return self.status in {NodeStatus.UNUSED, NodeStatus.STARTING, NodeStatus.UP}

    @property
    def has_room(self) -> bool:
        """Whether the node can take one more piece."""
        if not self.slots:
            return self.usable and self.assigned < USUAL_CALLS * MAX_BATCH_SIZE and self.running_calls < MAX_CALLS
        occupied = self.running if self.status is NodeStatus.UP else self.parked
        return self.usable and len(occupied) < self.slots

    @property
    def assigned(self) -> int:
        """The number of pieces that are assigned to the node and not over."""
        return len(self.running) + len(self.gathered) + len(self.parked)

    @property
    def running_calls(self) -> int:
        """The number of bake calls that run on a node without slots."""
        return len(set(self.calls.values()))

    @property
    def room_in_next_call(self) -> int:
        """The number of pieces that the next call may have.

        If the plan sets the slots, each piece occupies one slot.
        """
        return min(MAX_BATCH_SIZE, self.slots - len(self.running)) if self.declared.slots else MAX_BATCH_SIZE

    @property
    def share(self) -> int:
        """The node's share of work, relative to the shares of equal nodes."""
        return self.slots or self.weight

    @property
    def load(self) -> float:
        """The assigned pieces divided by the share, plus 1 for each loss since the node last built a piece."""
        return self.assigned / self.share + self.losses

    def slowdown(self) -> float:
        """Return the factor by which another piece would take longer on the node, if each piece keeps one CPU busy."""
        return max((self.assigned + 1) / self.share, 1.0)

    def note_load(self) -> None:
        """Tell the node's pools that its load has changed."""
        for pool in self.pools:
            pool.note_load(self)

    def remove(self, started: BuildPiece, origin: BuildPiece) -> None:
        """Remove `started`, the running form of `origin`, from the pieces that run on the node."""
        self.running.pop(started, None)
        self.calls.pop(started, None)
        self.building.discard(origin)

    def seconds_until_room(self, now: float, ahead: int, unknown: float) -> float:
        """Return the expected seconds until the node has room for a piece behind `ahead` other pieces.

        The remaining time of a late piece is estimated as its delay so far. `unknown` is the expected duration of the
        pieces ahead.
        """
        if self.has_room and not self.slots:
            return 0.0
        if not self.running:
            return unknown * (ahead // self.share)
        remaining = sorted(abs(end - now) for end in self.running.values())
        return remaining[ahead % len(remaining)] + unknown * (ahead // len(remaining))
