"""What a command knows about the CI job in which it runs."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import SourceLine
from mpbake.cli.ci_jobs import CheckoutPaths, ci_reporter, heartbeats, is_ci
from mpbake.cli.runs.run_events import make_reporter
from mpbake.run.events import TimePassed, Warned
from tests.unit.worlds import options_for, world, written

if TYPE_CHECKING:
    from mpbake.run.events import Event


@pytest.mark.parametrize(
    ("environment", "name", "is_job"),
    [
        ({}, "plain", False),
        ({"CI": ""}, "plain", False),
        ({"CI": "false"}, "plain", False),
        ({"CI": "woodpecker"}, "plain", True),
        ({"CI": "true", "GITHUB_ACTIONS": "true"}, "github", True),
        ({"GITHUB_ACTIONS": "false"}, "plain", False),
        ({"CI": "true", "GITLAB_CI": "true"}, "gitlab", True),
    ],
)
def test_ci_systems(environment: dict[str, str], name: str, *, is_job: bool) -> None:
    assert (ci_reporter(environment), is_ci(environment)) == (name, is_job)


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("GITHUB_ACTIONS", "::warning title=mpbake run::slow\n"),
        ("GITLAB_CI", "warning: slow\n"),
        ("JENKINS_URL", "    1.0s  warning: slow\n"),
    ],
)
def test_the_reporter_of_a_job(name: str, output: str) -> None:
    here = world(Path("/"), {"CI": "true", name: "true"})
    make_reporter(options_for("run"), here, Path("/")).handle(Warned(message="slow"))
    assert written(here.stderr) == output


def test_a_person_sees_the_live_view_even_with_variables_of_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    here = world(Path("/"), {"GITHUB_ACTIONS": "true"}, live=True)
    make_reporter(options_for("run", no_color=True), here, Path("/")).handle(Warned(message="slow"))
    assert written(here.stderr) == "warning: slow\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "sub/web").mkdir(parents=True)
    (folder / "sub/web/Dockerfile").write_text("FROM x\nRUN y\n")
    (tmp_path / "secret").write_text("a\nb\n")
    (folder / "sub/out").symlink_to(tmp_path / "secret")
    (folder / "sub/in").symlink_to("web/Dockerfile")
    os.mkfifo(folder / "sub/pipe")
    return folder


@pytest.mark.parametrize(
    ("file", "line", "path"),
    [
        ("web/Dockerfile", 2, "sub/web/Dockerfile"),
        ("web/Dockerfile", 3, ""),
        ("web/Dockerfile", 0, ""),
        ("web", 1, ""),
        ("missing", 1, ""),
        ("out", 1, ""),
        ("../../secret", 1, ""),
        ("in", 2, "sub/web/Dockerfile"),
        ("pipe", 1, ""),
        ("a\0b", 1, ""),
    ],
)
def test_lines_of_the_checkout(checkout: Path, file: str, line: int, path: str) -> None:
    assert CheckoutPaths(root=checkout / "sub", checkout=checkout)(SourceLine(file=file, line=line)) == path


def test_a_plan_beside_the_checkout_has_no_lines_in_it(checkout: Path) -> None:
    source = SourceLine(file=str(checkout / "sub/web/Dockerfile"), line=1)
    assert CheckoutPaths(root=Path("/"), checkout=checkout)(source) == "sub/web/Dockerfile"
    assert CheckoutPaths(root=Path("/"), checkout=checkout / "sub/web")(source) == "Dockerfile"
    assert CheckoutPaths(root=checkout / "sub", checkout=checkout / "other")(source) == ""


class Receiver:
    """A reporter that stores the events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def handle(self, event: Event) -> None:
        self.events.append(event)


def test_heartbeats_tick_only_in_a_job_and_end_with_the_run() -> None:
    receiver = Receiver()
    with heartbeats(receiver, {"CI": "true"}, seconds=0.01):
        deadline = time.monotonic() + 10
        while len(receiver.events) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    number = len(receiver.events)
    with heartbeats(receiver, {}, seconds=0.01):
        time.sleep(0.05)
    assert len(receiver.events) == number
    assert set(receiver.events) == {TimePassed()}
    assert "heartbeat" not in {thread.name for thread in threading.enumerate()}
