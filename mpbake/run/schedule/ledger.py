"""What waits for what, what runs and what is over: the part of a schedule that knows nothing of nodes' state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.model.steps import BootstrapNode, BuildPiece, Step, StepStatus

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node


class Ledger:
    """The steps of a run, which are the graph's own.

    What is started for one of them may be another object, such as a piece for one of its nodes: the step is its
    `origin`. A lazy step happens only where and when a piece needs it; it is never ready by itself, and no run waits
    for it. `place` says where each step stands in the graph's order.
    """

    def __init__(self, graph: BuildGraph) -> None:
        self.place = {step: index for index, step in enumerate(graph.steps)}
        self._graph = graph
        self._waits_for = {step: sum(not is_lazy(each) for each in graph.before[step]) for step in graph.steps}
        self._left = sum(not is_lazy(step) for step in graph.steps)
        self._running: dict[Step, None] = {}
        self._over: set[Step] = set()
        self._failed: set[Step] = set()
        self._early: set[Step] = set()
        self._origin: dict[Step, Step] = {}
        self._bound: dict[Step, Step] = {}
        self._copies: dict[tuple[BuildPiece, str], BuildPiece] = {}

    @property
    def finished(self) -> bool:
        """Whether every step is over. Lazy ones that nobody came to need count as such."""
        return not self._left and not self._running

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps that have begun and are not over, as they were started."""
        return tuple(self._running)

    @property
    def first(self) -> list[Step]:
        """The steps that wait for no other, in the graph's order."""
        return [step for step, others in self._waits_for.items() if not others and not is_lazy(step)]

    # --- as they are started --------------------------------------------------------------------------------------

    def on(self, piece: BuildPiece, node: Node) -> BuildPiece:
        """`piece` as it is built on `node`: each time the same object."""
        if len(piece.nodes) == 1 and piece.node.id == node.id:
            return piece
        found = self._copies.get((piece, node.id))
        if found is None:
            found = self._copies[piece, node.id] = piece.on(node)
            self._origin[found] = piece
        return found

    def bind(self, origin: Step, started: Step) -> None:
        """`origin` is started as `started`."""
        self._bound[origin] = started
        if started is not origin:
            self._origin[started] = origin

    def bound(self, origin: Step) -> Step:
        """What `origin` was last started as."""
        return self._bound.get(origin, origin)

    def origin(self, step: Step) -> Step:
        """The step of the graph that was started as `step`."""
        return self._origin.get(step, step)

    def before(self, step: Step) -> list[Step]:
        """What had to be done before `step` could start, as it was started; lazy steps aside."""
        return [self.bound(each) for each in self._graph.before.get(self.origin(step), ()) if not is_lazy(each)]

    # --- from beginning to end ------------------------------------------------------------------------------------

    def begin(self, steps: Collection[Step]) -> None:
        """`steps` have been started."""
        self._running |= dict.fromkeys(steps)
        self._early.update(filter(self.waits, map(self.origin, steps)))

    def stop(self, step: Step) -> None:
        """`step` does not run any more, whatever becomes of it."""
        del self._running[step]
        self._early.discard(self.origin(step))

    def is_over(self, origin: Step) -> bool:
        """Whether `origin` will not start any more."""
        return origin in self._over

    def waiting(self, origins: Iterable[Step]) -> list[Step]:
        """Those of `origins` that neither run nor are over."""
        busy = self._busy()
        return [each for each in origins if each not in self._over and each not in busy]

    def end(self, origin: Step, status: StepStatus) -> tuple[list[Step], tuple[Step, ...]]:
        """`origin` is over for good. Returns what waits for no other any more, and what will never start."""
        self._over.add(origin)
        self._left -= not is_lazy(origin)
        following = self._graph.after[origin]
        if status is not StepStatus.DONE:
            self._failed.add(origin)
            return [], self.skip(following)
        for each in following:
            self._waits_for[each] -= 1
        return [each for each in following if not self._waits_for[each] and each not in self._early], ()

    # --- pieces that begin in one call with the piece before them -----------------------------------------------------

    def followers(self, piece: BuildPiece) -> list[BuildPiece]:
        """The pieces that wait for `piece`, or for its followers, and for nothing else."""
        found: list[Step] = [piece]
        for step in found:
            following = (each for each in self._graph.after[step] if each not in found)
            found += [each for each in following if self._waits_only_for(each, found)]
        return [each for each in found[1:] if isinstance(each, BuildPiece)]

    def _waits_only_for(self, step: Step, others: Collection[Step]) -> bool:
        if not isinstance(step, BuildPiece) or step.shared or step in self._over:
            return False
        return self._waits_for[step] == sum(each in others for each in self._graph.before[step])

    def waits(self, origin: Step) -> bool:
        """Whether `origin` still has to wait for another step."""
        return self._waits_for.get(origin, 0) > 0

    def failed_before(self, origin: Step) -> list[Step]:
        """The steps that had to come before `origin`, and failed."""
        return [each for each in self._graph.before[origin] if each in self._failed]

    def skip(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """`steps` will never start, nor what waits for them, as far as they do not run already: those that people see.

        They come in the graph's order.
        """
        busy = self._busy()
        skipped: set[Step] = set()
        queue = [*steps]
        while queue:
            step = queue.pop()
            if step not in self._over and step not in busy:
                self._over.add(step)
                self._failed.add(step)
                skipped.add(step)
                queue += self._graph.after[step]
        return self._given_up(skipped)

    def abandon(self) -> tuple[Step, ...]:
        """Nothing more is to start: the steps that are given up, in the graph's order."""
        steps = self.waiting(self._graph.steps)
        self._over.update(steps)
        return self._given_up(steps)

    def _busy(self) -> set[Step]:
        return {self.origin(each) for each in self._running}

    def _given_up(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        found = sorted((each for each in steps if not is_lazy(each)), key=self.place.__getitem__)
        self._left -= len(found)
        return tuple(found)


def is_lazy(step: Step) -> bool:
    """Whether `step` happens only where and when a piece needs it."""
    return isinstance(step, BootstrapNode) or (isinstance(step, BuildPiece) and step.shared)
