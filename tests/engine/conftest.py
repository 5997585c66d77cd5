"""A testbed for the session, and fixtures that use it.

Without a Docker engine these tests fail instead of being skipped.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING, Protocol

import pytest
from testbed.buildkitd import named_buildkit
from testbed.packages import tool_path
from testbed.testbed import Testbed

from tests.checkout import CHECKOUT, GRANT_ALL
from tests.testbed_parts.kubernetes.cluster import cluster_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from testbed.registry import Registry

    from tests.testbed_parts.kubernetes.cluster import Cluster

_SECONDS = 240


class Mpbake(Protocol):
    """Runs mpbake with the test's own plan."""

    def __call__(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run mpbake, and assert that its exit code is `code`."""


class RunMpbake(Protocol):
    """Run mpbake as a user of the testbed does. `env` adds variables to the testbed's environment."""

    def __call__(
        self, args: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Return the completed process, whatever its exit code."""


class Docker(Protocol):
    """Runs docker against the testbed."""

    def __call__(self, *args: str) -> str:
        """Return both output streams of docker together. The test fails if docker fails."""


def pytest_report_header() -> str:
    """Return the versions under test, so that the log of a CI job shows them."""
    buildx, folder = tool_path("docker-buildx", os.environ), named_buildkit(os.environ)
    commands = (buildx and (buildx, "version"), folder and (str(folder / "buildkitd"), "--version"))
    versions = [
        subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        for command in commands
        if command
    ]
    return f"engine tests with: {', '.join(versions)}{'' if folder else ', the BuildKit of the engine'}"


_CI_SYSTEMS = {"GITHUB_ACTIONS", "GITLAB_CI"}
"""Variables that change the output of a run."""


@pytest.fixture(scope="session")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """Return the session's testbed. Its node image and its ssh server are ready."""
    bed = Testbed(tmp_path_factory.mktemp("testbed"))
    try:
        bed.up(("node-image", "ssh"))
        yield bed
    finally:
        bed.down()


@pytest.fixture(scope="session")
def testbed_env(testbed: Testbed) -> dict[str, str]:
    """Return a complete environment in which docker, buildx, kubectl and the example plans use the testbed.

    It grants every right to every plan: only `test_grants.py` is about rights.
    """
    own = {name: value for name, value in os.environ.items() if name not in _CI_SYSTEMS}
    locks = testbed.place.root / "locks"  # tests in another process may use builders of the same name
    locks.mkdir(mode=0o700, exist_ok=True)
    return {**own, **testbed.env(), **cluster_of(testbed).client, **GRANT_ALL, "XDG_RUNTIME_DIR": str(locks)}


@pytest.fixture
def registry(testbed: Testbed) -> Iterator[Registry]:
    """Return the testbed's registry. A test may stop it."""
    yield testbed.registry
    testbed.registry.start()


@pytest.fixture
def cluster(testbed: Testbed) -> Cluster:
    """Return the testbed's simulated Kubernetes cluster, which runs. A test may stop it."""
    simulated = cluster_of(testbed)
    simulated.start()
    return simulated


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """Return a name that no other test uses, for a repository, a builder or a node."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{test[:30].rstrip('-')}-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def repository(testbed: Testbed, unique: str) -> str:
    """Return a repository in the testbed's registry that no other test uses."""
    return f"{testbed.registry.host}/{unique}"


@pytest.fixture
def docker(testbed_env: dict[str, str]) -> Docker:
    """Return a function that runs docker against the testbed."""

    def run(*args: str) -> str:
        completed = subprocess.run(
            ("docker", *args),
            env=testbed_env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        # A build prints its output on standard error. The standard error of other commands has only warnings, which no
        # test checks.
        return completed.stdout or completed.stderr

    return run


@pytest.fixture
def buildx(docker: Docker) -> tuple[int, int]:
    """Return the version of the buildx under test, for tests whose result depends on the buildx release."""
    version = re.search(r"\bv?(\d+)\.(\d+)\.\d+", docker("buildx", "version"))
    assert version is not None
    return int(version[1]), int(version[2])


@pytest.fixture
def provenance() -> str:
    """Return the predicate type of the nodes' default provenance, which is that of SLSA v1 since BuildKit 0.28."""
    return f"https://slsa.dev/provenance/{'v1' if named_buildkit(os.environ) else 'v0.2'}"


@pytest.fixture
def run_mpbake(testbed_env: dict[str, str], tmp_path: Path) -> RunMpbake:
    """Return a function that runs mpbake, by default in the test's own folder."""

    def run(
        args: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (sys.executable, "-m", "mpbake", *args),
            cwd=cwd or tmp_path,
            env={**testbed_env, "PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": str(tmp_path / "state"), **(env or {})},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def mpbake(run_mpbake: RunMpbake) -> Mpbake:
    """Return a function that runs mpbake and asserts its exit code."""

    def run(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        completed = run_mpbake(args)
        assert completed.returncode == code, completed.stdout + completed.stderr
        return completed

    return run
