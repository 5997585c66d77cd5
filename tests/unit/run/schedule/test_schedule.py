"""The schedule: when it starts steps, and on which nodes."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpbake.base.platforms import parse_platform
from mpbake.graph.estimates import Estimates
from mpbake.model.steps import BootstrapNode, BuildPiece, CheckPiece, Execution, Outcome, Publish, StepStatus
from mpbake.run.schedule import Schedule as Real
from mpbake.run.schedule.batches import SHORT_BUILD
from mpbake.run.schedule.fleet import FIRST_BACKOFF, MAX_LOSSES
from mpbake.run.schedule.ready_steps import REGISTRY_STEPS
from mpbake.run.schedule.scheduled_node import MAX_BATCH_SIZE, MAX_CALLS, USUAL_CALLS, NodeStatus
from tests.unit.graphs import PLATFORMS, TWO_NODES, graph_of_text, graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node
    from mpbake.model.steps import Step

DONE, FAILED, SKIPPED, CANCELLED = StepStatus

CHAIN = """
    [targets.a]
    platforms = ["linux/amd64"]
    tags = ["r/a:1", "s/a:1"]
    push = true
    [targets.b]
    needs = ["a"]
    [targets.c]
    """


class Schedule(Real):
    """A schedule that returns single steps. `calls` holds the calls with several steps that it started last."""

    calls: list[list[str]]

    def start(self, now: float = 0.0) -> list[Step]:  # type: ignore[override]
        started = super().start(now)
        if started:
            self.calls = [[shown(step) for step in call] for call in started if len(call) > 1]
        return [step for call in started for step in call]


class Run:
    """A schedule with its running steps.

    Tests name a step by the start of its key. Bootstraps succeed by themselves.
    """

    def __init__(self, toml: str, *names: str, seconds: dict[str, list[float]] | None = None, **slots: int) -> None:
        self.graph = graph = graph_of_text(toml, *names)
        recorded = {name: {"linux/amd64": durations} for name, durations in (seconds or {}).items()}
        self.schedule = Schedule(graph, {f"x/{node}": n for node, n in slots.items()}, Estimates(recorded=recorded))
        self.now = 0.0
        self.reports: tuple[Platform, ...] = ()
        self.dead: set[str] = set()

    def start(self) -> list[str]:
        """Return the steps that start now, such as `web on a`, without bootstraps.

        Bootstraps fail on `dead` nodes only.
        """
        started: list[Step] = []
        while new := self.schedule.start(self.now):
            started += new
            for step in new:
                if isinstance(step, BootstrapNode) and step.node.id not in self.dead:
                    self.schedule.finish(step, DONE, Outcome(platforms=self.reports))
                elif isinstance(step, BootstrapNode) and not self.schedule.retry(step, self.now, lost=True):
                    self.schedule.finish(step, FAILED)
        return [shown(step) for step in started if not isinstance(step, BootstrapNode)]

    def step(self, name: str) -> Step:
        return next(step for step in self.schedule.running if shown(step).startswith(name))

    def end(self, name: str, status: StepStatus = DONE, *, uploaded: bool = False) -> list[str]:
        """End a step, and return the steps that start after it."""
        self.schedule.finish(self.step(name), status, outcome_of(uploaded=uploaded))
        return self.start()

    def lose(self, name: str) -> bool:
        """Lose the node of a step, and return whether the step is retried."""
        return self.schedule.retry(self.step(name), self.now, lost=True)


def outcome_of(platforms: tuple[Platform, ...] = (), *, uploaded: bool) -> Outcome:
    return Outcome(platforms=platforms, uploaded="r/t@sha256:1" if uploaded else "")


def shown(step: Step) -> str:
    if isinstance(step, BuildPiece):
        (node,) = step.nodes
        return f"{step.target.name}{' (shared)' if step.shared else ''} on {node.name}"
    if isinstance(step, CheckPiece):
        (node,) = step.piece.nodes
        return f"check {step.target.name} on {node.name}{', once lost' if step.lost else ''}"
    return step.key


def keys(steps: Iterable[Step]) -> list[str]:
    return [step.key for step in steps]


def test_steps_start_when_all_before_them_are_done() -> None:
    graph = graph_of_text(CHAIN)
    bootstrap, build_a, publish_a, verify_a, build_b, build_c = graph.steps
    schedule = Schedule(graph)
    assert schedule.start() == [bootstrap]
    assert schedule.start() == []
    assert schedule.running == (bootstrap,)
    assert schedule.finish(bootstrap, DONE) == ()
    assert schedule.start() == [build_a, build_c]
    for step, following in ((build_a, publish_a), (publish_a, verify_a), (verify_a, build_b)):
        assert schedule.finish(step, DONE) == ()
        assert schedule.start() == [following]
    assert not schedule.finished
    for step in (build_b, build_c):
        schedule.finish(step, DONE)
    assert schedule.finished
    assert schedule.running == ()
    assert schedule.dependencies(build_b) == (verify_a,)


def test_nothing_to_do_is_finished_at_once() -> None:
    schedule = Schedule(graph_of_text(""))
    assert schedule.finished
    assert schedule.start() == []
    assert schedule.cancel() == ()
    assert schedule.wakes_at is None


def booted(graph: BuildGraph, **settings: Any) -> Schedule:
    """Return a schedule whose first bootstrap is done."""
    schedule = Schedule(graph, **settings)
    (bootstrap,) = schedule.start()
    schedule.finish(bootstrap, DONE)
    return schedule


def test_a_failure_skips_all_that_waits_for_it_and_nothing_else() -> None:
    graph = graph_of_text(CHAIN)
    _, build_a, publish_a, verify_a, build_b, build_c = graph.steps
    schedule = booted(graph)
    assert schedule.start() == [build_a, build_c]
    assert schedule.finish(build_a, FAILED) == (publish_a, verify_a, build_b)
    assert schedule.finish(build_c, DONE) == ()
    assert schedule.finished


def test_what_waits_for_two_is_skipped_once() -> None:
    graph = graph_of_text('[targets.a]\n[targets.b]\n[targets.c]\nneeds = ["a", "b"]\n[targets.d]\nneeds = ["b"]')
    _, build_a, build_b, build_c, build_d = graph.steps
    schedule = booted(graph)
    schedule.start()
    assert schedule.finish(build_a, FAILED) == (build_c,)
    assert schedule.finish(build_b, DONE) == ()
    assert schedule.start() == [build_d], "and not c, although all before it are over"


def test_a_cancelled_bootstrap_takes_the_others_along() -> None:
    graph = graph_of_text(CHAIN)
    schedule = Schedule(graph)
    (bootstrap,) = schedule.start()
    assert schedule.finish(bootstrap, CANCELLED) == ()
    assert schedule.take_unstartable_steps() == graph.steps[1:]
    assert schedule.take_unstartable_steps() == ()
    assert schedule.finished


def test_abandoning_leaves_only_what_runs() -> None:
    graph = graph_of_text(CHAIN)
    _, build_a, publish_a, verify_a, build_b, build_c = graph.steps
    schedule = booted(graph, slots={"default/local": 1})
    assert schedule.start() == [build_a]
    assert schedule.cancel() == (publish_a, verify_a, build_b, build_c)
    assert schedule.start() == []
    assert schedule.cancel() == ()
    assert not schedule.finished
    assert schedule.finish(build_a, DONE) == ()
    assert schedule.start() == []
    assert schedule.finished


# --- room on nodes ----------------------------------------------------------------------------------------------------

CROWD = """
    [targets.w]
    matrix = { n = [1, 2, 3, 4, 5, 6, 7, 8] }
    name = "w{{ n }}"
    builder = "release"
    platforms = ["linux/{{ 'amd64' if n < 7 else 'arm64' }}"]
    """ + TWO_NODES.replace("\n", "\n    ")


def crowd(slots: dict[str, int] | None = None, toml: str = CROWD) -> Schedule:
    """Return a schedule with six ready pieces on one node and two ready pieces on another."""
    schedule = Schedule(graph_of_text(toml), slots)
    for step in schedule.start():
        schedule.finish(step, DONE, Outcome(slots=3))
    return schedule


def started(schedule: Schedule) -> list[str]:
    return [key.split()[1] for key in keys(schedule.start())]


def end(schedule: Schedule, name: str, status: StepStatus = DONE) -> None:
    schedule.finish(next(step for step in schedule.running if step.key.startswith(f"build {name} ")), status)


def test_a_node_builds_so_many_pieces_at_once() -> None:
    schedule = crowd({"release/intel": 4, "release/arm": 4})
    assert started(schedule) == ["w1", "w2", "w3", "w4", "w7", "w8"]
    assert started(schedule) == []
    end(schedule, "w2")
    assert started(schedule) == ["w5"]
    end(schedule, "w7", FAILED)
    assert started(schedule) == [], "room on another node helps nobody here"
    end(schedule, "w1", FAILED)
    assert started(schedule) == ["w6"]


def test_what_the_plan_says_of_a_node_counts_more_than_what_it_says_itself() -> None:
    assert started(crowd()) == ["w1", "w2", "w3", "w7", "w8"]
    assert started(crowd({"release/intel": 1, "release/arm": 9})) == ["w1", "w7", "w8"]
    assert started(crowd(toml=CROWD.replace("nodes.intel = {", "nodes.intel = { slots = 2,"))) == [
        "w1",
        "w2",
        "w7",
        "w8",
    ]


def test_other_steps_need_no_room() -> None:
    graph = graph_of_text("""
        [targets.w]
        matrix = { n = [1, 2, 3] }
        name = "w{{ n }}"
        platforms = ["linux/amd64"]
        tags = ["r/w{{ n }}", "s/w{{ n }}"]
        push = true
        """)
    schedule = booted(graph, slots={"default/local": 1})
    assert keys(schedule.start()) == ["build w1 linux/amd64 on default/local"]
    end(schedule, "w1")
    assert keys(schedule.start()) == ["publish w1", "build w2 linux/amd64 on default/local"]


def test_so_many_targets_are_published_or_verified_at_a_time() -> None:
    numbers = list(range(1, 2 * REGISTRY_STEPS + 1))
    schedule = booted(
        graph_of_text(f"""
        [targets.w]
        matrix = {{ n = {numbers} }}
        name = "w{{{{ n }}}}"
        tags = ["r/w{{{{ n }}}}", "s/w{{{{ n }}}}"]
        push = true
        [targets.later]
        needs = ["w{numbers[-1]}"]
        """)
    )
    for step in schedule.start():
        schedule.finish(step, DONE)
    first = schedule.start()
    assert keys(first) == [f"publish w{n}" for n in [*numbers[: REGISTRY_STEPS - 1], numbers[-1]]], "later waits for it"
    assert schedule.start() == []
    schedule.finish(first[0], DONE)
    assert len(schedule.start()) == 1


def test_the_longest_way_starts_first() -> None:
    plan = """
        [targets._t]
        platforms = ["linux/amd64"]
        builder = "x"
        [targets.short]
        inherits = ["_t"]
        [targets.long]
        inherits = ["_t"]
        [targets.first]
        inherits = ["_t"]
        [targets.last]
        inherits = ["_t"]
        needs = ["first"]
        [builders.x]
        driver = "remote"
        nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"], slots = 1 }
        """
    run = Run(plan, seconds={"short": [1], "long": [50], "first": [10], "last": [45]})
    order = run.start()
    while run.schedule.running:
        order += run.end(order[-1])
    assert order == ["first on a", "long on a", "last on a", "short on a"]
    assert Run(plan).start() == ["first on a"], "nothing is known: the longer chain"


# --- equal nodes ------------------------------------------------------------------------------------------------------

POOL = """
    [targets._t]
    builder = "x"
    platforms = ["linux/amd64"]
    [targets.pie]
    inherits = ["_t"]
    matrix = { n = [1, 2, 3, 4, 5, 6] }
    name = "pie{{ n }}"
    [builders.x]
    driver = "remote"
    slots = 1
    nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
    nodes.b = { endpoint = "unix:///b", platforms = ["linux/amd64"] }
    nodes.c = { endpoint = "unix:///c", platforms = ["linux/amd64"] }
    """
PREFERENCES = {"pie1": "a", "pie2": "a", "pie3": "a", "pie4": "c", "pie5": "b", "pie6": "a"}
"""The preferred node of each target of `POOL`."""


def test_a_piece_that_goes_back_to_its_node_has_moved_nowhere_yet() -> None:
    run = Run(POOL.replace("nodes.c", "#"), "pie1", "pie5")
    assert run.start() == ["pie1 on a", "pie5 on b"]
    for number in (1, 2):
        assert run.lose("pie1"), "b was never tried"
        run.now = 100.0 * number
        assert run.start() == ["pie1 on a"]
    assert run.end("pie5") == []
    assert run.lose("pie1")
    assert run.start() == ["pie1 on b"]
    assert not run.lose("pie1"), "both were tried"


def test_nobody_is_made_ready_for_a_piece_that_waits_for_another_node() -> None:
    run = Run(POOL, "pie1", "pie2", seconds={"pie1": [10], "pie2": [30, 5, 5]})
    assert [step.key for step in run.schedule.start()] == ["bootstrap x/a"]


def test_the_preferences_are_these() -> None:
    graph = graph_of_text(POOL)
    assert {piece.target.name: piece.node.name for piece in graph.steps if isinstance(piece, BuildPiece)} == PREFERENCES


def test_a_piece_goes_to_its_preferred_node_as_long_as_that_has_room() -> None:
    assert Run(POOL, "pie1", "pie4", "pie5").start() == ["pie1 on a", "pie4 on c", "pie5 on b"]
    assert Run(POOL, "pie1", "pie2", "pie3", a=3).start() == ["pie1 on a", "pie2 on a", "pie3 on a"]


def test_without_a_record_nothing_is_worth_waiting_for() -> None:
    assert Run(POOL, "pie1", "pie2", "pie3").start() == ["pie1 on a", "pie2 on b", "pie3 on c"]


def test_the_nodes_of_what_waits_are_made_ready_at_the_same_time() -> None:
    """All pieces prefer the first node, and it is unknown how long this node will be busy."""
    boots = Schedule(graph_of_text(POOL, "pie1", "pie2", "pie3")).start()
    assert keys(boots) == ["bootstrap x/a", "bootstrap x/b", "bootstrap x/c"]


def test_of_equally_urgent_pieces_a_node_takes_one_that_prefers_it() -> None:
    run = Run(POOL, "pie1", "pie2", "pie3", "pie4", "pie5", "pie6")
    assert run.start() == ["pie1 on a", "pie5 on b", "pie4 on c"]
    assert run.end("pie5") == ["pie2 on b"]


def test_a_piece_waits_for_its_node_where_the_cache_saves_more_than_that_costs() -> None:
    run = Run(POOL, "pie1", "pie2", seconds={"pie1": [10], "pie2": [30, 5, 5]})
    assert run.start() == ["pie1 on a"], "25 are saved, 10 waited for"
    run = Run(POOL, "pie1", "pie2", seconds={"pie1": [100], "pie2": [30, 5, 5]})
    assert run.start() == ["pie1 on a", "pie2 on b"]
    run = Run(POOL, "pie1", "pie2", seconds={"pie1": [20], "pie2": [30, 5, 5]})
    assert run.start() == ["pie1 on a"], "25 are saved, 20 waited for"
    assert run.schedule.wakes_at == 5
    run.now = 15.0
    assert run.start() == []
    run.now = 50.0
    assert run.start() == ["pie2 on b"], "pie1 is 30 seconds late, and nobody knows how long it will take yet"
    assert run.schedule.wakes_at is None, "nothing waits any more: its executor would look again and again"
    run = Run(POOL, "pie1", "pie2", seconds={"pie1": [25], "pie2": [30, 5, 5]})
    assert run.start() == ["pie1 on a"], "25 are saved, and waited for"


def test_a_piece_that_waits_for_its_node_is_not_thought_about_again_once_it_is_abandoned() -> None:
    run = Run(POOL, "pie1", "pie2", seconds={"pie1": [20], "pie2": [30, 5, 5]})
    run.start()
    assert keys(run.schedule.cancel()) == ["build pie2 linux/amd64 on x/a"]
    assert run.schedule.wakes_at is None


def test_those_that_wait_count_who_waits_before_them() -> None:
    run = Run(
        POOL,
        "pie1",
        "pie2",
        "pie3",
        "pie6",
        seconds={name: [20.0, 12.0, 12.0] for name in ("pie1", "pie2", "pie3", "pie6")},
    )
    assert run.start() == ["pie1 on a", "pie2 on b", "pie3 on c"], "8 are saved, 12 would be waited for"
    seconds = {name: [40.0, 12.0, 12.0] for name in ("pie1", "pie2", "pie3", "pie6")}
    assert Run(POOL, "pie1", "pie2", "pie3", "pie6", seconds=seconds).start() == ["pie1 on a", "pie6 on b"]


BASE = (
    POOL
    + """
    [targets.stem]
    inherits = ["_t"]
    [targets.u]
    inherits = ["_t"]
    matrix = { n = [1, 2, 3, 4, 5, 6] }
    name = "u{{ n }}"
    contexts = { base = "target:stem" }
    """
)


def test_targets_that_link_to_a_base_prefer_its_node() -> None:
    graph = graph_of_text(BASE, "stem", "u*")
    assert len({piece.node for piece in graph.steps if isinstance(piece, BuildPiece)}) == 1


def test_waiting_for_the_node_of_a_base_is_weighed_against_building_it_again() -> None:
    run = Run(BASE, "stem", "u1", "u2", seconds={"stem": [60, 60], "u1": [30, 30], "u2": [20, 20]})
    run.start()
    assert run.end("stem") == ["u1 on c"]


def test_a_common_base_is_built_on_each_node_that_is_used_once_and_drags_nobody_along() -> None:
    run = Run(BASE, "u*", a=2, b=2, c=2)
    first = run.start()
    assert sorted(first) == ["stem (shared) on a", "stem (shared) on b", "stem (shared) on c"]
    assert run.end(first[0]) == ["u1 on c", "u2 on c"]
    assert run.end("stem (shared) on a") == ["u3 on a", "u5 on a"]
    assert run.end("stem (shared) on b") == ["u4 on b", "u6 on b"]
    for number in range(1, 7):
        assert run.end(f"u{number}") == []
    assert run.schedule.finished


def test_a_base_with_a_piece_of_its_own_is_built_again_only_on_other_nodes() -> None:
    run = Run(BASE, "stem", "u1", "u2", seconds={"stem": [10, 10], "u1": [60, 60], "u2": [50, 50]})
    assert run.start() == ["stem on c"]
    assert run.end("stem") == ["u1 on c", "stem (shared) on a"]
    assert run.end("stem (shared)") == ["u2 on a"]
    piece = run.step("u2")
    assert [shown(step) for step in run.schedule.dependencies(piece)] == ["stem on c", "stem (shared) on a"]


def test_users_wait_for_the_base_of_their_own_platform() -> None:
    run = Run(
        """
        [builders.x.nodes.a]
        platforms = ["linux/amd64", "linux/arm64"]
        [targets.base]
        platforms = ["linux/amd64", "linux/arm64"]
        args = { P = "{{ platform }}" }
        [targets.user]
        builder = "x"
        name = "user-{{ arch }}-{{ n }}"
        platforms = ["linux/{{ arch }}"]
        contexts = { base = "target:base" }
        matrix = { arch = ["amd64", "arm64"], n = ["1", "2"] }
        """,
        "user-*",
        a=8,
    )
    assert run.start() == ["base (shared) on a", "base (shared) on a"]
    assert run.end("base") == ["user-amd64-1 on a", "user-amd64-2 on a"]
    assert run.end("base") == ["user-arm64-1 on a", "user-arm64-2 on a"]


def test_a_base_that_fails_takes_its_users_along_and_nobody_else() -> None:
    run = Run(BASE, "u1", "u2", "pie1")
    assert run.start() == ["stem (shared) on c", "pie1 on a", "stem (shared) on b"]
    skipped = run.schedule.finish(run.step("stem (shared) on c"), FAILED)
    assert [step.key.split()[1] for step in skipped] == ["u1", "u2"]
    assert run.end("stem (shared) on b") == []
    assert run.end("pie1") == []
    assert run.schedule.finished


def test_a_base_that_fails_on_one_node_leaves_a_user_alone_that_is_built_on_another() -> None:
    run = Run(BASE, "u1", "u2", "pie1")
    assert run.start() == ["stem (shared) on c", "pie1 on a", "stem (shared) on b"]
    assert run.end("stem (shared) on c") == ["u1 on c"]
    skipped = run.schedule.finish(run.step("stem (shared) on b"), FAILED)
    assert [step.key.split()[1] for step in skipped] == ["u2"]
    assert not run.schedule.finished
    assert run.end("pie1") == []
    assert run.end("u1") == []
    assert run.schedule.finished


def test_a_node_that_has_room_only_for_those_that_wait_for_a_base_is_given_nobody_else() -> None:
    later = """
    [targets.user]
    inherits = ["_t"]
    contexts = { base = "target:stem" }
    needs = ["pie5"]
    [targets.pie7]
    inherits = ["_t"]
    needs = ["pie5"]
    """
    run = Run(BASE + later, "u1", "pie1", "user", "pie7", a=2)
    assert sorted(run.start()) == ["pie1 on a", "pie5 on b", "stem (shared) on c"]
    assert run.lose("stem")
    assert run.start() == ["stem (shared) on a"]
    assert run.end("pie5") == ["pie7 on b"], "which prefers a, but that is full"
    assert run.end("stem") == ["u1 on a"]


def test_others_do_not_wait_behind_those_that_wait_for_a_base() -> None:
    plan = BASE.replace("nodes.b", "#").replace("nodes.c", "#").replace("slots = 1", "slots = 2")
    run = Run(plan, "u1", "u2", "u3", "pie1")
    assert run.start() == ["stem (shared) on a", "pie1 on a"]
    assert run.end("stem") == ["u1 on a"]
    assert run.end("pie1") == ["u2 on a"]


# --- emulation --------------------------------------------------------------------------------------------------------

MIXED = """
    [targets.w]
    matrix = { n = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] }
    name = "w{{ n }}"
    builder = "x"
    platforms = ["linux/arm64"]
    [targets.tool]
    builder = "x"
    platforms = ["linux/amd64"]
    [builders.x]
    driver = "remote"
    emulation = "allow"
    slots = 1
    nodes.arm = { endpoint = "unix:///arm", platforms = ["linux/arm64"] }
    nodes.intel = { endpoint = "unix:///intel", platforms = ["linux/amd64"] }
    """


def mixed(
    known: float | None, toml: str = MIXED, *, reports: str = "linux/amd64 linux/arm64", number: int = 10
) -> list[str]:
    """Return the steps that a run starts when both nodes are up and the Intel node is free again.

    The run has `number` pieces, which took `known` seconds each in an earlier run.
    """
    toml = toml.replace("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", str(list(range(1, number + 1))))
    seconds = {f"w{n}": {"linux/arm64": [known] * 2} for n in range(1, number + 1)} if known else {}
    run = Run(toml)
    run.schedule = Schedule(run.graph, estimates=Estimates(recorded=seconds))
    platforms = tuple(map(parse_platform, reports.split()))
    for step in run.schedule.start():
        run.schedule.finish(step, DONE, Outcome(platforms=platforms))
    started = run.start()
    return [*started, *run.end("tool")]


def dead(
    toml: str = MIXED,
    *names: str,
    known: float | None = None,
    retries: int = 0,
    reports: str = "linux/amd64 linux/arm64",
) -> Run:
    """Return a run whose ARM node is unreachable at first. Its Intel node reports its platforms if it was probed."""
    toml = toml.replace('builder = "x"', f'builder = "x"\n    retries = {retries}')
    seconds = {name: {"linux/arm64": [known] * 2} for name in names} if known else {}
    run = Run(toml, *names)
    run.schedule = Schedule(run.graph, estimates=Estimates(recorded=seconds))
    run.reports = tuple(map(parse_platform, reports.split()))
    run.dead = {"x/arm"}
    return run


@pytest.mark.parametrize("names", [("w1",), ("w1", "tool")])
@pytest.mark.parametrize(("known", "retries"), [(None, 0), (None, 4), (10.0, 0)])
def test_what_no_node_runs_natively_any_more_is_emulated(
    names: tuple[str, ...], known: float | None, retries: int
) -> None:
    run = dead(MIXED, *names, known=known, retries=retries)
    assert sorted(run.start()) == (["tool on intel"] if "tool" in names else ["w1 on intel"])
    if "tool" in names:
        assert run.end("tool") == ["w1 on intel"]
    assert run.now == 0.0
    assert run.schedule.take_unstartable_steps() == ()
    assert run.end("w1") == []
    assert run.schedule.finished


def test_a_node_that_may_be_back_before_an_emulation_would_be_done_is_waited_for() -> None:
    run = dead(MIXED, "w1", known=1.5, retries=4)
    assert run.start() == []
    times = []
    while not run.schedule.running:
        run.now = run.schedule.wakes_at or 0.0
        times.append(run.now)
        run.start()
    assert times == [2.0, 6.0, 14.0], "then 16 seconds are longer than the 9 that are lost"
    assert run.end("w1 on intel") == []
    assert run.schedule.finished


def test_what_neither_its_own_node_nor_another_can_build_is_given_up() -> None:
    run = dead(MIXED, "w1", "w2", "tool", reports="linux/amd64")
    assert run.start() == ["tool on intel"]
    assert [step.key.split()[1] for step in run.schedule.take_unstartable_steps()] == ["w1", "w2"]
    assert run.end("tool") == []
    assert run.schedule.finished


def test_what_is_emulated_is_given_up_with_the_last_node_that_does() -> None:
    run = dead(MIXED, "w1", "w2")
    assert run.start() == ["w1 on intel"]
    assert not run.lose("w1"), "no node is left"
    run.schedule.finish(run.step("w1"), FAILED)
    assert [step.key.split()[1] for step in run.schedule.take_unstartable_steps()] == ["w2"]
    assert run.schedule.finished


def test_a_node_that_is_to_stand_in_is_tried_again_too() -> None:
    schedule = dead(MIXED, "w1", retries=1).schedule
    for now, back in ((0.0, FIRST_BACKOFF), (1.5, FIRST_BACKOFF), (FIRST_BACKOFF, 1.5 + FIRST_BACKOFF)):
        (bootstrap,) = schedule.start(now)
        assert schedule.retry(bootstrap, now, lost=True)
        assert schedule.wakes_at == back
    assert keys(schedule.start(1.5 + FIRST_BACKOFF)) == ["bootstrap x/intel"]


TWO_SPARES = MIXED + '    nodes.other = { endpoint = "unix:///other", platforms = ["linux/amd64"] }\n'


def test_of_the_nodes_that_may_stand_in_one_is_asked_at_a_time() -> None:
    schedule = dead(TWO_SPARES, "w1").schedule
    (bootstrap,) = schedule.start()
    assert schedule.retry(bootstrap, lost=True)
    assert keys(schedule.start()) == ["bootstrap x/intel"]
    assert schedule.start() == []


def test_what_was_emulated_on_a_required_node_is_lost_with_it() -> None:
    run = dead(TWO_SPARES.replace("nodes.intel = {", "nodes.intel = { required = true,"), "w1", "tool", retries=3)
    assert sorted(run.start()) == ["tool on other", "w1 on intel"]
    assert not run.lose("w1"), "although another could do it"
    assert run.end("w1", FAILED) == []


def test_a_node_may_be_lost_as_often_as_its_own_pieces_may_be_tried_whatever_it_emulates() -> None:
    plan = MIXED.replace("[targets.tool]", "[targets.tool]\n    retries = 1")
    run = Run(plan, "w1", "tool")
    run.start()
    assert run.lose("tool")
    assert run.start() == []
    run.now = FIRST_BACKOFF
    assert run.start() == ["tool on intel"]


UPON = f"""{MIXED}
    [targets.stem]
    builder = "x"
    platforms = ["STEM"]
    [targets.u]
    builder = "x"
    platforms = ["linux/arm64"]
    matrix = {{ n = [1, 2] }}
    name = "u{{{{ n }}}}"
    contexts = {{ base = "target:stem" }}
    """
"""Two targets that link to the same base."""


def test_a_node_stands_in_only_where_it_can_build_the_base_too() -> None:
    run = dead(UPON.replace("STEM", "linux/amd64"), "u1", "u2", reports="linux/arm64")
    assert run.start() == []
    assert [step.key.split()[1] for step in run.schedule.take_unstartable_steps()] == ["u1", "u2"]
    assert run.schedule.finished


def test_what_a_required_node_was_to_build_is_not_emulated() -> None:
    run = dead(MIXED.replace("nodes.arm = {", "nodes.arm = { required = true,"), "w1", retries=4)
    (bootstrap,) = run.schedule.start()
    assert not run.schedule.retry(bootstrap, lost=True)
    run.schedule.finish(bootstrap, FAILED)
    assert [step.key.split()[1] for step in run.schedule.take_unstartable_steps()] == ["w1"]
    assert run.schedule.finished


def test_what_is_emulated_has_its_base_built_there_too() -> None:
    run = dead(UPON.replace("STEM", "linux/arm64"), "u1", "u2")
    assert run.start() == ["stem (shared) on intel"]
    assert run.end("stem") == ["u1 on intel"]
    assert run.end("u1") == ["u2 on intel"]
    assert run.end("u2") == []
    assert run.schedule.finished


def test_a_free_node_emulates_when_those_that_run_it_natively_are_busy_for_long() -> None:
    assert mixed(10.0) == ["w1 on arm", "tool on intel", "w10 on intel"], "70 seconds emulated, 100 in line"
    assert mixed(10.0, number=8) == ["w1 on arm", "tool on intel", "w8 on intel"], "70 seconds emulated, 80 in line"
    assert mixed(10.0, number=7) == ["w1 on arm", "tool on intel"], "70 seconds either way"


def test_nobody_emulates_without_records_or_leave_or_ability() -> None:
    assert mixed(None) == ["w1 on arm", "tool on intel"]
    assert mixed(10.0, MIXED.replace('"allow"', '"warn"')) == ["w1 on arm", "tool on intel"]
    assert mixed(10.0, reports="linux/amd64") == ["w1 on arm", "tool on intel"]


def test_what_is_emulated_says_so() -> None:
    graph = graph_of_text(MIXED)
    piece = next(step for step in graph.steps if isinstance(step, BuildPiece) and step.spare)
    (spare,) = piece.spare
    assert [placed.execution for placed in piece.on(spare).platforms] == [Execution.EMULATED]
    assert [placed.execution for placed in piece.on(piece.node).platforms] == [Execution.NATIVE]


# --- short pieces -----------------------------------------------------------------------------------------------------

MANY = """
    [targets.w]
    matrix = { n = NUMBERS }
    name = "w{{ n }}"
    builder = "x"
    platforms = ["linux/amd64"]
    [builders.x]
    driver = "remote"
    nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
    """.replace("NUMBERS", str(list(range(1, 24))))


def calls_of(seconds: dict[str, list[float]], toml: str = MANY) -> list[list[str]]:
    """Return the calls with several pieces that a run starts first."""
    run = Run(toml, seconds=seconds, a=2)
    (bootstrap,) = run.schedule.start()
    run.schedule.finish(bootstrap, DONE)
    run.schedule.start()
    return [[name.partition(" ")[0] for name in call] for call in run.schedule.calls]


def test_short_pieces_of_a_node_share_a_call_which_takes_one_slot() -> None:
    short = {f"w{n}": [9.0, SHORT_BUILD] for n in range(1, 24)}
    assert calls_of(short) == [[f"w{n}" for n in range(1, MAX_BATCH_SIZE + 1)], ["w21", "w22", "w23"]]


def test_where_the_plan_gives_the_slots_each_piece_of_a_call_takes_one() -> None:
    plan = MANY.replace('driver = "remote"', 'driver = "remote"\n    slots = 3')
    run = Run(plan, seconds={f"w{n}": [1.0] for n in range(1, 24)})
    assert run.start() == ["w1 on a", "w2 on a", "w3 on a"]
    assert run.end("w1") == ["w4 on a"]
    run.schedule.finish(run.step("w2"), DONE)
    assert run.end("w3") == ["w5 on a", "w6 on a"]


def test_the_pieces_of_a_call_are_expected_to_end_in_half_the_time_that_each_may_take() -> None:
    limited = MANY.replace("\n    builder", '\n    timeout = "10s"\n    builder', 1)
    short = {f"w{n}": [2.0] for n in range(1, 24)}
    assert calls_of(short, limited) == [["w1", "w2"], ["w3", "w4"]]
    assert calls_of({**short, "w1": [5.0]}, limited) == [["w2", "w3"]]
    assert calls_of({f"w{n}": [2.5] for n in range(1, 24)}, limited) == [["w1", "w2"], ["w3", "w4"]]


def test_long_pieces_and_those_that_are_not_known_stay_alone() -> None:
    assert calls_of({f"w{n}": [SHORT_BUILD + 0.1] for n in range(1, 24)}) == []
    assert calls_of({}) == []
    assert calls_of({"w1": [30.0], "w2": [0.3], "w7": [0.2]}) == []


def test_pieces_with_other_deadlines_or_platforms_stay_apart() -> None:
    short = {f"w{n}": [1.0] for n in range(1, 24)}
    timeout = '\n    timeout = "{{ n }}m"\n    builder'
    assert calls_of(short, MANY.replace("\n    builder", timeout, 1)) == []


SHARING = BASE.replace("slots = 1", "")
"""Nodes without slots in the plan. On such nodes, short pieces share a call."""


def test_a_piece_whose_base_is_not_built_yet_joins_no_call() -> None:
    run = Run(SHARING, "u1", "u2", "pie4", seconds={"u1": [1.0], "u2": [1.0], "pie4": [3.0]}, c=2)
    assert run.start() == ["pie4 on c", "stem (shared) on c"]
    assert run.end("stem") == ["u1 on c", "u2 on c"]


def test_a_call_is_expected_to_take_as_long_as_the_longest_of_its_pieces() -> None:
    later = """
    [targets.pie7]
    inherits = ["_t"]
    needs = ["pie5"]
    """
    seconds = {"pie1": [1.0], "pie2": [5.0], "pie7": [32.0, 30.0, 30.0]}
    run = Run(SHARING + later, "pie1", "pie2", "pie7", seconds=seconds, a=1, b=1, c=1)
    assert sorted(run.start()) == ["pie1 on a", "pie2 on a", "pie5 on b"]
    assert run.end("pie5") == ["pie7 on b"], "2 are saved, 5 would be waited for"


@pytest.mark.parametrize("slots", [{}, {"a": 1}])
@pytest.mark.parametrize("alone", [False, True])
def test_pieces_that_failed_since_another_did_are_built_again(slots: dict[str, int], *, alone: bool) -> None:
    run = Run(MANY, "w1", "w2", "w3", seconds={"w1": [1.0], "w2": [1.0], "w3": [1.0]}, **slots)
    assert run.start() == ["w1 on a", "w2 on a", "w3 on a"]
    for name in ("w1", "w3"):
        run.schedule.retry_after_batch(run.step(name), alone=alone)  # type: ignore[arg-type]
    run.schedule.finish(run.step("w2"), FAILED)
    assert run.start() == (["w1 on a"] if alone and slots else ["w1 on a", "w3 on a"])
    assert run.schedule.calls == ([] if alone else [["w1 on a", "w3 on a"]])
    for name in ("w1", "w3"):
        run.end(name)
    assert run.schedule.finished


# --- nodes without slots ----------------------------------------------------------------------------------------------


class Unlimited(Run):
    """A run whose nodes have no slots."""

    def calls(self) -> list[list[str]]:
        """Return the names of the pieces in each call that starts when the nodes are up."""
        for step in self.schedule.start(self.now):
            if isinstance(step, BootstrapNode):
                self.schedule.finish(step, DONE)
        calls = Real.start(self.schedule, self.now)
        return [[shown(step).partition(" on ")[0] for step in call] for call in calls]


def calls_without_slots(
    toml: str = MANY, *names: str, seconds: Mapping[str, float] = MappingProxyType({})
) -> list[list[str]]:
    """Return the first calls on a node without slots. `seconds` are the last durations of the pieces."""
    return Unlimited(toml, *names, seconds={name: [duration] for name, duration in seconds.items()}).calls()


W = [f"w{n}" for n in range(1, 24)]


def test_a_node_without_slots_is_given_all_that_is_ready() -> None:
    assert calls_without_slots() == [W[:MAX_BATCH_SIZE], W[MAX_BATCH_SIZE:]]
    assert calls_without_slots(seconds=dict.fromkeys(W, 1.0)) == [W[:MAX_BATCH_SIZE], W[MAX_BATCH_SIZE:]]


def test_long_pieces_have_calls_of_their_own_as_long_as_these_are_few() -> None:
    names = [f"w{n}" for n in range(1, MAX_CALLS + 2)]
    assert calls_without_slots(MANY, *names[:-1], seconds=dict.fromkeys(names, 99.0)) == [[name] for name in names[:-1]]
    size = -(-len(names) // USUAL_CALLS)
    assert [len(call) for call in calls_without_slots(MANY, *names, seconds=dict.fromkeys(names, 99.0))] == [
        size
    ] * USUAL_CALLS


def test_pieces_of_other_lengths_do_not_share_a_call() -> None:
    calls = calls_without_slots(MANY, "w1", "w2", "w3", "w4", "w5", seconds={"w1": 1.0, "w2": 60.0, "w4": 2.0})
    assert sorted(calls) == [["w2"], ["w3", "w5"], ["w4", "w1"]]


NEEDING = """
    [targets.dep]
    matrix = { n = [1, 2] }
    name = "dep{{ n }}"
    builder = "x"
    platforms = ["linux/amd64"]
    needs = ["w{{ n }}"]
    """


def test_what_others_wait_for_is_not_delayed_by_what_nobody_waits_for() -> None:
    names = ("w1", "w2", "w3", "w4", "dep1", "dep2")
    assert sorted(calls_without_slots(NEEDING + MANY, *names)) == [["w1"], ["w2"], ["w3", "w4"]]
    short = dict.fromkeys(W, 1.0)
    (call,) = calls_without_slots(NEEDING + MANY, *names, seconds=short)
    assert sorted(call) == ["w1", "w2", "w3", "w4"], "it is over soon"
    one = NEEDING.replace('needs = ["w{{ n }}"]', 'needs = ["w1", "w2"]')
    assert sorted(calls_without_slots(one + MANY, *names)) == [["w1", "w2"], ["w3", "w4"]]


def test_a_node_without_slots_works_on_a_limited_number_of_pieces_and_calls() -> None:
    plan = MANY.replace(str(list(range(1, 24))), str(list(range(1, 101))))
    run = Unlimited(plan)
    assert [len(call) for call in run.calls()] == [MAX_BATCH_SIZE] * USUAL_CALLS
    first = [*run.schedule.running]
    assert run.start() == []
    for step in first[:MAX_BATCH_SIZE]:
        run.schedule.finish(step, DONE)
    assert len(run.start()) == MAX_BATCH_SIZE
    assert len(run.schedule.calls) == 1


def test_what_becomes_ready_while_a_node_is_busy_is_not_held_back() -> None:
    run = Unlimited(NEEDING + MANY, "w1", "w2", "w3", "dep1", "dep2")
    assert sorted(run.start()) == ["w1 on a", "w2 on a", "w3 on a"]
    assert run.end("w1") == ["dep1 on a"]


def test_pieces_with_other_deadlines_share_no_call_on_a_node_without_slots() -> None:
    timeout = '\n    timeout = "{{ n }}m"\n    builder'
    calls = calls_without_slots(MANY.replace("\n    builder", timeout, 1), "w1", "w2", "w3")
    assert sorted(calls) == [["w1"], ["w2"], ["w3"]]


SPLIT = """
    [targets._t]
    builder = "x"
    [targets.both]
    inherits = ["_t"]
    matrix = { n = [1, 2, 3] }
    name = "both{{ n }}"
    platforms = ["linux/amd64", "linux/arm64"]
    [targets.one]
    inherits = ["_t"]
    matrix = { n = [1, 2, 3] }
    name = "one{{ n }}"
    platforms = ["linux/amd64"]
    [builders.x]
    driver = "remote"
    nodes.a = { endpoint = "tcp://a:1", platforms = ["linux/amd64"], tls = { ca = "ca.crt" } }
    nodes.b = { endpoint = "tcp://b:1", platforms = ["linux/arm64"], tls = { ca = "ca.crt" } }
    """
ONE, BOTH = ["one1", "one2", "one3"], ["both1", "both2", "both3"]


@pytest.mark.parametrize("seconds", [None, 1.0])
def test_only_pieces_of_split_targets_share_the_call_that_waits_for_the_nodes_of_their_siblings(
    seconds: float | None,
) -> None:
    recorded = {name: [seconds] for name in (*ONE, *BOTH)} if seconds else {}
    assert sorted(sorted(call) for call in Unlimited(SPLIT, seconds=recorded).calls()) == [BOTH, BOTH, ONE]


def test_split_targets_share_the_calls_of_their_nodes() -> None:
    plan = SPLIT.replace("[1, 2, 3]", str(list(range(1, 21))))
    names = [f"both{n}" for n in range(1, 21)]
    assert [sorted(call) for call in Unlimited(plan, "both*").calls()] == [sorted(names)] * 2


def test_short_pieces_share_no_call_with_those_of_split_targets_on_a_node_with_slots() -> None:
    recorded = {name: [1.0] for name in (*ONE, *BOTH)}
    run = Run(SPLIT, seconds=recorded, a=2, b=1)
    run.start()
    assert all(len({name[:3] for name in call}) == 1 for call in run.schedule.calls)


def test_pieces_of_other_platforms_share_a_call_where_they_link_to_nothing() -> None:
    plan = """
    [targets.w]
    matrix = { arch = ["amd64", "arm64"], n = [1, 2] }
    name = "w-{{ arch }}-{{ n }}"
    builder = "x"
    platforms = ["linux/{{ arch }}"]
    [builders.x.nodes.a]
    platforms = ["linux/amd64", "linux/arm64"]
    """
    (call,) = calls_without_slots(plan)
    assert sorted(call) == ["w-amd64-1", "w-amd64-2", "w-arm64-1", "w-arm64-2"]


def test_two_pieces_of_one_target_share_no_call() -> None:
    plan = """
    [targets.w]
    builder = "x"
    platforms = ["linux/amd64", "linux/arm64"]
    args = { P = "{{ platform }}" }
    [builders.x.nodes.a]
    platforms = ["linux/amd64", "linux/arm64"]
    """
    assert calls_without_slots(plan) == [["w"], ["w"]]


SINGLE = BASE.replace("slots = 1", "").replace("nodes.b", "#").replace("nodes.c", "#")
"""One node without slots."""


def test_a_base_is_built_in_the_call_of_those_that_link_to_it() -> None:
    assert calls_without_slots(SINGLE, "u1", "u2", "pie1") == [["stem (shared)", "u1", "u2", "pie1"]]


def test_a_base_that_is_built_itself_shares_the_call_of_those_that_link_to_it() -> None:
    assert sorted(calls_without_slots(SINGLE, "stem", "u1", "u2", "pie1")) == [["pie1"], ["stem", "u1", "u2"]]
    more = SINGLE.replace(
        "[targets.u]", "[targets.top]\n    inherits = ['_t']\n    contexts.base = 'target:u1'\n[targets.u]"
    )
    assert calls_without_slots(more, "stem", "u1", "u2", "top") == [["stem", "u1", "u2", "top"]]


def test_what_links_to_a_base_and_needs_something_else_waits_for_both() -> None:
    more = """
    [targets.both]
    inherits = ["_t"]
    contexts = { base = "target:stem" }
    needs = ["pie1"]
    """
    run = Unlimited(SINGLE + more, "stem", "u1", "pie1", "both")
    assert sorted(run.start()) == ["pie1 on a", "stem on a", "u1 on a"]
    assert run.end("stem") == []
    assert run.end("u1") == []
    assert run.end("pie1") == ["both on a"]
    assert run.end("both") == []
    assert run.schedule.finished


@pytest.mark.parametrize("again", ["no-cache = true", 'no-cache-filter = ["x"]', "pull = true"])
def test_a_base_that_is_built_without_the_cache_has_a_call_of_its_own_before(again: str) -> None:
    plan = SINGLE.replace("[targets.stem]", f"[targets.stem]\n    {again}")
    run = Unlimited(plan, "u1", "u2")
    assert run.start() == ["stem (shared) on a"]
    assert run.end("stem") == ["u1 on a", "u2 on a"]


def test_a_node_without_slots_builds_a_limited_number_of_bases_in_their_own_calls_at_once() -> None:
    numbers = list(range(1, 31))
    plan = f"""
    [targets._t]
    builder = "x"
    platforms = ["linux/amd64"]
    [targets.stem]
    inherits = ["_t"]
    matrix = {{ n = {numbers} }}
    name = "stem{{{{ n }}}}"
    no-cache = true
    [targets.u]
    inherits = ["_t"]
    matrix = {{ n = {numbers}, copy = [1, 2] }}
    name = "u{{{{ n }}}}-{{{{ copy }}}}"
    contexts = {{ base = "target:stem{{{{ n }}}}" }}
    [builders.x.nodes.a]
    platforms = ["linux/amd64"]
    """
    run = Unlimited(plan, "u*")
    assert len(run.start()) == MAX_CALLS
    bases: list[str] = []
    while running := run.schedule.running:
        node = run.schedule._fleet.node_or_none(running[0])
        assert node is not None
        assert node.running_calls <= MAX_CALLS
        bases += [shown(running[0])] if step_is_shared(running[0]) else []
        run.schedule.finish(running[0], DONE)
        run.start()
    assert run.schedule.finished
    assert len({*bases}) == len(bases) == len(numbers)


@pytest.mark.parametrize("target", ["stem", "u"])
@pytest.mark.parametrize("deadline", ['timeout = "30s"', 'stall-timeout = "30s"'])
def test_a_base_with_other_deadlines_than_its_users_is_built_in_its_own_call_first(deadline: str, target: str) -> None:
    plan = SINGLE.replace(f"[targets.{target}]", f"[targets.{target}]\n    {deadline}")
    run = Unlimited(plan, "u1", "u2")
    assert run.start() == ["stem (shared) on a"]
    assert run.end("stem") == ["u1 on a", "u2 on a"]
    assert run.schedule.calls == [["u1 on a", "u2 on a"]]


def test_a_base_is_built_with_the_first_of_several_calls_and_the_others_do_not_wait() -> None:
    plan = SINGLE.replace('n = [1, 2, 3, 4, 5, 6] }\n    name = "u', f'n = {list(range(1, 31))} }}\n    name = "u')
    first, second = calls_without_slots(plan, "u*")
    assert (first[0], len(first), len(second)) == ("stem (shared)", MAX_BATCH_SIZE + 1, 10)


def test_when_a_base_fails_those_of_its_call_and_of_others_are_skipped() -> None:
    plan = SINGLE.replace('n = [1, 2, 3, 4, 5, 6] }\n    name = "u', f'n = {list(range(1, 31))} }}\n    name = "u')
    for names in (("u*",), ("stem", "u1", "u2")):
        run = Unlimited(plan, *names)
        run.start()
        base, *users = run.schedule.running
        late = users.pop()
        for step in users:
            assert isinstance(step, BuildPiece)
            assert run.schedule.retry_after_batch(step)
        skipped = run.schedule.finish(base, FAILED)
        assert set(skipped) == {run.schedule.origin(step) for step in users}
        assert isinstance(late, BuildPiece)
        assert run.schedule.failed_dependency(late) == base
        assert not run.schedule.retry_after_batch(late), "what it links to has failed"
        assert not run.schedule.retry(late, lost=True)
        run.schedule.finish(late, FAILED)
        assert run.schedule.finished


def test_when_one_of_several_fails_its_base_and_the_others_are_built_again_together() -> None:
    for names, base in ((("u1", "u2", "u3"), "stem (shared)"), (("stem", "u1", "u2", "u3"), "stem")):
        run = Unlimited(SINGLE, *names)
        assert run.start() == [f"{base} on a", "u1 on a", "u2 on a", "u3 on a"]
        for name in ("stem", "u1", "u3"):
            assert run.schedule.retry_after_batch(run.step(name))  # type: ignore[arg-type]
        run.schedule.finish(run.step("u2"), FAILED)
        assert run.start() == [f"{base} on a", "u1 on a", "u3 on a"]
        assert len(run.schedule.calls) == 1
        for name in ("stem", "u1", "u3"):
            run.end(name)
        assert run.schedule.finished


def test_what_was_disturbed_often_has_a_call_of_its_own() -> None:
    run = Unlimited(MANY, "w1", "w2", "w3", "w4", "w5")
    run.start()
    for failing, others in (("w5", ("w1", "w2", "w3", "w4")), ("w4", ("w1", "w2", "w3")), ("w3", ("w1", "w2"))):
        for name in others:
            assert run.schedule.retry_after_batch(run.step(name))  # type: ignore[arg-type]
        run.schedule.finish(run.step(failing), FAILED)
        assert run.start() == [f"{name} on a" for name in others]
    assert run.schedule.calls == []


def test_equal_nodes_without_slots_have_an_even_share_each() -> None:
    plan = POOL.replace("slots = 1", "")
    assert sorted(Unlimited(plan).calls()) == [["pie1", "pie2"], ["pie4", "pie6"], ["pie5", "pie3"]]
    run = Unlimited(plan.replace("nodes.c", "#"), "pie1", "pie2", "pie3", "pie4")
    for node in run.schedule.start():
        run.schedule.finish(node, DONE, Outcome(weight=3 if node.key == "bootstrap x/b" else 1))
    assert sorted(run.start()) == ["pie1 on a", "pie2 on b", "pie3 on b", "pie4 on b"], "b has three times the CPUs"


def test_a_node_without_slots_keeps_what_its_cache_saves_more_of_than_sharing_its_cpus_costs() -> None:
    plan = POOL.replace("slots = 1", "")
    for saved, elsewhere in ((40.0, 0), (20.0, 1)):
        run = Unlimited(
            plan, "pie1", "pie2", "pie3", seconds={name: [20.0 + saved, 20.0, 20.0] for name in PREFERENCES}
        )
        for node in run.schedule.start():
            run.schedule.finish(node, DONE, Outcome(weight=1))
        assert sum(not name.endswith(" on a") for name in run.start()) == elsewhere


def test_a_node_that_reports_its_slots_keeps_to_them() -> None:
    run = Unlimited(MANY, "w1", "w2", "w3")
    (bootstrap,) = run.schedule.start()
    run.schedule.finish(bootstrap, DONE, Outcome(slots=2))
    assert run.start() == ["w1 on a", "w2 on a"]


# --- nodes that are lost ----------------------------------------------------------------------------------------------


def test_the_pieces_of_a_lost_node_go_to_an_equal_one() -> None:
    run = Run(POOL, "pie1", "pie4")
    assert run.start() == ["pie1 on a", "pie4 on c"]
    assert run.lose("pie1")
    assert run.start() == ["pie1 on b"]
    assert run.end("pie1") == []
    assert run.end("pie4") == []
    assert run.schedule.finished


def test_a_node_that_cannot_be_had_is_left_out_and_tried_again_later() -> None:
    schedule = Schedule(graph_of_text(POOL, "pie1", "pie2", "pie3", "pie4", "pie5", "pie6"))
    boots = schedule.start()
    assert keys(boots) == ["bootstrap x/a", "bootstrap x/b", "bootstrap x/c"]
    for step in boots[1:]:
        schedule.finish(step, DONE)
    assert schedule.retry(boots[0], 10.0, lost=True)
    assert sorted(map(shown, schedule.start(10.0))) == ["pie4 on c", "pie5 on b"]
    assert schedule.wakes_at == 10 + FIRST_BACKOFF
    assert schedule.start(10.0 + FIRST_BACKOFF) == [boots[0]]
    assert schedule.retry(boots[0], 20.0, lost=True)
    assert schedule.wakes_at == 20 + 2 * FIRST_BACKOFF
    assert schedule.start(30.0) == [boots[0]]
    schedule.finish(boots[0], DONE)
    assert [shown(step) for step in schedule.start(31.0)] == ["pie1 on a"]


def test_a_piece_does_not_go_back_to_where_it_was_lost_while_an_equal_node_starts() -> None:
    run = Run(POOL, "pie1")
    run.start()
    assert run.lose("pie1")
    (bootstrap,) = run.schedule.start(run.now)
    run.now = 10 * FIRST_BACKOFF
    assert run.schedule.start(run.now) == []
    run.schedule.finish(bootstrap, DONE)
    assert run.start() == ["pie1 on b"]


def test_a_node_is_given_up_in_the_end() -> None:
    schedule = Schedule(graph_of_text(POOL, "pie1", "pie2", "pie3", "pie4"), {"x/a": 1, "x/b": 1, "x/c": 1})
    now, tries = 0.0, 0
    while boots := [step for step in schedule.start(now) if isinstance(step, BootstrapNode)]:
        for step in boots:
            if step.node.name == "a":
                tries += 1
                assert schedule.retry(step, now, lost=True)
            else:
                schedule.finish(step, DONE)
        now = schedule.wakes_at or now
    assert tries == MAX_LOSSES
    assert schedule.wakes_at is None
    assert schedule.take_unstartable_steps() == ()


def test_when_no_equal_node_is_left_all_that_needs_one_is_given_up() -> None:
    plan = POOL.replace("nodes.b", "#").replace("nodes.c", "#")
    graph = graph_of_text(plan, "pie1", "pie2")
    schedule = Schedule(graph)
    (bootstrap,) = schedule.start()
    assert not schedule.retry(bootstrap, lost=True)
    assert schedule.finish(bootstrap, FAILED) == ()
    assert schedule.take_unstartable_steps() == graph.steps[1:]
    assert schedule.finished


def test_a_piece_that_notices_late_that_its_node_was_lost_does_not_lose_it_again() -> None:
    """The piece reports the loss long after another piece did, while the node is already starting again."""
    plan = POOL.replace("nodes.b", "#").replace("nodes.c", "#").replace("[targets._t]", "[targets._t]\n    retries = 3")
    run = Run(plan, "pie1", "pie2", "pie3", "pie4", a=4)
    run.start()
    assert run.lose("pie1")
    run.now += FIRST_BACKOFF
    (bootstrap,) = run.schedule.start(run.now)
    for number, name in enumerate(("pie2", "pie3", "pie4"), 1):
        run.now += 100.0 * number
        assert run.lose(name)
        assert run.schedule.start(run.now) == [], "the bootstrap runs"
    run.schedule.finish(bootstrap, DONE)
    assert run.start() == ["pie1 on a", "pie2 on a", "pie3 on a", "pie4 on a"]
    assert run.lose("pie1")
    assert run.schedule.wakes_at == run.now + 2 * FIRST_BACKOFF, "the second loss in a row"


def test_a_required_node_is_not_done_without() -> None:
    plan = POOL.replace("nodes.a = {", "nodes.a = { required = true,")
    assert keys(Schedule(graph_of_text(plan, "pie4")).start()) == ["bootstrap x/a", "bootstrap x/c"]
    run = Run(plan, "pie1", "pie4", "pie5", "pie2")
    assert run.start() == ["pie1 on a", "pie4 on c", "pie5 on b"]
    assert not run.lose("pie1")
    assert run.schedule.finish(run.step("pie1"), FAILED) == ()
    assert [step.key.split()[1] for step in run.schedule.take_unstartable_steps()] == ["pie2"]
    assert run.end("pie5") == []
    assert run.end("pie4") == []
    assert run.schedule.finished


def test_a_required_node_is_missed_even_if_nothing_waits_for_it() -> None:
    schedule = Schedule(graph_of_text(POOL.replace("nodes.a = {", "nodes.a = { required = true,"), "pie4"))
    required, other = schedule.start()
    schedule.finish(other, DONE)
    assert [shown(step) for step in schedule.start()] == ["pie4 on c"]
    assert not schedule.retry(required, lost=True)


def test_what_fails_by_itself_on_a_required_node_is_repeated_as_on_any() -> None:
    plan = POOL.replace("nodes.a = {", "nodes.a = { required = true,").replace(
        "[targets._t]", "[targets._t]\n    retries = 1"
    )
    run = Run(plan, "pie1")
    run.start()
    assert run.schedule.retry(run.step("pie1"))
    assert run.start() == ["pie1 on a"]


def test_a_set_that_has_lost_a_required_node_stays_given_up() -> None:
    plan = POOL.replace("nodes.a = {", "nodes.a = { required = true,").replace(
        "[targets._t]", "[targets._t]\n    retries = 1"
    )
    schedule = Schedule(graph_of_text(plan, "pie4", "pie5"))
    a, b, c = sorted(schedule.start(), key=lambda step: step.key)
    schedule.finish(c, DONE)
    (piece,) = schedule.start()
    schedule.finish(a, FAILED)
    schedule.finish(b, FAILED)
    assert [step.key.split()[1] for step in schedule.take_unstartable_steps()] == ["pie5"]
    assert not schedule.retry(piece)


@pytest.mark.parametrize("retries", [0, 2])
def test_a_piece_moves_to_each_of_its_nodes_and_is_then_retried_so_often(retries: int) -> None:
    run = Run(POOL.replace("[targets._t]", f"[targets._t]\n    retries = {retries}"), "pie1", "pie4")
    run.start()
    run.end("pie4")
    moves = 0
    while run.lose("pie1"):
        moves += 1
        run.now = run.schedule.wakes_at or run.now
        run.start()
    assert moves == 2 + retries


def test_a_failed_build_is_repeated_within_its_retries() -> None:
    run = Run(POOL.replace("[targets._t]", "[targets._t]\n    retries = 1"), "pie1")
    run.start()
    assert run.schedule.retry(run.step("pie1"))
    assert run.start() == ["pie1 on a"]
    assert not run.schedule.retry(run.step("pie1"))
    assert run.end("pie1", FAILED) == []
    assert run.schedule.finished


def test_a_base_lost_in_the_call_of_its_users_costs_them_only_their_own_retries() -> None:
    plan = SINGLE.replace("[targets.u]", "[targets.u]\n    retries = 2")
    run = Unlimited(plan, "u1", "u2")
    for _ in range(2):
        assert run.start() == ["stem (shared) on a", "u1 on a", "u2 on a"]
        assert all(run.lose(name) for name in ("stem", "u1", "u2"))
        run.now = run.schedule.wakes_at or run.now
    run.start()
    assert run.lose("stem") is False, "the node was lost as often as its targets may be tried"
    assert not run.lose("u1")


def test_a_base_that_kills_every_node_is_not_built_for_ever() -> None:
    run = Run(BASE, "u1", "u2")
    run.start()
    for _ in range(20):
        while running := run.schedule.running:
            if not run.schedule.retry(running[0], run.now, lost=True):
                run.schedule.finish(running[0], FAILED)
            run.schedule.take_unstartable_steps()
        run.now = run.schedule.wakes_at or run.now
        run.start()
    assert run.schedule.finished


def test_what_a_lost_node_had_of_a_base_is_built_there_again() -> None:
    plan = BASE.replace("nodes.b", "#").replace("nodes.c", "#").replace("[targets._t]", "[targets._t]\n    retries = 3")
    run = Run(plan, "u1", "u2")
    assert run.start() == ["stem (shared) on a"]
    assert run.lose("stem"), "while it is built"
    run.now = FIRST_BACKOFF
    assert run.start() == ["stem (shared) on a"]
    assert run.end("stem") == ["u1 on a"]
    assert run.lose("u1"), "after it was built"
    run.now += 2 * FIRST_BACKOFF
    assert run.start() == ["stem (shared) on a"]
    assert run.end("stem") == ["u1 on a"]
    assert run.end("u1") == ["u2 on a"]
    assert run.end("u2") == []
    assert run.schedule.finished


# --- checks whose node is lost ----------------------------------------------------------------------------------------

CHECKED = (
    POOL.replace("[targets._t]", "[targets._t]\n    retries = RETRIES")
    .replace('name = "pie{{ n }}"', 'name = "pie{{ n }}"\n    tags = ["r/pie:{{ n }}"]\n    push = true')
    .replace("[builders.x]", "checks = [{ run = ['true'] }]\n    [builders.x]")
)
ALONE = CHECKED.replace("nodes.b", "#").replace("nodes.c", "#")


def checking(plan: str = CHECKED, *, uploaded: bool = True, retries: int = 0) -> Run:
    """Return a run whose only piece was built on node a and is being checked there."""
    run = Run(plan.replace("RETRIES", str(retries)), "pie1")
    assert run.start() == ["pie1 on a"]
    assert run.end("pie1", uploaded=uploaded) == ["check pie1 on a"]
    return run


UPLOADED, KEPT = partial(checking, uploaded=True), partial(checking, uploaded=False)
either = pytest.mark.parametrize("checking", [UPLOADED, KEPT], ids=["uploaded", "kept"])


def test_what_was_uploaded_is_checked_on_an_equal_node() -> None:
    run = checking()
    assert run.lose("check")
    (bootstrap,) = run.schedule.start(run.now)
    assert bootstrap.key == "bootstrap x/b", "first of all"
    run.schedule.finish(bootstrap, DONE)
    assert run.start() == ["check pie1 on b, once lost"]
    check = run.step("check")
    assert [shown(step) for step in run.schedule.dependencies(check)] == ["pie1 on a"], "it was built only once"
    assert run.schedule.sort_key(check) == run.schedule.sort_key(run.schedule.origin(check))
    assert run.end("check") == ["publish pie1"]
    before = [shown(step) for step in run.schedule.dependencies(run.step("publish"))]
    assert before == ["pie1 on a", "check pie1 on b, once lost"]


def test_what_was_not_uploaded_is_checked_where_it_was_built_when_that_is_back() -> None:
    run = checking(uploaded=False)
    assert run.lose("check")
    assert run.start() == []
    run.now = run.schedule.wakes_at or 0.0
    assert run.now == FIRST_BACKOFF
    assert run.start() == ["check pie1 on a, once lost"]
    assert run.end("check") == ["publish pie1"]


@either
def test_a_node_without_an_equal_one_is_waited_for(checking: Callable[..., Run]) -> None:
    run = checking(ALONE, retries=1)
    assert run.lose("check")
    assert run.start() == []
    run.now = FIRST_BACKOFF
    assert run.start() == ["check pie1 on a, once lost"]
    assert not run.lose("check"), "its retries are spent"
    assert run.end("check", FAILED) == []
    assert run.schedule.finished
    assert not checking(ALONE).lose("check"), "there were none"


@pytest.mark.parametrize("plan", [CHECKED, ALONE])
@either
def test_a_check_on_a_required_node_is_not_done_again(checking: Callable[..., Run], plan: str) -> None:
    run = checking(plan.replace("nodes.a = {", "nodes.a = { required = true,"), retries=3)
    assert not run.lose("check")
    assert keys(run.schedule.finish(run.step("check"), FAILED)) == ["publish pie1", "verify pie1"]
    assert run.schedule.take_unstartable_steps() == ()
    assert run.schedule.finished


@pytest.mark.parametrize(
    ("checking", "retries", "times"),
    [(UPLOADED, 0, 2), (UPLOADED, 2, 4), (KEPT, 0, 2), (KEPT, 1, 3), (KEPT, 9, MAX_LOSSES - 1)],
)
def test_a_check_moves_as_often_as_a_piece_and_is_then_retried(
    checking: Callable[..., Run], retries: int, times: int
) -> None:
    run = checking(retries=retries)
    moves = 0
    while run.lose("check"):
        moves += 1
        while not run.start():
            run.now = run.schedule.wakes_at or run.now
    assert moves == times


def test_a_check_whose_registry_does_not_answer_is_retried_out_of_the_cache() -> None:
    run = checking(retries=1)
    assert run.schedule.retry(run.step("check"))
    assert run.start() == ["check pie1 on a"]
    assert not run.schedule.retry(run.step("check"))


def test_a_check_that_waits_for_its_own_node_is_given_up_with_it() -> None:
    run = checking(uploaded=False)
    run.lose("check")
    run.start()
    run.now = FIRST_BACKOFF
    (bootstrap,) = run.schedule.start(run.now)
    run.schedule.finish(bootstrap, FAILED)
    assert keys(run.schedule.take_unstartable_steps()) == ["check pie1 linux/amd64 (1)", "publish pie1", "verify pie1"]
    assert run.start() == []
    assert run.schedule.finished


def test_a_bootstrap_for_which_a_check_waits_has_failed_when_it_was_the_last() -> None:
    run = checking(ALONE, uploaded=False, retries=1)
    assert run.lose("check")
    run.start()
    run.now = FIRST_BACKOFF
    (bootstrap,) = run.schedule.start(run.now)
    assert not run.schedule.retry(bootstrap, run.now, lost=True)
    run.schedule.finish(bootstrap, FAILED)
    assert keys(run.schedule.take_unstartable_steps()) == ["check pie1 linux/amd64 (1)", "publish pie1", "verify pie1"]
    assert run.schedule.finished


def test_a_check_that_waits_for_an_equal_node_has_the_choice_again_when_that_is_given_up() -> None:
    run = checking()
    run.lose("check")
    (bootstrap,) = run.schedule.start(run.now)
    run.schedule.finish(bootstrap, FAILED)
    assert run.schedule.take_unstartable_steps() == ()
    assert run.start() == ["check pie1 on c, once lost"]


def test_when_every_equal_node_is_down_the_first_to_be_back_does_the_check() -> None:
    run = checking(retries=9)
    for now, place in ((0.0, "b"), (1.0, "c")):
        run.now = now
        assert run.lose("check")
        assert run.start() == [f"check pie1 on {place}, once lost"]
    run.now = 1.5
    assert run.lose("check")
    assert run.start() == []
    assert run.schedule.wakes_at == FIRST_BACKOFF, "that is a"
    run.now = FIRST_BACKOFF
    assert run.start() == ["check pie1 on a, once lost"]


def test_a_piece_that_ends_although_its_node_counts_as_lost_is_checked_on_another() -> None:
    run = Run(CHECKED.replace("RETRIES", "0"), "pie1", "pie2", a=2)
    assert run.start() == ["pie1 on a", "pie2 on a"]
    assert run.lose("pie2")
    assert run.end("pie1", uploaded=True) == ["check pie1 on b, once lost", "pie2 on b"]


def test_a_check_knows_that_its_piece_is_in_no_cache_of_an_equal_node_that_is_up() -> None:
    run = Run(CHECKED.replace("RETRIES", "0"), "pie1", "pie2", "pie5", a=2)
    assert run.start() == ["pie1 on a", "pie2 on a", "pie5 on b"]
    assert run.lose("pie2")
    assert run.end("pie1", uploaded=True)[0] == "check pie1 on b, once lost"


def test_a_check_is_done_where_its_piece_was_built_although_that_prefers_another_node() -> None:
    run = Run(CHECKED.replace("RETRIES", "0"), "pie1", "pie2")
    assert run.start() == ["pie1 on a", "pie2 on b"]
    assert run.end("pie2", uploaded=True) == ["check pie2 on b"]


def test_a_check_of_a_set_that_has_lost_a_required_node_moves_to_no_other_node() -> None:
    plan = CHECKED.replace("RETRIES", "3").replace("nodes.a = {", "nodes.a = { required = true,")
    run = Run(plan, "pie1", "pie4")
    assert run.start() == ["pie1 on a", "pie4 on c"]
    assert run.end("pie4", uploaded=True) == ["check pie4 on c"]
    assert not run.lose("pie1")
    assert run.end("pie1", FAILED) == []
    assert not run.lose("check pie4")


def test_a_piece_that_ends_on_a_node_that_is_given_up_is_checked_there_all_the_same() -> None:
    run = Run(ALONE.replace("RETRIES", "0"), "pie1", "pie2", a=2)
    run.start()
    assert not run.lose("pie2")
    run.schedule.finish(run.step("pie2"), FAILED)
    assert run.schedule.take_unstartable_steps() == ()
    assert run.end("pie1", uploaded=True) == ["check pie1 on a, once lost"]
    assert not run.lose("check")


def test_a_check_that_waits_for_a_node_is_abandoned_with_the_rest() -> None:
    run = checking(uploaded=False)
    run.lose("check")
    run.start()
    assert run.schedule.wakes_at == FIRST_BACKOFF
    assert keys(run.schedule.cancel()) == ["check pie1 linux/amd64 (1)", "publish pie1", "verify pie1"]
    assert run.schedule.wakes_at is None, "or its executor would look again and again"
    run.now = FIRST_BACKOFF
    assert run.start() == []
    assert run.schedule.finished


def test_a_check_that_passes_shows_that_its_node_is_well() -> None:
    later = """
    [targets.later]
    inherits = ["_t"]
    needs = ["pie1"]
    """
    run = Run(ALONE.replace("RETRIES", "1") + later, "later")
    run.start()
    run.end("pie1")
    assert run.lose("check")
    run.now = FIRST_BACKOFF
    assert run.start() == ["check pie1 on a, once lost"]
    assert run.end("check") == ["publish pie1"]
    assert run.end("publish") == ["verify pie1"]
    assert run.end("verify") == ["later on a"]
    assert run.lose("later"), "not lost twice in a row"


def test_a_node_whose_check_has_passed_takes_what_comes_next() -> None:
    later = """
    [targets.later]
    inherits = ["_t"]
    needs = ["pie1"]
    """
    run = Run(ALONE.replace("RETRIES", "1") + later, "pie2", "later", a=2)
    assert run.start() == ["pie1 on a", "pie2 on a"]
    assert run.end("pie1") == ["check pie1 on a"]
    assert run.lose("check")
    assert run.lose("pie2")
    run.now = FIRST_BACKOFF
    assert run.start() == ["check pie1 on a, once lost", "pie2 on a"]
    assert run.end("check") == ["publish pie1"]
    assert run.end("publish") == ["verify pie1"]
    assert run.end("verify") == ["later on a"], "beside pie2"


LAST = """
    [targets._t]
    builder = "x"
    platforms = ["linux/amd64"]
    retries = 1
    [targets.p]
    inherits = ["_t"]
    [targets.q]
    inherits = ["_t"]
    [builders.x]
    driver = "remote"
    [builders.x.nodes.a]
    endpoint = "unix:///a"
    platforms = ["linux/amd64"]
    """


@pytest.mark.parametrize("required", [True, False])
def test_what_still_runs_on_a_node_that_is_given_up_is_not_tried_again(*, required: bool) -> None:
    """The remaining steps are not retried, even if they fail, since nothing would start them again."""
    for disturbed in (True, False):
        run = Run(LAST + ("required = true\n" if required else ""), "p", "q", a=2)
        assert run.start() == ["p on a", "q on a"]
        if required:
            assert not run.lose("q")
            run.schedule.finish(run.step("q"), FAILED)
        else:
            assert run.lose("q")
            run.now = FIRST_BACKOFF
            (bootstrap,) = run.schedule.start(run.now)
            assert not run.schedule.retry(bootstrap, run.now, lost=True)
            run.schedule.finish(bootstrap, FAILED)
        assert keys(run.schedule.take_unstartable_steps()) == ([] if required else ["build q linux/amd64 on x/a"])
        piece = run.step("p")
        assert isinstance(piece, BuildPiece)
        assert not (run.schedule.retry_after_batch(piece) if disturbed else run.schedule.retry(piece, run.now))
        run.schedule.finish(piece, FAILED)
        assert run.schedule.finished


# --- any graph --------------------------------------------------------------------------------------------------------


@given(graphs(retries=2), st.data())
def test_every_run_comes_to_an_end_in_order(graph: BuildGraph, data: st.DataObject) -> None:
    slots = data.draw(st.fixed_dictionaries({"x/a": st.integers(0, 3), "x/b": st.integers(0, 3)}))
    schedule = Schedule(graph, slots)
    ended: dict[Step, StepStatus] = {}
    built: dict[Step, Node] = {}
    uploaded: set[Step] = set()
    apart: set[Step] = set()
    now, abandoned = 0.0, False
    while not schedule.finished:
        now += data.draw(st.sampled_from([0.0, 0.0, FIRST_BACKOFF, 100.0]))
        running = schedule.running
        begun = [] if abandoned else schedule.start(now)
        for step in begun:
            assert step not in running
            assert all(_may_begin_after(other, step, begun, schedule, ended) for other in schedule.dependencies(step))
            assert schedule.origin(step) not in ended
            if isinstance(step, BuildPiece):
                assert _is_possible(schedule, step)
                built[schedule.origin(step)] = step.node
            if isinstance(step, CheckPiece):
                (piece,) = graph.before[schedule.origin(step)]
                able = (*piece.nodes, *piece.spare) if piece in uploaded else (built[piece],)  # type: ignore[union-attr]
                assert step.piece.node in able
                assert step.lost or step.piece.node == built[piece]
        assert all(_busy(schedule, node) <= (room or USUAL_CALLS * MAX_BATCH_SIZE) for node, room in slots.items())
        if not schedule.running:
            assert schedule.wakes_at is not None, "it can always go on"
            now = max(now, schedule.wakes_at)
            continue
        if not abandoned and data.draw(st.integers(0, 19)) == 0:
            abandoned = True
            ended |= dict.fromkeys(new(schedule.cancel(), ended, schedule), CANCELLED)
        step = data.draw(st.sampled_from(schedule.running))
        status, lost = data.draw(st.tuples(st.sampled_from([DONE, DONE, FAILED, CANCELLED]), st.booleans()))
        repeats = status is FAILED and not isinstance(step, Publish) and not abandoned
        origin = schedule.origin(step)
        if repeats and isinstance(step, BuildPiece) and origin not in apart and data.draw(st.booleans()):
            apart.add(origin)
            again = schedule.retry_after_batch(step, alone=data.draw(st.booleans()))
        else:
            again = repeats and schedule.retry(step, now, lost=lost or isinstance(step, BootstrapNode))
        if not again:
            uploaded |= {origin} if data.draw(st.booleans()) else set()
            reported = data.draw(PLATFORMS) if isinstance(step, BootstrapNode) else ()
            skipped = schedule.finish(step, status, outcome_of(reported, uploaded=origin in uploaded))
            if not isinstance(step, BootstrapNode) and not (step_is_shared(step) and status is DONE):
                ended[origin] = status
            ended |= dict.fromkeys(new(skipped, ended, schedule), SKIPPED)
        skipped = new(schedule.take_unstartable_steps(), ended, schedule)
        assert all(_is_impossible(schedule, other) for other in skipped if _was_ready(graph, other, ended))
        ended |= dict.fromkeys(skipped, SKIPPED)
    assert {step for step in graph.steps if not step_is_shared(step)} <= set(ended)


def _busy(schedule: Schedule, node: str) -> int:
    """Return the number of pieces that a node builds."""
    return sum(isinstance(step, BuildPiece) and step.node.id == node for step in schedule.running)


def _may_begin_after(
    before: Step, step: Step, begun: list[Step], schedule: Schedule, ended: Mapping[Step, StepStatus]
) -> bool:
    """Return whether `step` may begin: `before` is done, or `step` links to it and both have `begun` together."""
    if step_is_shared(before) or ended.get(schedule.origin(before)) is DONE:
        return True
    linked = isinstance(step, BuildPiece) and isinstance(before, BuildPiece) and before.target in step.target.every_link
    return linked and before in begun


def _is_possible(schedule: Schedule, step: BuildPiece) -> bool:
    """Return whether the piece was started on one of its nodes, or on a spare node that can emulate its platforms."""
    origin = schedule.origin(step)
    assert isinstance(origin, BuildPiece)
    return step.node in origin.nodes or (step.node in origin.spare and _says(schedule, step.node, origin))


def _was_ready(graph: BuildGraph, step: Step, ended: Mapping[Step, StepStatus]) -> bool:
    """Return whether all dependencies of a step are done."""
    return all(ended.get(other) is DONE for other in graph.before[step] if not step_is_shared(other))


def _is_impossible(schedule: Schedule, piece: Step) -> bool:
    """Return whether a piece has lost a required node, or all remaining nodes report that they cannot build it."""
    if not isinstance(piece, BuildPiece):
        return True
    gone = {node for node in (*piece.nodes, *piece.spare) if schedule._fleet.node(node).status is NodeStatus.FAILED}
    wanted = [piece, *schedule._fleet.shared_bases(piece)]
    left = [node for node in piece.spare if node not in gone and all(_says(schedule, node, base) for base in wanted)]
    return any(node.required for node in gone & {*piece.nodes}) or (gone >= {*piece.nodes} and not left)


def _says(schedule: Schedule, node: Node, piece: BuildPiece) -> bool:
    """Return whether a node reports that it builds a piece, or has not been probed."""
    reported = schedule._fleet.node(node).platforms
    return reported is None or all(placed.platform in reported for placed in piece.platforms)


def step_is_shared(step: Step) -> bool:
    return isinstance(step, BuildPiece) and step.shared


def new(steps: tuple[Step, ...], ended: dict[Step, StepStatus], schedule: Schedule) -> tuple[Step, ...]:
    """Return the skipped `steps`. Assert that none of them is running or has ended."""
    assert not set(steps) & (set(ended) | set(map(schedule.origin, schedule.running)))
    return steps
