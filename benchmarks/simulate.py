"""The quality and the speed of the schedule's decisions for very large pools, without Docker and without a clock.

    .venv/bin/python benchmarks/simulate.py [--pieces N] [--nodes N] [--seed N]

The benchmark makes random layered graphs of build pieces with known durations. It runs each graph through
`mpbake.run.schedule` in simulated time. It prints the ratio of the run to a lower bound for every schedule: the longest
chain of pieces, or all work divided by all slots, whichever is longer. It also prints the time of the decisions. In the
last rows some nodes are lost half-way. Other nodes take over their pieces, and the lost nodes do not come back.

Goals: at most 10 % above the bound; all decisions in less than 3 s; every piece is built, even if its node is lost.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.base.platforms import parse_platform
from mpbake.graph.dag import BuildGraph
from mpbake.graph.estimates import Estimates, expectations, remaining_paths
from mpbake.model.plan import Builder, Driver, Node, Target
from mpbake.model.steps import BootstrapNode, BuildPiece, Execution, PlacedPlatform, StepStatus
from mpbake.run.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.model.steps import Step

PLATFORM = parse_platform("linux/amd64")


@dataclass(frozen=True, kw_only=True)
class Case:
    """The size of a graph: the number of pieces, of layers, of nodes, and of slots of a node."""

    pieces: int
    nodes: int
    layers: int
    slots: int = 1
    lost: float = 0.0
    """The share of the nodes that are lost half-way."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of a case: the simulated seconds of the run, its lower bound, and the CPU seconds of the decisions."""

    seconds: float
    bound: float
    deciding: float
    built: int
    moved: int

    @property
    def ratio(self) -> float:
        """The ratio of the run to the lower bound."""
        return self.seconds / self.bound


