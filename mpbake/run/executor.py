"""Execute a build graph: workers run the steps that the schedule starts, and their results go back to the schedule."""

from __future__ import annotations

import contextlib
import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, assert_never

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
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    JoinArchives,
    Outcome,
    Publish,
    StepResult,
    StepStatus,
    Verify,
)
from mpbake.run.events import RunFinished, RunStarted, StepFinished, StepRetried, StepStarted, Warned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node
    from mpbake.model.steps import Step
    from mpbake.run.events import Event, Reporter
    from mpbake.run.schedule import Schedule, StartedSteps
    from mpbake.run.step_runner import StepRunner

WORKERS = 256
"""The maximum number of parallel calls on all nodes. Each call is a thread that waits for a process."""
_LONGEST_WAIT = 1.0
"""While a run only waits for a lost node, it checks for a stop request after this many seconds."""


class StopRequest:
    """A request to end the run early, for example by a signal handler. The request cannot be withdrawn."""

    def __init__(self) -> None:
        self.signal = 0
        self._actions: list[Callable[[], None]] = []
        self._called: list[Callable[[], None]] = []

    def __call__(self, signal: int) -> None:
        """Request the end of the run because of signal number `signal`. Each request calls all actions."""
        self.signal = self.signal or signal
        for action in self._actions:
            self._called.append(action)
            action()

    def then(self, action: Callable[[], None]) -> None:
        """Call `action` at each request to stop. If a request was made before, call it immediately as well."""
        self._actions.append(action)
        if self.signal and action not in self._called:  # a signal may just have called `action`
            action()


@dataclass(frozen=True, kw_only=True, slots=True)
class Executor:
    """Connects schedule, runner and reporter. The executor itself decides only which errors allow a retry.

    `clock` returns seconds; `began` is when the command began. At most `workers` calls run at once; further calls wait.
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
        """Run every step that can run, and return the results in the graph's order; see `RunFinished`."""
        self.reporter.handle(RunStarted(graph=self.graph))
        execution = _Execution(self)
        with ThreadPoolExecutor(max_workers=self.workers, thread_name_prefix="step") as workers:
            while not self.schedule.finished:
                execution.start_ready(workers)
                execution.take_next()
        self.runner.finish()
        results = tuple(sorted(execution.results.values(), key=lambda result: self.schedule.sort_key(result.step)))
        seconds = self.clock() - self.began
        self.reporter.handle(RunFinished(results=results, seconds=seconds, signal=self.stop.signal))
        return results


