"""The output of a run: plain lines, the live view, and the summary."""

from __future__ import annotations

import io
import re
import threading
import time
from dataclasses import replace
from textwrap import indent
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BuildFailed, NodeLost, Unreachable
from mpbake.base.platforms import parse_platforms
from mpbake.base.tag_moves import TagMoves
from mpbake.graph.dag import BuildGraph, build_graph
from mpbake.graph.placement import place
from mpbake.model.steps import BuildPiece, CheckPiece, Outcome, StepResult, StepStatus
from mpbake.report.progress.event_lines import short_digest, start_line
from mpbake.report.progress.live import LiveReporter
from mpbake.report.progress.plain import PlainReporter
from mpbake.report.progress.summary import errors_text, summary_text, unkept_results_text
from mpbake.run.events import (
    EngineProbeStarted,
    Event,
    NodeProbeStarted,
    NodeProgressed,
    RunFinished,
    RunStarted,
    StepFinished,
    StepOutput,
    StepProgressed,
    StepRetried,
    StepStarted,
    Warned,
)
from tests.unit.graphs import TWO_NODES, facts_of, graph_of_text
from tests.unit.plans import resolve_text, text
from tests.unit.worlds import ticking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.model.steps import Step
    from mpbake.run.events import Reporter

DONE, FAILED, SKIPPED, CANCELLED = StepStatus.DONE, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED
DIGEST = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
BOTH = parse_platforms(["linux/amd64", "linux/arm64"])

RELEASE = """
    [targets.web]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    tags = ["r/web:1", "r/web:latest"]
    push = true
    [targets.tool]
    builder = "release"
    needs = ["web"]
    """ + TWO_NODES.replace("\n", "\n    ")


class Run:
    """A graph with the events of its run. Tests name steps by the start of their keys."""

    def __init__(self, graph: BuildGraph) -> None:
        self.graph = graph

    def step(self, start: str) -> Step:
        return next(step for step in self.graph.steps if step.key.startswith(start))

    def result(self, start: str, status: StepStatus = DONE, *, seconds: float = 1.0, **fields: Any) -> StepResult:
        return StepResult(step=self.step(start), status=status, seconds=seconds, **fields)

    def finished(self, *special: StepResult, seconds: float = 60.0, signal: int = 0) -> RunFinished:
        """Return the end of the run. A step without a `special` result is done after a second."""
        by_step = {result.step: result for result in special}
        results = tuple(by_step.get(step, StepResult(step=step, status=DONE, seconds=1.0)) for step in self.graph.steps)
        return RunFinished(results=results, seconds=seconds, signal=signal)

    def everything(self) -> list[Event]:
        """Return the events of a run with at least one event of each kind."""
        verified = Outcome(digest=DIGEST, platforms=BOTH, tags=("r/web:1", "r/web:latest"))
        amd64, publish = self.step("build web linux/amd64"), self.step("publish")
        arm64 = self.result("build web linux/arm64", FAILED, seconds=7200.4, error=BuildFailed("no"))
        return [
            NodeProbeStarted(nodes=tuple(step.node for step in self.graph.steps if isinstance(step, BuildPiece))[:2]),
            Warned(message="web: linux/arm64 emulated\n\x1b[31m"),
            RunStarted(graph=self.graph),
            StepStarted(step=self.step("bootstrap release/intel")),
            StepFinished(result=self.result("bootstrap release/intel", outcome=Outcome(note="created"))),
            StepStarted(step=amd64),
            StepProgressed(step=amd64, activity="[2/4] RUN make"),
            StepOutput(step=amd64, text="=> [2/4] RUN make\n  cc main.c"),
            StepFinished(result=self.result("build web linux/amd64", seconds=65.2)),
            StepFinished(result=arm64),
            StepStarted(step=publish),
            StepProgressed(step=publish, activity="r/web:1"),
            StepFinished(result=self.result("publish", outcome=Outcome(tags=("r/web:1", "r/web:latest")))),
            StepStarted(step=self.step("verify")),
            StepFinished(result=self.result("verify", outcome=verified)),
            StepFinished(result=self.result("build tool", SKIPPED, blocked_by=self.step("verify"))),
            StepFinished(result=self.result("build tool", CANCELLED)),
            self.finished(),
        ]


