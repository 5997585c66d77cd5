"""Track which steps wait, run and are over. This module does not know the state of nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, assert_never, cast

from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    JoinArchives,
    Publish,
    Step,
    StepStatus,
    Verify,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node

StepT = TypeVar("StepT", bound=Step)


class StepTracker:
    """The state of each step of a graph.

    A started step may be another object than the step in the graph: for example, a piece that is assigned to one node.
    The step in the graph is the `origin` of the started step, and has the same type. A lazy step (a bootstrap or a
    shared piece) runs only if a piece needs it, on the node of this piece. A lazy step is never ready by itself, and a
    run does not wait for lazy steps. `place` maps each step to its position in the graph's order.
    """

    def __init__(self, graph: BuildGraph) -> None:
        self.place = {step: index for index, step in enumerate(graph.steps)}
        self._graph = graph
        self._waits_for = {step: sum(not is_on_demand(other) for other in graph.before[step]) for step in graph.steps}
        self._unfinished = sum(not is_on_demand(step) for step in graph.steps)
        self._running: dict[Step, None] = {}
        self._over: set[Step] = set()
        self._failed: set[Step] = set()
        self._started_early: set[Step] = set()
        self._origin: dict[Step, Step] = {}
        self._started_as: dict[Step, Step] = {}
        self._piece_on_node: dict[tuple[BuildPiece, str], BuildPiece] = {}

    @property
    def finished(self) -> bool:
        """Whether every step is over. Lazy steps that no piece needed count as over."""
        return not self._unfinished and not self._running

    @property
    def running(self) -> tuple[Step, ...]:
        """The started forms of the running steps."""
        return tuple(self._running)

    @property
    def initially_ready(self) -> list[Step]:
        """The steps that wait for no other step, in the graph's order."""
        return [step for step, count in self._waits_for.items() if not count and not is_on_demand(step)]

    # --- started steps and their origins --------------------------------------------------------------------------

    def piece_on(self, piece: BuildPiece, node: Node) -> BuildPiece:
        """Return `piece`, assigned to `node`: the same object at each call."""
        if len(piece.nodes) == 1 and piece.node.id == node.id:
            return piece
        on_node = self._piece_on_node.get((piece, node.id))
        if on_node is None:
            on_node = self._piece_on_node[piece, node.id] = piece.on(node)
            self._origin[on_node] = piece
        return on_node

    def note_started_as(self, origin: StepT, started: StepT) -> None:
        """Record that `origin` starts as `started`."""
        self._started_as[origin] = started
        if started is not origin:
            self._origin[started] = origin

    def started_as(self, origin: StepT) -> StepT:
        """Return the started form of `origin`, from its last start."""
        return cast("StepT", self._started_as.get(origin, origin))

    def origin(self, step: StepT) -> StepT:
        """Return the step of the graph that was started as `step`."""
        return cast("StepT", self._origin.get(step, step))

    def dependencies(self, step: Step) -> list[Step]:
        """Return the started forms of the dependencies of `step`, without lazy steps."""
        before = self._graph.before.get(self.origin(step), ())
        return [self.started_as(dependency) for dependency in before if not is_on_demand(dependency)]

    # --- start and end ----------------------------------------------------------------------------------------------

    def begin(self, steps: Collection[Step]) -> None:
        """Record that `steps` have been started."""
        self._running |= dict.fromkeys(steps)
        self._started_early.update(filter(self.is_waiting, map(self.origin, steps)))

    def stop(self, step: Step) -> None:
        """Record that `step` no longer runs: it is over, or will be started again."""
        del self._running[step]
        self._started_early.discard(self.origin(step))

    def is_over(self, origin: Step) -> bool:
        """Whether `origin` will not start again."""
        return origin in self._over

    def not_started(self, origins: Iterable[Step]) -> list[Step]:
        """Return the steps of `origins` that neither run nor are over."""
        running = self._running_origins()
        return [origin for origin in origins if origin not in self._over and origin not in running]

    def end(self, origin: Step, status: StepStatus) -> tuple[list[Step], tuple[Step, ...]]:
        """Record that `origin` is over for good. Return the steps that become ready, and the steps that never start."""
        self._over.add(origin)
        self._unfinished -= not is_on_demand(origin)
        dependents = self._graph.after[origin]
        if status is not StepStatus.DONE:
            self._failed.add(origin)
            return [], self.skip(dependents)
        for dependent in dependents:
            self._waits_for[dependent] -= 1
        ready = [step for step in dependents if not self._waits_for[step] and step not in self._started_early]
        return ready, ()

    def is_waiting(self, origin: Step) -> bool:
        """Whether `origin` still waits for another step."""
        return self._waits_for.get(origin, 0) > 0

    def failed_dependencies(self, origin: Step) -> list[Step]:
        """Return the direct dependencies of `origin` that failed."""
        return [dependency for dependency in self._graph.before[origin] if dependency in self._failed]

    def skip(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """Mark `steps` and all their dependents as over, except running steps.

        Returns the steps that a user sees, in the graph's order: all except lazy steps.
        """
        running = self._running_origins()
        skipped: set[Step] = set()
        stack = [*steps]
        while stack:
            step = stack.pop()
            if step not in self._over and step not in running:
                self._over.add(step)
                self._failed.add(step)
                skipped.add(step)
                stack += self._graph.after[step]
        return self._without_lazy(skipped)

    def cancel(self) -> tuple[Step, ...]:
        """Mark all steps that have not started as over. Return these steps in the graph's order, without lazy steps."""
        steps = self.not_started(self._graph.steps)
        self._over.update(steps)
        return self._without_lazy(steps)

    def _running_origins(self) -> set[Step]:
        return {self.origin(step) for step in self._running}

    def _without_lazy(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        visible = sorted((step for step in steps if not is_on_demand(step)), key=self.place.__getitem__)
        self._unfinished -= len(visible)
        return tuple(visible)

    # --- pieces that start in the call of another piece -------------------------------------------------------------

    def followers(self, piece: BuildPiece) -> list[BuildPiece]:
        """Return the pieces that wait only for `piece` or for other followers of `piece`."""
        together: list[BuildPiece] = [piece]
        for step in together:
            dependents = (dependent for dependent in self._graph.after[step] if dependent not in together)
            together += [
                dependent
                for dependent in dependents
                if isinstance(dependent, BuildPiece) and self._waits_only_for(dependent, together)
            ]
        return together[1:]

    def _waits_only_for(self, piece: BuildPiece, others: Collection[Step]) -> bool:
        if piece.shared or piece in self._over:
            return False
        return self._waits_for[piece] == sum(dependency in others for dependency in self._graph.before[piece])


def is_on_demand(step: Step) -> bool:
    """Whether `step` runs only if a piece needs it, on the node of this piece."""
    match step:
        case BuildPiece():
            return step.shared
        case BootstrapNode():
            return True
        case JoinArchives() | CheckPiece() | Publish() | Verify():
            return False
        case _:
            assert_never(step)
