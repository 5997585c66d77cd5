"""Which steps start now, and on which nodes: a pure state machine without threads, clock or I/O."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.estimates import Estimates, expectations, remaining_paths
from mpbake.platforms import runs
from mpbake.pools import SLOTS, Host, Life, Pool, Waiting
from mpbake.steps import BootstrapNode, BuildPiece, CheckPiece, Step, StepStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.graph import BuildGraph
    from mpbake.plan import Node, Target
    from mpbake.platforms import Platform

TRIES = 4
"""How often in a row a node that has an equal one may be lost before it is given up."""
FIRST_PAUSE = 2.0
"""Seconds before a lost node is tried again; each further loss in a row doubles them."""
LOOK_AGAIN = 5.0
"""Seconds after which a piece that waits for its own node is thought about again, even if nothing has ended."""

EMULATED = 7.0
"""How many times as long as natively a piece is taken to need where it is emulated: 5 to 10 times is usual."""
SHORT = 5.0
"""Seconds of the last build up to which pieces of one node share a call: starting buildx takes a quarter of one."""
LARGEST_CALL = 20
"""Pieces that share a call at most: when one of them fails, the others are built again."""

Call = tuple[Step, ...]
"""What is started together: one step, or several pieces of one node."""


class Schedule:
    """The state of a run: what waits, what runs, what is over.

    A piece is given to one of its nodes when it is ready, and is from then on a piece of that node alone (`on`). It is
    its preferred node, which holds the cache, as long as that has room; else another equal one, when waiting would cost
    more than the cache saves. Before the first piece on a node comes the node's bootstrap, before a piece what it
    shares with others: both happen on the nodes that are used, when they are. Of several pieces that before the longest
    remaining path starts first. Short pieces of one node that are ready together share a call. Nodes that the plan
    requires are bootstrapped in any case, first of all. A check is done on the node that has built its piece, at once
    and whatever room there is; when that was lost, on an equal one if the image was uploaded.

    `slots` maps node ids to how many pieces each builds at once. Times are seconds of one clock, which starts anywhere.
    """

    def __init__(
        self, graph: BuildGraph, slots: Mapping[str, int] | None = None, estimates: Estimates | None = None
    ) -> None:
        self._graph = graph
        self._estimates = estimates or Estimates()
        self._seconds = expectations(graph, self._estimates)
        self._paths = remaining_paths(graph, self._seconds)
        self._place = {step: index for index, step in enumerate(graph.steps)}
        self._shared = {piece: self._shared_of(piece) for piece in _pieces(graph)}
        self._shared_by = _shared_by(graph)
        self._waits_for = {step: sum(not _is_lazy(each) for each in graph.before[step]) for step in graph.steps}
        self._hosts = _hosts(graph, slots or {})
        self._pool_of = _pools(graph, self._hosts)
        self._pools = tuple(dict.fromkeys(self._pool_of.values()))
        _set_tries(self._pool_of)
        self._bootstraps = {step.node.id: step for step in graph.steps if isinstance(step, BootstrapNode)}
        self._budget: dict[Step, int] = {}
        self._moves: dict[Step, int] = {}
        self._origin: dict[Step, Step] = {}
        self._bound: dict[Step, Step] = {}
        self._copies: dict[tuple[BuildPiece, str], BuildPiece] = {}
        self._alone: set[Step] = set()
        self._uploaded: set[BuildPiece] = set()
        self._lost: set[Step] = set()
        self._down: set[Host] = set()
        self._required = [host for host in self._hosts.values() if host.node.required and host.pools]
        self._stranded: list[Pool] = []
        self._stranded_checks: list[CheckPiece] = []
        self._ready: list[Step] = []
        self._running: dict[Step, int] = {}
        self._over: dict[Step, StepStatus] = {}
        self._left = sum(not _is_lazy(step) for step in graph.steps)
        self._look_again: list[float] = []
        for step in graph.steps:
            if not _is_lazy(step) and not self._waits_for[step]:
                self._line_up(step)

    @property
    def finished(self) -> bool:
        """Whether every step is over. Bootstraps and shared pieces that nobody came to need count as such."""
        return not self._left and not self._running

    @property
    def running(self) -> tuple[Step, ...]:
        """The steps that have been started and are not over, as they were started."""
        return tuple(self._running)

    @property
    def wakes_at(self) -> float | None:
        """When `start` is worth another call although nothing has ended, or None."""
        back = [host.back_at for host in self._down if host.checks or any(host.pools) or any(host.helped)]
        return min([*back, *self._look_again], default=None)

    def origin(self, step: Step) -> Step:
        """The step of the graph that was started as `step`."""
        return self._origin.get(step, step)

    def is_given_up(self, step: Step) -> bool:
        """Whether the node on which `step` was started was lost once too often."""
        return isinstance(step, BootstrapNode | BuildPiece | CheckPiece) and self._host(step).life is Life.GONE

    def order(self, step: Step) -> tuple[int, str]:
        """What to sort started steps by to have them in the graph's order."""
        node = "" if not isinstance(step, BuildPiece) else step.node.id
        return (self._place.get(self.origin(step), -1), node)

    def before(self, step: Step) -> tuple[Step, ...]:
        """What had to be done before `step` could start, as it was started; bootstraps aside."""
        origin = self.origin(step)
        found = [self._bound.get(each, each) for each in self._graph.before.get(origin, ()) if not _is_lazy(each)]
        if isinstance(step, BuildPiece) and isinstance(origin, BuildPiece):
            built = self._hosts[step.node.id].built
            found += [self._on(each, step.node) for each in self._shared[origin] if each in built]
        return tuple(found)

    # --- starting -------------------------------------------------------------------------------------------------

    def start(self, now: float = 0.0) -> list[Call]:
        """Start what can start now, and say what it is. Pieces come with the one node that they are given to."""
        self._wake(now)
        calls = [call for host in self._required if (call := self._boot(host))]
        self._required.clear()
        ready, self._ready = [step for step in self._ready if step not in self._over], []
        for step in sorted(ready, key=self._place.__getitem__):
            calls += self._check(step) if isinstance(step, CheckPiece) else [(step,)]
        for pool in sorted(filter(None, self._pools), key=_head):
            calls += self._fill(pool, now)
        for pool in self._pools:
            calls += self._help_out(pool, now)
        self._running |= {step: self._outages(step) for call in calls for step in call}
        return calls

    def _outages(self, step: Step) -> int:
        """How many outages of its node are known."""
        return self._host(step).outages if isinstance(step, BootstrapNode | BuildPiece | CheckPiece) else 0

    def _host(self, step: BootstrapNode | BuildPiece | CheckPiece) -> Host:
        """The node on which `step` was started."""
        return self._hosts[step.node.id if isinstance(step, BootstrapNode) else _piece_of(step).node.id]

    def _wake(self, now: float) -> None:
        """Nodes that were lost long enough ago may be tried again."""
        self._look_again.clear()
        for host in [each for each in self._down if each.back_at <= now]:
            self._down.remove(host)
            host.life = Life.COLD
            self._release(host)

    def _fill(self, pool: Pool, now: float) -> Iterator[Call]:
        """Give pieces to nodes while there are any of either."""
        aside: list[Waiting] = []
        in_line: Counter[str] = Counter()
        while (entry := pool.first()) and (idlest := pool.idlest()):
            preferred = pool.preferred(entry.piece) or idlest
            ahead = in_line[preferred.node.id]
            host = self._host_for(entry.piece, preferred, idlest, now=now, ahead=ahead)
            if host is None:
                aside.append(pool.set_aside())
                in_line[preferred.node.id] += 1
                self._look_again = [now + LOOK_AGAIN]
                continue
            call = self._give(self._best_for(host, entry, pool), host, now)
            if call:
                yield call
        pool.put_back(aside)

    def _help_out(self, pool: Pool, now: float) -> Iterator[Call]:
        """Have the least urgent pieces emulated where that is sooner done."""
        if not pool.usable:
            yield from self._stand_in(pool, now)
            return
        while (last := pool.last()) and (spare := self._spare_for(last.piece, pool, now)):
            yield self._give(last.piece, spare, now)

    def _stand_in(self, pool: Pool, now: float) -> Iterator[Call]:
        """Have pieces emulated that none of their own nodes can be given now."""
        for entry in pool.in_line() if any(host.open or host.building for host in pool.helpers) else ():
            piece = entry.piece
            call = self._emulated(piece, now) if self._is_sooner_emulated(piece, pool, now) else ()
            if call:
                yield call

    def _emulated(self, piece: BuildPiece, now: float) -> Call:
        """Have a spare node do `piece`, or first be asked whether it can. What this starts, which may be nothing."""
        spares = self._spares(piece)
        for host in spares:
            if host.life is Life.UP and self._has_room(host, piece):
                return self._give(piece, host, now)
        if any(host.life is Life.STARTING for host in spares):
            return ()
        cold = next((host for host in spares if host.life is Life.COLD), None)
        return self._boot(cold) if cold else ()

    def _host_for(self, piece: BuildPiece, preferred: Host, idlest: Host, *, now: float, ahead: int) -> Host | None:
        """The node that takes `piece` now, or None while it is better to wait for `preferred`.

        `ahead` others have decided to wait for it before.
        """
        if self._has_room(preferred, piece) or idlest is preferred:
            return preferred
        saved = self._estimates.saved(piece)
        there = [each for each in self._shared[piece] if each in preferred.built and each not in idlest.built]
        saved += sum(self._seconds[each] for each in there)
        wait = preferred.wait(now, ahead, self._seconds[piece])
        return idlest if wait > saved or not preferred.running else None

    def _spare_for(self, piece: BuildPiece, pool: Pool, now: float) -> Host | None:
        """A free node that has emulated `piece` before those that run it natively, busy as they are, have built it."""
        if self._shared[piece] or not self._is_sooner_emulated(piece, pool, now):
            return None
        return next((host for host in self._spares(piece) if host.life is Life.UP and host.open), None)

    def _is_sooner_emulated(self, piece: BuildPiece, pool: Pool, now: float) -> bool:
        """Whether emulating `piece` is expected to cost less than waiting for its own nodes.

        Where nobody knows how long it takes, that is so while none of these can be used.
        """
        usual = self._estimates.usual(piece)
        if usual is None:
            return not pool.usable
        return pool.wait(now, usual) > (EMULATED - 1) * usual

    def _spares(self, piece: BuildPiece) -> list[Host]:
        """The nodes that can emulate `piece` and what it shares with others, or have not said yet what they can."""
        hosts = [self._hosts[node.id] for node in piece.spare]
        wanted = (piece, *self._shared[piece])
        return [host for host in hosts if host.life is not Life.GONE and all(_may_build(host, each) for each in wanted)]

    def _best_for(self, host: Host, entry: Waiting, pool: Pool) -> BuildPiece:
        """Of equally urgent pieces one that prefers `host` and finds room there, else that of `entry`."""
        fan = pool.first_fan(host)
        if fan is None or fan.urgency > entry.urgency or not self._has_room(host, fan.piece):
            return entry.piece
        return fan.piece

    def _has_room(self, host: Host, piece: BuildPiece) -> bool:
        if host.life is Life.UP and self._missing(piece, host) in host.building:
            return len(host.parked) < host.slots
        return host.open

    def _missing(self, piece: BuildPiece, host: Host) -> BuildPiece | None:
        """The first of the shared pieces before `piece` that `host` does not have yet."""
        return next((each for each in self._shared[piece] if each not in host.built), None)

    def _give(self, piece: BuildPiece, host: Host, now: float) -> Call:
        """Have `host` do `piece`, after what must come before it there. What this starts, which may be nothing."""
        self._pool_of[piece].discard(piece)
        missing = self._missing(piece, host)
        if host.life is not Life.UP or missing is not None:
            host.parked.append(piece)
            host.changed()
        if host.life is not Life.UP:
            return self._boot(host)
        if missing is None:
            return self._run_on(host, [piece, *self._companions(piece, host)], now)
        if missing in host.building:
            return ()
        host.building.add(missing)
        return self._run_on(host, [missing], now)

    def _boot(self, host: Host) -> Call:
        if host.life is Life.STARTING:
            return ()
        host.life = Life.STARTING
        host.changed()
        return (self._bootstraps.setdefault(host.node.id, BootstrapNode(node=host.node)),)

    def _run_on(self, host: Host, pieces: Sequence[BuildPiece], now: float) -> Call:
        """`host` builds `pieces` in one call, which takes the room of one, unless the plan says how much there is."""
        for piece in pieces:
            self._bound[piece] = self._on(piece, host.node)
        end = now + max(self._seconds[piece] for piece in pieces)
        host.running |= {self._on(piece, host.node): end for piece in (pieces if host.node.slots else pieces[:1])}
        host.changed()
        return tuple(self._on(piece, host.node) for piece in pieces)

    def _companions(self, piece: BuildPiece, host: Host) -> Iterator[BuildPiece]:
        """Short pieces that wait for `host` too, and share the call of `piece`, if that is short."""
        pool = self._pool_of[piece]
        room = min(LARGEST_CALL, host.slots - len(host.running)) if host.node.slots else LARGEST_CALL
        left = _half_of_timeout(piece) - (self._estimates.last(piece) or 0.0)
        for _ in range(room - 1 if self._is_short(piece) else 0):
            fan = pool.first_fan(host)
            if fan is None or not self._is_short(fan.piece) or not _are_alike(piece, fan.piece):
                return
            left -= self._estimates.last(fan.piece) or 0.0
            if left < 0 or self._missing(fan.piece, host) is not None:
                return
            pool.discard(fan.piece)
            yield fan.piece

    def _is_short(self, piece: BuildPiece) -> bool:
        """Whether a call of its own would cost more than `piece` itself; what failed once is built by itself."""
        last = self._estimates.last(piece)
        return last is not None and last <= SHORT and piece not in self._alone

    def _on(self, piece: BuildPiece, node: Node) -> BuildPiece:
        """`piece` as it is built on `node`: each time the same object."""
        if len(piece.nodes) == 1 and piece.node.id == node.id:
            return piece
        bound = self._copies.get((piece, node.id))
        if bound is None:
            bound = self._copies[piece, node.id] = piece.on(node)
            self._origin[bound] = piece
        return bound

    # --- checks ---------------------------------------------------------------------------------------------------

    def _check(self, check: CheckPiece) -> Iterator[Call]:
        """Start `check`, or have it wait until a node on which it can be done is up."""
        host = self._host_of(check)
        if host.life is not Life.UP or host is not self._host_that_built(check.piece):
            self._lost.add(check)
        if host.life in {Life.UP, Life.GONE}:  # of one that is given up, the check itself says what is wrong with it
            yield (self._check_on(check, host),)
            return
        host.checks.append(check)
        if host.life is Life.COLD and (call := self._boot(host)):
            yield call

    def _host_of(self, check: CheckPiece) -> Host:
        """The node for `check`: that which has built its piece; once that was lost, an equal one if it can be had."""
        own = self._host_that_built(check.piece)
        if check.piece not in self._uploaded or (own.life is Life.UP and not own.losses):
            return own
        pool = self._pool_of[check.piece]
        found = pool.preferred(check.piece) or pool.soonest()
        return found or next((host for host in self._spares(check.piece) if host.usable), own)

    def _host_that_built(self, piece: BuildPiece) -> Host:
        """The node on which `piece` was built."""
        return self._hosts[_piece_of(self._bound[piece]).node.id]

    def _check_on(self, check: CheckPiece, host: Host) -> CheckPiece:
        """`check` as it is done on `host`."""
        piece, lost = self._on(check.piece, host.node), check in self._lost
        if piece is check.piece and not lost:
            return check
        bound = replace(check, piece=piece, lost=lost)
        self._origin[bound] = check
        self._bound[check] = bound
        return bound

    # --- ending ---------------------------------------------------------------------------------------------------

    def finish(
        self,
        step: Step,
        status: StepStatus,
        *,
        slots: int = 0,
        platforms: tuple[Platform, ...] = (),
        uploaded: bool = False,
    ) -> tuple[Step, ...]:
        """`step` is over. Returns the steps that will never start because of it, in the graph's order.

        `slots` and `platforms` are what a node that was made ready says of itself; `uploaded` says that a registry has
        the image of a piece already.
        """
        del self._running[step]
        match step:
            case BootstrapNode():
                host = self._hosts[step.node.id]
                host.platforms = platforms
                self._finish_bootstrap(host, status, slots)
                return ()
            case BuildPiece():
                if uploaded:
                    self._uploaded.add(self._template(step))
                return self._finish_piece(step, status)
            case CheckPiece():
                return self._finish_check(step, status)
            case _:
                return self._end(step, status)

    def _finish_bootstrap(self, host: Host, status: StepStatus, slots: int) -> None:
        if status is StepStatus.DONE:
            host.life = Life.UP
            host.slots = host.slots if host.told else slots or host.slots
            self._stranded += [pool for pool in host.helped if pool.lost]  # it may turn out not to be able to help
        else:
            self._abandon_host(host)
        self._release(host)

    def _finish_piece(self, step: BuildPiece, status: StepStatus) -> tuple[Step, ...]:
        host, origin = self._hosts[step.node.id], self.origin(step)
        host.running.pop(step, None)
        if status is StepStatus.DONE:
            host.losses = 0
            host.built |= {each for each in self._shared_by.get(step.target, ()) if _holds(step, each)}
        if step.shared:
            host.building.discard(self._template(step))
            self._release(host)
            if status is StepStatus.DONE:
                return ()
        host.changed()
        return self._end(origin, status)

    def _finish_check(self, step: CheckPiece, status: StepStatus) -> tuple[Step, ...]:
        if status is StepStatus.DONE:
            host = self._hosts[step.piece.node.id]
            host.losses = 0
            host.changed()
        return self._end(self.origin(step), status)

    def _end(self, origin: Step, status: StepStatus) -> tuple[Step, ...]:
        """`origin` is over for good, and what waits for it goes on, or never starts."""
        self._over[origin] = status
        self._left -= not _is_lazy(origin)
        if status is not StepStatus.DONE:
            return self._skip(self._graph.after[origin])
        for following in self._graph.after[origin]:
            self._waits_for[following] -= 1
            if not self._waits_for[following]:
                self._line_up(following)
        return ()

    def _line_up(self, step: Step) -> None:
        """`step` may start, if it is not over already."""
        if step in self._over or _is_lazy(step):
            return
        if isinstance(step, BuildPiece):
            self._pool_of[step].push(Waiting(-self._paths[step], self._place[step], step, self._seconds[step]))
        else:
            self._ready.append(step)

    def _release(self, host: Host) -> None:
        """What waited for something on `host` has the choice again."""
        waiting: list[Step] = [*host.parked, *host.checks]
        host.parked, host.checks = [], []
        for step in waiting:
            self._line_up(step)
        host.changed()

    def _skip(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """`steps` will never start, nor what waits for them, as far as they do not run already."""
        busy = {self.origin(each) for each in self._running}
        skipped: set[Step] = set()
        queue = [*steps]
        while queue:
            step = queue.pop()
            if step not in self._over and step not in busy:
                self._over[step] = StepStatus.SKIPPED
                skipped.add(step)
                queue += self._graph.after[step]
        return self._given_up(skipped)

    def _given_up(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """Those of `steps` that people wait for, in the graph's order; no pool holds them any more."""
        found = sorted((each for each in steps if not _is_lazy(each)), key=self._place.__getitem__)
        self._left -= len(found)
        for step in found:
            if isinstance(step, BuildPiece):
                self._pool_of[step].discard(step)
        return tuple(found)

    def abandon(self) -> tuple[Step, ...]:
        """Nothing more is to start. Returns the steps that are given up, in the graph's order."""
        busy = {self.origin(each) for each in self._running}
        given_up = [step for step in self._graph.steps if step not in self._over and step not in busy]
        self._over |= dict.fromkeys(given_up, StepStatus.CANCELLED)
        self._ready.clear()
        self._down.clear()
        self._look_again.clear()
        return self._given_up(given_up)

    # --- trying again ---------------------------------------------------------------------------------------------

    def apart(self, piece: BuildPiece) -> bool:
        """Whether `piece`, which failed only because another one of its call did, is built again, by itself."""
        if self._is_hopeless(self.origin(piece)):
            return False
        del self._running[piece]
        self._put_back(piece, self._hosts[piece.node.id])
        return True

    def again(self, step: Step, now: float = 0.0, *, lost: bool = False) -> bool:
        """Whether `step`, which failed, is tried again; if not, it is to be finished.

        With `lost` its node is to blame, which is then left alone for a while. A piece may move to each of its other
        nodes once, and so may a check; what is more than that, and what is its own fault, is limited by the retries of
        its target. A node may be lost `TRIES` times in a row while it has an equal one, else as often as its targets
        may be tried.
        """
        assert isinstance(step, BootstrapNode | BuildPiece | CheckPiece)  # noqa: S101 - nothing else is bound to a node
        host = self._host(step)
        if lost:
            if self._running[step] == host.outages:  # else it notices late what is known
                self._lose(host, now)
            self._lost.add(self.origin(step))
        if isinstance(step, BootstrapNode):
            if host.node.required or self._stranded_pieces() or self._stranded_checks:
                return False
        elif not self._may_retry(step, host, lost=lost):
            return False
        del self._running[step]
        self._put_back(step, host)
        return True

    def _lose(self, host: Host, now: float) -> None:
        """`host` does not answer: nothing is given to it for a while. Its other pieces will find out by themselves."""
        if host.life is Life.GONE:
            return
        host.outages += 1
        host.losses += 1
        host.built.clear()
        if host.losses >= host.tries or host.node.required:
            self._abandon_host(host)
        else:
            host.life = Life.DOWN
            host.back_at = now + FIRST_PAUSE * 2 ** (host.losses - 1)
            self._down.add(host)
        self._release(host)

    def _abandon_host(self, host: Host) -> None:
        host.life = Life.GONE
        for pool in host.pools:
            pool.closed = pool.closed or host.node.required
        self._stranded += [pool for pool in (*host.pools, *host.helped) if pool.lost or pool.closed]
        self._stranded_checks += [check for check in host.checks if host.node.required or self._is_hopeless(check)]

    def _is_hopeless(self, origin: Step) -> bool:
        """Whether a piece or check is not to be started again: no node is left for it, or a required one is lost."""
        piece = _piece_of(origin)
        pool = self._pool_of[piece]
        if isinstance(origin, CheckPiece):
            closed = pool.closed and piece in self._uploaded
            return closed or self._host_of(origin).life is Life.GONE
        return pool.closed or (pool.lost and not self._spares(piece))

    def _may_retry(self, step: BuildPiece | CheckPiece, host: Host, *, lost: bool) -> bool:
        origin = self.origin(step)
        if self._is_hopeless(origin) or (lost and host.node.required):
            return False
        piece = _piece_of(origin)
        moves = self._moves.setdefault(origin, len(piece.nodes) + len(piece.spare) - 1)
        budget = self._budget.setdefault(origin, step.target.retries)
        if lost and moves:
            self._moves[origin] -= 1
        elif budget:
            self._budget[origin] -= 1
        return bool((lost and moves) or budget)

    def _put_back(self, step: Step, host: Host) -> None:
        if isinstance(step, BuildPiece):
            host.running.pop(step, None)
            self._alone.add(self.origin(step))
            if step.shared:
                host.building.discard(self._template(step))
            else:
                self._line_up(self.origin(step))
        elif isinstance(step, CheckPiece):
            self._line_up(self.origin(step))
        self._release(host)

    def stranded(self) -> tuple[Step, ...]:
        """The steps that will never start, since the last of their nodes, or one that is required, was given up."""
        pieces = self._stranded_pieces()
        checks, self._stranded_checks = self._stranded_checks, []
        self._stranded.clear()
        return self._skip([*checks, *pieces]) if pieces or checks else ()

    def _stranded_pieces(self) -> list[BuildPiece]:
        """The pieces that will never start, now that some sets of nodes are not what they were."""
        pools = set(self._stranded)
        if not pools:
            return []
        begun = {*self._over, *(self.origin(each) for each in self._running)}
        waiting = (piece for piece, pool in self._pool_of.items() if pool in pools and piece not in begun)
        return [piece for piece in waiting if not piece.shared and self._is_hopeless(piece)]

    # --- shared pieces --------------------------------------------------------------------------------------------

    def _template(self, step: BuildPiece) -> BuildPiece:
        origin = self.origin(step)
        assert isinstance(origin, BuildPiece)  # noqa: S101 - the origin of a piece is one
        return origin

    def _shared_of(self, step: Step) -> tuple[BuildPiece, ...]:
        """The shared pieces that `step` needs on its node, in the order in which they are built."""
        found = [each for each in self._graph.before[step] if isinstance(each, BuildPiece) and each.shared]
        return tuple(sorted(found, key=self._place.__getitem__))


def _is_lazy(step: Step) -> bool:
    """Whether `step` happens only where and when a piece needs it."""
    return isinstance(step, BootstrapNode) or (isinstance(step, BuildPiece) and step.shared)


def _piece_of(step: Step) -> BuildPiece:
    """A piece itself, or the piece that a check is for."""
    piece = step.piece if isinstance(step, CheckPiece) else step
    assert isinstance(piece, BuildPiece)  # noqa: S101 - asked of what is bound to a node by its piece
    return piece


def _may_build(host: Host, piece: BuildPiece) -> bool:
    """Whether a node says that it builds all platforms of `piece`, in whatever way, or has not been asked yet."""
    said = host.platforms
    return said is None or all(any(runs(own, each.platform) for own in said) for each in piece.platforms)


def _holds(piece: BuildPiece, shared: BuildPiece) -> bool:
    """Whether a node that has built `piece` has built `shared`, of the same target, too."""
    built = {each.platform for each in piece.platforms}
    return piece.node in (*shared.nodes, *shared.spare) and all(each.platform in built for each in shared.platforms)


def _half_of_timeout(piece: BuildPiece) -> float:
    """How long all pieces of a call may be expected to take: the time that each may take is that of the call, too."""
    return piece.target.timeout / 2 or math.inf


def _are_alike(piece: BuildPiece, other: BuildPiece) -> bool:
    """Whether one call can serve both: the same platforms, also of what they link to, and the same deadlines."""
    limits = (other.target.timeout, other.target.stall_timeout)
    return other.platforms == piece.platforms and limits == (piece.target.timeout, piece.target.stall_timeout)


def _head(pool: Pool) -> Waiting:
    first = pool.first()
    assert first is not None  # noqa: S101 - asked of pools that have one
    return first


def _pieces(graph: BuildGraph) -> list[BuildPiece]:
    return [step for step in graph.steps if isinstance(step, BuildPiece)]


def _shared_by(graph: BuildGraph) -> dict[Target, list[BuildPiece]]:
    """The shared pieces of each target that has some."""
    found: dict[Target, list[BuildPiece]] = {}
    for piece in _pieces(graph):
        if piece.shared:
            found.setdefault(piece.target, []).append(piece)
    return found


def _hosts(graph: BuildGraph, slots: Mapping[str, int]) -> dict[str, Host]:
    """The nodes of all pieces, in the order in which the graph first names them; those that only help out come last."""
    found: dict[str, Host] = {}
    pieces = _pieces(graph)
    for nodes in (*_distinct(piece.nodes for piece in pieces), *_distinct(piece.spare for piece in pieces)):
        for node in nodes:
            if node.id not in found:
                told = slots.get(node.id, node.slots)
                found[node.id] = Host(node=node, order=len(found), slots=told or SLOTS, told=bool(told))
    return found


def _distinct(tuples: Iterable[tuple[Node, ...]]) -> Iterable[tuple[Node, ...]]:
    """Each tuple object once: thousands of pieces share a few, and comparing nodes takes time."""
    return {id(each): each for each in tuples}.values()


def _pools(graph: BuildGraph, hosts: Mapping[str, Host]) -> dict[BuildPiece, Pool]:
    """The pool of each piece; pieces of the same nodes have the same one."""
    pools: dict[frozenset[str], Pool] = {}
    of_tuple: dict[int, Pool] = {}
    for nodes in _distinct(piece.nodes for piece in _pieces(graph)):
        names = frozenset(node.id for node in nodes)
        if names not in pools:
            pools[names] = Pool({name: host for name, host in hosts.items() if name in names})
        of_tuple[id(nodes)] = pools[names]
    pool_of = {piece: of_tuple[id(piece.nodes)] for piece in _pieces(graph)}
    for piece, pool in pool_of.items():
        for node in piece.spare:
            pool.helped_by(hosts[node.id])
    return pool_of


def _set_tries(pool_of: Mapping[BuildPiece, Pool]) -> None:
    """How often each node may be lost in a row: as often as its pieces may be tried, or `TRIES` times in company."""
    retries: dict[Pool, int] = {}
    for piece, pool in pool_of.items():
        retries[pool] = max(retries.get(pool, 0), piece.target.retries)
    for pool, most in retries.items():
        for hosts in (list(pool.hosts.values()), [host for host in pool.helpers if not host.pools]):
            tries = TRIES if len(hosts) > 1 else 1 + most
            for host in hosts:
                host.tries = min(host.tries or tries, tries)
