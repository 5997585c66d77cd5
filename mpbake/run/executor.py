"""The loop: what the schedule lets start is given to workers; what they report goes back to it and to the reporter."""

from __future__ import annotations

import contextlib
import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import (
    BatchFailed,
    BuildFailed,
    Cancelled,
    MpbakeError,
    NodeLost,
    Unreachable,
    most_severe,
    system_error,
)
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Outcome, StepResult, StepStatus
from mpbake.run.events import RunFinished, RunStarted, StepFinished, StepRetried, StepStarted, Warned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node
    from mpbake.model.steps import Step
    from mpbake.run.events import Reporter
    from mpbake.run.schedule import Call, Schedule
    from mpbake.run.step_runner import StepRunner

WORKERS = 256
"""Steps under way at once, all nodes together; each is a thread that waits for a process. See `descriptors`."""
_LONGEST_WAIT = 1.0
"""Seconds after which a run that only waits for a node to come back looks whether it was told to stop."""


class StopRequest:
    """Set once by whoever wants the run to end early, such as a signal handler."""

    def __init__(self) -> None:
        self.signal = 0
        self._actions: list[Callable[[], None]] = []
        self._begun: list[Callable[[], None]] = []

    def __call__(self, signal: int) -> None:
        """Ask for the end, because of signal number `signal`; every call does what `then` was told."""
        self.signal = self.signal or signal
        for action in self._actions:
            self._begun.append(action)
            action()

    def then(self, action: Callable[[], None]) -> None:
        """Have `action` called whenever the end is asked for, also if it already was."""
        self._actions.append(action)
        if self.signal and action not in self._begun:  # else the signal came just now, and has called it
            action()


@dataclass(frozen=True, kw_only=True, slots=True)
class Executor:
    """Connects schedule, runner and reporter; which errors may be repeated is all that it decides.

    `clock` gives seconds; at `began` it all began. What is started beyond as many steps as there are `workers` waits
    for one.
    """

    graph: BuildGraph
    schedule: Schedule
    runner: StepRunner
    reporter: Reporter
    clock: Callable[[], float]
    began: float
    stop: StopRequest = field(default_factory=StopRequest)
    workers: int = WORKERS

    def execute(self) -> tuple[StepResult, ...]:
        """Run every step that can be run, and return what came of each, in the graph's order; see `RunFinished`."""
        self.reporter.handle(RunStarted(graph=self.graph))
        run = _Run(self)
        with ThreadPoolExecutor(max_workers=self.workers, thread_name_prefix="step") as workers:
            while not self.schedule.finished:
                run.start_ready(workers)
                run.take_next()
        self.runner.finish()
        results = tuple(sorted(run.results.values(), key=lambda each: self.schedule.order(each.step)))
        seconds = self.clock() - self.began
        self.reporter.handle(RunFinished(results=results, seconds=seconds, signal=self.stop.signal))
        return results


