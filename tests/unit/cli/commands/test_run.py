"""The end of a run: mpbake prints and records everything, even if one of the outputs fails."""

from __future__ import annotations

import io
import json
import signal
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mpbake.base.codes import Code
from mpbake.base.errors import BuildFailed, PlanError
from mpbake.base.streams import OutputFailed
from mpbake.cli.commands import run
from mpbake.cli.loading import NO_OVERRIDES, load_plan
from mpbake.cli.options import RunOptions, SourceOptions
from mpbake.cli.runs.run_events import RunEvents, slow_engine_notice
from mpbake.cli.selection import place_targets, select_for
from mpbake.graph.dag import Selection
from mpbake.model.steps import Outcome
from mpbake.report.progress.plain import PlainReporter
from mpbake.run.events import Warned
from mpbake.run.executor import StopRequest
from mpbake.run.state.directory import State, read_durations
from mpbake.run.state.published import read_published
from tests.unit.graphs import graph_of
from tests.unit.plans import resolve_text
from tests.unit.run.test_executor import FakeRunner
from tests.unit.worlds import call, options_for, world, written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.cli.world import World
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Node
    from mpbake.run.events import Reporter

PLAN = """
[targets.good]
platforms = ["linux/amd64"]
tags = ["r/good:1"]
push = true
[targets.bad]
platforms = ["linux/amd64"]
output = ["type=cacheonly"]
"""
BROKEN = {"bad": BuildFailed("it does not build")}
DURATIONS = ".mpbake/durations.json"
PUBLISHED = ".mpbake/published.json"
METADATA = "m.json"


class Run:
    """A run of two targets in a folder, in which the `blocked` files cannot be written."""

    def __init__(self, folder: Path, script: dict[str, Any] | None = None, *, blocked: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.world: World = world(folder)
        self.stop = StopRequest()
        self.reporter: Reporter = PlainReporter(self.world.stderr, self.world.clock, quiet=True)
        self._script: dict[str, Any] = {"good": Outcome(digest="sha256:1"), **(script or {})}
        (folder / ".mpbake/nodes").mkdir(parents=True)
        for name in blocked:
            (folder / name).mkdir()

    def execute(self, options: RunOptions | None = None, text: str = PLAN) -> int:
        plan = replace(resolve_text(text), root=self.folder)
        this = run._RunCommand(
            options=options or RunOptions(),
            world=self.world,
            plan_files=cast("Any", None),
            plan=plan,
            selection=Selection(targets=(), only={}),
            placements={},
            metadata=self.folder / METADATA,
        )
        state = State(nodes=self.folder / ".mpbake/nodes", run=self.folder)
        events = RunEvents(self.reporter, self.stop, began=0.0)
        runner = cast("Any", FakeRunner(self._script))
        return this.build(graph_of(plan.targets.values()), runner, state, events, self.stop)

    @property
    def errors(self) -> str:
        return written(self.world.stderr)

    def is_kept(self, name: str) -> bool:
        match name:
            case "m.json":
                path = self.folder / METADATA
                return path.is_file() and set(json.loads(path.read_bytes())) == {"good", "bad"}
            case ".mpbake/published.json":
                return set(read_published(self.folder / ".mpbake")[0]) == {"good"}
            case _:
                return "good" in read_durations(self.folder / DURATIONS)[0]


TOLD = {
    METADATA: "\nerror: --metadata-file {}: Is a directory\n  = ",
    PUBLISHED: "warning: {}: Is a directory: mpbake verify will not know what was published\n",
    DURATIONS: "warning: {}: Is a directory: the durations of builds are not recorded\n",
}


def test_what_came_of_a_run_is_kept(tmp_path: Path) -> None:
    this = Run(tmp_path)
    assert this.execute() == 0
    assert this.errors == ""
    assert all(this.is_kept(name) for name in TOLD)


def test_the_seconds_of_a_run_count_from_where_those_of_its_lines_do(tmp_path: Path) -> None:
    this = Run(tmp_path)
    while this.world.clock() < 600:
        pass  # as if mpbake had probed the nodes first
    assert this.execute() == 0
    assert ": 2 done in 10m" in written(this.world.stdout)


@pytest.mark.parametrize("blocked", [(METADATA,), (PUBLISHED,), (DURATIONS,), (METADATA, PUBLISHED, DURATIONS)])
@pytest.mark.parametrize("broken", [False, True])
def test_no_failure_hides_another(tmp_path: Path, *, blocked: tuple[str, ...], broken: bool) -> None:
    this = Run(tmp_path, BROKEN if broken else {}, blocked=blocked)
    assert this.execute() == (1 if broken or METADATA in blocked else 0)
    assert "2 targets: " in written(this.world.stdout)
    assert ("error: build bad linux/amd64" in this.errors) == broken
    for name, words in TOLD.items():
        assert (words.format(tmp_path / name) in this.errors) == (name in blocked)
        assert this.is_kept(name) == (name not in blocked)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, True), ({"quiet": True}, False), ({"push": False}, False)],
    ids=["by itself", "--quiet", "--no-push"],
)
def test_what_goes_nowhere_is_told(tmp_path: Path, options: dict[str, Any], *, expected: bool) -> None:
    this = Run(tmp_path)
    assert this.execute(options_for("run", **options), PLAN.replace('output = ["type=cacheonly"]', "")) == 0
    assert this.errors.startswith("warning: no output for bad: ") == expected
    assert this.errors.count("\n") == expected


def test_quiet_keeps_everything(tmp_path: Path) -> None:
    this = Run(tmp_path)
    assert this.execute(options_for("run", quiet=True)) == 0
    assert (this.errors, written(this.world.stdout)) == ("", "")
    assert all(this.is_kept(name) for name in TOLD)