def release() -> Run:
    return Run(graph_of_text(RELEASE))


def lines(literal: str) -> str:
    """Return a text as lines of the plain reporter. All times must be below ten seconds."""
    return indent(text(literal), "    ") + "\n"


def shown(events: Iterable[Event], **settings: bool) -> str:
    stream = io.StringIO()
    reporter = PlainReporter(stream, ticking(step=0.25), **settings)
    for event in events:
        reporter.handle(event)
    return stream.getvalue()


# --- plain lines ------------------------------------------------------------------------------------------------------


def test_plain_lines() -> None:
    assert shown(release().everything()) == lines(r"""
        0.2s  asking release/intel, release/arm for their platforms
        0.5s  warning: web: linux/arm64 emulated\n\x1b[31m
        0.8s  bootstrap release/intel
        1.0s  bootstrap release/intel: done in 1.0s, created
        1.2s  build web linux/amd64 on release/intel
        1.5s  web linux/amd64: [2/4] RUN make
        1.8s  build web linux/amd64 on release/intel: done in 1m05s
        2.0s  build web linux/arm64 on release/arm: FAILED after 2h00m
        2.2s  publish web
        2.5s  web: r/web:1
        2.8s  publish web: done in 1.0s, published 2 tags
        3.0s  verify web
        3.2s  verify web: done in 1.0s, 2 platforms, 2 tags, 0123456789ab
        3.5s  build tool linux/amd64 on release/intel: not started, since verify web failed
        """)


def test_what_a_run_waits_for_before_anything() -> None:
    assert shown([EngineProbeStarted()]) == "    0.2s  asking the engine in use for the default builder\n"


def advances(run: Run, number: int) -> list[Event]:
    """Return the events of the start of the node release/intel."""
    node = run.step("bootstrap release/intel").node  # type: ignore[union-attr]
    return [NodeProgressed(node=node, activity=f"pulling x: {index}.0 MB of 99.0 MB") for index in range(number)]


def test_the_start_of_a_node_is_told_every_five_seconds() -> None:
    assert shown(advances(release(), 21)) == lines("""
        0.5s  release/intel: pulling x: 0.0 MB of 99.0 MB
        5.5s  release/intel: pulling x: 19.0 MB of 99.0 MB
        """)
    assert shown(advances(release(), 21), quiet=True) == ""


def test_what_is_tried_again() -> None:
    run = release()
    error = BuildFailed("exit code 1\nmore")
    bootstrap, build = run.step("bootstrap release/intel"), run.step("build web")
    events = [
        StepRetried(step=bootstrap, error=error),
        StepRetried(step=bootstrap, error=error, node_failed=True),
        StepRetried(step=build, error=error),
    ]
    assert shown(events) == lines("""
        0.2s  warning: release/intel is not used for now: exit code 1
        0.5s  warning: release/intel is not used: exit code 1
        0.8s  warning: build web linux/amd64 on release/intel: exit code 1: retrying
        """)


def test_verbose_lines_show_what_builds_say_instead_of_what_they_do() -> None:
    assert shown(release().everything()[5:9], verbose=True) == lines("""
        0.2s  build web linux/amd64 on release/intel
        0.5s  web linux/amd64: => [2/4] RUN make
        0.8s  web linux/amd64:   cc main.c
        1.0s  build web linux/amd64 on release/intel: done in 1m05s
        """)


def test_quiet_says_nothing() -> None:
    assert shown(release().everything(), quiet=True) == ""
    assert shown(release().everything(), quiet=True, verbose=True) == ""


