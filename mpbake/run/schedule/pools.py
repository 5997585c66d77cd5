"""Nodes as a run sees them, and sets of equal ones with the pieces that wait for any of them.

Mutable state of `schedule`, which alone changes it. No threads, clock or I/O: `now` is given where it matters.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Node
    from mpbake.model.steps import BuildPiece, CheckPiece

WEIGHT = 4
"""The weight of a node whose number of CPUs is not known."""
LARGEST_CALL = 20
"""Build pieces in one bake call at most: bake itself fails with hundreds, and a failure repeats the others."""
CALLS = 3
"""Bake calls at a time into which the work of a node without slots is divided: one starts while another works."""
MOST_CALLS = 8
"""Bake calls at a time on a node without slots, each of which is a docker process and one of its plugin."""


class NodeStatus(Enum):
    """How a node is doing."""

    COLD = "nobody has used it yet"
    STARTING = "its bootstrap runs"
    UP = "it answers"
    DOWN = "it was lost, and is tried again later"
    GONE = "it was lost once too often"


@dataclass(kw_only=True, slots=True, eq=False)
class ScheduledNode:
    """A node in a run.

    `slots` limits how many pieces it builds at once, where the plan or its BuildKit says so; 0 is no limit: BuildKit
    schedules by itself. Then `weight`, the number of its CPUs, only says how much of the work of equal nodes is its.

    `running` maps pieces to when they are expected to end: with `slots` those that take one, else all that have begun;
    `calls` numbers the bake calls of the latter. `gathered` are pieces that begin as soon as they are divided into
    calls. `parked` are pieces that wait for its bootstrap, or for a shared piece that is being built on it; `built` and
    `building` are shared pieces. `checks` wait until it is up; they take no room.
    `outages` counts how often it was lost, `losses` how often in a row; `tries` is how often that may be before it is
    given up. `told` says that its `slots` need not be asked for. `order` is its place among the run's nodes;
    `platforms` is what it says that it builds, None before it was asked. `helped` are the sets of other nodes of
    which it may emulate a piece.
    """

    node: Node
    order: int
    slots: int = 0
    weight: int = WEIGHT
    told: bool = False
    tries: int = 0
    life: NodeStatus = NodeStatus.COLD
    losses: int = 0
    outages: int = 0
    back_at: float = 0.0
    running: dict[BuildPiece, float] = field(default_factory=dict)
    calls: dict[BuildPiece, int] = field(default_factory=dict)
    gathered: list[BuildPiece] = field(default_factory=list)
    parked: list[BuildPiece] = field(default_factory=list)
    built: set[BuildPiece] = field(default_factory=set)
    building: set[BuildPiece] = field(default_factory=set)
    checks: list[CheckPiece] = field(default_factory=list)
    pools: list[Pool] = field(default_factory=list)
    helped: list[Pool] = field(default_factory=list)
    platforms: tuple[Platform, ...] | None = None

    @property
    def usable(self) -> bool:
        """Whether work may be given to it."""
        return self.life in {NodeStatus.COLD, NodeStatus.STARTING, NodeStatus.UP}

    @property
    def open(self) -> bool:
        """Whether it has room for one more piece."""
        if not self.slots:
            return self.usable and self.in_flight < CALLS * LARGEST_CALL and self.calls_under_way < MOST_CALLS
        taken = self.running if self.life is NodeStatus.UP else self.parked
        return self.usable and len(taken) < self.slots

    @property
    def in_flight(self) -> int:
        """The number of pieces that it has been given and that are not over."""
        return len(self.running) + len(self.gathered) + len(self.parked)

    @property
    def calls_under_way(self) -> int:
        """The number of bake calls that it works on, where it has no slots."""
        return len(set(self.calls.values()))

    @property
    def room_of_call(self) -> int:
        """The number of pieces that the next call may have, where the plan gives the slots: each takes one."""
        return min(LARGEST_CALL, self.slots - len(self.running)) if self.node.slots else LARGEST_CALL

    @property
    def share(self) -> int:
        """How much of the work of equal nodes is for it, compared with theirs."""
        return self.slots or self.weight

    @property
    def load(self) -> float:
        """The pieces that it was given by its share; more than all of it where it was lost and has built none since."""
        return self.in_flight / self.share + self.losses

    def crowding(self) -> float:
        """How many times as long one more piece is expected to take there, where a piece keeps one CPU busy."""
        return max((self.in_flight + 1) / self.share, 1.0)

    def changed(self) -> None:
        """Its load is another one now."""
        for pool in self.pools:
            pool.note(self)

    def wait(self, now: float, ahead: int, unknown: float) -> float:
        """Seconds until it has room for a piece before which `ahead` others wait for it.

        What should have ended already is expected to take as long again as it is late.
        """
        if self.open and not self.slots:
            return 0.0
        if not self.running:
            return unknown * (ahead // self.share)
        left = sorted(abs(end - now) for end in self.running.values())
        return left[ahead % len(left)] + unknown * (ahead // len(left))


@dataclass(frozen=True, slots=True, order=True)
class QueuedPiece:
    """A piece that is ready, the most urgent first: that before the longest path; the plan's order breaks ties.

    It is expected to take so many `seconds`.
    """

    urgency: float
    place: int
    piece: BuildPiece = field(compare=False)
    seconds: float = field(compare=False, default=0.0)


class Pool:
    """Equal nodes, and the pieces that wait for any of them; `backlog` is how many seconds of work these are.

    `closed` says that it is given up: nothing more of it is started. `helpers` are other nodes that may emulate some
    of the pieces. Of the entries in a heap those count that are among the members; what was given away and has come
    back has a new one.
    """

    def __init__(self, hosts: Mapping[str, ScheduledNode]) -> None:
        self.hosts = hosts
        self._idle: list[tuple[float, int, str]] = []
        self._waiting: list[QueuedPiece] = []
        self._fans: dict[str, list[QueuedPiece]] = {}
        self._members: dict[BuildPiece, QueuedPiece] = {}
        self._last: list[tuple[float, int, QueuedPiece]] = []
        self.backlog = 0.0
        self.closed = False
        self.helpers: list[ScheduledNode] = []
        for host in hosts.values():
            host.pools.append(self)
            self.note(host)

    def __bool__(self) -> bool:
        """Whether a piece waits."""
        return bool(self._members)

    @property
    def lost(self) -> bool:
        """Whether no node of it will ever be usable again."""
        return all(host.life is NodeStatus.GONE for host in self.hosts.values())

    @property
    def usable(self) -> bool:
        """Whether work may be given to a node of it."""
        return any(host.usable for host in self.hosts.values())

    def helped_by(self, host: ScheduledNode) -> None:
        """`host` may emulate a piece of it."""
        if self not in host.helped:
            host.helped.append(self)
            self.helpers.append(host)

    def note(self, host: ScheduledNode) -> None:
        """Take account of the load of `host`."""
        if host.open:
            heapq.heappush(self._idle, (host.load, host.order, host.node.id))

    def idlest(self) -> ScheduledNode | None:
        """The least loaded node that has room, or None when all are full."""
        while self._idle:
            load, _, name = self._idle[0]
            host = self.hosts[name]
            if host.open and load == host.load:
                return host
            heapq.heappop(self._idle)
        return None

    def even_shares(self) -> dict[ScheduledNode, int]:
        """How many pieces each usable node has when all that wait are divided evenly, those that it has included."""
        usable = [host for host in self.hosts.values() if host.usable]
        pieces = sum(host.in_flight for host in usable) + len(self._members)
        total = sum(host.share for host in usable)
        return {host: math.ceil(pieces * host.share / total) for host in usable}

    def push(self, entry: QueuedPiece) -> None:
        """A piece waits from now on."""
        self._members[entry.piece] = entry
        self.backlog += entry.seconds
        heapq.heappush(self._waiting, entry)
        heapq.heappush(self._fans.setdefault(entry.piece.node.id, []), entry)
        if entry.piece.spare:
            heapq.heappush(self._last, (-entry.urgency, -entry.place, entry))

    def discard(self, piece: BuildPiece) -> None:
        """`piece` does not wait, or waits no longer."""
        if entry := self._members.pop(piece, None):
            self.backlog -= entry.seconds

    def first(self) -> QueuedPiece | None:
        """The most urgent piece."""
        return self._first(self._waiting)

    def set_aside(self) -> QueuedPiece:
        """Let the next one be the first, until `put_back`; the piece waits all the same."""
        return heapq.heappop(self._waiting)

    def put_back(self, entries: Iterable[QueuedPiece]) -> None:
        """Those that were set aside are in the line again."""
        for entry in entries:
            heapq.heappush(self._waiting, entry)

    def first_fan(self, host: ScheduledNode) -> QueuedPiece | None:
        """The most urgent of those that prefer `host`."""
        return self._first(self._fans.get(host.node.id, []))

    def _first(self, heap: list[QueuedPiece]) -> QueuedPiece | None:
        while heap and not self._waits(heap[0]):
            heapq.heappop(heap)
        return heap[0] if heap else None

    def _waits(self, entry: QueuedPiece) -> bool:
        """Whether the piece of `entry` waits, and by this entry."""
        return self._members.get(entry.piece) is entry

    def last(self) -> QueuedPiece | None:
        """The least urgent piece, if it has spare nodes."""
        while self._last and not self._waits(self._last[0][2]):
            heapq.heappop(self._last)
        return self._last[0][2] if self._last else None

    def in_line(self) -> list[QueuedPiece]:
        """Those that wait, the most urgent first."""
        return sorted(self._members.values())

    def wait(self, now: float, unknown: float) -> float:
        """Seconds until the least urgent piece gets a slot on a node of this set, as far as can be told.

        While no node can be used, the seconds until one is tried again.
        """
        usable = [host for host in self.hosts.values() if host.usable]
        if not usable:
            soonest = self.soonest()
            return soonest.back_at - now if soonest else math.inf
        first = min(host.wait(now, 0, unknown) for host in usable)
        return first + max(self.backlog - unknown, 0.0) / sum(host.share for host in usable)

    def preferred(self, piece: BuildPiece) -> ScheduledNode | None:
        """The usable node that comes first for `piece`, or None while there is none; one that was lost comes last."""
        lost: ScheduledNode | None = None
        for node in piece.nodes:
            host = self.hosts[node.id]
            if host.usable and not host.losses:
                return host
            lost = lost or (host if host.usable else None)
        return lost

    def soonest(self) -> ScheduledNode | None:
        """Of the nodes that were lost and are tried again, the one that is tried first."""
        down = (host for host in self.hosts.values() if host.life is NodeStatus.DOWN)
        return min(down, key=lambda host: host.back_at, default=None)