def test_quiet_prints_errors_only(tmp_path: Path) -> None:
    skipped = PLAN.replace('output = ["type=cacheonly"]', 'output = ["type=cacheonly"]\nneeds = ["good"]')
    this = Run(tmp_path, {"good": BuildFailed("exit code: 1")}, blocked=(PUBLISHED, DURATIONS))
    assert this.execute(options_for("run", quiet=True), skipped) == 1
    assert this.errors.startswith("\nerror: build good ")
    assert "warning" not in this.errors
    assert "not started" not in this.errors
    assert written(this.world.stdout) == ""


def test_a_run_that_failed_keeps_its_exit_code(tmp_path: Path) -> None:
    from mpbake.base.errors import Unreachable

    this = Run(tmp_path, {"bootstrap default/local": Unreachable("gone")}, blocked=(METADATA,))
    assert this.execute() == 5


class Gone(io.StringIO):
    """A stream whose writes always fail."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def write(self, _: str) -> int:
        raise self._error


@pytest.mark.parametrize("error", [OutputFailed("standard output: No space left on device"), BrokenPipeError()])
def test_without_an_output_the_errors_are_told_and_all_is_kept(tmp_path: Path, error: Exception) -> None:
    this = Run(tmp_path, BROKEN)
    this.world = replace(this.world, stdout=Gone(error))
    with pytest.raises(type(error)):
        this.execute()
    assert "error: build bad linux/amd64" in this.errors
    assert all(this.is_kept(name) for name in TOLD)


def test_when_nobody_reads_any_more_the_run_ends_and_all_is_kept(tmp_path: Path) -> None:
    this = Run(tmp_path)
    gone = Gone(BrokenPipeError())
    this.reporter = PlainReporter(gone, this.world.clock)
    this.world = replace(this.world, stderr=gone, stdout=gone)
    with pytest.raises(BrokenPipeError):
        this.execute()
    assert this.stop.signal == signal.SIGPIPE, "so that running steps end"
    assert (tmp_path / METADATA).is_file()
    assert (tmp_path / DURATIONS).is_file()


def test_what_a_newer_mpbake_kept_is_told_and_stays(tmp_path: Path) -> None:
    this = Run(tmp_path)
    newer = '{"format": 2}'
    for name in (PUBLISHED, DURATIONS):
        (tmp_path / name).write_text(newer)
    assert this.execute() == 0
    assert this.errors == (
        f"warning: {tmp_path / PUBLISHED} was written by a newer mpbake and stays as it is: "
        "what earlier runs published is not known\n"
    ), "the warning about durations goes to the reporter, which is quiet here"
    assert [(tmp_path / name).read_text() for name in (PUBLISHED, DURATIONS)] == [newer, newer]


PLAN_WITH_BUILDER = """
[targets.web]
builder = "x"
[builders.x]
driver = "docker-container"
"""
FORBIDDEN = """
version = 1
[targets.open]
[targets.web]
builder = "x"
platforms = ["linux/arm64"]
[builders.x]
driver = "docker-container"
emulation = "forbid"
nodes.a = { platforms = ["linux/amd64"] }
"""


def test_placement_errors_that_need_no_node_are_reported_before_a_run_touches_anything(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(FORBIDDEN)
    (tmp_path / "Dockerfile").touch()
    with pytest.raises(PlanError) as caught:
        call(run.main, world(tmp_path), names=("open", "web"))
    assert [error.code for error in caught.value.diagnostics] == [Code.EMULATION_FORBIDDEN]
    assert not (tmp_path / ".mpbake").exists()


def test_nodes_are_asked_when_the_placement_is_open(tmp_path: Path) -> None:
    (tmp_path / "build.toml").write_text(FORBIDDEN)
    here = world(tmp_path)
    plan_files, plan = load_plan(SourceOptions(), here)
    selection = select_for(plan, ("open",), NO_OVERRIDES)
    asked: list[list[str]] = []

    class Runner(FakeRunner):
        def make_ready(self, nodes: Sequence[Node], _: Reporter) -> dict[str, NodeFacts]:
            asked.append([node.id for node in nodes])
            return {}

        def node_error(self, node: Node) -> None: ...

    this = run._RunCommand(
        options=RunOptions(),
        world=here,
        plan_files=plan_files,
        plan=plan,
        selection=selection,
        placements=place_targets(selection, {}),
        metadata=None,
    )
    events = RunEvents(PlainReporter(here.stderr, here.clock), StopRequest(), began=0.0)
    this.prepare(cast("Any", Runner()), events)
    assert asked == [["default/local"]]


@pytest.mark.parametrize(
    ("text", "moment", "expected"),
    [
        ("[targets.web]", 0.01, "asking the engine in use for the default builder"),
        ("[targets.web]", 60.0, ""),
        (PLAN_WITH_BUILDER, 0.01, ""),
    ],
)
def test_what_is_asked_first_is_told_when_the_answer_takes_its_time(
    tmp_path: Path, text: str, moment: float, expected: str
) -> None:
    here = world(tmp_path)
    with slow_engine_notice(tuple(resolve_text(text).targets.values()), PlainReporter(here.stderr, here.clock), moment):
        time.sleep(0.2)
    assert written(here.stderr).strip().rpartition("  ")[2] == expected


def test_each_warning_is_told_once(tmp_path: Path) -> None:
    """Both a probe and the bootstrap after it can report the same warning of a node."""
    here = world(tmp_path)
    reporting = RunEvents(PlainReporter(here.stderr, here.clock), StopRequest(), began=0.0)
    for message in ("a", "b", "a"):
        reporting.handle(Warned(message=message))
    assert [line.split("  ")[-1] for line in written(here.stderr).splitlines()] == ["warning: a", "warning: b"]
