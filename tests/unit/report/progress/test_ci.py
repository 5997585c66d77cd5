"""The output of a run in CI jobs of GitHub and GitLab."""

from __future__ import annotations

import io
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mpbake.base.errors import BatchFailed, BuildFailed, NodeLost, SourceLine
from mpbake.model.steps import StepStatus
from mpbake.report.formats import REPORTERS, ReportStyle
from mpbake.report.progress.step_logs import LONGEST_LINE, MOST_CHARACTERS, StepLogs
from mpbake.run.events import (
    EngineProbeStarted,
    NodeProgressed,
    RunStarted,
    StepFinished,
    StepOutput,
    StepProgressed,
    StepRetried,
    StepStarted,
    TimePassed,
    Warned,
)
from tests.unit.plans import text as plain_text
from tests.unit.report.test_reporters import CANCELLED, FAILED, Run, release
from tests.unit.worlds import ticking

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.run.events import Event

AMD64, ARM64 = "build web linux/amd64", "build web linux/arm64"


def text(literal: str) -> str:
    """Return whole lines."""
    return plain_text(literal) + "\n"


def shown(
    events: Iterable[Event], name: str = "github", *, step: float = 0.25, missing: bool = False, **style: Any
) -> str:
    """Return what a reporter writes. Of the lines of Dockerfiles, all are in the checkout, or all are `missing`."""
    stream = io.StringIO()
    noon = datetime(2026, 8, 1, 12, tzinfo=UTC)
    times = (noon + timedelta(seconds=number) for number in itertools.count())

    def path(source: SourceLine) -> str:
        return "" if missing else f"sub/{source.file}"

    made = ReportStyle(checkout_path=path, now=times.__next__, **style)
    reporter = REPORTERS[name].load()(stream, ticking(step=step), made)
    for event in events:
        reporter.handle(event)
    return stream.getvalue()


def build(run: Run, start: str, output: str, status: StepStatus = StepStatus.DONE, **fields: Any) -> list[Event]:
    """Return the events of a build with some output."""
    step = run.step(start)
    return [
        StepStarted(step=step),
        StepProgressed(step=step, activity="[2/4] RUN make"),
        StepOutput(step=step, text=output),
        StepFinished(result=run.result(start, status, seconds=65.2, **fields)),
    ]


def failure(message: str = "exit code: 3\noutput of [2/4]:\n  no", line: int = 7) -> BuildFailed:
    error = BuildFailed(message, hint="repeat with: mpbake run web")
    return error.with_source(SourceLine(file="Dockerfile", line=line)) if line else error


# --- GitHub -----------------------------------------------------------------------------------------------------------


def test_github_groups_follow_the_end_of_each_build() -> None:
    run = release()
    first, second = run.step(AMD64), run.step(ARM64)
    events: list[Event] = [
        StepStarted(step=first),
        StepStarted(step=second),
        StepOutput(step=first, text="=> [2/4] RUN make\n  cc main.c"),
        StepOutput(step=second, text="=> [2/4] RUN make"),
        StepOutput(step=first, text="  ::set-output name=x::y"),
        StepFinished(result=run.result(ARM64)),
        StepFinished(result=run.result(AMD64, seconds=65.2)),
    ]
    assert shown(events) == text(r"""
            0.2s  build web linux/amd64 on release/intel
            0.5s  build web linux/arm64 on release/arm
        ::group::build web linux/arm64 on release/arm: done in 1.0s
        => [2/4] RUN make
        ::endgroup::
        ::group::build web linux/amd64 on release/intel: done in 1m05s
        => [2/4] RUN make
          cc main.c
          \x3a:set-output name=x::y
        ::endgroup::
        """)


def test_github_lines_of_everything() -> None:
    assert shown(release().everything()) == text(r"""
            0.2s  asking release/intel, release/arm for their platforms
        ::warning title=mpbake run::web: linux/arm64 emulated\n\x1b[31m
            1.0s  bootstrap release/intel
            1.2s  bootstrap release/intel: done in 1.0s, created
            1.5s  build web linux/amd64 on release/intel
        ::group::build web linux/amd64 on release/intel: done in 1m05s
        => [2/4] RUN make
          cc main.c
        ::endgroup::
            2.5s  build web linux/arm64 on release/arm: FAILED after 2h00m
        ::error title=build web linux/arm64 on release/arm::no
            2.8s  publish web
            3.0s  web: r/web:1
            3.2s  publish web: done in 1.0s, published 2 tags
            3.5s  verify web
            3.8s  verify web: done in 1.0s, 2 platforms, 2 tags, 0123456789ab
            4.0s  build tool linux/amd64 on release/intel: not started, since verify web failed
        """)


