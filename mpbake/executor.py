"""The loop: what the schedule lets start is given to workers; what they report goes back to it and to the reporter."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.errors import Cancelled, MpbakeError
from mpbake.events import RunFinished, RunStarted, StepFinished, StepStarted, Warned
from mpbake.steps import BuildPiece, Outcome, StepResult, StepStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mpbake.events import Reporter
    from mpbake.graph import BuildGraph
    from mpbake.runner import StepRunner
    from mpbake.schedule import Schedule
    from mpbake.steps import Step

WORKERS = 32
"""Steps under way at once, all nodes together; each is a thread that waits for a process."""


class StopRequest:
    """Set once by whoever wants the run to end early, such as a signal handler."""

    def __init__(self) -> None:
        self.signal = 0
        self._actions: list[Callable[[], None]] = []

    def __call__(self, signal: int) -> None:
        """Ask for the end, because of signal number `signal`; every call does what `then` was told."""
        self.signal = self.signal or signal
        for action in self._actions:
            action()

    def then(self, action: Callable[[], None]) -> None:
        """Have `action` called whenever the end is asked for, also if it already was."""
        self._actions.append(action)
        if self.signal:
            action()


@dataclass(frozen=True, kw_only=True, slots=True)
class Executor:
    """Connects schedule, runner and reporter; decides nothing itself. `clock` gives seconds."""

    graph: BuildGraph
    schedule: Schedule
    runner: StepRunner
    reporter: Reporter
    clock: Callable[[], float]
    stop: StopRequest = field(default_factory=StopRequest)

    def execute(self) -> tuple[StepResult, ...]:
        """Run every step that can be run, and return a result for each, in the graph's order."""
        began = self.clock()
        self.reporter.handle(RunStarted(graph=self.graph))
        run = _Run(self)
        with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="step") as workers:
            while not self.schedule.finished:
                run.start_ready(workers)
                if self.schedule.running:
                    run.take(run.mailbox.get())
        results = tuple(run.results[step] for step in self.graph.steps)
        seconds = self.clock() - began
        self.reporter.handle(RunFinished(results=results, seconds=seconds, signal=self.stop.signal))
        return results


class _Run:
    """The results of one execution so far, and the mailbox through which workers deliver them."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self.results: dict[Step, StepResult] = {}
        self._told: set[str] = set()
        self.mailbox: queue.SimpleQueue[StepResult] = queue.SimpleQueue()

    def start_ready(self, workers: ThreadPoolExecutor) -> None:
        schedule = self._executor.schedule
        if self._executor.stop.signal:
            self._tell(StepResult(step=step, status=StepStatus.CANCELLED) for step in schedule.abandon())
            return
        for step in schedule.ready():
            schedule.start(step)
            self._executor.reporter.handle(StepStarted(step=step))
            workers.submit(self._work, step)

    def take(self, result: StepResult) -> None:
        self._tell([result])
        given_up = self._executor.schedule.finish(result.step, result.status)
        if result.status is StepStatus.CANCELLED:
            self._tell(StepResult(step=step, status=StepStatus.CANCELLED) for step in given_up)
        else:
            self._tell(StepResult(step=step, status=StepStatus.SKIPPED, blame=result.step) for step in given_up)

    def _tell(self, results: Iterable[StepResult]) -> None:
        for result in results:
            self.results[result.step] = result
            for message in result.outcome.warnings:
                if message not in self._told:  # every piece on a node finds what is wrong with the node
                    self._told.add(message)
                    self._executor.reporter.handle(Warned(message=message))
            self._executor.reporter.handle(StepFinished(result=result))

    def _work(self, step: Step) -> None:
        """In a worker thread: whatever happens, exactly one result is delivered."""
        executor = self._executor
        began = executor.clock()
        inputs = {each: self.results[each] for each in executor.graph.before[step]}
        status, outcome, error = StepStatus.DONE, Outcome(), None
        try:
            outcome = executor.runner.run(step, inputs, executor.reporter)
        except Cancelled:
            status = StepStatus.CANCELLED
        except MpbakeError as failure:
            status, error = StepStatus.FAILED, failure
        except OSError as failure:
            status = StepStatus.FAILED
            error = MpbakeError(f"{failure.filename or 'the log'}: {failure.strerror}", hint="is the disk full?")
        except Exception as bug:  # noqa: BLE001 - a worker that dies silently would hang the run
            status = StepStatus.FAILED
            error = MpbakeError(
                f"mpbake itself failed: {type(bug).__name__}: {bug}", hint="please report this as a bug"
            )
        seconds = executor.clock() - began
        self.mailbox.put(StepResult(step=step, status=status, seconds=seconds, outcome=outcome, error=error))


def exit_code(results: Iterable[StepResult], signal: int = 0) -> int:
    """What the process returns: a signal first, then a wrong plan, then what is out of reach, then what failed.

    When some targets were built and another one's own build failed, that failure is what counts.
    """
    if signal:
        return 128 + signal
    results = tuple(results)
    codes = {result.error.exit_code for result in results if result.error is not None}
    built = any(isinstance(each.step, BuildPiece) and each.status is StepStatus.DONE for each in results)
    if 1 in codes and built:
        return 1
    return next((code for code in (3, 5, 1) if code in codes), 0)
