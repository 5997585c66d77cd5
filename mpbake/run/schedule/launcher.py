"""Start steps on nodes: the bootstraps and shared pieces that must come first, and the calls of each node."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.model.steps import BootstrapNode, BuildPiece, Step
from mpbake.run.schedule.scheduled_node import MAX_CALLS, NodeStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.model.steps import CheckPiece
    from mpbake.run.schedule.batches import Batches
    from mpbake.run.schedule.check_placement import CheckPlacement
    from mpbake.run.schedule.fleet import Fleet
    from mpbake.run.schedule.node_selector import NodeSelector
    from mpbake.run.schedule.ready_steps import ReadySteps
    from mpbake.run.schedule.scheduled_node import ScheduledNode
    from mpbake.run.schedule.step_tracker import StepTracker

StartedSteps = tuple[Step, ...]
"""Steps that start together: one step, or several build pieces of one node."""


@dataclass(kw_only=True, slots=True, eq=False)
class Launcher:
    """Starts steps on the selected nodes.

    `bootstraps` maps node ids to the bootstraps of the graph.
    """

    tracker: StepTracker
    fleet: Fleet
    ready: ReadySteps
    batches: Batches
    selector: NodeSelector
    check_placement: CheckPlacement
    bootstraps: dict[str, BootstrapNode]
    _gathering: dict[ScheduledNode, None] = field(default_factory=dict, init=False)
    _call_numbers: Iterator[int] = field(default_factory=itertools.count, init=False)

    def bootstrap(self, node: ScheduledNode) -> StartedSteps:
        """Return the bootstrap of `node`, or an empty call if the bootstrap already runs."""
        if node.status is NodeStatus.STARTING:
            return ()
        node.status = NodeStatus.STARTING
        return (self.bootstraps.setdefault(node.id, BootstrapNode(node=node.declared)),)

    def assign(self, piece: BuildPiece, node: ScheduledNode, now: float) -> StartedSteps:
        """Assign `piece` to `node`; start the steps that must come first on this node.

        Returns the call that starts now: empty if `piece` has to wait, or will share a call of `gathered` pieces.
        """
        self.fleet.pool_of(piece).queue.discard(piece)
        if node.status is NodeStatus.UP and not node.slots:
            node.gathered.append(piece)
            node.note_load()
            self._gathering[node] = None
            return ()
        base = self.fleet.first_missing_base(piece, node)
        if node.status is not NodeStatus.UP or base is not None:
            node.parked.append(piece)
            node.note_load()
        if node.status is not NodeStatus.UP:
            return self.bootstrap(node)
        if base is None:
            return self._call(node, [piece, *self.batches.companions(piece, node)], now)
        if base in node.building:
            return ()
        node.building.add(base)
        return self._call(node, [base], now)

    def start_check(self, check: CheckPiece) -> Iterator[StartedSteps]:
        """Start `check`, or park the check until a suitable node is up."""
        node = self.check_placement.place(check)
        if node.status in {NodeStatus.UP, NodeStatus.FAILED}:  # on a failed node the check itself reports the problem
            yield (self.check_placement.check_on(check, node),)
            return
        node.checks.append(check)
        if node.status is NodeStatus.UNUSED and (call := self.bootstrap(node)):
            yield call

    # --- nodes without slots ----------------------------------------------------------------------------------------

    def start_gathered(self, now: float) -> Iterator[StartedSteps]:
        """Start the pieces that nodes without slots have gathered, with the shared bases that these pieces need."""
        for node in self._gathering:
            yield from self._start_gathered_on(node, now)
        self._gathering.clear()

    def _start_gathered_on(self, node: ScheduledNode, now: float) -> Iterator[StartedSteps]:
        gathered, node.gathered = node.gathered, []
        startable = []
        for piece in gathered:
            base = self.batches.separate_base(piece, node)
            if base is None:
                startable.append(piece)
            elif call := self._start_base(base, piece, node, now):
                yield call
        batches, remaining = self.batches.divide(self._units(startable, node), node.running_calls)
        self.ready.add(remaining)
        for batch in batches:
            bases = self.batches.bases_for(batch, node)
            node.building.update(bases)
            yield self._call(node, [*bases, *batch], now)
        node.note_load()

    def _start_base(self, base: BuildPiece, user: BuildPiece, node: ScheduledNode, now: float) -> StartedSteps:
        """Start `base` in its own call, and let `user` wait for `base`. Return the call; empty if no call starts.

        If `node` has `MAX_CALLS` calls, `user` is queued again: the end of any of these calls wakes `user`.
        """
        if base in node.building:
            node.parked.append(user)
            return ()
        if node.running_calls >= MAX_CALLS:
            self.ready.add([user])
            return ()
        node.parked.append(user)
        node.building.add(base)
        return self._call(node, [base], now)

    def _units(self, pieces: Sequence[BuildPiece], node: ScheduledNode) -> list[Sequence[BuildPiece]]:
        """Return each piece together with its followers: pieces that link to it and can only be built on `node`."""
        units = []
        for piece in pieces:
            pool = self.fleet.pool_of(piece)
            only_here = len(pool.nodes) == 1 and node.declared in piece.nodes
            followers = self.tracker.followers(piece) if only_here else []
            startable = [
                follower
                for follower in followers
                if self.fleet.pool_of(follower) is pool and self.batches.separate_base(follower, node) is None
            ]
            units.append(self.batches.unit(piece, startable))
        return units

    def _call(self, node: ScheduledNode, pieces: Sequence[BuildPiece], now: float) -> StartedSteps:
        """Have `node` build `pieces` in one call. The call takes one slot or, if the plan sets slots, one per piece."""
        started = [self.tracker.piece_on(piece, node.declared) for piece in pieces]
        for piece, on_node in zip(pieces, started, strict=True):
            self.tracker.note_started_as(piece, on_node)
        end = now + max(self.selector.seconds(piece, node) for piece in pieces)
        node.running |= dict.fromkeys(started if node.declared.slots or not node.slots else started[:1], end)
        node.calls |= dict.fromkeys(started, next(self._call_numbers))
        node.note_load()
        return tuple(started)
