"""The executor, with a scripted runner."""

from __future__ import annotations

import itertools
import queue
import signal
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeGuard

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpbake.base.errors import (
    BatchFailed,
    BuildFailed,
    Cancelled,
    LockHeld,
    MpbakeError,
    NodeLost,
    Unreachable,
    UsageError,
)
from mpbake.base.platforms import parse_platforms
from mpbake.base.tag_moves import TagMoves
from mpbake.graph.estimates import Estimates
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Outcome, Publish, StepResult, StepStatus, Verify
from mpbake.run.events import (
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    StepProgressed,
    StepRetried,
    StepStarted,
    Warned,
)
from mpbake.run.executor import Executor, StopRequest, _Execution, exit_code, required_node_error
from mpbake.run.schedule import Schedule
from tests.unit.graphs import graph_of_text, graphs, piece_of
from tests.unit.plans import text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.steps import Step
    from mpbake.run.events import Reporter

DONE, FAILED, SKIPPED, CANCELLED = StepStatus.DONE, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED

CHAIN = """
    [targets.a]
    tags = ["r/a:1", "s/a:1"]
    push = true
    [targets.b]
    needs = ["a"]
    [targets.c]
    """


class FakeRunner:
    """A runner that ends each step as `script` says for its key, or for the name of its target.

    An entry is an outcome, an error to raise, or a function to call.
    """

    def __init__(self, script: Mapping[str, Outcome | Exception | Callable[[], Outcome]] | None = None) -> None:
        self.script = script or {}
        self.inputs: dict[str, dict[str, StepStatus]] = {}
        self.calls: list[list[str]] = []
        self.cancelled = threading.Event()
        self.finished = False

    def run(self, step: Step, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        self.inputs[step.key] = {before.key: result.status for before, result in inputs.items()}
        reporter.handle(StepProgressed(step=step, activity="working"))
        end = self.script.get(step.key, self.script.get(name_of(step), Outcome()))
        if isinstance(end, Exception):
            raise end
        return end if isinstance(end, Outcome) else end()

    def run_together(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> dict[Step, Outcome | MpbakeError]:
        self.calls.append([piece.target.name for piece in pieces])
        outcomes: dict[Step, Outcome | MpbakeError] = {}
        for piece in pieces:
            try:
                outcomes[piece] = self.run(piece, inputs, reporter)
            except MpbakeError as error:
                outcomes[piece] = error
        failed = any(isinstance(outcome, BuildFailed) for outcome in outcomes.values())
        return {
            piece: BatchFailed("another failed") if failed and isinstance(outcome, Outcome) else outcome
            for piece, outcome in outcomes.items()
        }

    def finish(self) -> None:
        self.finished = True

    def cancel(self) -> None:
        self.cancelled.set()

    def until_cancelled(self) -> Outcome:
        assert self.cancelled.wait(timeout=60)
        raise Cancelled("cancelled")


class Recorder:
    """A reporter that records each event, both as an object and as a line."""

    def __init__(self, also: Callable[[Event], None] | None = None) -> None:
        self.events: list[Event] = []
        self.lines: list[str] = []
        self._also = also or (lambda _: None)

    def handle(self, event: Event) -> None:
        self.events.append(event)
        match event:
            case RunStarted():
                self.lines.append("run started")
            case StepStarted():
                self.lines.append(f"started {event.step.key}")
            case StepFinished():
                self.lines.append(result_line(event.result))
            case StepRetried():
                end = " for good" if event.node_failed else ""
                steps = (event.step, *event.others)
                self.lines += [f"put off {step.key}{end}: {event.error.message}" for step in steps]
            case Warned():
                self.lines.append(f"warning: {event.message}")
            case RunFinished():
                self.lines.append(f"run finished after {event.seconds:g}s, signal {event.signal}")
            case _:
                pass
        self._also(event)


def result_line(result: StepResult) -> str:
    blame = f" since {result.blocked_by.key}" if result.blocked_by is not None else ""
    error = f": {result.error}" if result.error is not None else ""
    return f"{result.status} {result.step.key}{blame}{error}"


def executed(
    graph: BuildGraph, runner: FakeRunner, reporter: Recorder, *, stop: StopRequest | None = None
) -> list[str]:
    """Return the results of an execution that builds one piece at a time. Its clock advances at each call."""
    schedule = Schedule(graph, {"default/local": 1})
    clock = map(float, itertools.count()).__next__
    results = Executor(
        graph=graph,
        schedule=schedule,
        runner=runner,
        reporter=reporter,
        clock=clock,
        began=clock(),
        stop=stop or StopRequest(),
    ).execute()
    places = [schedule.sort_key(result.step) for result in results]
    assert places == sorted(places), "in the graph's order"
    missing = {*graph.steps} - {schedule.origin(result.step) for result in results}
    assert all(isinstance(step, BootstrapNode) or is_shared(step) for step in missing), "only what nobody needed"
    (finished,) = (event for event in reporter.events if isinstance(event, RunFinished))
    assert finished.results == results
    assert finished is reporter.events[-1]
    return [result_line(result) for result in results]


# --- runs -------------------------------------------------------------------------------------------------------------


def test_steps_run_in_order_with_the_results_of_those_before_them() -> None:
    runner, reporter = FakeRunner(), Recorder()
    results = executed(graph_of_text(CHAIN.replace("[targets.c]", "")), runner, reporter)
    assert results == text("""
        done bootstrap default/local
        done build a native on default/local
        done publish a
        done verify a
        done build b native on default/local
        """).split("\n")
    assert reporter.lines == text("""
        run started
        started bootstrap default/local
        done bootstrap default/local
        started build a native on default/local
        done build a native on default/local
        started publish a
        done publish a
        started verify a
        done verify a
        started build b native on default/local
        done build b native on default/local
        run finished after 16s, signal 0
        """).split("\n")
    assert runner.inputs == {
        "bootstrap default/local": {},
        "build a native on default/local": {},
        "publish a": {"build a native on default/local": DONE},
        "verify a": {"publish a": DONE},
        "build b native on default/local": {"verify a": DONE},
    }


def test_a_run_of_nothing() -> None:
    reporter = Recorder()
    assert executed(graph_of_text(""), FakeRunner(), reporter) == []
    assert reporter.lines == ["run started", "run finished after 1s, signal 0"]


def test_a_run_ends_once_nothing_is_done_in_the_background() -> None:
    runner, finished = FakeRunner(), []

    def keep(event: Event) -> None:
        if isinstance(event, RunFinished):
            finished.append(runner.finished)

    executed(graph_of_text("[targets.a]"), runner, Recorder(keep))
    assert finished == [True]


def test_what_a_step_found_is_in_its_result_and_its_warnings_come_before_it() -> None:
    outcome = Outcome(digest="sha256:1", note="created", warnings=("slow", "old"))
    reporter = Recorder()
    graph = graph_of_text("[targets.a]")
    executed(graph, FakeRunner({"bootstrap default/local": outcome}), reporter)
    finished = reporter.events[-1]
    assert isinstance(finished, RunFinished)
    assert finished.results[0] == StepResult(step=graph.steps[0], status=DONE, seconds=1.0, outcome=outcome)
    assert reporter.lines[:5] == text("""
        run started
        started bootstrap default/local
        warning: slow
        warning: old
        done bootstrap default/local
        """).split("\n")


def test_a_failure_costs_only_what_waits_for_it() -> None:
    failure = Unreachable("the registry is down", hint="start it")
    runner = FakeRunner({"publish a": failure})
    assert executed(graph_of_text(CHAIN), runner, Recorder()) == [
        "done bootstrap default/local",
        "done build a native on default/local",
        "failed publish a: the registry is down\n  = start it",
        "skipped verify a since publish a",
        "skipped build b native on default/local since publish a",
        "done build c native on default/local",
    ]
    assert "verify a" not in runner.inputs


def test_a_node_that_cannot_be_had_takes_all_that_is_placed_on_it() -> None:
    graph = graph_of_text("""
        [targets.a]
        [targets.b]
        builder = "other"
        [builders.other]
        """)
    assert executed(graph, FakeRunner({"bootstrap default/local": Unreachable("gone")}), Recorder()) == [
        "failed bootstrap default/local: gone",
        "done bootstrap other/local",
        "skipped build a native on default/local since bootstrap default/local",
        "done build b native on other/local",
    ]


def test_a_bug_is_a_failure_that_asks_to_be_reported() -> None:
    assert executed(
        graph_of_text("[targets.a]"), FakeRunner({"bootstrap default/local": KeyError("x")}), Recorder()
    ) == [
        "failed bootstrap default/local: mpbake itself failed: KeyError: 'x'\n  = please report this as a bug",
        "skipped build a native on default/local since bootstrap default/local",
    ]


@pytest.mark.parametrize(("file", "place"), [("/logs/web.log", "/logs/web.log"), (None, "the log")])
def test_a_full_disk_is_no_bug(file: str | None, place: str) -> None:
    full = OSError(28, "No space left on device", file)
    assert executed(graph_of_text("[targets.a]"), FakeRunner({"bootstrap default/local": full}), Recorder())[0] == (
        f"failed bootstrap default/local: {place}: No space left on device\n  = free some disk space"
    )


@pytest.mark.parametrize("file", ["/logs/web.log", None])
def test_too_many_open_files_are_no_full_disk(file: str | None) -> None:
    full = OSError(24, "Too many open files", file)
    assert executed(graph_of_text("[targets.a]"), FakeRunner({"bootstrap default/local": full}), Recorder())[0] == (
        "failed bootstrap default/local: Too many open files\n"
        "  = raise the limit of this process (ulimit -n 4096), or lower `slots` to run fewer builds at once"
    )


def test_a_step_that_is_cancelled_is_no_failure_and_to_blame_for_nothing() -> None:
    runner = FakeRunner({"build a native on default/local": Cancelled("cancelled")})
    assert executed(graph_of_text(CHAIN), runner, Recorder()) == [
        "done bootstrap default/local",
        "cancelled build a native on default/local",
        "cancelled publish a",
        "cancelled verify a",
        "cancelled build b native on default/local",
        "done build c native on default/local",
    ]


@pytest.mark.parametrize("error", [BuildFailed("no"), Cancelled("cancelled")])
def test_what_became_of_tags_stays_with_the_result_of_their_step(error: MpbakeError) -> None:
    key, moves = "publish a", TagMoves(moved=("r/a:1",), unsure=("s/a:1",))
    reporter = Recorder()
    executed(graph_of_text(CHAIN), FakeRunner({key: error.with_moves(moves)}), reporter)
    ended = [event.result for event in reporter.events if isinstance(event, StepFinished)]
    assert next(result for result in ended if result.step.key == key).outcome.moves == moves


# --- retries ----------------------------------------------------------------------------------------------------------

POOL = """
    [targets.web]
    builder = "x"
    platforms = ["linux/amd64"]
    retries = 1
    [builders.x.nodes]
    a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
    b = { endpoint = "unix:///b", platforms = ["linux/amd64"] }
    """
"""Two targets on two equal nodes. The target web prefers a."""


def failing(times: int, error: MpbakeError) -> Callable[[], Outcome]:
    """Return a function that fails `times` times."""
    left = iter(range(times))

    def run() -> Outcome:
        if next(left, None) is None:
            return Outcome()
        raise error

    return run


def test_a_piece_whose_node_is_lost_is_done_on_an_equal_one() -> None:
    reporter = Recorder()
    runner = FakeRunner({"build web linux/amd64 on x/a": NodeLost("gone")})
    assert executed(graph_of_text(POOL), runner, reporter) == [
        "done bootstrap x/a",
        "done bootstrap x/b",
        "done build web linux/amd64 on x/b",
    ]
    assert "put off build web linux/amd64 on x/a: gone" in reporter.lines


def test_a_node_that_cannot_be_had_is_put_off_where_there_is_an_equal_one() -> None:
    reporter = Recorder()
    results = executed(graph_of_text(POOL), FakeRunner({"bootstrap x/a": Unreachable("no route")}), reporter)
    assert results == ["done bootstrap x/b", "done build web linux/amd64 on x/b"]
    assert "put off bootstrap x/a: no route" in reporter.lines


def test_a_base_that_was_built_for_itself_is_what_its_users_are_built_upon() -> None:
    """The targets that link to the base do not build it again on the same node."""
    plan = (
        POOL
        + """
    [targets._user]
    builder = "x"
    platforms = ["linux/amd64"]
    contexts = { base = "target:web" }
    [targets.pie]
    inherits = ["_user"]
    [targets.tart]
    inherits = ["_user"]
    """
    )
    runner = FakeRunner()
    assert executed(graph_of_text(plan), runner, Recorder()) == [
        "done bootstrap x/a",
        "done build web linux/amd64 on x/a",
        "done build pie linux/amd64 on x/a",
        "done build tart linux/amd64 on x/a",
    ]
    assert runner.inputs["build tart linux/amd64 on x/a"] == {"build web linux/amd64 on x/a": DONE}


OVERLAPPING = """
    [targets._t]
    builder = "x"
    [targets.web]
    inherits = ["_t"]
    platforms = ["linux/amd64"]
    [targets.pie]
    inherits = ["_t"]
    platforms = ["linux/arm64"]
    [targets.tart]
    inherits = ["_t"]
    platforms = ["linux/arm64"]
    [builders.x]
    driver = "remote"
    slots = 1
    nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
    nodes.b = { endpoint = "unix:///b", platforms = ["linux/amd64"] }
    """


def test_what_only_a_lost_node_could_build_has_failed_although_the_step_that_lost_it_goes_on() -> None:
    facts = {"x/a": "linux/amd64 linux/arm64", "x/b": "linux/amd64"}
    graph = graph_of_text(OVERLAPPING, facts=facts)
    reporter = Recorder()
    assert executed(graph, FakeRunner({"build web linux/amd64 on x/a": NodeLost("gone")}), reporter) == [
        "done bootstrap x/a",
        "done bootstrap x/b",
        "done build web linux/amd64 on x/b",
        "failed build pie linux/arm64 on x/a: gone",
        "skipped build tart linux/arm64 on x/a since build pie linux/arm64 on x/a",
    ]
    (finished,) = (event for event in reporter.events if isinstance(event, RunFinished))
    assert exit_code(finished.results) == 5


EMULATING = """
    [targets.web]
    builder = "x"
    platforms = ["linux/arm64"]
    [targets.pie]
    builder = "x"
    platforms = ["linux/arm64"]
    [builders.x]
    driver = "remote"
    emulation = "allow"
    nodes.arm = { endpoint = "unix:///arm", platforms = ["linux/arm64"] }
    nodes.intel = { endpoint = "unix:///intel", platforms = ["linux/amd64"] }
    """


@pytest.mark.parametrize(
    ("able", "results", "code"),
    [
        (
            "linux/amd64 linux/arm64",
            [
                "done bootstrap x/intel",
                "done build pie linux/arm64 on x/intel",
                "done build web linux/arm64 on x/intel",
            ],
            0,
        ),
        (
            "linux/amd64",
            [
                "done bootstrap x/intel",
                "failed build web linux/arm64 on x/arm: no route\nno remaining node can build it",
                "skipped build pie linux/arm64 on x/arm since build web linux/arm64 on x/arm",
            ],
            5,
        ),
        (
            "",
            [
                "failed bootstrap x/intel: no route there, either",
                "skipped build web linux/arm64 on x/arm since bootstrap x/intel",
                "skipped build pie linux/arm64 on x/arm since bootstrap x/intel",
            ],
            5,
        ),
    ],
)
def test_where_no_native_node_can_be_had_another_emulates_if_it_can(able: str, results: list[str], code: int) -> None:
    intel = Outcome(platforms=parse_platforms(able.split())) if able else Unreachable("no route there, either")
    runner = FakeRunner({"bootstrap x/arm": Unreachable("no route"), "bootstrap x/intel": intel})
    reporter = Recorder()
    assert sorted(executed(graph_of_text(EMULATING), runner, reporter)) == sorted(results)
    assert "put off bootstrap x/arm for good: no route" in reporter.lines
    (finished,) = (event for event in reporter.events if isinstance(event, RunFinished))
    assert exit_code(finished.results) == code


def test_what_no_node_that_is_left_can_build_says_what_to_do_about_the_one_that_could() -> None:
    script: dict[str, Outcome | Exception] = {
        "bootstrap x/arm": Unreachable("no route", hint="is it up?"),
        "bootstrap x/intel": Outcome(platforms=parse_platforms(["linux/amd64"])),
    }
    (why,) = (
        line
        for line in executed(graph_of_text(EMULATING), FakeRunner(script), Recorder())
        if line.startswith("failed build ")
    )
    assert why.partition(": ")[2] == "no route\nno remaining node can build it\n  = is it up?"


def test_what_there_is_no_node_for_since_one_was_stopped_was_stopped_too() -> None:
    runner = FakeRunner({"bootstrap x/arm": Unreachable("no route"), "bootstrap x/intel": Cancelled("cancelled")})
    results = executed(graph_of_text(EMULATING), runner, Recorder())
    assert {line.partition(" ")[0] for line in results} == {"cancelled"}


def test_a_wrong_node_is_an_error_although_others_go_on() -> None:
    results = executed(graph_of_text(POOL), FakeRunner({"bootstrap x/a": UsageError("foreign")}), Recorder())
    assert results == ["failed bootstrap x/a: foreign", "done bootstrap x/b", "done build web linux/amd64 on x/b"]


@pytest.mark.parametrize("error", [BuildFailed("no"), Unreachable("no")])
def test_a_failed_build_is_repeated_as_often_as_its_target_says(error: MpbakeError) -> None:
    key = "build web linux/amd64 on x/a"
    for times, ending in ((1, "done"), (2, "failed")):
        results = executed(graph_of_text(POOL), FakeRunner({key: failing(times, error)}), Recorder())
        assert [line.partition(" ")[0] for line in results] == ["done", ending]


CHECKED = POOL.replace("retries = 1", 'tags = ["r/web"]\n    push = true\n    checks = [{ run = ["true"] }]')


def test_a_check_whose_node_is_lost_is_done_again_and_the_piece_is_not() -> None:
    reporter = Recorder()
    script: dict[str, Outcome | Callable[[], Outcome]] = {
        "build web linux/amd64 on x/a": Outcome(uploaded="r/web@sha256:1"),
        "check web linux/amd64 (1)": failing(1, NodeLost("gone")),
    }
    runner = FakeRunner(script)
    assert executed(graph_of_text(CHECKED), runner, reporter) == [
        "done bootstrap x/a",
        "done bootstrap x/b",
        "done build web linux/amd64 on x/a",
        "done check web linux/amd64 (1)",
        "done publish web",
        "done verify web",
    ]
    assert "put off check web linux/amd64 (1): gone" in reporter.lines
    assert runner.inputs["publish web"] == {
        "build web linux/amd64 on x/a": DONE,
        "check web linux/amd64 (1)": DONE,
    }
    (places,) = ([event.step.piece.node.id for event in reporter.events if is_check_start(event)],)
    assert places == ["x/a", "x/b"]


def is_check_start(event: Event) -> TypeGuard[Any]:
    return isinstance(event, StepStarted) and isinstance(event.step, CheckPiece)


def test_a_check_that_fails_by_itself_is_not_done_again() -> None:
    plan = CHECKED.replace("tags", "retries = 3\n    tags")
    runner = FakeRunner({"check web linux/amd64 (1)": failing(1, BuildFailed("exit code: 1"))})
    assert executed(graph_of_text(plan), runner, Recorder())[2:] == [
        "failed check web linux/amd64 (1): exit code: 1",
        "skipped publish web since check web linux/amd64 (1)",
        "skipped verify web since check web linux/amd64 (1)",
    ]


def test_when_all_nodes_are_lost_the_run_ends() -> None:
    runner = FakeRunner({"bootstrap x/b": Unreachable("no"), "bootstrap x/a": Unreachable("no")})
    results = executed(graph_of_text(POOL), runner, Recorder())
    skipped, failed = sorted(results, reverse=True)
    assert failed == "failed bootstrap x/b: no", "the last that was left"
    assert skipped == "skipped build web linux/amd64 on x/a since bootstrap x/b"


NOT_RETRIED = "gone\nnode x/a has `required = true`, so mpbake does not retry"
REQUIRED = CHECKED.replace("a = { endpoint", "a = { required = true, endpoint", 1)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        ("bootstrap x/a", Unreachable("gone"), NOT_RETRIED),
        (
            "build web linux/amd64 on x/a",
            NodeLost("gone"),
            NOT_RETRIED,
        ),
        (
            "check web linux/amd64 (1)",
            NodeLost("gone"),
            NOT_RETRIED,
        ),
        ("bootstrap x/a", UsageError("foreign"), "foreign"),
        ("check web linux/amd64 (1)", BuildFailed("exit code: 1"), "exit code: 1"),
    ],
)
def test_an_error_says_that_the_node_which_was_lost_is_required(key: str, error: MpbakeError, message: str) -> None:
    reporter = Recorder()
    results = executed(graph_of_text(REQUIRED), FakeRunner({key: error}), reporter)
    assert f"failed {key}: {message}" in results
    assert not any(line.startswith("put off") for line in reporter.lines)


