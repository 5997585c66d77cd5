"""Every plan in plans/ runs on real nodes, and pushes the expected images to the registry."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of
from testbed.testbed import AMD64, ARM64

from tests.checkout import PLANS

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

BOTH = ["linux/amd64", "linux/arm64"]
MACHINES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The images that a plan pushes: references without the host, and their platforms."""

    plan: str
    images: tuple[str, ...]
    platforms: tuple[str, ...] = tuple(BOTH)


EXPECTED = [
    Expected(plan="quickstart", images=("quickstart/base:1", "quickstart/app:1", "quickstart/app:latest")),
    Expected(plan="qemu", images=("qemu/report:1",)),
    Expected(plan="native", images=("native/web:1.0", "native/web:latest", "native/worker:1.0")),
    Expected(plan="ssh", images=("ssh/tool:1",), platforms=("linux/amd64",)),
    Expected(
        plan="matrix",
        images=tuple(f"matrix/php:{version}-{flavour}" for version in ("8.1", "8.2") for flavour in ("cli", "fpm")),
    ),
    Expected(plan="platforms", images=("platforms/web:1.4.0", "platforms/web:1")),
    Expected(
        plan="together",
        images=("together/api:2.0.0", "together/api:2", "together/web:2.0.0", "mirror/web:2.0.0"),
    ),
]

PLAIN = ("quickstart", "matrix", "platforms")
"""Plans that use nothing in which releases differ."""


def copy_of(plan: str, folder: Path) -> Path:
    """Return a copy of the plan's folder, so that no state is left in the checkout."""
    target = folder / plan
    shutil.copytree(PLANS / plan, target, ignore=shutil.ignore_patterns(".mpbake"))
    return target


def test_every_plan_is_expected_here() -> None:
    assert sorted(expected.plan for expected in EXPECTED) == sorted(
        path.parent.name for path in PLANS.glob("*/build.toml")
    )


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(expected, id=expected.plan, marks=pytest.mark.one_release if expected.plan in PLAIN else ())
        for expected in EXPECTED
    ],
)
def test_plan_runs_and_publishes(
    expected: Expected, testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, tmp_path: Path
) -> None:
    folder = copy_of(expected.plan, tmp_path)

    completed = run_mpbake(["run", "release"], cwd=folder)

    assert completed.returncode == 0, completed.stderr + completed.stdout
    for image in expected.images:
        digest, index = testbed.registry.client.manifest(image)
        assert platforms_of(index) == list(expected.platforms)
        for platform in expected.platforms:
            reference = f"{testbed.registry.host}/{image.partition(':')[0]}@{digest}"
            machine = docker("run", "--rm", "--quiet", "--platform", platform, reference, "uname", "-m")
            assert machine.strip().splitlines()[-1] == MACHINES[platform]


def test_native_plan_builds_each_platform_on_its_node(testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path) -> None:
    nodes = {name: testbed.node(name) for name in (AMD64, ARM64)}
    for node in nodes.values():
        node.forget()

    completed = run_mpbake(["run", "release"], cwd=copy_of("native", tmp_path))

    assert completed.returncode == 0, completed.stderr
    # The nodes themselves recorded these builds from the connection. They do not depend on the claims of mpbake.
    built = {name: {build.platforms for build in node.builds()} for name, node in nodes.items()}
    assert built == {AMD64: {("linux/amd64",)}, ARM64: {("linux/arm64",)}}
    assert "release/linux-arm64 declares linux/arm64 but runs linux/amd64 natively" in completed.stderr


@pytest.mark.one_release
def test_second_run_changes_no_builder(run_mpbake: RunMpbake, docker: Docker, tmp_path: Path) -> None:
    folder = copy_of("qemu", tmp_path)
    assert run_mpbake(["run"], cwd=folder).returncode == 0
    instance = folder / ".mpbake/nodes/laptop-local/instances/laptop-local"
    before = (docker("ps", "--quiet", "--no-trunc", "--filter", "name=laptop-local"), instance.stat().st_mtime_ns)

    completed = run_mpbake(["run"], cwd=folder)

    assert completed.returncode == 0, completed.stderr
    assert re.search(r"bootstrap laptop/local: done in [\d.]+s, running$", completed.stderr, re.MULTILINE)
    after = (docker("ps", "--quiet", "--no-trunc", "--filter", "name=laptop-local"), instance.stat().st_mtime_ns)
    assert after == before


