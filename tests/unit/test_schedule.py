"""What may start when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from mpbake.schedule import SLOTS, Schedule
from mpbake.steps import BuildPiece, StepStatus
from tests.unit.graphs import TWO_NODES, graph_of_text, graphs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.graph import BuildGraph
    from mpbake.steps import Step

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


def keys(steps: Iterable[Step]) -> list[str]:
    return [step.key for step in steps]


def start_all(schedule: Schedule) -> list[str]:
    steps = schedule.ready()
    for step in steps:
        schedule.start(step)
    return keys(steps)


def test_steps_become_ready_when_all_before_them_are_done() -> None:
    graph = graph_of_text(CHAIN)
    bootstrap, build_a, publish_a, verify_a, build_b, build_c = graph.steps
    schedule = Schedule(graph)
    assert schedule.ready() == [bootstrap]
    schedule.start(bootstrap)
    assert schedule.ready() == []
    assert schedule.running == {bootstrap}
    assert schedule.finish(bootstrap, DONE) == ()
    assert schedule.ready() == [build_a, build_c]
    for step, following in ((build_a, publish_a), (publish_a, verify_a), (verify_a, build_b)):
        schedule.start(step)
        assert schedule.finish(step, DONE) == ()
        assert following in schedule.ready()
    assert not schedule.finished
    for step in (build_b, build_c):
        schedule.start(step)
        schedule.finish(step, DONE)
    assert schedule.finished
    assert schedule.running == frozenset()


def test_asking_twice_changes_nothing() -> None:
    schedule = Schedule(graph_of_text(CHAIN))
    assert schedule.ready() == schedule.ready()
    assert schedule.running == frozenset()


def test_nothing_to_do_is_finished_at_once() -> None:
    schedule = Schedule(graph_of_text(""))
    assert schedule.finished
    assert schedule.ready() == []
    assert schedule.abandon() == ()


def test_a_failure_skips_all_that_waits_for_it_and_nothing_else() -> None:
    graph = graph_of_text(CHAIN)
    bootstrap, build_a, publish_a, verify_a, build_b, build_c = graph.steps
    schedule = Schedule(graph)
    schedule.start(bootstrap)
    schedule.finish(bootstrap, DONE)
    schedule.start(build_a)
    assert schedule.finish(build_a, FAILED) == (publish_a, verify_a, build_b)
    assert schedule.ready() == [build_c]
    schedule.start(build_c)
    assert schedule.finish(build_c, DONE) == ()
    assert schedule.finished


def test_what_waits_for_two_is_skipped_once() -> None:
    graph = graph_of_text('[targets.a]\n[targets.b]\n[targets.c]\nneeds = ["a", "b"]\n[targets.d]\nneeds = ["b"]')
    bootstrap, build_a, build_b, build_c, build_d = graph.steps
    schedule = Schedule(graph)
    for step, status in ((bootstrap, DONE), (build_a, FAILED)):
        schedule.start(step)
        skipped = schedule.finish(step, status)
    assert skipped == (build_c,)
    schedule.start(build_b)
    assert schedule.finish(build_b, DONE) == ()
    assert schedule.ready() == [build_d], "and not c, although all before it are over"


def test_a_cancelled_step_takes_the_others_along() -> None:
    graph = graph_of_text(CHAIN)
    schedule = Schedule(graph)
    schedule.start(graph.steps[0])
    assert schedule.finish(graph.steps[0], CANCELLED) == graph.steps[1:]
    assert schedule.finished


def test_abandoning_leaves_only_what_runs() -> None:
    graph = graph_of_text(CHAIN)
    bootstrap, build_a, publish_a, verify_a, build_b, build_c = graph.steps
    schedule = Schedule(graph)
    schedule.start(bootstrap)
    schedule.finish(bootstrap, DONE)
    schedule.start(build_a)
    assert schedule.abandon() == (publish_a, verify_a, build_b, build_c)
    assert schedule.ready() == []
    assert schedule.abandon() == ()
    assert not schedule.finished
    assert schedule.finish(build_a, DONE) == ()
    assert schedule.ready() == []
    assert schedule.finished


# --- room on nodes ----------------------------------------------------------------------------------------------------

CROWD = """
    [targets.w]
    matrix = { n = [1, 2, 3, 4, 5, 6, 7, 8] }
    name = "w{{ n }}"
    builder = "release"
    platforms = ["linux/{{ 'amd64' if n < 7 else 'arm64' }}"]
    """ + TWO_NODES.replace("\n", "\n    ")


def crowd(slots: dict[str, int] | None = None) -> tuple[BuildGraph, Schedule]:
    """Six pieces on one node and two on the other, all ready."""
    graph = graph_of_text(CROWD)
    schedule = Schedule(graph, slots)
    for step in schedule.ready():
        schedule.start(step)
        schedule.finish(step, DONE)
    return graph, schedule


def started(schedule: Schedule) -> list[str]:
    return [key.split()[1] for key in start_all(schedule)]


def test_a_node_builds_so_many_pieces_at_once() -> None:
    graph, schedule = crowd()
    assert SLOTS == 4
    assert started(schedule) == ["w1", "w2", "w3", "w4", "w7", "w8"]
    assert started(schedule) == []
    schedule.finish(next(step for step in graph.steps if step.key.startswith("build w2 ")), DONE)
    assert started(schedule) == ["w5"]
    schedule.finish(next(step for step in graph.steps if step.key.startswith("build w7 ")), FAILED)
    assert started(schedule) == [], "room on another node helps nobody here"
    schedule.finish(next(step for step in graph.steps if step.key.startswith("build w1 ")), FAILED)
    assert started(schedule) == ["w6"]


def test_each_node_may_have_a_limit_of_its_own() -> None:
    _, schedule = crowd({"release/intel": 1, "release/arm": 9})
    assert started(schedule) == ["w1", "w7", "w8"]


def test_other_steps_need_no_room() -> None:
    graph = graph_of_text("""
        [targets.w]
        matrix = { n = [1, 2, 3] }
        name = "w{{ n }}"
        platforms = ["linux/amd64"]
        tags = ["r/w{{ n }}", "s/w{{ n }}"]
        push = true
        """)
    schedule = Schedule(graph, {"default/local": 1})
    while not any(step.key.startswith("publish") for step in schedule.ready()):
        for step in schedule.ready():
            schedule.start(step)
            schedule.finish(step, DONE)
    assert next(key.partition(" ")[0] for key in start_all(schedule)) == "publish"


# --- any graph --------------------------------------------------------------------------------------------------------


@given(graphs(), st.data())
def test_every_run_comes_to_an_end_in_order(graph: BuildGraph, data: st.DataObject) -> None:
    slots = {"x/a": data.draw(st.integers(1, 3)), "x/b": data.draw(st.integers(1, 3))}
    schedule = Schedule(graph, slots)
    ended: dict[Step, StepStatus] = {}
    abandoned = False
    while not schedule.finished:
        ready = schedule.ready()
        for step in ready if abandoned else ready[: data.draw(st.integers(0, len(ready)))]:
            assert all(ended.get(each) is DONE for each in graph.before[step])
            assert step not in ended
            schedule.start(step)
        for node, room in slots.items():
            assert sum(isinstance(step, BuildPiece) and step.node.id == node for step in schedule.running) <= room
        assert ready or schedule.running, "it can always go on"
        if not abandoned and data.draw(st.integers(0, 9)) == 0:
            abandoned = True
            ended |= dict.fromkeys(new(schedule.abandon(), ended, schedule), CANCELLED)
        if schedule.running:
            running = sorted(schedule.running, key=graph.steps.index)
            step = data.draw(st.sampled_from(running))
            status = data.draw(st.sampled_from([DONE, DONE, FAILED, CANCELLED]))
            ended[step] = status
            ended |= dict.fromkeys(new(schedule.finish(step, status), ended, schedule), SKIPPED)
    assert set(ended) == set(graph.steps)
    for step, status in ended.items():
        if status is SKIPPED:
            assert any(ended[each] is not DONE for each in graph.before[step])
        if status in {DONE, FAILED}:
            assert all(ended[each] is DONE for each in graph.before[step])


def new(steps: tuple[Step, ...], ended: dict[Step, StepStatus], schedule: Schedule) -> tuple[Step, ...]:
    """`steps` that are given up: none of them has run or runs."""
    assert not set(steps) & (set(ended) | schedule.running)
    return steps
