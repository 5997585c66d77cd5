"""The simulated Kubernetes cluster as tests see it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from testbed.node_settings import Settings
from testbed.nodes import SOURCES, read_builds
from testbed.packages import ensure_tools
from testbed.place import is_free
from testbed.processes import Background, run

from tests.checkout import CHECKOUT
from tests.testbed_parts.kubernetes.settings import ClusterSettings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.nodes import Build, Upstream
    from testbed.place import Place
    from testbed.processes import Daemon
    from testbed.testbed import Testbed

SLOW = "slow.invalid/buildkit:{seconds}"
"""An image whose pull takes this many seconds. Its pods become ready after that."""
_NAME = "cluster"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster(Background):
    """A cluster in a background process, and the programs that use it.

    The objects of the cluster stay when it stops. They are all in one namespace, `default`. `upstreams` maps a
    machine to the BuildKit behind its pods. The keys are "amd64" and "arm64" for pods whose nodeSelector sets
    `kubernetes.io/arch`, and "" for all other pods. Pods of "amd64" and "arm64" list their own platform first.
    """

    place: Place
    upstreams: Mapping[str, Upstream]

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file of the cluster, for buildx and kubectl."""
        return self.place.root / "kubeconfig"

    @property
    def client(self) -> dict[str, str]:
        """The variables with which buildx and kubectl use the cluster and keep their files in the testbed."""
        return {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.place.root / "kubectl-cache")}

    def start(self) -> None:
        """Start the cluster unless it runs."""
        ensure_tools(self.place, "kubectl")
        self.kubeconfig.write_text(json.dumps(self._kubeconfig()))  # the kubeconfig is YAML, and JSON is valid YAML
        file = self._daemon.folder / f"{_NAME}.json"
        file.write_text(json.dumps(asdict(self._settings())))
        self.place.note("daemon", _NAME)
        env = {**self.upstreams[""].env, "PYTHONPATH": f"{CHECKOUT}:{SOURCES}"}
        argv = (sys.executable, "-m", "tests.testbed_parts.kubernetes.api", str(file))
        self._daemon.start(argv, env=env, ready=lambda: not is_free(self._port))

    def kubectl(self, *args: str, stdin: str = "") -> str:
        """Run `kubectl ARGS` and return its output. Raise TestbedError if it fails."""
        env = {**self.place.environ, **self.client}
        return run(("kubectl", *args), env=env, stdin=stdin.encode()).decode()

    def builds(self, workload: str) -> list[Build]:
        """Return every build that was requested from the pods of the Deployment or StatefulSet, in order."""
        return read_builds(self._witness / f"{workload}.jsonl")

    @property
    def _daemon(self) -> Daemon:
        return self.place.daemon(_NAME)

    @property
    def _port(self) -> int:
        return self.place.port(_NAME)

    @property
    def _witness(self) -> Path:
        return self.place.folder("witness") / _NAME

    def _settings(self) -> ClusterSettings:
        return ClusterSettings(
            port=self._port,
            state=str(self.place.root / "cluster-objects.json"),
            witness=str(self._witness),
            machines={name: _machine(name, upstream) for name, upstream in self.upstreams.items()},
        )

    def _kubeconfig(self) -> dict[str, Any]:
        context = {"cluster": "testbed", "user": "testbed", "namespace": "default"}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "testbed",
            "clusters": [{"name": "testbed", "cluster": {"server": f"http://127.0.0.1:{self._port}"}}],
            "users": [{"name": "testbed", "user": {}}],
            "contexts": [{"name": "testbed", "context": context}],
        }


def cluster_of(testbed: Testbed) -> Cluster:
    """Return the simulated cluster of a testbed. It runs after `start`, until the testbed goes down."""
    platforms = {"": "", "amd64": "linux/amd64", "arm64": "linux/arm64"}
    upstreams = {name: testbed.upstream(platform) for name, platform in platforms.items()}
    return Cluster(place=testbed.place, upstreams=upstreams)


def _machine(architecture: str, upstream: Upstream) -> Settings:
    return Settings(
        witness="",
        engine_socket=upstream.engine_socket,
        buildkit_socket=upstream.buildkit_socket,
        version=upstream.version,
        command=upstream.command,
        poses_as=f"linux/{architecture}" if architecture else "",
    )