def test_the_error_of_a_required_node_stays_what_it_was() -> None:
    node = piece_of(graph_of_text(REQUIRED), "web").node
    error = required_node_error(NodeLost("gone", hint="is it up?").with_moves(TagMoves(moved=("r/web",))), node)
    assert (type(error), error.hint, error.moves) == (NodeLost, "is it up?", TagMoves(moved=("r/web",)))


def test_the_loss_of_another_node_than_the_required_one_is_no_more_than_that() -> None:
    lost = {key: Unreachable("gone") for key in ("bootstrap x/a", "bootstrap x/b")}
    results = executed(graph_of_text(POOL), FakeRunner(lost), Recorder())
    assert not any("required" in line for line in results)


# --- the outcomes for the schedule, and the waits of the executor -----------------------------------------------------


class OutcomeRecorder(Schedule):
    """A schedule that records the outcomes of the steps that have ended."""

    def finish(self, step: Step, status: StepStatus, outcome: Outcome | None = None) -> Any:
        self.outcomes = {**getattr(self, "outcomes", {}), step.key: outcome}
        return super().finish(step, status, outcome)


def test_what_a_step_has_found_out_is_told_to_the_schedule() -> None:
    amd64 = parse_platforms(["linux/amd64"])
    graph = graph_of_text("[targets.a]")
    schedule = OutcomeRecorder(graph)
    outcomes = {
        "bootstrap default/local": Outcome(slots=7, weight=3, platforms=amd64),
        "build a native on default/local": Outcome(uploaded="r/a@sha256:1"),
    }
    Executor(
        graph=graph, schedule=schedule, runner=FakeRunner(outcomes), reporter=Recorder(), clock=float, began=0.0
    ).execute()
    assert schedule.outcomes == outcomes