class _Execution:
    """The results of one execution so far, and the mailbox to which workers deliver results."""

    def __init__(self, executor: Executor) -> None:
        self._schedule = executor.schedule
        self._runner = executor.runner
        self._reporter = executor.reporter
        self._clock = executor.clock
        self._stop = executor.stop
        self.results: dict[Step, StepResult] = {}
        self._mailbox: queue.SimpleQueue[list[StepResult]] = queue.SimpleQueue()
        self._losses: dict[str, MpbakeError] = {}

    # --- start ------------------------------------------------------------------------------------------------------

    def start_ready(self, workers: ThreadPoolExecutor) -> None:
        """Start the steps that can start now, or cancel all steps that have not started after a stop request."""
        if self._stop.signal:
            self._record(StepResult(step=step, status=StepStatus.CANCELLED) for step in self._schedule.cancel())
            return
        for call in self._schedule.start(self._clock()):
            for step in call:
                self._report(StepStarted(step=step))
            dependencies = dict.fromkeys(other for step in call for other in self._schedule.dependencies(step))
            inputs = {other: self.results[other] for other in dependencies if other in self.results}
            workers.submit(self._work, call, inputs)

    def _work(self, call: StartedSteps, inputs: Mapping[Step, StepResult]) -> None:
        """Run `call` in a worker thread; even after a bug, deliver exactly one result for each step of the call."""
        began = self._clock()
        outcomes = self._outcomes(call, inputs)
        seconds = (self._clock() - began) / len(call)
        self._mailbox.put([_result(step, outcomes[step], seconds) for step in call])

    def _outcomes(self, call: StartedSteps, inputs: Mapping[Step, StepResult]) -> Mapping[Step, Outcome | MpbakeError]:
        """Run `call`, and return the outcome or the error of each step."""
        error: MpbakeError
        try:
            if len(call) == 1:
                return {call[0]: self._runner.run(call[0], inputs, self._reporter)}
            pieces = [step for step in call if isinstance(step, BuildPiece)]
            outcomes = self._runner.run_together(pieces, inputs, self._reporter)
            return {
                step: outcomes[step] for step in call
            }  # a missing outcome is a bug, and is reported here: otherwise the run would hang
        except MpbakeError as failure:
            error = failure
        except OSError as failure:
            error = system_error(failure, failure.filename or "the log")
        except Exception as bug:  # noqa: BLE001 - a worker that dies silently would hang the run
            message = f"mpbake itself failed: {type(bug).__name__}: {bug}"
            error = MpbakeError(message, hint="please report this as a bug")
        return dict.fromkeys(call, error)

    # --- end --------------------------------------------------------------------------------------------------------

    def take_next(self) -> None:
        """Wait for the next results and take them, or wait until the schedule may start a step (`wakes_at`)."""
        schedule = self._schedule
        if schedule.finished:
            return
        wait = None if schedule.running else _LONGEST_WAIT
        if schedule.wakes_at is not None:
            wait = min(max(schedule.wakes_at - self._clock(), 0.0), _LONGEST_WAIT)
        with contextlib.suppress(queue.Empty):
            self._take_all(self._mailbox.get(timeout=wait))

    def _take_all(self, results: Sequence[StepResult]) -> None:
        """Take the results of a call. One event reports all pieces that are retried after another piece failed.

        Such pieces are handled first. If a dependency failed in the same call, the piece is skipped. After a stop
        request, the pieces are cancelled, because they did not fail themselves.
        """
        retried: list[StepResult] = []
        for result in filter(_is_batch_failure, results):
            skipped = self._skipped(result)
            if skipped is None and self._stop.signal:
                self._take(replace(result, status=StepStatus.CANCELLED, error=None))
            elif skipped is None and self._retry(result.step, _error_of(result)):
                retried.append(result)
            else:
                self._take(skipped or result)
        if retried:
            first, *others = retried
            steps = tuple(result.step for result in others)
            self._report(StepRetried(step=first.step, error=_error_of(first), others=steps))
        for result in results:
            if not _is_batch_failure(result):
                self._take(result)

    def _skipped(self, result: StepResult) -> StepResult | None:
        """Return a SKIPPED result if a linked target of the piece failed in the same batch; otherwise None."""
        failed = self._schedule.failed_dependency(result.step) if isinstance(result.step, BuildPiece) else None
        return StepResult(step=result.step, status=StepStatus.SKIPPED, blocked_by=failed) if failed else None

    def _take(self, result: StepResult) -> None:
        error = result.error
        if error is not None and (node := _lost_node(result)):
            self._losses[node.id] = error
        retried = error is not None and not self._stop.signal and self._retry(result.step, error)
        if error is not None and retried:
            node_failed = self._schedule.node_failed(result.step)
            self._report(StepRetried(step=result.step, error=error, node_failed=node_failed))
        else:
            result = _with_required_node(result)
            self._record([result])
            self._record_unstarted(self._schedule.finish(result.step, result.status, result.outcome), result)
        self._take_unstartable(result, retried=retried)

    def _retry(self, step: Step, error: MpbakeError) -> bool:
        """Retry `step` if `error` allows it, and return whether it is retried.

        A lost node may come back or have an equal node, and a build may be repeated. A check that fails by itself has
        found a fault and is not retried. Steps that use no node are not retried, either.
        """
        match step:
            case BootstrapNode():
                allowed, lost = isinstance(error, Unreachable), True
            case BuildPiece():
                if isinstance(error, BatchFailed):
                    return self._schedule.retry_after_batch(step, alone=error.alone)
                allowed, lost = isinstance(error, BuildFailed | Unreachable), isinstance(error, NodeLost)
            case CheckPiece():
                allowed, lost = isinstance(error, Unreachable), isinstance(error, NodeLost)
            case JoinArchives() | Publish() | Verify():
                return False
            case _:
                assert_never(step)
        return allowed and self._schedule.retry(step, self._clock(), lost=lost)

    def _take_unstartable(self, cause: StepResult, *, retried: bool) -> None:
        """Record the steps that can never start, because no node is left for them.

        If `cause` is retried elsewhere, or is done (its node works, but cannot emulate the work of lost nodes), `cause`
        is not the failure to report. In this case, the first of the steps that can never start fails, and the other
        steps are skipped because of this failure.
        """
        steps = self._schedule.take_unstartable_steps()
        if steps and (retried or cause.status is StepStatus.DONE):
            error = cause.error or self._no_node_error(steps[0])
            cause = StepResult(step=steps[0], status=StepStatus.FAILED, error=error)
            self._record([cause])
            steps = steps[1:]
        self._record_unstarted(steps, cause)

    def _no_node_error(self, step: Step) -> MpbakeError:
        """Return why no node is left for `step`: one of its own nodes was lost, and no other node can build it."""
        lost = next((self._losses[node.id] for node in _nodes_of(step) if node.id in self._losses), None)
        lines = [lost.message] if lost else []
        return Unreachable("\n".join([*lines, "no remaining node can build it"]), hint=lost.hint if lost else "")

    # --- results ----------------------------------------------------------------------------------------------------

    def _record_unstarted(self, steps: Iterable[Step], cause: StepResult) -> None:
        """Record that `steps` never start because of `cause`."""
        if cause.status is StepStatus.CANCELLED:
            self._record(StepResult(step=step, status=StepStatus.CANCELLED) for step in steps)
        else:
            self._record(StepResult(step=step, status=StepStatus.SKIPPED, blocked_by=cause.step) for step in steps)

    def _record(self, results: Iterable[StepResult]) -> None:
        for result in results:
            self.results[result.step] = result
            for message in result.outcome.warnings:
                self._report(Warned(message=message))
            self._report(StepFinished(result=result))

    def _report(self, event: Event) -> None:
        self._reporter.handle(event)


