"""The number of docker commands at a time, as the limit of open files allows."""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mpbake.base.limits import affordable_threads
from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

INFINITE = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "raised", "threads"),
    [
        ((256, INFINITE), 8192, 256),
        ((1024, 1_048_576), 8192, 256),
        ((INFINITE, INFINITE), None, 256),
        ((100_000, 100_000), None, 256),
        ((1024, 2048), 2048, 165),
        ((1024, 1024), None, 80),
        ((64, 64), None, 1),
    ],
)
def test_a_limit_is_raised_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], raised: int | None, threads: int
) -> None:
    limits_set: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits_set.append(limit))
    assert affordable_threads(256) == threads
    assert limits_set == ([] if raised is None else [(raised, limits[1])])
    assert affordable_threads(1) == 1


def test_a_system_that_allows_less_than_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, INFINITE))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert affordable_threads(256) == 16


_MANY = """
import resource, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
resource.setrlimit(resource.RLIMIT_NOFILE, tuple(map(int, sys.argv[2:4])))
from mpbake.buildkit.process.docker import Docker, Watch
from mpbake.base.limits import affordable_threads
docker = Docker({"PATH": "/usr/bin:/bin"}, Path(sys.argv[1]))
docker._head = lambda _: ["/bin/sh", "-c"]
threads = affordable_threads(256)

def build(number):
    with Path(sys.argv[1], f"{number}.log").open("w"):
        codes = []
        def alive():
            codes.append(docker.run(["sleep 0.1"]).returncode)
            return True
        done = docker.run(["sleep 3"], on_stderr=lambda _: None, watch=Watch(seconds=1.5, alive=alive))
        return done.returncode, codes[:1]

try:
    with ThreadPoolExecutor(max_workers=threads) as workers:
        results = list(workers.map(build, range(threads)))
finally:
    docker.close()
print(threads, all(result == (0, [0]) for result in results))
"""


@pytest.mark.allow_subprocess
@pytest.mark.parametrize(("hard", "threads"), [(1024, 80), (8192, 256)])
def test_all_that_is_affordable_runs_at_once(tmp_path: Path, hard: int, threads: int) -> None:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert allowed == INFINITE or allowed >= hard, "this system allows too few open files to try this"
    completed = subprocess.run(
        [sys.executable, "-c", _MANY, str(tmp_path), "1024", str(hard)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (completed.stdout, completed.stderr) == (f"{threads} True\n", "")