@pytest.mark.parametrize(
    ("running", "wakes_at", "seconds"),
    [
        (1, None, None),
        (0, None, 1.0),
        (1, 10.25, 0.25),
        (0, 10.25, 0.25),
        (1, 99.0, 1.0),
        (1, 9.0, 0.0),  # the deadline has passed meanwhile
    ],
)
def test_a_result_is_waited_for_until_something_may_be_started(
    running: int, wakes_at: float | None, seconds: float | None
) -> None:
    assert waits_of(SimpleNamespace(finished=False, running=running, wakes_at=wakes_at)) == [seconds]


def test_when_the_last_step_was_node_failed_nothing_is_waited_for() -> None:
    assert waits_of(SimpleNamespace(finished=True, running=0, wakes_at=None)) == []


def waits_of(schedule: Any) -> list[float | None]:
    """Return the seconds for which the executor waits for a result, at second 10."""
    waits: list[float | None] = []

    class Empty:
        def get(self, timeout: float | None) -> Any:
            waits.append(timeout)
            raise queue.Empty

    run = _Execution(
        Executor(
            graph=graph_of_text(""),
            schedule=schedule,
            runner=FakeRunner(),
            reporter=Recorder(),
            clock=lambda: 10.0,
            began=0.0,
        )
    )
    run._mailbox = Empty()  # type: ignore[assignment]
    run.take_next()
    return waits