def test_lines_of_several_threads_stay_whole() -> None:
    stream = io.StringIO()
    reporter, run = PlainReporter(stream, ticking()), release()
    step = run.step("build web linux/amd64")

    def work() -> None:
        for _ in range(200):
            reporter.handle(StepProgressed(step=step, activity="x" * 50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    output = stream.getvalue().splitlines()
    assert len(output) == 800
    assert {line.partition("s  ")[2] for line in output} == {"web linux/amd64: " + "x" * 50}


def test_what_is_emulated_is_said_when_it_starts() -> None:
    plan = resolve_text("""
        [targets.web]
        platforms = ["linux/amd64", "linux/arm64", "linux/s390x"]
        """)
    (web,) = plan.targets.values()
    facts = facts_of({"default/local": "linux/amd64 linux/arm64 linux/s390x"})
    graph = build_graph([web], {web: place(web, facts).pieces})
    assert [start_line(step) for step in graph.steps] == [
        "bootstrap default/local",
        "build web linux/amd64,linux/arm64,linux/s390x on default/local (emulated: linux/arm64, linux/s390x)",
    ]


@pytest.mark.parametrize(("digest", "short"), [(DIGEST, "0123456789ab"), ("", "-")])
def test_digests_are_shortened(digest: str, short: str) -> None:
    assert short_digest(digest) == short


# --- the live view ----------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    """A terminal of 80 columns and 8 lines. It supports the sequences with which rich redraws lines."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> str:
        """Return the text on the screen and above it."""
        rows, row, column = [""], 0, 0
        for part in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+", self.getvalue()):
            match part:
                case "\r":
                    column = 0
                case "\n":
                    row, column = row + 1, 0
                    rows += [""] * (row - len(rows) + 1)
                case "\x1b[1A":
                    row -= 1
                case "\x1b[2K":
                    rows[row] = ""
                case str() if not part.startswith("\x1b"):
                    rows[row] = rows[row].ljust(column)[:column] + part + rows[row][column + len(part) :]
                    column += len(part)
                case _:
                    assert re.fullmatch(r"\x1b\[(\?25[lh]|[0-9;]*m)", part), part
        return "\n".join(row.rstrip() for row in rows).rstrip("\n")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "8")
    return Terminal()


def live(terminal: io.StringIO, *, verbose: bool = False, colour: bool = False) -> LiveReporter:
    return LiveReporter(terminal, ticking(), verbose=verbose, colour=colour)


def tell(reporter: Reporter, events: Iterable[Event]) -> None:
    for event in events:
        reporter.handle(event)


def drawn(terminal: Terminal, wanted: str) -> list[str]:
    """Return the lines of a terminal as soon as they contain `wanted`. Rich redraws the view a few times a second."""
    deadline = time.monotonic() + 20
    while wanted not in (screen := terminal.screen()):
        assert time.monotonic() < deadline, screen
        time.sleep(0.02)
    return screen.split("\n")


def test_in_the_end_only_lines_for_what_is_over_stay_on_the_terminal(terminal: Terminal) -> None:
    tell(live(terminal), release().everything())
    assert terminal.screen() == text(r"""
        asking release/intel, release/arm for their platforms
        warning: web: linux/arm64 emulated\n\x1b[31m
        bootstrap release/intel: done in 1.0s, created
        build web linux/amd64 on release/intel: done in 1m05s
        build web linux/arm64 on release/arm: FAILED after 2h00m
        publish web: done in 1.0s, published 2 tags
        verify web: done in 1.0s, 2 platforms, 2 tags, 0123456789ab
        build tool linux/amd64 on release/intel: not started, since verify web failed
        """)
    assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l"), "the cursor is back"


def test_meanwhile_what_runs_stands_below(terminal: Terminal) -> None:
    run = release()
    reporter = live(terminal)
    amd64, arm64 = run.step("build web linux/amd64"), run.step("build web linux/arm64")
    tell(reporter, [RunStarted(graph=run.graph), StepStarted(step=amd64), StepStarted(step=arm64)])
    tell(
        reporter,
        [StepProgressed(step=amd64, activity="[2/4] RUN " + "make " * 40), StepFinished(result=run.result("verify"))],
    )
    over, head, one, two = drawn(terminal, "1 of 7 steps")
    tell(reporter, [run.finished()])
    assert over == "verify web: done in 1.0s, 0 platforms, 0 tags, -"
    assert head == "1 of 7 steps done, 2 running"
    assert re.fullmatch(r" {3,5}\d+\.0s  build web linux/amd64 on release/intel  \[2/4\] RUN make [make ]*…", one)
    assert len(one) <= 80
    assert re.fullmatch(r" {3,5}\d+\.0s  build web linux/arm64 on release/arm", two)


def test_the_start_of_a_node_stands_in_its_line(terminal: Terminal) -> None:
    run = release()
    reporter = live(terminal)
    tell(reporter, advances(run, 2))
    tell(reporter, [RunStarted(graph=run.graph), StepStarted(step=run.step("bootstrap release/intel"))])
    tell(reporter, advances(run, 8))
    before, _, row = drawn(terminal, "7.0 MB")
    tell(reporter, [run.finished()])
    assert before == "release/intel: pulling x: 0.0 MB of 99.0 MB"
    assert row.endswith("s  bootstrap release/intel  pulling x: 7.0 MB of 99.0 MB")


def test_only_what_is_done_counts_as_done(terminal: Terminal) -> None:
    run = release()
    reporter = live(terminal)
    results = [("bootstrap release/intel", DONE), ("build web linux/amd64", FAILED)]
    results += [("publish", SKIPPED), ("verify", SKIPPED), ("build tool", CANCELLED)]
    tell(reporter, [RunStarted(graph=run.graph), StepStarted(step=run.step("build web linux/arm64"))])
    tell(reporter, [StepFinished(result=run.result(start, status)) for start, status in results])
    head = drawn(terminal, "1 cancelled")[-2]
    tell(reporter, [run.finished()])
    assert head == "1 of 7 steps done, 1 failed, 2 skipped, 1 cancelled, 1 running"


SHARED = """
    [builders.x]
    driver = "remote"
    nodes.a = { endpoint = "unix:///a", platforms = ["linux/amd64"] }
    nodes.b = { endpoint = "unix:///b", platforms = ["linux/amd64"] }
    [defaults.target]
    builder = "x"
    platforms = ["linux/amd64"]
    [targets.base]
    [targets.one]
    contexts = { base = "target:base" }
    [targets.two]
    contexts = { base = "target:base" }
    """


@pytest.mark.parametrize(
    ("endings", "head"),
    [
        ("a", "1 of 5 steps done, 1 running"),
        ("ab", "1 of 5 steps done, 1 running"),
        ("aab", "1 of 5 steps done, 1 running"),
        ("Ab", "0 of 5 steps done, 1 failed, 1 running"),
    ],
)
def test_what_is_built_anew_or_on_several_nodes_counts_once(terminal: Terminal, endings: str, head: str) -> None:
    run = Run(graph_of_text(SHARED, "one", "two"))
    shared = run.step("build base")
    assert isinstance(shared, BuildPiece)
    on = {node.name: shared.on(node) for node in shared.nodes}
    reporter = live(terminal)
    tell(reporter, [RunStarted(graph=run.graph), StepStarted(step=run.step("build one"))])
    for end in endings:
        result = StepResult(step=on[end.lower()], status=FAILED if end.isupper() else DONE)
        tell(reporter, [StepFinished(result=result)])
    assert drawn(terminal, head)[len(endings)] == head
    tell(reporter, [run.finished()])


def test_what_does_not_fit_the_terminal_is_counted(terminal: Terminal) -> None:
    run = Run(graph_of_text("[targets.w]\nmatrix = { n = [1, 2, 3, 4, 5, 6, 7, 8, 9] }\nname = 'w{{ n }}'"))
    reporter = live(terminal)
    tell(reporter, [RunStarted(graph=run.graph), *(StepStarted(step=step) for step in run.graph.steps)])
    tell(reporter, [Warned(message="!")])
    seen = drawn(terminal, "10 running")
    tell(reporter, [run.finished()])
    assert seen[:2] == ["warning: !", "0 of 10 steps done, 10 running"]
    assert seen[-1] == "  … and 5 more"
    assert len(seen) == 8


def test_verbose_prints_builds_own_output_above(terminal: Terminal) -> None:
    tell(live(terminal, verbose=True), [*release().everything()[2:9], release().finished()])
    assert terminal.screen() == text("""
        bootstrap release/intel: done in 1.0s, created
        web linux/amd64: => [2/4] RUN make
        web linux/amd64:   cc main.c
        build web linux/amd64 on release/intel: done in 1m05s
        """)


def test_colours_only_where_they_are_wanted(terminal: Terminal) -> None:
    tell(live(terminal, colour=True), release().everything())
    coloured = terminal.getvalue()
    assert "\x1b[32mverify web: done" in coloured
    assert "\x1b[1;31mbuild web linux/arm64" in coloured
    plain = Terminal()
    tell(live(plain), release().everything())
    assert not re.findall(r"\x1b\[[0-9;]*3[0-9][0-9;]*m", plain.getvalue())


def test_the_colour_of_a_line_is_not_that_of_what_stands_below(terminal: Terminal) -> None:
    run = release()
    reporter = live(terminal, colour=True)
    tell(reporter, [RunStarted(graph=run.graph), StepStarted(step=run.step("build web linux/amd64"))])
    drawn(terminal, "1 running")
    tell(reporter, [Warned(message="!"), StepFinished(result=run.result("verify")), run.finished()])
    assert "\x1b[33mwarning: !" in terminal.getvalue()
    assert not re.findall(r"\x1b\[[0-9;]*[0-9]m\d of 7 steps", terminal.getvalue())


def test_a_stream_that_is_no_terminal_gets_lines(terminal: Terminal) -> None:
    stream = io.StringIO()
    tell(live(stream), release().everything())
    assert stream.getvalue().startswith("asking release/intel, release/arm for their platforms\nwarning: web:")
    assert "\x1b" not in stream.getvalue()
    assert terminal.getvalue() == ""


def test_the_view_can_be_drawn_while_somebody_prints(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both printing and the view need rich's own lock, and rich holds it while it asks for the view."""
    reporter, run = live(terminal), release()
    drawing = threading.Thread(target=reporter._view, daemon=True)

    def print_at_last(*_: object, **__: object) -> None:
        drawing.start()
        drawing.join(5)

    monkeypatch.setattr(reporter._console, "print", print_at_last)
    reporter.handle(StepFinished(result=run.result("verify")))
    assert not drawing.is_alive()


def test_a_step_may_advance_before_it_is_known_to_have_started(terminal: Terminal) -> None:
    run = release()
    reporter = live(terminal)
    tell(reporter, [RunStarted(graph=run.graph), StepProgressed(step=run.step("publish"), activity="soon")])
    drawn(terminal, "publish web  soon")
    tell(reporter, [run.finished()])


# --- the summary ------------------------------------------------------------------------------------------------------


def results_of_a_release(run: Run) -> list[StepResult]:
    verified = Outcome(digest=DIGEST, platforms=BOTH, tags=("r/web:1",))
    return [
        run.result("build web linux/amd64", seconds=65.2, outcome=Outcome(platforms=BOTH[:1], digest="sha256:aaaa")),
        run.result("build web linux/arm64", seconds=30.0, outcome=Outcome(platforms=BOTH[1:], digest="sha256:bbbb")),
        run.result("publish", seconds=2.0),
        run.result("verify", seconds=0.5, outcome=verified),
        run.result("build tool", seconds=7.0),
    ]


def test_the_summary_of_a_good_run() -> None:
    run = release()
    assert summary_text(run.graph, run.finished(*results_of_a_release(run), seconds=80.0)) == (
        "\n"
        + text("""
        target  result  digest        time   platforms    node
        web     done    0123456789ab  1m08s  linux/amd64  release/intel
                                             linux/arm64  release/arm
        tool    done    -             7.0s   linux/amd64  release/intel

        2 targets: 2 done in 1m20s
        """)
        + "\n"
    )


def test_the_summary_of_a_bad_run() -> None:
    run = release()
    finished = run.finished(
        run.result("build web linux/arm64", FAILED, seconds=30.0, error=BuildFailed("no")),
        run.result("publish", SKIPPED, seconds=0.0, blocked_by=run.step("build web linux/arm64")),
        run.result("verify", SKIPPED, seconds=0.0, blocked_by=run.step("build web linux/arm64")),
        run.result("build tool", SKIPPED, seconds=0.0, blocked_by=run.step("build web linux/arm64")),
    )
    assert summary_text(run.graph, finished) == (
        "\n"
        + text("""
        target  result   digest  time   platforms    node
        web     failed   -       30.0s  linux/amd64  release/intel
                                        linux/arm64  release/arm
        tool    skipped  -       0.0s   linux/amd64  release/intel

        2 targets: 0 done, 1 failed, 1 skipped in 1m00s
        """)
        + "\n"
    )
    assert (
        errors_text(finished)
        == "\n"
        + text("""
        error: build web linux/arm64 on release/arm: no
        """)
        + "\n"
    )


DIGESTS = {"build web linux/amd64": "sha256:aaaa", "build web linux/arm64": "sha256:bbbb", "build tool": "sha256:cccc"}


def digests_of(run: Run, *special: StepResult) -> list[str]:
    """Return the column of digests. Every build has a digest. `special` results replace others."""
    built = [run.result(start, outcome=Outcome(digest=digest)) for start, digest in DIGESTS.items()]
    by_step = {result.step: result for result in (*built, *special)}
    head, *rows = summary_text(run.graph, run.finished(*by_step.values())).strip().split("\n\n")[0].split("\n")
    column = head.index("digest")
    return [row[column:].split()[0] for row in rows if not row.startswith(" ")]


def test_a_digest_is_that_of_a_whole_target() -> None:
    run = release()
    publish = run.result("publish", outcome=Outcome(digest="sha256:dddd"))
    verify = run.result("verify", outcome=Outcome(digest="sha256:eeee"))
    assert digests_of(run, publish, verify) == ["eeee", "cccc"]
    failed = run.result("verify", FAILED, error=BuildFailed("no"))
    assert digests_of(run, publish, failed) == ["-", "cccc"]
    assert digests_of(run, run.result("publish", FAILED), run.result("verify", SKIPPED)) == ["-", "cccc"]
    assert digests_of(run, run.result("build web linux/arm64", FAILED), publish, verify) == ["-", "cccc"]
    broken = run.result("build tool", FAILED, outcome=Outcome(digest="sha256:cccc"))
    assert digests_of(run, publish, verify, broken) == ["eeee", "-"]


def test_parts_of_what_is_not_pushed_have_no_digest_of_the_whole() -> None:
    run = Run(graph_of_text(RELEASE.replace("push = true", "")))
    assert digests_of(run) == ["-", "cccc"]


def test_the_summary_of_a_run_that_was_interrupted() -> None:
    run = release()
    finished = run.finished(
        *(run.result(start, CANCELLED, seconds=0.0) for start in ("verify", "build tool")), signal=2, seconds=3.0
    )
    assert (
        summary_text(run.graph, finished).partition("node\n")[2]
        == text("""
        web     cancelled  -       2.0s  linux/amd64  release/intel
                                         linux/arm64  release/arm
        tool    cancelled  -       0.0s  linux/amd64  release/intel

        2 targets: 0 done, 2 cancelled in 3.0s, interrupted
        """)
        + "\n"
    )
    assert errors_text(finished) == ""


def test_a_platform_that_only_the_node_knows() -> None:
    run = Run(graph_of_text("[targets.web]\n[targets.tool]"))
    built = run.result("build web", outcome=Outcome(platforms=BOTH[1:]))
    table = summary_text(run.graph, run.finished(built, run.result("build tool", FAILED))).split("\n")
    assert table[2:4] == [
        "web     done    -       1.0s  linux/arm64  default/local",
        "tool    failed  -       1.0s  native       default/local",
    ]


def test_what_one_node_has_built_stands_in_one_row() -> None:
    run = Run(
        graph_of_text("""
            [targets.web]
            platforms = ["linux/amd64", "linux/arm64"]
            platform."linux/arm64".args.A = "1"
            """)
    )
    assert len([step for step in run.graph.steps if isinstance(step, BuildPiece)]) == 2
    _, row = summary_text(run.graph, run.finished()).strip().split("\n\n")[0].split("\n")
    assert row == "web     done    -       1.0s  linux/amd64,linux/arm64  default/local"


def test_links_have_no_row_but_their_failure_is_told() -> None:
    run = Run(
        graph_of_text(
            """
            [targets.base]
            [targets.a]
            platforms = ["linux/amd64"]
            contexts = { base = "target:base" }
            [targets.b]
            platforms = ["linux/amd64"]
            contexts = { base = "target:base" }
            """,
            "a",
            "b",
        )
    )
    shared = run.step("build base")
    skipped = [run.result(f"build {name} ", SKIPPED, seconds=0.0, blocked_by=shared) for name in "ab"]
    finished = run.finished(run.result("build base", FAILED, error=BuildFailed("no", hint="fix it")), *skipped)
    assert summary_text(run.graph, finished) == (
        "\n"
        + text("""
        target  result   digest  time  platforms    node
        a       skipped  -       0.0s  linux/amd64  default/local
        b       skipped  -       0.0s  linux/amd64  default/local

        2 targets: 0 done, 2 skipped in 1m00s
        """)
        + "\n"
    )
    assert (
        errors_text(finished)
        == "\n"
        + text("""
        error: build base linux/amd64 on default/local: no
          = fix it
        """)
        + "\n"
    )


def test_every_error_is_told() -> None:
    run = release()
    finished = run.finished(
        run.result("bootstrap release/arm", FAILED, error=Unreachable("gone\x1b[2J")),
        run.result("verify", FAILED, error=BuildFailed("two\nlines")),
    )
    assert (
        errors_text(finished)
        == "\n"
        + text(r"""
        error: bootstrap release/arm: gone\x1b[2J

        error: verify web: two
        lines
        """)
        + "\n"
    )
    assert errors_text(run.finished()) == ""


def test_a_run_of_nothing() -> None:
    run = Run(graph_of_text(""))
    assert summary_text(run.graph, run.finished(seconds=0.0)) == (
        "\ntarget  result  digest  time  platforms  node\n\n0 targets: 0 done in 0.0s\n"
    )


# --- results that go nowhere ------------------------------------------------------------------------------------------


NOWHERE = """
    [targets.base]
    [targets.first]
    [targets.tool]
    [targets.web]
    tags = ["r/web:1"]
    contexts = { base = "target:base" }
    needs = ["first"]
    """
UNUSED = "the result stays in the build cache (--load puts it into the engine, --push into the registry)\n"
UNTAGGED = "without tags nothing is pushed, and the result stays in the build cache (add tags or an output)\n"


def nowhere(toml: str, *names: str, failed: str = "") -> str:
    run = Run(graph_of_text(toml, *names))
    return unkept_results_text(run.graph, run.finished(*([run.result(failed, FAILED)] if failed else [])))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("web",), f"warning: no output for web: {UNUSED}"),
        (("base", "first", "web"), f"warning: no output for web: {UNUSED}"),
        (("base",), f"warning: no output for base: {UNTAGGED}"),
        (("base", "first"), f"warning: no output for base, first: {UNTAGGED}"),
        (("base", "web", "tool"), f"warning: no output for web: {UNUSED}warning: no output for tool: {UNTAGGED}"),
    ],
)
def test_only_what_nobody_gets_goes_nowhere(names: tuple[str, ...], expected: str) -> None:
    assert nowhere(NOWHERE, *names) == expected