@pytest.mark.parametrize(
    ("line", "missing", "place"),
    [(7, False, "file=sub/Dockerfile,line=7,"), (7, True, ""), (0, False, "")],
)
def test_github_annotations_name_a_line_of_the_checkout(*, line: int, missing: bool, place: str) -> None:
    events = build(release(), AMD64, "no", FAILED, error=failure(line=line))[2:]
    assert shown(events, missing=missing) == text(f"""
        ::group::build web linux/amd64 on release/intel: FAILED after 1m05s
        no
        ::endgroup::
        ::error {place}title=build web linux/amd64 on release/intel::exit code: 3%0Arepeat with: mpbake run web
        """)


def test_github_annotates_ten_of_each_kind() -> None:
    run = release()
    finished = StepFinished(result=run.result(AMD64, FAILED, error=failure("50%,\nno")))
    events: list[Event] = [
        *(Warned(message=f"slow {number}") for number in range(13)),
        *[finished] * 11,
        run.finished(),
    ]
    written = shown(events).splitlines()
    assert [line for line in written if line.startswith("::warning")] == [
        f"::warning title=mpbake run::slow {number}" for number in range(10)
    ]
    assert [line for line in written if "slow 1" in line][1:] == [f"warning: slow {number}" for number in (10, 11, 12)]
    assert len([line for line in written if line.startswith("::error")]) == 10
    assert "::50%25,%0Arepeat with" in written[-3]
    assert written[-1] == "1 error and 3 warnings without annotations: GitHub shows 10 of each kind"


def test_github_shows_the_output_of_a_retried_build_at_once() -> None:
    run = release()
    first, second = run.step(AMD64), run.step(ARM64)
    events: list[Event] = [
        StepOutput(step=first, text="a"),
        StepOutput(step=second, text="b"),
        StepRetried(step=first, error=NodeLost("node was lost\nlog: x"), others=(second,)),
        StepFinished(result=run.result(AMD64)),
    ]
    assert shown(events) == text("""
        ::group::build web linux/amd64 on release/intel: failed, and is retried
        a
        ::endgroup::
        ::group::build web linux/arm64 on release/arm: failed, and is retried
        b
        ::endgroup::
        ::warning title=mpbake run::build web linux/amd64 on release/intel and 1 other: node was lost: retrying
            1.0s  build web linux/amd64 on release/intel: done in 1.0s
        """)


def test_github_does_not_annotate_a_retry_after_the_failure_of_another_target() -> None:
    run = release()
    error = BatchFailed("another target of the same batch failed: tool")
    assert shown([StepRetried(step=run.step(AMD64), error=error)]) == (
        "    0.2s  warning: build web linux/amd64 on release/intel: "
        "another target of the same batch failed: tool: retrying\n"
    )


def test_github_shows_how_far_a_cancelled_build_came() -> None:
    assert shown(build(release(), AMD64, "cc main.c", CANCELLED)[2:]) == text("""
        ::group::build web linux/amd64 on release/intel: cancelled
        cc main.c
        ::endgroup::
        """)


def test_github_verbose_writes_lines_at_once() -> None:
    events = build(release(), AMD64, "=> RUN make\n##[error]::x", FAILED, error=failure(line=0))
    assert shown(events, verbose=True) == text(r"""
            0.2s  build web linux/amd64 on release/intel
            0.8s  web linux/amd64: => RUN make
            0.8s  web linux/amd64: #\x23[error]::x
            1.0s  build web linux/amd64 on release/intel: FAILED after 1m05s
        ::error title=build web linux/amd64 on release/intel::exit code: 3%0Arepeat with: mpbake run web
        """)


def test_github_quiet_writes_only_errors() -> None:
    events = [Warned(message="slow"), *build(release(), AMD64, "no", FAILED, error=failure(line=0))]
    assert shown(events, quiet=True) == (
        "::error title=build web linux/amd64 on release/intel::exit code: 3%0Arepeat with: mpbake run web\n"
    )


# --- GitLab -----------------------------------------------------------------------------------------------------------