# --- several pieces in one call ---------------------------------------------------------------------------------------

SHORT = """
    [targets.w]
    matrix = { n = [1, 2, 3] }
    name = "w{{ n }}"
    """


def in_calls(runner: FakeRunner, reporter: Recorder, stop: StopRequest | None = None) -> list[str]:
    """Run three short pieces on one node."""
    graph = graph_of_text(SHORT)
    recorded = {f"w{n}": {"native": [1.0]} for n in (1, 2, 3)}
    schedule = Schedule(graph, estimates=Estimates(recorded=recorded))
    clock = map(float, itertools.count()).__next__
    results = Executor(
        graph=graph,
        schedule=schedule,
        runner=runner,
        reporter=reporter,
        clock=clock,
        began=0.0,
        stop=stop or StopRequest(),
    ).execute()
    return [result_line(result) for result in results][1:]


def test_short_pieces_of_a_node_share_a_call() -> None:
    runner = FakeRunner()
    assert in_calls(runner, Recorder()) == [f"done build w{n} native on default/local" for n in (1, 2, 3)]
    assert runner.calls == [["w1", "w2", "w3"]]


def test_a_runner_that_forgets_a_piece_is_a_bug_and_hangs_nobody() -> None:
    class Forgetful(FakeRunner):
        def run_together(
            self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
        ) -> dict[Step, Outcome | MpbakeError]:
            return super().run_together(pieces[1:], inputs, reporter)

    results = in_calls(Forgetful(), Recorder())
    assert len(results) == 3
    assert all("mpbake itself failed: KeyError" in line for line in results)


