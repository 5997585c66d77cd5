"""A run makes the engine calls that its probed plan lists, no more and no fewer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from testbed.testbed import AMD64, ARM64

from tests.engine.faulty import FaultyRegistry, faulty_registry
from tests.engine.generated_plans import Surroundings, generated_plan
from tests.engine.recorder import DockerRecorder, PlannedRun, as_planned, observed_calls
from tests.engine.test_plans import EXPECTED, PLAIN, copy_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import RunMpbake

pytestmark = pytest.mark.one_release

SEEDS = 200
_SOME = range(2)
_ENGINE_PLATFORM = "linux/amd64"


@pytest.fixture(scope="module")
def proxy(testbed: Testbed) -> Iterator[FaultyRegistry]:
    """Yield a registry that records requests and forwards all of them."""
    with faulty_registry(testbed.registry.host) as registry:
        yield registry


class Exactness:
    """Compares the calls of runs with their probed plans."""

    def __init__(self, run_mpbake: RunMpbake, recorder: DockerRecorder, proxy: FaultyRegistry) -> None:
        self._run = run_mpbake
        self._recorder = recorder
        self._proxy = proxy
        self._env = {"REGISTRY": proxy.host, "PATH": recorder.path}

    def check(self, folder: Path, words: Sequence[str]) -> None:
        """Plan and run, and compare. The run gets the id of the plan."""
        document = self._planned(folder, ["--format", "json", *words])
        self._compare(folder, ["--plan-id", document["id"], *words], document)

    def check_saved(self, folder: Path, words: Sequence[str]) -> None:
        """Save a plan and run it, and compare."""
        document = self._planned(folder, ["-o", "plan.json", "--format", "json", *words])
        self._compare(folder, ["plan.json"], document)

    def _planned(self, folder: Path, words: Sequence[str]) -> dict[str, Any]:
        planned = self._run(["plan", "--probe", *words], cwd=folder, env=self._env)
        assert planned.returncode == 0, planned.stderr
        document: dict[str, Any] = json.loads(planned.stdout)
        return document

    def _compare(self, folder: Path, words: Sequence[str], document: dict[str, Any]) -> None:
        """Run, and compare the calls with the document of the probed plan."""
        self._recorder.forget()
        self._proxy.reset(().__contains__)
        completed = self._run(["run", *words], cwd=folder, env=self._env)
        assert completed.returncode == 0, completed.stderr + completed.stdout
        observed = observed_calls(self._recorder.calls(), self._proxy.asked, self._proxy.host)
        expected = PlannedRun(document=document, engine_platform=_ENGINE_PLATFORM, observed=observed).calls()
        observed = as_planned(observed, document)
        assert observed == expected, f"more: {observed - expected}\nfewer: {expected - observed}"


@pytest.fixture
def exactness(run_mpbake: RunMpbake, proxy: FaultyRegistry, testbed_env: dict[str, str], tmp_path: Path) -> Exactness:
    return Exactness(run_mpbake, DockerRecorder(tmp_path / "recorder", testbed_env["PATH"]), proxy)


@pytest.mark.parametrize(
    "plan",
    [pytest.param(expected.plan, marks=pytest.mark.long if expected.plan in PLAIN else ()) for expected in EXPECTED],
)
def test_example_plan(plan: str, exactness: Exactness, tmp_path: Path) -> None:
    exactness.check_saved(copy_of(plan, tmp_path), ["release"])


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=() if seed in _SOME else pytest.mark.long) for seed in range(SEEDS)]
)
def test_generated_plan(
    seed: int, exactness: Exactness, testbed: Testbed, proxy: FaultyRegistry, tmp_path: Path
) -> None:
    here = Surroundings(
        registry=proxy.host,
        base=testbed.env()["BASE_IMAGE"],
        node_image=testbed.node_image(),
        certificates=str(testbed.certificates),
        endpoints={name: testbed.node(name).endpoint for name in (AMD64, ARM64)},
    )
    plan = generated_plan(seed, here)
    folder = tmp_path / "plan"
    folder.mkdir()
    (folder / "build.toml").write_text(plan.text)
    exactness.check(folder, plan.words)
