"""A service account with the rights of docs/kubernetes.md, outside of the cluster and in a pod."""

from __future__ import annotations

import copy
import json
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from testbed.processes import wait_until
from testbed.registry_client import platforms_of

from tests.checkout import CHECKOUT, DOCS, GRANT_ALL
from tests.cluster.conftest import made_workspace, namespaced, one_at_a_time
from tests.testbed_cluster.certificates import write_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.cluster.conftest import Workspace
    from tests.testbed_cluster.cluster import RealCluster

pytestmark = pytest.mark.cluster

NAMESPACE = "builds"
_POD_SECONDS = 150


def documented() -> tuple[str, str]:
    """Return the manifests of the documentation: the rights, and the pod with its service account."""
    rights, pod = re.findall(r"```yaml\n(.*?)```", (DOCS / "kubernetes.md").read_text(encoding="utf-8"), re.DOTALL)
    return rights, pod


@pytest.fixture
def builds(cluster: RealCluster, tmp_path: Path) -> Iterator[Workspace]:
    """A workspace in the namespace of the documentation, with its service account, which has the rights as written."""
    with one_at_a_time(cluster.place.folder(NAMESPACE)):
        cluster.kubectl("wait", "--for=delete", f"namespace/{NAMESPACE}", "--timeout=120s", timeout=130)
        with namespaced(cluster, NAMESPACE):
            rights, _ = documented()
            cluster.kubectl("create", "serviceaccount", "mpbake", "--namespace", NAMESPACE)
            cluster.kubectl("apply", "--filename", "-", stdin=rights)
            yield made_workspace(cluster, NAMESPACE, tmp_path)


@pytest.fixture
def account(builds: Workspace, tmp_path: Path) -> dict[str, str]:
    """The variables of a user who is the service account, outside of the cluster."""
    token = builds.cluster.kubectl("create", "token", "mpbake", "--namespace", NAMESPACE).strip()
    kubeconfig = tmp_path / "kubeconfig"
    write_kubeconfig(kubeconfig, builds.cluster.settings, user={"token": token})
    return {"KUBECONFIG": str(kubeconfig)}


def test_the_documented_rights_are_enough(builds: Workspace, account: dict[str, str]) -> None:
    builds.write_plan(targets=builds.targets())
    assert "k/one: created, and answers" in builds.mpbake("builders", "up", env=account)
    builds.mpbake("run", "web", env=account)
    builds.write_plan("replicas = 2", targets=builds.targets())
    assert "k/one: recreated, and answers" in builds.mpbake("builders", "up", env=account)
    assert "k/one: Deployment removed, and its cache" in builds.mpbake("builders", "rm", env=account)
    assert "k-one" not in builds.objects()


@contextmanager
def without(cluster: RealCluster, resource: str, verb: str) -> Iterator[None]:
    """Take one right of the documentation away for a while."""
    get = ("get", "role", "mpbake", "--namespace", NAMESPACE, "--output", "json")
    role = json.loads(cluster.kubectl(*get))
    rules = copy.deepcopy(role["rules"])
    (rule,) = [rule for rule in rules if resource in rule["resources"]]
    rule["verbs"].remove(verb)
    cluster.apply(role | {"rules": [rule for rule in rules if rule["verbs"]]})
    try:
        yield
    finally:
        rights, _ = documented()
        cluster.kubectl("apply", "--filename", "-", stdin=rights)


def test_a_missing_right_is_named(builds: Workspace, account: dict[str, str]) -> None:
    """A right of each command: with none of them missing, the same commands succeed in the test before."""
    builds.write_plan(targets=builds.targets())

    def refused(command: str, resource: str, verb: str) -> str:
        with without(builds.cluster, resource, verb):
            said = builds.mpbake(*command.split(), code=5, env=account)
        assert "this user may not do that in the cluster (" in said or "cannot tell whether a build runs" in said
        # Without pods/exec, the last line of buildx is about its time limit.
        assert f'cannot {verb} resource "{resource}" in API group' in said or resource == "pods/exec"
        assert "  = give its role access to deployments, configmaps, pods and pods/exec" in said
        return said

    refused("builders up", "deployments", "get")
    refused("builders up", "deployments", "create")
    refused("builders up", "configmaps", "create")
    builds.mpbake("builders", "up", env=account)
    refused("run web", "pods", "list")
    refused("run web", "pods/exec", "create")
    unknown = refused("builders rm", "pods", "get")
    assert "k/one: mpbake cannot tell whether a build runs in the pod k-one" in unknown
    assert f"if no build runs, run: kubectl --namespace={NAMESPACE} delete deployment k-one" in unknown
    refused("builders rm", "deployments", "delete")
    assert "k-one" in builds.objects()


def test_a_plan_runs_in_a_pod(builds: Workspace) -> None:
    """The pod has no kubeconfig file and no `namespace` in its plan: both come from its service account."""
    builds.write_plan(targets=builds.targets(), namespace="")
    pod = _runner(builds, "mpbake builders up && mpbake run web && mpbake builders rm")
    builds.cluster.apply(pod)
    said = _output_of(builds, pod["metadata"]["name"])
    assert "k/one: created, and answers" in said
    assert "k/one: Deployment removed, and its cache" in said
    _, index = builds.cluster.registry.manifest(builds.image)
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]
    assert "k-one" not in builds.objects()


def _runner(builds: Workspace, script: str) -> dict[str, Any]:
    """Return the pod of the documentation, with another command, and with this machine's programs and checkout."""
    _, written = documented()
    dry = ("apply", "--dry-run=client", "--output=json", "--filename=-")
    (pod,) = [
        item for item in json.loads(builds.cluster.kubectl(*dry, stdin=written))["items"] if item["kind"] == "Pod"
    ]
    docker = Path(builds.env["DOCKER_CONFIG"])
    folders = [
        *map(Path, ("/usr", "/lib", "/lib64", sys.base_prefix)),
        *(
            Path(sys.prefix).resolve(),
            CHECKOUT,
            docker,
            (docker / "cli-plugins/docker-buildx").resolve().parent,
            builds.folder,
        ),
    ]
    env = {
        "DOCKER_CONFIG": str(docker),
        "HOME": "/root",
        "PATH": f"{sys.prefix}/bin:/usr/sbin:/usr/bin:/bin",
        "PYTHONPATH": str(CHECKOUT),
        **GRANT_ALL,
    }
    (container,) = pod["spec"]["containers"]
    container |= {
        "image": builds.env["BASE_IMAGE"],
        "command": ["sh", "-c", script.replace("mpbake", f"{sys.executable} -m mpbake")],
        "workingDir": str(builds.folder),
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumeMounts": [
            {"name": f"v{number}", "mountPath": str(folder)} for number, folder in enumerate(dict.fromkeys(folders))
        ],
    }
    pod["spec"]["volumes"] = [
        {"name": f"v{number}", "hostPath": {"path": str(folder)}}
        for number, folder in enumerate(dict.fromkeys(folders))
    ]
    return dict(pod)


def _output_of(builds: Workspace, pod: str) -> str:
    """Return what the pod wrote until it ended well."""
    get = ("get", "pod", pod, "--namespace", builds.namespace, "--output", "json")

    def status() -> Mapping[str, Any]:
        described: dict[str, dict[str, Any]] = json.loads(builds.cluster.kubectl(*get))
        return described["status"]

    ended = wait_until(lambda: status()["phase"] in {"Succeeded", "Failed"}, seconds=_POD_SECONDS)
    said = builds.cluster.kubectl("logs", pod, "--namespace", builds.namespace) if ended else ""
    assert status()["phase"] == "Succeeded", said or status()
    return said