def test_when_a_call_fails_the_others_share_another() -> None:
    runner, reporter = FakeRunner({"w2": BuildFailed("no")}), Recorder()
    assert in_calls(runner, reporter) == [
        "done build w1 native on default/local",
        "failed build w2 native on default/local: no",
        "done build w3 native on default/local",
    ]
    assert runner.calls == [["w1", "w2", "w3"], ["w1", "w3"]]
    assert [line for line in reporter.lines if line.startswith("put off")] == [
        "put off build w1 native on default/local: another failed",
        "put off build w3 native on default/local: another failed",
    ]


def test_when_a_call_fails_and_then_a_stop_request_comes_the_others_are_cancelled() -> None:
    stop = StopRequest()

    def failing() -> Outcome:
        stop(signal.SIGINT)
        raise BuildFailed("no")

    assert in_calls(FakeRunner({"w2": failing}), Recorder(), stop) == [
        "cancelled build w1 native on default/local",
        "failed build w2 native on default/local: no",
        "cancelled build w3 native on default/local",
    ]


# --- stops before the end ---------------------------------------------------------------------------------------------


def test_a_stop_request_ends_what_runs_and_starts_nothing_more() -> None:
    runner, stop = FakeRunner(), StopRequest()
    runner.script = {"build a native on default/local": runner.until_cancelled}
    stop.then(runner.cancel)

    def interrupt(event: Event) -> None:
        if isinstance(event, StepProgressed) and event.step.key == "build a native on default/local":
            stop(signal.SIGTERM)

    reporter = Recorder(also=interrupt)
    assert executed(graph_of_text(CHAIN), runner, reporter, stop=stop) == [
        "done bootstrap default/local",
        "cancelled build a native on default/local",
        "cancelled publish a",
        "cancelled verify a",
        "cancelled build b native on default/local",
        "cancelled build c native on default/local",
    ]
    assert reporter.lines[-1] == "run finished after 7s, signal 15"