@pytest.mark.parametrize(
    "use",
    [
        "push = true",
        "load = true",
        'output = ["out"]',
        'output = ["type=cacheonly"]',
        'cache-to = ["type=local,dest=cache"]',
        'checks = [{ target = "test" }]',
        'call = "check"',
    ],
)
def test_what_is_of_use_does_not(use: str) -> None:
    assert nowhere(f"[targets.web]\ntags = ['r/web:1']\n{use}") == ""


def test_what_is_not_done_does_not_either() -> None:
    assert nowhere(NOWHERE, "base", "first", "web", failed="build web") == ""


def test_of_many_the_first_are_named() -> None:
    many = "[targets.w]\nmatrix = { n = [1, 2, 3, COUNT] }\nname = 'w{{ n }}'"
    assert "for w1, w2, w3 and 1 more: " in nowhere(many.replace("COUNT", "4"))
    assert "for w1, w2, w3: " in nowhere(many.replace(", COUNT", ""))


# --- checks, and tags that move together ------------------------------------------------------------------------------

TOGETHER = """
    [defaults.target]
    push = true
    [targets.base]
    tags = ["r/base:1"]
    [targets.web]
    tags = ["r/web:1", "r/web:2"]
    [targets.tool]
    tags = ["r/tool:1"]
    checks = [{ run = ["sh", "-c", "exit 1"] }, { target = "test" }]
    """


