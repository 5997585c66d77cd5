"""A cluster for the session, a namespace for each test. Without the Kubernetes program these tests fail."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.checkout import CHECKOUT, GRANT_ALL
from tests.testbed_cluster.cluster import RealCluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_SECONDS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Workspace:
    """A folder with a plan, a namespace of its own, and the environment of a user of the cluster."""

    cluster: RealCluster
    namespace: str
    folder: Path
    env: Mapping[str, str]

    def write_plan(self, options: str = "", *, targets: str = "", namespace: str | None = None) -> None:
        """Write a plan with the builder `k` of one node, `one`; `options` are further lines of the builder.

        Its namespace is that of the workspace, another one, or with an empty name none.
        """
        named = self.namespace if namespace is None else namespace
        (self.folder / "build.toml").write_text(f"""
version = 1
[builders.k]
driver = "kubernetes"
{f'namespace = "{named}"' if named else ""}
buildkitd = {{ registry = {{ "{self.registry}" = {{ http = true }} }} }}
{options}
[builders.k.nodes.one]
platforms = ["linux/amd64", "linux/arm64"]
{targets}""")

    def targets(self) -> str:
        """Return the tables of a target `web` that is pushed to `image`, and of one that it links to."""
        return f"""
[targets.base]
builder = "k"
platforms = ["linux/amd64", "linux/arm64"]
dockerfile-inline = '''
FROM {self.cluster.env()["BASE_IMAGE"]}
RUN uname -m > /machine
'''
[targets.web]
builder = "k"
platforms = ["linux/amd64", "linux/arm64"]
contexts = {{ base = "target:base" }}
dockerfile-inline = '''
FROM base
RUN test -s /machine
'''
tags = ["{self.registry}/{self.image}"]
push = true
"""

    @property
    def image(self) -> str:
        """The image of the target, without the registry."""
        return f"{self.namespace}:1"

    @property
    def registry(self) -> str:
        """The registry of the cluster."""
        return self.cluster.settings.registry

    def mpbake(self, *args: str, code: int = 0, env: Mapping[str, str] | None = None) -> str:
        """Run mpbake, see that it ends with `code`, and return both of its streams."""
        done = subprocess.run(
            (sys.executable, "-m", "mpbake", *args),
            cwd=self.folder,
            env={**self.env, **(env or {})},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def objects(self) -> str:
        """Return the names of all that a builder could leave behind."""
        kinds = "deployments,statefulsets,configmaps"
        return self.cluster.kubectl("get", kinds, "--namespace", self.namespace, "--output", "name")

    def deployment(self, name: str) -> dict[str, Any]:
        """Return what somebody asked for in the Deployment of that name, and the number of the Deployment."""
        described = self.cluster.kubectl("get", "deployment", name, "--namespace", self.namespace, "--output", "json")
        made = json.loads(described)
        return {"uid": made["metadata"]["uid"], "spec": made["spec"]}

    def requests(self, name: str) -> Any:
        """Return what the container of a Deployment requests."""
        return self.deployment(name)["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealCluster]:
    """The session's cluster: processes that share the tests (`-n`) also share the cluster."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    bed = RealCluster.at(folder / "cluster")
    try:
        with one_at_a_time(folder):
            bed.up(owned=True)
        yield bed
    finally:
        with one_at_a_time(folder):
            left = bed.release()
        assert left == [], "the cluster leaves nothing behind"


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one of the processes that share the tests at a time run the block."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@pytest.fixture
def workspace(cluster: RealCluster, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace whose namespace, and with it all pods of the test, is removed after the test."""
    namespace = f"n{uuid.uuid4().hex[:8]}"
    with namespaced(cluster, namespace):
        yield made_workspace(cluster, namespace, tmp_path)


@contextmanager
def namespaced(cluster: RealCluster, namespace: str) -> Iterator[None]:
    """Make a namespace, and in the end remove it without waiting for its pods."""
    cluster.kubectl("create", "namespace", namespace)
    try:
        yield
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def made_workspace(cluster: RealCluster, namespace: str, folder: Path) -> Workspace:
    """Return a workspace below a folder, which also holds what mpbake and buildx keep."""
    env = {
        **os.environ,
        **GRANT_ALL,
        **cluster.env(),
        "PYTHONPATH": str(CHECKOUT),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(folder),  # another session may use builders of the same name
        "BUILDX_CONFIG": str(folder / "buildx"),
    }
    plan = folder / "plan"
    plan.mkdir()
    return Workspace(cluster=cluster, namespace=namespace, folder=plan, env=env)
