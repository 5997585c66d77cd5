"""A testbed for the session, and ways to use it. Without an engine these tests fail: they are never skipped."""

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

from tests.checkout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from testbed.kubernetes.cluster import Cluster
    from testbed.registry import Registry

_SECONDS = 240


class Mpbake(Protocol):
    """Runs mpbake with the test's own plan."""

    def __call__(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run it and see that it ends with `code`."""


class RunMpbake(Protocol):
    """Runs mpbake as a user of the testbed would; `env` is laid over the testbed's."""

    def __call__(
        self, args: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever its exit code."""


class Docker(Protocol):
    """Runs docker against the testbed."""

    def __call__(self, *args: str) -> str:
        """Give what it prints, both streams together; the test fails when it fails."""


def pytest_report_header() -> str:
    """The releases under test, so that the output of a build server says what was run."""
    buildx, folder = tool_path("docker-buildx", os.environ), named_buildkit(os.environ)
    asked = (buildx and (buildx, "version"), folder and (str(folder / "buildkitd"), "--version"))
    said = [subprocess.run(each, capture_output=True, text=True, check=False).stdout.strip() for each in asked if each]
    return f"engine tests with: {', '.join(said)}{'' if folder else ', the BuildKit of the engine'}"


@pytest.fixture(scope="session")
def testbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Testbed]:
    """The session's testbed, everything in it started."""
    bed = Testbed(tmp_path_factory.mktemp("testbed"))
    try:
        bed.up(("cluster", "node-image", "ssh"))
        yield bed
    finally:
        bed.down()


@pytest.fixture(scope="session")
def testbed_env(testbed: Testbed) -> dict[str, str]:
    """A whole environment that leads docker, buildx and the example plans to the testbed."""
    return {**os.environ, **testbed.env()}


@pytest.fixture
def registry(testbed: Testbed) -> Iterator[Registry]:
    """The testbed's registry; a test may stop it."""
    yield testbed.registry
    testbed.registry.start()


@pytest.fixture
def cluster(testbed: Testbed) -> Iterator[Cluster]:
    """The testbed's Kubernetes cluster; a test may stop it."""
    yield testbed.cluster
    testbed.cluster.start()


@pytest.fixture
def unique(request: pytest.FixtureRequest) -> str:
    """A name that no other test uses, good for a repository, a builder or a node."""
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{test[:30].rstrip('-')}-{uuid.uuid4().hex[:6]}"


@pytest.fixture
def repository(testbed: Testbed, unique: str) -> str:
    """A repository in the testbed's registry that no other test uses."""
    return f"{testbed.registry.host}/{unique}"


@pytest.fixture
def docker(testbed_env: dict[str, str]) -> Docker:
    """A way to run docker against the testbed."""

    def run(*args: str) -> str:
        done = subprocess.run(
            ("docker", *args),
            env=testbed_env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        # A build says all on standard error; elsewhere that holds warnings which no test is about.
        return done.stdout or done.stderr

    return run


@pytest.fixture
def buildx(docker: Docker) -> tuple[int, int]:
    """The version of the buildx under test; a test says with it where buildx releases differ."""
    found = re.search(r"\bv?(\d+)\.(\d+)\.\d+", docker("buildx", "version"))
    assert found is not None
    return int(found[1]), int(found[2])


@pytest.fixture
def provenance() -> str:
    """The type of the provenance that the testbed's nodes write by default: that of SLSA v1 since BuildKit 0.28."""
    return f"https://slsa.dev/provenance/{'v1' if named_buildkit(os.environ) else 'v0.2'}"


@pytest.fixture
def run_mpbake(testbed_env: dict[str, str], tmp_path: Path) -> RunMpbake:
    """A way to run mpbake, in the test's own folder unless told otherwise."""

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
    """A way to run mpbake that sees how it ends."""

    def run(*args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = run_mpbake(args)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run