def test_gitlab_sections() -> None:
    run = release()
    events = [
        Warned(message="slow"),
        *build(run, AMD64, "cc main.c"),
        *build(run, ARM64, "no", FAILED, error=failure()),
        StepRetried(step=run.step(AMD64), error=BuildFailed("no")),
    ]
    end = int(datetime(2026, 8, 1, 12, tzinfo=UTC).timestamp())
    first, second = "mpbake_1_build_web_linux_amd64_on_release_intel", "mpbake_2_build_web_linux_arm64_on_release_arm"
    done = "release/intel: done in 1m05s"
    title = "build web linux/arm64 on release/arm: FAILED after 1m05s"
    assert shown(events, "gitlab").split("\n") == [
        "warning: slow",
        "    0.5s  build web linux/amd64 on release/intel",
        f"\x1b[0Ksection_start:{end - 65}:{first}[collapsed=true]\r\x1b[0Kbuild web linux/amd64 on {done}",
        "cc main.c",
        f"\x1b[0Ksection_end:{end}:{first}\r\x1b[0K",
        "    1.5s  build web linux/arm64 on release/arm",
        f"\x1b[0Ksection_start:{end + 1 - 65}:{second}\r\x1b[0K{title}",
        "no",
        f"\x1b[0Ksection_end:{end + 1}:{second}\r\x1b[0K",
        "warning: build web linux/amd64 on release/intel: no: retrying",
        "",
    ]


# --- heartbeats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "github", "gitlab"])
def test_a_long_silence_is_broken(name: str) -> None:
    """The clock advances by ten seconds with each event of a CI reporter."""
    run = release()
    first, second = run.step(AMD64), run.step(ARM64)
    events: list[Event] = [
        EngineProbeStarted(),
        *[TimePassed()] * 3,
        RunStarted(graph=run.graph),
        StepStarted(step=first),
        StepStarted(step=second),
        StepProgressed(step=second, activity="[2/4] RUN " + "x" * 60),
        *[TimePassed()] * 3,
        StepFinished(result=run.result(AMD64)),
        *[TimePassed()] * 5,
        StepFinished(result=run.result(ARM64)),
        *[TimePassed()] * 5,
        run.finished(),
        *[TimePassed()] * 5,
    ]
    written = shown(events, name, step=10.0)
    heartbeats = [line.partition("s  ")[2] for line in written.splitlines() if "still " in line]
    assert heartbeats[0] == "still waiting: asking the engine in use for the default builder"
    running = [line for line in heartbeats if "running" in line]
    assert running[0].startswith("still running: build web linux/amd64 on release/intel (")
    assert running[0].endswith(f"build web linux/arm64 on release/arm ({running[0].rpartition('(')[2]}")
    assert f": [2/4] RUN {'x' * 49}…)" in running[0]
    assert "amd64" not in running[1]
    assert heartbeats[-1] == "still waiting: finishing the run"


def test_a_heartbeat_names_three_steps_and_the_time_of_each() -> None:
    run = release()
    starts: list[Event] = [StepStarted(step=step) for step in run.graph.steps[:5]]
    (heartbeat,) = shown([*starts, *[TimePassed()] * 5], step=7.0).splitlines()[5:]
    assert heartbeat == (
        "   70.0s  still running: bootstrap release/intel (1m03s), bootstrap release/arm (56.0s), "
        "build web linux/amd64 on release/intel (49.0s) and 2 more"
    )


def test_no_heartbeat_without_silence_and_none_when_quiet() -> None:
    run = release()
    events: list[Event] = [StepStarted(step=run.step(AMD64)), TimePassed(), TimePassed()]
    assert "still" not in shown([*events, *events], step=10.0)
    assert shown([*events, *events, *events[1:] * 9], step=10.0, quiet=True) == ""


def test_progress_of_a_node_counts_as_output() -> None:
    run = release()
    node = run.step("bootstrap release/intel").node  # type: ignore[union-attr]
    events: list[Event] = []
    for number in range(4):
        events += [TimePassed(), NodeProgressed(node=node, activity=f"pulling: {number} MB")]
    assert "still" not in shown(events, step=10.0)
    assert "still waiting: release/intel: pulling: 3 MB" in shown([*events, *[TimePassed()] * 4], step=10.0)


# --- the output of a step ---------------------------------------------------------------------------------------------


def test_long_output_is_cut_at_its_beginning() -> None:
    logs, step = StepLogs(), release().step(AMD64)
    logs.add(step, "\n".join(["x" * 99] * (MOST_CHARACTERS // 100 + 2)))
    logs.add(step, "y" * 3000)
    lines = logs.take(step)
    dropped = MOST_CHARACTERS // 100 + 2 - (len(lines) - 2)
    assert lines[0] == f"({dropped} earlier lines: see the log in .mpbake/runs)"
    assert (lines[1], lines[-1]) == ("x" * 99, "y" * (LONGEST_LINE - 1) + "…")
    assert sum(len(line) + 1 for line in lines[1:]) <= MOST_CHARACTERS
    assert logs.take(step) == []