def test_a_stop_request_before_the_start_starts_nothing() -> None:
    stop = StopRequest()
    stop(signal.SIGINT)
    reporter = Recorder()
    graph = graph_of_text(CHAIN)
    assert executed(graph, FakeRunner(), reporter, stop=stop) == [f"cancelled {step.key}" for step in graph.steps[1:]]
    assert not any(line.startswith("started") for line in reporter.lines)


def test_what_still_comes_to_its_end_after_a_stop_request_counts() -> None:
    stop = StopRequest()

    def interrupt(event: Event) -> None:
        if isinstance(event, StepProgressed):
            stop(signal.SIGHUP)

    assert executed(graph_of_text("[targets.a]"), FakeRunner(), Recorder(also=interrupt), stop=stop) == [
        "done bootstrap default/local",
        "cancelled build a native on default/local",
    ]


def test_what_is_lost_after_a_stop_request_is_not_put_off() -> None:
    stop = StopRequest()

    def lost() -> Outcome:
        stop(signal.SIGINT)
        raise NodeLost("gone")

    reporter = Recorder()
    runner = FakeRunner({"build web linux/amd64 on x/a": lost})
    results = executed(graph_of_text(POOL), runner, reporter, stop=stop)
    assert "failed build web linux/amd64 on x/a: gone" in results
    assert not any(line.startswith("put off") for line in reporter.lines)