def test_shared_base_is_not_built_twice_on_a_node(run_mpbake: RunMpbake, tmp_path: Path) -> None:
    folder = copy_of("native", tmp_path)
    completed = run_mpbake(["run", "release", "--no-cache"], cwd=folder)
    assert completed.returncode == 0, completed.stderr
    logs = "".join(path.read_text() for path in sorted((folder / ".mpbake/runs").glob("*/build-w*.log")))
    assert "uname -m > /etc/runtime: cached" in logs
    assert "uname -m > /etc/runtime: done" not in logs


@pytest.mark.one_release
def test_a_plan_asks_nodes_and_starts_none(
    testbed: Testbed, run_mpbake: RunMpbake, docker: Docker, unique: str, tmp_path: Path
) -> None:
    builder = f"b{unique[-6:]}"
    plan = f"""
version = 1
[builders.{builder}]
image = "{testbed.node_image()}"
network = "host"
emulation = "forbid"
[builders.{builder}.nodes]
local = {{}}
[targets.web]
builder = "{builder}"
platforms = ["linux/amd64", "linux/arm64"]
[targets.tool]
platforms = ["linux/amd64", "linux/arm64"]
[targets.own]
builder = "{builder}"
platforms = ["linux/amd64"]
"""
    (tmp_path / "build.toml").write_text(plan)

    before = run_mpbake(["plan", "web", "tool", "--probe"])
    assert before.returncode == 0, before.stderr
    steps = re.sub(" +", " ", before.stdout)
    assert f" build web linux/amd64, linux/arm64 (native or emulated: not known yet) on {builder}/local\n" in steps
    assert " build tool linux/amd64 native, linux/arm64 EMULATED on default/local\n" in steps
    assert f"warning: {builder}/local was not asked: it is missing, and a probe starts no node\n" in before.stdout
    assert builder not in docker("ps", "--all")

    assert run_mpbake(["builders", "up", builder]).returncode == 0
    after = run_mpbake(["plan", "web", "--probe"])
    native = run_mpbake(["plan", "own", "--probe"])
    explained = run_mpbake(["plan", "--explain", "own", "--probe"])
    assert run_mpbake(["builders", "rm", builder]).returncode == 0
    assert after.returncode == 3
    assert f'builder "{builder}" forbids emulation, and has no native node for linux/arm64' in after.stderr
    assert f"linux/amd64 native on {builder}/local\n" in native.stdout
    assert f"{builder}/local  runs it natively  chosen: best node\n" in explained.stdout


@pytest.mark.one_release
def test_a_probed_plan_tells_which_node_is_not_what_it_declares(run_mpbake: RunMpbake, tmp_path: Path) -> None:
    """The testbed's ARM node is this machine, so it reports amd64 as its own platform."""
    shutil.copytree(PLANS / "native", tmp_path / "plan", ignore=shutil.ignore_patterns(".mpbake"))
    plan = tmp_path / "plan" / "build.toml"
    warning = "release/linux-arm64 declares linux/arm64 but runs linux/amd64 natively: it is emulated there"
    warned = run_mpbake(["plan", "--probe"], cwd=plan.parent)
    assert warned.returncode == 0, warned.stderr
    assert warned.stdout.count(f"warning: {warning}") == 1
    explained = run_mpbake(["plan", "--probe", "--explain", "web"], cwd=plan.parent)
    assert "declares it, but runs linux/amd64 natively" in explained.stdout
    plan.write_text(plan.read_text().replace('emulation = "warn"', 'emulation = "forbid"'))
    refused = run_mpbake(["plan", "--probe"], cwd=plan.parent)
    assert refused.returncode == 3, refused.stdout
    assert warning in refused.stderr
