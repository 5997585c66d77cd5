"""Durations: slow or dead nodes do not delay other nodes, and `builders up` is fast if there is nothing to do."""

from __future__ import annotations

import re
import statistics
import time
from typing import TYPE_CHECKING

import pytest

from tests.engine.test_builders import container_plan, remote_plan

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

pytestmark = pytest.mark.one_release

_SLOW, _LIMIT = 10, 5.0
_DELAY = 1.0
"""The delay in seconds of each connection. buildx makes two, one after the other, to read the facts of a node."""


def _slow_plan(testbed: Testbed, endpoints: list[str]) -> str:
    plan = ["version = 1"]
    for number, endpoint in enumerate(endpoints):
        plan += [
            f"[builders.b{number}]",
            'driver = "remote"',
            f'nodes.n = {{ endpoint = "{endpoint}", platforms = ["linux/amd64"] }}',
            f"[targets.t{number}]",
            f'builder = "b{number}"',
            f'dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"',
            'platforms = ["linux/amd64"]',
        ]
    return "\n".join(plan)


@pytest.mark.long
def test_ten_slow_nodes_and_a_dead_one(testbed: Testbed, run_mpbake: RunMpbake, unique: str, tmp_path: Path) -> None:
    """Ten nodes that answer after 2 s all start their first build within 5 s. A dead node does not delay them."""
    nodes = [testbed.add_unix_node(f"s{number}{unique[-6:]}", delay=_DELAY) for number in range(_SLOW)]
    dead = "tcp://127.0.0.1:9"
    try:
        (tmp_path / "build.toml").write_text(_slow_plan(testbed, [dead, *(node.endpoint for node in nodes)]))
        completed = run_mpbake(["run", "t*"])
    finally:
        for node in nodes:
            node.stop()
    assert completed.returncode == 5, completed.stderr
    began = {
        name: float(at)
        for at, name in re.findall(r"^ *([\d.]+)s  build (t\d+) \S+ on \S+$", completed.stderr, re.MULTILINE)
    }
    assert began.keys() == {f"t{number}" for number in range(1, _SLOW + 1)}
    assert max(began.values()) < _LIMIT, began
    assert "node b0/n does not answer at tcp://127.0.0.1:9" in completed.stderr


def _median(do: Callable[[], object], times: int = 5) -> float:
    durations = []
    for _ in range(times):
        began = time.monotonic()
        do()
        durations.append(time.monotonic() - began)
    return statistics.median(durations)


@pytest.mark.long
def test_what_is_right_costs_little(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    """A second `builders up` with nothing to do takes at most four times as long as `docker buildx ls`."""
    remote, local = f"r{unique[-6:]}", f"l{unique[-6:]}"
    local_plan = container_plan(testbed, local).partition("[targets")[0].replace("version = 1", "")
    plan = remote_plan(testbed, remote).partition("[targets")[0] + local_plan
    (tmp_path / "build.toml").write_text(plan)

    def up() -> subprocess.CompletedProcess[str]:
        completed = run_mpbake(["builders", "up"])
        assert completed.returncode == 0, completed.stderr
        return completed

    up()
    try:
        assert up().stdout.count("as declared") == 2
        ours, theirs = _median(up), _median(lambda: docker("buildx", "ls"))
        assert ours <= 4 * theirs, f"builders up: {ours:.2f} s, docker buildx ls: {theirs:.2f} s"
    finally:
        run_mpbake(["builders", "rm"])