def test_the_first_signal_counts_and_each_is_acted_upon() -> None:
    stop, calls = StopRequest(), list[str]()
    stop.then(lambda: calls.append("one"))
    assert (stop.signal, calls) == (0, [])
    stop(signal.SIGTERM)
    stop(signal.SIGINT)
    assert (stop.signal, calls) == (signal.SIGTERM, ["one", "one"])
    stop.then(lambda: calls.append("late"))
    assert calls == ["one", "one", "late"], "an action that is added late is called at once"


def test_a_signal_while_an_action_is_noted_calls_it_once() -> None:
    """Two calls would count as a second Ctrl-C, which kills the running processes."""
    stop, calls = StopRequest(), list[str]()

    class Interrupted(list[Any]):
        def append(self, action: Any) -> None:
            super().append(action)
            stop(signal.SIGINT)

    stop._actions = Interrupted()
    stop.then(lambda: calls.append("one"))
    assert calls == ["one"]
    stop(signal.SIGINT)
    assert calls == ["one", "one"]


# --- any graph --------------------------------------------------------------------------------------------------------

ENDINGS: list[Outcome | Exception] = [
    Outcome(),
    Outcome(),
    Outcome(),
    BuildFailed("no"),
    Cancelled("stop"),
    ValueError("bug"),
]


