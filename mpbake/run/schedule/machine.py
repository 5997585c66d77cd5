"""The state machine itself: what starts, what ends, what is tried again."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from mpbake.graph.estimates import Estimates, expectations, remaining_paths
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Publish, Step, StepStatus, Verify
from mpbake.run.schedule.batches import Batches
from mpbake.run.schedule.checks import Checks
from mpbake.run.schedule.choice import Choice
from mpbake.run.schedule.fleet import Fleet
from mpbake.run.schedule.ledger import Ledger, is_lazy
from mpbake.run.schedule.pools import MOST_CALLS, NodeStatus, QueuedPiece
from mpbake.run.schedule.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.run.schedule.pools import Pool, ScheduledNode

REGISTRY_STEPS = 8
"""Targets that are published or verified at a time: registries limit the rate of requests."""
LOOK_AGAIN = 5.0
"""Seconds after which a piece that waits for its own node is thought about again, even if nothing has ended."""

Call = tuple[Step, ...]
"""What is started together: one step, or several pieces of one node."""


class Schedule:
    """The state of a run: what waits, what runs, what is over.

    A piece is given to one of its nodes when it is ready, and is from then on a piece of that node alone (`on`). It is
    its preferred node, which holds the cache, as long as that has room; else another equal one, when waiting would cost
    more than the cache saves. Before the first piece on a node comes the node's bootstrap, before a piece what it
    shares with others: both happen on the nodes that are used, when they are. Of several pieces that before the longest
    remaining path starts first. A node with slots builds at most so many pieces at once; short ones that are ready
    together share a call. A node without slots is given all that is ready, and equal ones an even share of it each;
    `batches` divides what a node is given into calls. Nodes that the plan requires are bootstrapped in any case, first
    of all. A check is done on the node that has built its piece, at once and whatever room there is; when that was
    lost, on an equal one if the image was uploaded.

    `slots` maps node ids to how many pieces each builds at once; the others have what the plan or their BuildKit says.
    Times are seconds of one clock, which starts anywhere.
    """

    def __init__(
        self, graph: BuildGraph, slots: Mapping[str, int] | None = None, estimates: Estimates | None = None
    ) -> None:
        estimates = estimates or Estimates()
        self._seconds = expectations(graph, estimates)
        self._paths = remaining_paths(graph, self._seconds)
        self._ledger = Ledger(graph)
        self._fleet = Fleet(graph, slots or {}, self._ledger.place)
        self._choice = Choice(self._fleet, estimates, self._seconds)
        self._batches = Batches(graph, self._fleet, estimates)
        self._gathering: dict[ScheduledNode, None] = {}
        self._numbers = itertools.count()
        self._checks = Checks(self._ledger, self._fleet)
        self._retries = Retries()
        self._bootstraps = {step.node.id: step for step in graph.steps if isinstance(step, BootstrapNode)}
        self._required = self._fleet.required
        self._ready: list[Step] = []
        self._outages: dict[Step, int] = {}
        self._look_again: list[float] = []
        self._stranded: list[Pool] = []
        self._stranded_checks: list[CheckPiece] = []
        self._line_up(self._ledger.first)

    @property
    def finished(self) -> bool:
        """Whether every step is over. Bootstraps and shared pieces that nobody came to need count as such."""
        return self._ledger.finished

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps that have been started and are not over, as they were started."""
        return self._ledger.running

    @property
    def wakes_at(self) -> float | None:
        """When `start` is worth another call although nothing has ended, or None."""
        return min([*self._fleet.back_at, *self._look_again], default=None)

    def origin(self, step: Step) -> Step:
        """The step of the graph that was started as `step`."""
        return self._ledger.origin(step)

    def is_given_up(self, step: Step) -> bool:
        """Whether the node on which `step` was started was lost once too often."""
        return _is_on_a_node(step) and self._fleet.host_of(step).life is NodeStatus.GONE

    def order(self, step: Step) -> tuple[int, str]:
        """What to sort started steps by to have them in the graph's order."""
        node = "" if not isinstance(step, BuildPiece) else step.node.id
        return (self._ledger.place.get(self.origin(step), -1), node)

    def before(self, step: Step) -> tuple[Step, ...]:
        """What had to be done before `step` could start, as it was started; bootstraps aside."""
        found = self._ledger.before(step)
        if isinstance(step, BuildPiece):
            built = self._fleet.host(step.node).built
            shared = self._fleet.shared(self._template(step))
            found += [self._ledger.on(each, step.node) for each in shared if each in built]
        return tuple(found)

    # --- starting -------------------------------------------------------------------------------------------------

    def start(self, now: float = 0.0) -> list[Call]:
        """Start what can start now, and say what it is. Pieces come with the one node that they are given to."""
        self._look_again.clear()
        for host in self._fleet.wake(now):
            self._release(host)
        calls = [call for host in self._required if (call := self._boot(host))]
        self._required.clear()
        for step in self._take_ready():
            calls += self._check(step) if isinstance(step, CheckPiece) else [(step,)]
        for pool in sorted(filter(None, self._fleet.pools), key=_head):
            calls += self._fill(pool, now)
        for pool in self._fleet.pools:
            calls += self._help_out(pool, now)
        for host in self._gathering:
            calls += self._send(host, now)
        self._gathering.clear()
        started = [step for call in calls for step in call]
        self._ledger.begin(started)
        self._outages |= {step: self._fleet.host_of(step).outages for step in started if _is_on_a_node(step)}
        return calls

    def _take_ready(self) -> list[Step]:
        """The steps without a slot that start now: of those that talk to registries, `REGISTRY_STEPS` run at a time."""
        ready, self._ready = [step for step in self._ready if not self._ledger.is_over(step)], []
        if not ready:
            return []
        room = REGISTRY_STEPS - sum(isinstance(step, Publish | Verify) for step in self._ledger.running)
        found: list[Step] = []
        for step in sorted(ready, key=lambda each: (-self._paths[each], self._ledger.place[each])):
            talks = isinstance(step, Publish | Verify)
            (found if not talks or room > 0 else self._ready).append(step)
            room -= talks
        return sorted(found, key=self._ledger.place.__getitem__)

    def _fill(self, pool: Pool, now: float) -> Iterator[Call]:
        """Give pieces to nodes while there are any of either."""
        aside: list[QueuedPiece] = []
        in_line: Counter[str] = Counter()
        shares: dict[ScheduledNode, int] = {}
        while (entry := pool.first()) and (idlest := pool.idlest()):
            preferred = pool.preferred(entry.piece) or idlest
            if not preferred.slots:
                shares = shares or pool.even_shares()
                crowded = self._choice.crowded_host_for(entry.piece, preferred, idlest, shares[preferred])
                if call := self._give(self._choice.best_for(crowded, entry, pool), crowded, now):
                    yield call
                continue
            ahead = in_line[preferred.node.id]
            host = self._choice.host_for(entry.piece, preferred, idlest, now=now, ahead=ahead)
            if host is None:
                aside.append(pool.set_aside())
                in_line[preferred.node.id] += 1
                self._look_again = [now + LOOK_AGAIN]
                continue
            call = self._give(self._choice.best_for(host, entry, pool), host, now)
            if call:
                yield call
        pool.put_back(aside)

    def _help_out(self, pool: Pool, now: float) -> Iterator[Call]:
        """Have the least urgent pieces emulated where that is sooner done."""
        if not pool.usable:
            yield from self._stand_in(pool, now)
            return
        while (last := pool.last()) and (spare := self._choice.spare_for(last.piece, now)):
            if call := self._give(last.piece, spare, now):
                yield call

    def _stand_in(self, pool: Pool, now: float) -> Iterator[Call]:
        """Have pieces emulated that none of their own nodes can be given now."""
        if not any(host.open or host.building for host in pool.helpers):  # it only saves looking at each
            return
        for entry in pool.in_line():
            if self._choice.is_sooner_emulated(entry.piece, now) and (call := self._emulated(entry.piece, now)):
                yield call

    def _emulated(self, piece: BuildPiece, now: float) -> Call:
        """Have a spare node do `piece`, or first be asked whether it can. What this starts, which may be nothing."""
        spares = self._fleet.spares(piece)
        for host in spares:
            if host.life is NodeStatus.UP and self._fleet.has_room(host, piece):
                return self._give(piece, host, now)
        if any(host.life is NodeStatus.STARTING for host in spares):
            return ()
        cold = next((host for host in spares if host.life is NodeStatus.COLD), None)
        return self._boot(cold) if cold else ()

    def _give(self, piece: BuildPiece, host: ScheduledNode, now: float) -> Call:
        """Have `host` do `piece`, after what must come before it there. What this starts, which may be nothing."""
        self._fleet.pool_of(piece).discard(piece)
        if host.life is NodeStatus.UP and not host.slots:
            host.gathered.append(piece)
            host.changed()
            self._gathering[host] = None
            return ()
        missing = self._fleet.missing(piece, host)
        if host.life is not NodeStatus.UP or missing is not None:
            host.parked.append(piece)
            host.changed()
        if host.life is not NodeStatus.UP:
            return self._boot(host)
        if missing is None:
            return self._run_on(host, [piece, *self._batches.companions(piece, host)], now)
        if missing in host.building:
            return ()
        host.building.add(missing)
        return self._run_on(host, [missing], now)

    def _send(self, host: ScheduledNode, now: float) -> Iterator[Call]:
        """Have `host`, which has no slots, begin what it has gathered, with the bases that this needs there."""
        gathered, host.gathered = host.gathered, []
        ready = []
        for piece in gathered:
            base = self._batches.base_before(piece, host)
            if base is None:
                ready.append(piece)
            elif call := self._begin_base(base, piece, host, now):
                yield call
        batches, waiting = self._batches.divide(self._units(ready, host), host.calls_under_way)
        self._line_up(waiting)
        for batch in batches:
            bases = self._batches.bases(batch, host)
            host.building.update(bases)
            yield self._run_on(host, [*bases, *batch], now)
        host.changed()

    def _begin_base(self, base: BuildPiece, user: BuildPiece, host: ScheduledNode, now: float) -> Call:
        """Start `base` in its own call, and let `user` wait for it. Returns the call, or nothing if none starts.

        If `host` has as many calls as it may have, `user` is queued again: the end of any of these calls wakes it.
        """
        if base in host.building:
            host.parked.append(user)
            return ()
        if host.calls_under_way >= MOST_CALLS:
            self._line_up([user])
            return ()
        host.parked.append(user)
        host.building.add(base)
        return self._run_on(host, [base], now)

    def _units(self, pieces: Sequence[BuildPiece], host: ScheduledNode) -> list[Sequence[BuildPiece]]:
        """`pieces`, each with those that link to it, wait for nothing else, and can only be built on `host`."""
        found = []
        for piece in pieces:
            alone = len(self._fleet.pool_of(piece).hosts) == 1 and host.node in piece.nodes
            followers = self._ledger.followers(piece) if alone else []
            mine = [each for each in followers if self._is_ready_on(host, each, self._fleet.pool_of(piece))]
            found.append(self._batches.unit(piece, mine))
        return found

    def _is_ready_on(self, host: ScheduledNode, piece: BuildPiece, pool: Pool) -> bool:
        return self._fleet.pool_of(piece) is pool and self._batches.base_before(piece, host) is None

    def _boot(self, host: ScheduledNode) -> Call:
        if host.life is NodeStatus.STARTING:
            return ()
        host.life = NodeStatus.STARTING
        return (self._bootstraps.setdefault(host.node.id, BootstrapNode(node=host.node)),)

    def _run_on(self, host: ScheduledNode, pieces: Sequence[BuildPiece], now: float) -> Call:
        """Have `host` build `pieces` in one call, with one slot, or one for each piece where the plan gives them."""
        started = [self._ledger.on(piece, host.node) for piece in pieces]
        for piece, bound in zip(pieces, started, strict=True):
            self._ledger.bind(piece, bound)
        end = now + max(self._choice.seconds(piece, host) for piece in pieces)
        host.running |= dict.fromkeys(started if host.node.slots or not host.slots else started[:1], end)
        host.calls |= dict.fromkeys(started, next(self._numbers))
        host.changed()
        return tuple(started)

    def _check(self, check: CheckPiece) -> Iterator[Call]:
        """Start `check`, or have it wait until a node on which it can be done is up."""
        host = self._checks.settle(check)
        if host.life in {
            NodeStatus.UP,
            NodeStatus.GONE,
        }:  # of one that is given up, the check itself says what is wrong with it
            yield (self._checks.on(check, host),)
            return
        host.checks.append(check)
        if host.life is NodeStatus.COLD and (call := self._boot(host)):
            yield call

    def _line_up(self, steps: Sequence[Step]) -> None:
        """`steps` may start, those that are not over already and wait for no other."""
        for step in steps:
            if self._ledger.is_over(step) or self._ledger.waits(step) or is_lazy(step):
                continue
            if isinstance(step, BuildPiece):
                urgency, place = -self._paths[step], self._ledger.place[step]
                self._fleet.pool_of(step).push(QueuedPiece(urgency, place, step, self._seconds[step]))
            else:
                self._ready.append(step)

    def _release(self, host: ScheduledNode) -> None:
        """What waited for something on `host` has the choice again."""
        waiting: list[Step] = [*host.parked, *host.checks]
        host.parked, host.checks = [], []
        self._line_up(waiting)
        host.changed()

    # --- ending ---------------------------------------------------------------------------------------------------

    def finish(
        self,
        step: Step,
        status: StepStatus,
        *,
        slots: int = 0,
        weight: int = 0,
        platforms: tuple[Platform, ...] = (),
        uploaded: bool = False,
    ) -> tuple[Step, ...]:
        """`step` is over. Returns the steps that will never start because of it, in the graph's order.

        `slots`, `weight` and `platforms` are what a node that was made ready says of itself; `uploaded` says that a
        registry has the image of a piece already.
        """
        self._ledger.stop(step)
        match step:
            case BootstrapNode():
                host = self._fleet.host(step.node)
                if status is StepStatus.DONE:
                    host.slots = host.slots if host.told else slots or host.slots
                    host.weight = weight or host.weight
                    host.platforms = platforms
                self._finish_bootstrap(host, status)
                return ()
            case BuildPiece():
                if uploaded:
                    self._checks.note_uploaded(self._template(step))
                return self._finish_piece(step, status)
            case CheckPiece():
                if status is StepStatus.DONE:
                    host = self._fleet.host_of(step)
                    host.losses = 0
                    host.changed()
                return self._end(self.origin(step), status)
            case _:
                return self._end(step, status)

    def _finish_bootstrap(self, host: ScheduledNode, status: StepStatus) -> None:
        if status is StepStatus.DONE:
            host.life = NodeStatus.UP
            self._stranded += [pool for pool in host.helped if pool.lost]  # it may turn out not to be able to help
        else:
            self._give_up(host)
        self._release(host)

    def _finish_piece(self, step: BuildPiece, status: StepStatus) -> tuple[Step, ...]:
        host = self._leave(step)
        if status is StepStatus.DONE:
            self._fleet.has_built(step)
        if step.shared:
            self._release(host)
            if status is StepStatus.DONE:
                return ()
        host.changed()
        return self._end(self.origin(step), status)

    def _leave(self, step: BuildPiece) -> ScheduledNode:
        """`step` does not run any more, however it went. The node that it leaves."""
        host = self._fleet.host_of(step)
        host.running.pop(step, None)
        host.calls.pop(step, None)
        host.building.discard(self._template(step))
        return host

    def _end(self, origin: Step, status: StepStatus) -> tuple[Step, ...]:
        """`origin` is over for good, and what waits for it goes on, or never starts."""
        ready, given_up = self._ledger.end(origin, status)
        self._line_up(ready)
        return self._drop(given_up)

    def _drop(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """`steps` will never start: no pool holds them any more."""
        for step in steps:
            if isinstance(step, BuildPiece):
                self._fleet.pool_of(step).discard(step)
        return steps

    def abandon(self) -> tuple[Step, ...]:
        """Nothing more is to start. Returns the steps that are given up, in the graph's order."""
        self._look_again.clear()
        self._fleet.leave_alone()
        return self._drop(self._ledger.abandon())

    # --- trying again ---------------------------------------------------------------------------------------------

    def try_apart(self, piece: BuildPiece, *, alone: bool = False) -> bool:
        """Whether `piece`, which failed only because another one of its call did, is built again.

        It may share one more call, unless it is to be built `alone`.
        """
        origin = self._template(piece)
        if self._fleet.is_hopeless(origin) or self.failed_before(piece):
            return False
        self._batches.note_disturbed(origin)
        if alone:
            self._batches.set_apart(origin)
        self._put_back(piece)
        return True

    def failed_before(self, piece: BuildPiece) -> Step | None:
        """The step that has to come before `piece`, which began in one call with it or beside it, and failed."""
        origin = self._template(piece)
        built = self._fleet.host(piece.node).built
        failed = (each for each in self._ledger.failed_before(origin) if each not in built)
        return next(map(self._ledger.bound, failed), None)

    def try_again(self, step: Step, now: float = 0.0, *, lost: bool = False) -> bool:
        """Whether `step`, which failed, is tried again; if not, it is to be finished.

        With `lost` its node is to blame, which is then left alone for a while. A piece may move to each of its other
        nodes once, and so may a check; what is more than that, and what is its own fault, is limited by the retries of
        its target. The loss of a base in the call of its users counts only for these: only they start it again. A node
        may be lost `TRIES` times in a row while it has an equal one, else as often as its targets may be tried.
        """
        assert isinstance(step, BootstrapNode | BuildPiece | CheckPiece)  # noqa: S101 - nothing else is bound to a node
        host = self._fleet.host_of(step)
        if lost and self._outages[step] == host.outages:  # else it notices late what is known
            self._lose(host, now)
        if not self._may_retry(step, host, lost=lost):
            return False
        if isinstance(step, BuildPiece) and not (lost and self._shares_call_of_users(step, host)):
            self._batches.set_apart(self._template(step))
        self._put_back(step)
        return True

    def _may_retry(self, step: BootstrapNode | BuildPiece | CheckPiece, host: ScheduledNode, *, lost: bool) -> bool:
        if isinstance(step, BootstrapNode):
            return not (host.node.required or self._stranded_pieces() or self._stranded_checks)
        origin = self.origin(step)
        assert isinstance(origin, BuildPiece | CheckPiece)  # noqa: S101 - as `step` is
        if lost and isinstance(origin, CheckPiece):
            self._checks.note_lost(origin)
        if self._is_hopeless(origin) or (lost and host.node.required):
            return False
        if isinstance(step, BuildPiece) and self.failed_before(step):
            return False
        if lost and isinstance(step, BuildPiece) and self._shares_call_of_users(step, host):
            return True
        return self._retries.take(origin, host.node, lost=lost)

    @staticmethod
    def _shares_call_of_users(step: BuildPiece, host: ScheduledNode) -> bool:
        """Whether `step` is a base that `host` builds in the call of pieces that link to it."""
        call = host.calls.get(step)
        return step.shared and any(not piece.shared for piece, number in host.calls.items() if number == call)

    def _is_hopeless(self, origin: BuildPiece | CheckPiece) -> bool:
        """Whether a piece or check is not to be started again: no node is left for it, or a required one is lost."""
        return self._checks.is_hopeless(origin) if isinstance(origin, CheckPiece) else self._fleet.is_hopeless(origin)

    def _lose(self, host: ScheduledNode, now: float) -> None:
        """`host` does not answer: nothing is given to it for a while. Its other pieces will find out by themselves."""
        if host.life is NodeStatus.GONE:
            return
        if self._fleet.lose(host, now):
            self._give_up(host)
        self._release(host)

    def _give_up(self, host: ScheduledNode) -> None:
        """`host` is not used any more, and some of what waits for it may never start."""
        self._fleet.give_up(host)
        self._stranded += [pool for pool in (*host.pools, *host.helped) if pool.lost or pool.closed]
        self._stranded_checks += [
            check for check in host.checks if host.node.required or self._checks.is_hopeless(check)
        ]

    def _put_back(self, step: BootstrapNode | BuildPiece | CheckPiece) -> None:
        """`step`, which runs, is started again some time."""
        self._ledger.stop(step)
        if isinstance(step, BuildPiece):
            self._leave(step)
        self._line_up([self.origin(step)])
        self._release(self._fleet.host_of(step))

    def take_stranded(self) -> tuple[Step, ...]:
        """The steps that will never start, since the last of their nodes, or one that is required, was given up."""
        pieces = self._stranded_pieces()
        checks, self._stranded_checks = self._stranded_checks, []
        self._stranded.clear()
        return self._drop(self._ledger.skip([*checks, *pieces])) if pieces or checks else ()

    def _stranded_pieces(self) -> list[Step]:
        """The pieces that will never start, now that some sets of nodes are not what they were."""
        found = self._fleet.hopeless(self._stranded)
        return self._ledger.waiting(found) if found else []

    def _template(self, step: BuildPiece) -> BuildPiece:
        origin = self.origin(step)
        assert isinstance(origin, BuildPiece)  # noqa: S101 - the origin of a piece is one
        return origin


def _is_on_a_node(step: Step) -> bool:
    return isinstance(step, BootstrapNode | BuildPiece | CheckPiece)


def _head(pool: Pool) -> QueuedPiece:
    first = pool.first()
    assert first is not None  # noqa: S101 - asked of pools that have one
    return first