def together() -> Run:
    return Run(graph_of_text(TOGETHER, together=True))


def test_a_check_in_words() -> None:
    run = together()
    events = [StepStarted(step=step) for step in run.graph.steps if step.key.startswith("check")]
    assert shown(events) == lines("""
        0.2s  check tool native: sh -c 'exit 1'
        0.5s  check tool native: stage test
        """)


def test_a_check_that_is_done_again_says_where() -> None:
    (check, *_) = (step for step in together().graph.steps if isinstance(step, CheckPiece))
    events: list[Event] = [StepRetried(step=check, error=NodeLost("gone")), StepStarted(step=replace(check, lost=True))]
    assert shown(events) == lines("""
        0.2s  warning: check tool native: sh -c 'exit 1': gone: retrying
        0.5s  check tool native on default/local: sh -c 'exit 1'
        """)


def test_tags_that_wait_for_another_target_are_told() -> None:
    run = together()
    check = run.result("check tool", FAILED, error=BuildFailed("exit code: 1"))
    blame = check.step
    finished = run.finished(
        check, *(run.result(f"publish {name}", SKIPPED, blocked_by=blame) for name in ("base", "tool"))
    )
    assert (
        errors_text(finished)
        == "\n"
        + text("""
        error: check tool native: sh -c 'exit 1': exit code: 1
        """)
        + "\n"
    )


def test_what_may_have_moved_when_it_was_interrupted() -> None:
    run = together()
    moves = TagMoves(moved=("r/base:1",), unsure=("r/web:1",), unmoved=("r/web:2", "r/tool:1"))
    started = run.result("publish web", CANCELLED, seconds=0.5, outcome=Outcome(moves=moves))
    never = [run.result(start, CANCELLED, seconds=0.0) for start in ("publish tool", "verify web", "verify tool")]
    expected = "publish web: cancelled; moved: r/base:1; may have moved: r/web:1; not moved: r/web:2, r/tool:1"
    assert errors_text(run.finished(started, *never, signal=2)) == f"\n{expected}\n"
    uploading = run.result("publish web", CANCELLED, seconds=0.5)
    assert errors_text(run.finished(uploading, signal=2)) == "", "no tag was about to move"


def test_checks_run_side_by_side() -> None:
    run = together()
    finished = run.finished(run.result("check tool native (1)", seconds=5.0), seconds=1.0)
    (row,) = [line for line in summary_text(run.graph, finished).splitlines() if line.startswith("tool")]
    assert "8.0s" in row, "build, the longer check, publish and verify"