def make(case: Case, seed: int) -> tuple[BuildGraph, Estimates]:
    """Return a random layered graph with known durations.

    Each piece waits for up to three pieces of the previous layer.
    """
    chance = random.Random(seed)  # noqa: S311 - the graph must be the same each time
    nodes = [_node(number, case.slots) for number in range(case.nodes)]
    orders = [tuple(nodes[turn:] + nodes[:turn]) for turn in range(len(nodes))]
    builder = Builder(name="pool", driver=Driver.REMOTE, nodes=tuple(nodes))
    size = -(-case.pieces // case.layers)
    pieces = [_piece(number, builder, chance.choice(orders)) for number in range(case.pieces)]
    before: dict[Step, tuple[Step, ...]] = dict.fromkeys(pieces[:size], ())
    for layer in range(size, case.pieces, size):
        above = pieces[layer - size : layer]
        for piece in pieces[layer : layer + size]:
            before[piece] = tuple(dict.fromkeys(chance.choices(above, k=chance.randint(1, 3))))
    seconds = {piece.target.name: {str(PLATFORM): [chance.uniform(10, 60)] * 2} for piece in pieces}
    return _graph(pieces, before), Estimates(recorded=seconds)


def _node(number: int, slots: int) -> Node:
    return Node(builder="pool", name=f"n{number}", driver=Driver.REMOTE, slots=slots)


def _piece(number: int, builder: Builder, nodes: tuple[Node, ...]) -> BuildPiece:
    placed = (PlacedPlatform(platform=PLATFORM, execution=Execution.NATIVE),)
    return BuildPiece(target=Target(name=f"t{number}", builder=builder), nodes=nodes, platforms=placed)


def _graph(pieces: Sequence[BuildPiece], before: dict[Step, tuple[Step, ...]]) -> BuildGraph:
    after: dict[Step, list[Step]] = {piece: [] for piece in pieces}
    for piece in pieces:
        for earlier in before[piece]:
            after[earlier].append(piece)
    targets = tuple(piece.target for piece in pieces)
    followers = {step: tuple(following) for step, following in after.items()}
    everywhere = frozenset(node.id for node in pieces[0].nodes)
    pools = dict.fromkeys(pieces, everywhere)
    return BuildGraph(targets=targets, steps=tuple(pieces), before=before, after=followers, pools=pools)


@dataclass(kw_only=True)
class Simulation:
    """A run in simulated time. `deciding` sums the CPU seconds of the schedule."""

    graph: BuildGraph
    estimates: Estimates
    now: float = 0.0
    deciding: float = 0.0
    moved: int = 0
    lost_nodes: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Make the schedule. Its CPU time counts as well, since it finds the longest paths."""
        began = time.thread_time()
        self.schedule = Schedule(self.graph, estimates=self.estimates)
        self.deciding += time.thread_time() - began
        self.seconds = expectations(self.graph, self.estimates)
        self._ends: list[tuple[float, int, Step]] = []
        self._numbers = itertools.count()
        self._done: set[Step] = set()

    def run(self, lose: Sequence[str] = (), when: float = float("inf")) -> None:
        """Simulate the whole run. The nodes in `lose` are lost at `when`."""
        while not self.schedule.finished:
            self._start()
            if self._ends[0][0] >= when:
                self._lose(lose, when)
                when = float("inf")
            else:
                self._end()

    @property
    def built(self) -> int:
        """The number of pieces that have been built."""
        return len(self._done)

    def _start(self) -> None:
        began = time.thread_time()
        started = self.schedule.start(self.now)
        self.deciding += time.thread_time() - began
        for step in itertools.chain.from_iterable(started):
            end = self.now + self.seconds.get(self.schedule.origin(step), 0.0)
            heapq.heappush(self._ends, (end, next(self._numbers), step))

    def _end(self) -> None:
        self.now, _, step = heapq.heappop(self._ends)
        began = time.thread_time()
        if isinstance(step, BootstrapNode) and step.node.id in self.lost_nodes:
            self.schedule.retry(step, self.now, lost=True)
        else:
            self.schedule.finish(step, StepStatus.DONE)
            self._done |= {self.schedule.origin(step)} if isinstance(step, BuildPiece) else set()
        self.deciding += time.thread_time() - began

    def _lose(self, names: Sequence[str], when: float) -> None:
        self.now, self.lost_nodes = when, set(names)
        lost = [entry for entry in self._ends if _node_of(entry[2]).id in self.lost_nodes]
        self._ends = [entry for entry in self._ends if _node_of(entry[2]).id not in self.lost_nodes]
        heapq.heapify(self._ends)
        began = time.thread_time()
        for _, _, step in lost:
            if not self.schedule.retry(step, when, lost=True):
                sys.exit(f"{step.key} is lost with its node")
        self.deciding += time.thread_time() - began
        self.moved += len(lost)


def _node_of(step: Step) -> Node:
    assert isinstance(step, BootstrapNode | BuildPiece)  # noqa: S101 - a simulated graph has no others
    return step.node


def simulate(case: Case, seed: int = 0) -> Outcome:
    """Simulate one case, and return its outcome."""
    graph, estimates = make(case, seed)
    seconds = expectations(graph, estimates)
    slots = case.nodes * case.slots * (1 - case.lost / 2)
    bound = max(*remaining_paths(graph, seconds).values(), sum(seconds.values()) / slots)
    lose = [f"pool/n{number}" for number in range(round(case.nodes * case.lost))]
    simulation = Simulation(graph=graph, estimates=estimates)
    simulation.run(lose, bound / 2 if lose else float("inf"))
    return Outcome(
        seconds=simulation.now,
        bound=bound,
        deciding=simulation.deciding,
        built=simulation.built,
        moved=simulation.moved,
    )


def cases(pieces: int, nodes: int) -> list[Case]:
    """Return wide and deep graphs, with one and with several slots, without and with lost nodes."""
    all_cases = [Case(pieces=pieces, nodes=nodes, layers=layers) for layers in (1, 2, 5, 20, 100)]
    all_cases.append(Case(pieces=pieces, nodes=max(nodes // 4, 1), layers=5, slots=4))
    return all_cases + [Case(pieces=pieces, nodes=nodes, layers=layers, lost=0.05) for layers in (1, 5, 20)]


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description="Simulates runs on large pools.")
    parser.add_argument("--pieces", type=int, default=10_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("pieces  nodes  slots  layers  lost  built   moved  run s   bound s  ratio  decisions s")
    for case in cases(options.pieces, options.nodes):
        outcome = simulate(case, options.seed)
        print(
            f"{case.pieces:>6,}  {case.nodes:>5,}  {case.slots:>5}  {case.layers:>6}  {case.lost:>4.0%}"
            f"  {outcome.built:>6,}  {outcome.moved:>5}  {outcome.seconds:>6.0f}  {outcome.bound:>7.0f}"
            f"  {outcome.ratio:>5.3f}  {outcome.deciding:>11.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