def _is_batch_failure(result: StepResult) -> bool:
    return isinstance(result.error, BatchFailed)


def _error_of(result: StepResult) -> MpbakeError:
    assert result.error is not None  # noqa: S101 - callers pass results with an error
    return result.error


def _result(step: Step, outcome: Outcome | MpbakeError, seconds: float) -> StepResult:
    match outcome:
        case Outcome():
            return StepResult(step=step, status=StepStatus.DONE, seconds=outcome.seconds or seconds, outcome=outcome)
        case Cancelled(moves=moves):
            return StepResult(step=step, status=StepStatus.CANCELLED, seconds=seconds, outcome=Outcome(moves=moves))
        case error:
            status, moved = StepStatus.FAILED, Outcome(moves=error.moves)
            return StepResult(step=step, status=status, seconds=seconds, outcome=moved, error=error)


def _nodes_of(step: Step) -> tuple[Node, ...]:
    """Return the nodes that may run `step`, without spare nodes."""
    match step:
        case BootstrapNode():
            return (step.node,)
        case BuildPiece():
            return step.nodes
        case CheckPiece():
            return step.piece.nodes
        case JoinArchives() | Publish() | Verify():
            return ()
        case _:
            assert_never(step)


def _lost_node(result: StepResult) -> Node | None:
    """Return the node whose loss `result` reports, or None."""
    step = result.step
    match step:
        case BootstrapNode():
            return step.node if isinstance(result.error, Unreachable) else None
        case BuildPiece():
            return step.node if isinstance(result.error, NodeLost) else None
        case CheckPiece():
            return step.piece.node if isinstance(result.error, NodeLost) else None
        case JoinArchives() | Publish() | Verify():
            return None
        case _:
            assert_never(step)


def _with_required_node(result: StepResult) -> StepResult:
    """Return the final `result`.

    If a required node was lost, extend its error by the reason why mpbake does not retry.
    """
    node = _lost_node(result)
    if node is None or result.error is None or not node.required:
        return result
    return replace(result, error=required_node_error(result.error, node))


def required_node_error(error: MpbakeError, node: Node) -> MpbakeError:
    """Return `error` with an additional line: `node` is required."""
    return error.with_line(f"node {node.id} has `required = true`, so mpbake does not retry")


def exit_code(results: Iterable[StepResult], signal: int = 0) -> int:
    """Return the exit code of a run. A signal comes first, then a wrong plan, an unreachable node, a failed build.

    If a target's own build failed and other targets were built, the failed build comes first. The code is 0 only if
    every step is done.
    """
    if signal:
        return 128 + signal
    results = tuple(results)
    pieces = [(result, result.step.target) for result in results if isinstance(result.step, BuildPiece)]
    failed = {target for result, target in pieces if result.error is not None and result.error.exit_code == 1}
    if failed and any(result.built and target not in failed for result, target in pieces):
        return 1
    undone = any(result.status is not StepStatus.DONE for result in results)
    return most_severe({result.error.exit_code for result in results if result.error is not None}) or int(undone)