@settings(max_examples=50)
@given(graphs(), st.data())
def test_every_step_of_any_run_has_one_result(graph: BuildGraph, data: st.DataObject) -> None:
    endings = {step.target.name: data.draw(st.sampled_from(ENDINGS)) for step in graph.steps if has_target(step)}
    runner, reporter = FakeRunner(endings), Recorder()
    executed(graph, runner, reporter)
    finished = [event.result for event in reporter.events if isinstance(event, StepFinished)]
    assert len({result.step for result in finished}) == len(finished)
    (names,) = (
        [result.step.target.name for result in finished if has_target(result.step) and not is_shared(result.step)],
    )
    assert sorted(names) == sorted(step.target.name for step in graph.steps if has_target(step) and not is_shared(step))
    started = {event.step for event in reporter.events if isinstance(event, StepStarted)}
    events = [event for event in reporter.events if isinstance(event, StepRetried)]
    put_off = {step for event in events for step in (event.step, *event.others)}
    ended = {result.step for result in finished if result.status not in {SKIPPED, CANCELLED}}
    assert ended <= started
    for result in finished:
        if result.step in started - put_off - ended:
            assert isinstance(endings.get(name_of(result.step)), Cancelled) or _was_in_a_batch(result)
    assert started - put_off <= {result.step for result in finished}
    for inputs in runner.inputs.values():
        assert set(inputs.values()) <= {DONE}


def _was_in_a_batch(result: StepResult) -> bool:
    """Return whether a skipped piece began in the same call as its dependency, which failed."""
    return result.status is SKIPPED and isinstance(result.step, BuildPiece)


def has_target(step: Step) -> TypeGuard[BuildPiece | Publish | Verify]:
    return not isinstance(step, BootstrapNode)


def is_shared(step: Step) -> bool:
    return isinstance(step, BuildPiece) and step.shared


def name_of(step: Step) -> str:
    return step.target.name if has_target(step) else ""


# --- exit codes -------------------------------------------------------------------------------------------------------


def results_of(*errors: MpbakeError | None, kind: type[Step] = BuildPiece) -> list[StepResult]:
    """Return a result for each error: steps of one kind, each of its own target. None means success."""
    plan = "".join(
        f"""
    [targets.t{number}]
    tags = ["r/t:{number}", "s/t:{number}"]
    push = true
    checks = [{{ run = ["true"] }}]
    """
        for number in range(len(errors))
    )
    steps = (step for step in graph_of_text(plan).steps if isinstance(step, kind))
    paired = zip(steps, errors, strict=True)
    return [StepResult(step=step, status=FAILED if error else DONE, error=error) for step, error in paired]


FAILURE, GONE, WRONG, LOCKED = BuildFailed(""), Unreachable(""), UsageError(""), LockHeld("")


@pytest.mark.parametrize(
    ("errors", "code"),
    [
        ((), 0),
        ((None, None), 0),
        ((FAILURE,), 1),
        ((MpbakeError("mpbake itself failed"),), 1),
        ((GONE,), 5),
        ((WRONG,), 3),
        ((GONE, WRONG), 3),
        ((FAILURE, GONE), 5),
        ((FAILURE, GONE, WRONG), 3),
        # other targets were built, and the build of one target itself failed
        ((None, FAILURE), 1),
        ((None, FAILURE, GONE), 1),
        ((None, FAILURE, GONE, WRONG), 1),
        ((None, GONE), 5),
        ((None, GONE, WRONG), 3),
    ],
)
def test_exit_codes(errors: tuple[MpbakeError | None, ...], code: int) -> None:
    assert exit_code(results_of(*errors)) == code
    assert exit_code(iter(results_of(*errors))) == code
    assert exit_code(results_of(*errors), signal.SIGINT) == 130


@pytest.mark.parametrize("kind", [CheckPiece, Publish, Verify])
def test_only_a_build_that_failed_counts_more_than_what_is_wrong_or_does_not_answer(kind: type[Step]) -> None:
    built = results_of(None, None, None)
    for errors, code in (((FAILURE, GONE), 5), ((FAILURE, WRONG), 3), ((FAILURE, None), 1)):
        assert exit_code([*built, *results_of(*errors, kind=kind)]) == code


def test_a_target_of_which_one_piece_failed_is_no_other_that_was_built() -> None:
    (built,) = results_of(None)
    failed = StepResult(step=built.step, status=FAILED, error=FAILURE)
    (gone,) = results_of(GONE)
    assert exit_code([built, failed, gone]) == 5


def test_a_node_that_was_made_ready_is_nothing_built() -> None:
    assert exit_code([*results_of(None, kind=BootstrapNode), *results_of(FAILURE, GONE)]) == 5


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_the_exit_code(number: int, code: int) -> None:
    assert exit_code((), number) == code


def test_what_was_not_started_or_cancelled_counts_where_nothing_says_more() -> None:
    step = graph_of_text(CHAIN).steps[1]
    for status in (SKIPPED, CANCELLED):
        assert exit_code([StepResult(step=step, status=DONE), StepResult(step=step, status=status)]) == 1
        assert exit_code([StepResult(step=step, status=status), *results_of(GONE)]) == 5