class _Run:
    """The results of one execution so far, and the mailbox through which workers deliver them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.results: dict[Step, StepResult] = {}
        self._mailbox: queue.SimpleQueue[list[StepResult]] = queue.SimpleQueue()
        self._losses: dict[str, MpbakeError] = {}

    def start_ready(self, workers: ThreadPoolExecutor) -> None:
        schedule = self._executor.schedule
        if self._executor.stop.signal:
            self._tell(StepResult(step=step, status=StepStatus.CANCELLED) for step in schedule.abandon())
            return
        for call in schedule.start(self._executor.clock()):
            for step in call:
                self._executor.reporter.handle(StepStarted(step=step))
            before = dict.fromkeys(each for step in call for each in schedule.before(step) if each in self.results)
            workers.submit(self._work, call, {each: self.results[each] for each in before})

    def take_next(self) -> None:
        """Wait for the results of a call, and take them; or until the schedule may start something without any."""
        schedule = self._executor.schedule
        if schedule.finished:
            return
        wait = None if schedule.running else _LONGEST_WAIT
        if schedule.wakes_at is not None:
            wait = min(max(schedule.wakes_at - self._executor.clock(), 0.0), _LONGEST_WAIT)
        with contextlib.suppress(queue.Empty):
            self._take_all(self._mailbox.get(timeout=wait))

    def _take_all(self, results: Sequence[StepResult]) -> None:
        """Take the results of a call; of the pieces that are built again since another one failed one event tells.

        These go first: what came before one of them may have failed, and then it is skipped. After a stop request they
        are cancelled: nothing is wrong with them.
        """
        disturbed: list[StepResult] = []
        for result in filter(_is_disturbed, results):
            skipped = self._skipped(result)
            if skipped is None and self._executor.stop.signal:
                self._take(replace(result, status=StepStatus.CANCELLED, error=None))
            elif skipped is None and self._is_put_off(result):
                disturbed.append(result)
            else:
                self._take(skipped or result)
        if disturbed:
            first, *others = disturbed
            event = StepRetried(step=first.step, error=_error_of(first), others=tuple(each.step for each in others))
            self._executor.reporter.handle(event)
        for result in results:
            if not _is_disturbed(result):
                self._take(result)

    def _is_put_off(self, result: StepResult) -> bool:
        """Whether a piece that another one disturbed is built again."""
        return self._is_tried_again(result.step, _error_of(result))

    def _skipped(self, result: StepResult) -> StepResult | None:
        """`result` of a piece that another call disturbed since a base failed there: what it links to cannot be had."""
        if not _is_disturbed(result) or not isinstance(result.step, BuildPiece):
            return None
        blame = self._executor.schedule.failed_before(result.step)
        return StepResult(step=result.step, status=StepStatus.SKIPPED, blame=blame) if blame else None

    def _take(self, result: StepResult) -> None:
        executor, error = self._executor, result.error
        if error is not None and (node := _lost_node(result)):
            self._losses[node.id] = error
        put_off = error is not None and not executor.stop.signal and self._is_tried_again(result.step, error)
        if error is not None and put_off:
            is_given_up = executor.schedule.is_given_up(result.step)
            executor.reporter.handle(StepRetried(step=result.step, error=error, given_up=is_given_up))
        else:
            result = _with_reason(result)
            self._tell([result])
            said = result.outcome
            given_up = executor.schedule.finish(
                result.step,
                result.status,
                slots=said.slots,
                weight=said.weight,
                platforms=said.platforms,
                uploaded=bool(said.uploaded),
            )
            self._give_up(given_up, result)
        self._give_up_stranded(result, put_off=put_off)

    def _is_tried_again(self, step: Step, error: MpbakeError) -> bool:
        """A node may come back, or have an equal one; a build may be repeated. Nothing else is.

        A check that fails by itself has found something.
        """
        match step:
            case BootstrapNode():
                repeatable, lost = isinstance(error, Unreachable), True
            case BuildPiece() if isinstance(error, BatchFailed):
                return self._executor.schedule.try_apart(step, alone=error.alone)
            case BuildPiece():
                repeatable, lost = isinstance(error, BuildFailed | Unreachable), isinstance(error, NodeLost)
            case CheckPiece():
                repeatable, lost = isinstance(error, Unreachable), isinstance(error, NodeLost)
            case _:
                return False
        return repeatable and self._executor.schedule.try_again(step, self._executor.clock(), lost=lost)

    def _give_up_stranded(self, cause: StepResult, *, put_off: bool) -> None:
        """What there is no node for any more never starts.

        Where `cause`, whose node was the last for it, goes on elsewhere, the first of these has failed in its place; so
        it has where the node of `cause` is well, but turns out not to emulate what the nodes did that were lost before.
        """
        steps = self._executor.schedule.take_stranded()
        if steps and (put_off or cause.status is StepStatus.DONE):
            error = cause.error or self._unaided(steps[0])
            cause = StepResult(step=steps[0], status=StepStatus.FAILED, error=error)
            self._tell([cause])
            steps = steps[1:]
        self._give_up(steps, cause)

    def _unaided(self, step: Step) -> MpbakeError:
        """Why nothing is left for `step`: one of its own nodes was lost, and no other can do it."""
        piece = step.piece if isinstance(step, CheckPiece) else step
        nodes = piece.nodes if isinstance(piece, BuildPiece) else ()
        lost = next((self._losses[node.id] for node in nodes if node.id in self._losses), None)
        said = [lost.message] if lost else []
        return Unreachable("\n".join([*said, "no node that is left can build it"]), hint=lost.hint if lost else "")

    def _give_up(self, steps: Iterable[Step], cause: StepResult) -> None:
        """`steps` will never start because of `cause`."""
        if cause.status is StepStatus.CANCELLED:
            self._tell(StepResult(step=step, status=StepStatus.CANCELLED) for step in steps)
        else:
            self._tell(StepResult(step=step, status=StepStatus.SKIPPED, blame=cause.step) for step in steps)

    def _tell(self, results: Iterable[StepResult]) -> None:
        for result in results:
            self.results[result.step] = result
            for message in result.outcome.warnings:
                self._executor.reporter.handle(Warned(message=message))
            self._executor.reporter.handle(StepFinished(result=result))

    def _work(self, call: Call, inputs: Mapping[Step, StepResult]) -> None:
        """In a worker thread: whatever happens, exactly one result is delivered for each step of the call."""
        clock = self._executor.clock
        began = clock()
        ends = self._ends(call, inputs)
        seconds = (clock() - began) / len(call)
        self._mailbox.put([_result(step, ends[step], seconds) for step in call])

    def _ends(self, call: Call, inputs: Mapping[Step, StepResult]) -> Mapping[Step, Outcome | MpbakeError]:
        """What became of each step of a call."""
        runner, reporter = self._executor.runner, self._executor.reporter
        error: MpbakeError
        try:
            if len(call) == 1:
                return {call[0]: runner.run(call[0], inputs, reporter)}
            ends = runner.run_together([step for step in call if isinstance(step, BuildPiece)], inputs, reporter)
            return {step: ends[step] for step in call}  # here, where one that is missing is a bug and no hang
        except MpbakeError as failure:
            error = failure
        except OSError as failure:
            error = system_error(failure, failure.filename or "the log")
        except Exception as bug:  # noqa: BLE001 - a worker that dies silently would hang the run
            words = f"mpbake itself failed: {type(bug).__name__}: {bug}"
            error = MpbakeError(words, hint="please report this as a bug")
        return dict.fromkeys(call, error)


def _is_disturbed(result: StepResult) -> bool:
    return isinstance(result.error, BatchFailed)


def _error_of(result: StepResult) -> MpbakeError:
    assert result.error is not None  # noqa: S101 - asked of results with an error
    return result.error


def _result(step: Step, end: Outcome | MpbakeError, seconds: float) -> StepResult:
    match end:
        case Outcome():
            return StepResult(step=step, status=StepStatus.DONE, seconds=end.seconds or seconds, outcome=end)
        case Cancelled():
            outcome = Outcome(moves=end.moves)
            return StepResult(step=step, status=StepStatus.CANCELLED, seconds=seconds, outcome=outcome)
        case _:
            outcome = Outcome(moves=end.moves)
            return StepResult(step=step, status=StepStatus.FAILED, seconds=seconds, outcome=outcome, error=end)


def _with_reason(result: StepResult) -> StepResult:
    """`result`, which is final; where a required node was lost, its error says that this is why."""
    node = _lost_node(result)
    if node is None or result.error is None or not node.required:
        return result
    return replace(result, error=required_node_error(result.error, node))


def _lost_node(result: StepResult) -> Node | None:
    """The node that `result` tells the loss of, if it does."""
    match result.step:
        case BootstrapNode(node=node):
            return node if isinstance(result.error, Unreachable) else None
        case BuildPiece(node=node) | CheckPiece(piece=BuildPiece(node=node)):
            return node if isinstance(result.error, NodeLost) else None
        case _:
            return None


def required_node_error(error: MpbakeError, node: Node) -> MpbakeError:
    """The error of a node without which nothing goes on, which says so."""
    return error.with_line(f"node {node.id} is required, so nothing is tried again")


def exit_code(results: Iterable[StepResult], signal: int = 0) -> int:
    """What the process returns: a signal first, then a wrong plan, then what is out of reach, then what failed.

    When others were built and one target's own build failed, that failure is what counts. It is 0 only when everything
    was done.
    """
    if signal:
        return 128 + signal
    results = tuple(results)
    pieces = [(each, each.step.target) for each in results if isinstance(each.step, BuildPiece)]
    failed = {target for each, target in pieces if each.error is not None and each.error.exit_code == 1}
    if failed and any(each.built and target not in failed for each, target in pieces):
        return 1
    undone = any(each.status is not StepStatus.DONE for each in results)
    return most_severe({each.error.exit_code for each in results if each.error is not None}) or int(undone)
