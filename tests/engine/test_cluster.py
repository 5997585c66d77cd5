"""buildx and kubectl accept the testbed's simulated Kubernetes cluster."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from testbed.errors import TestbedError
from testbed.processes import wait_until
from testbed.registry_client import platforms_of

from tests.testbed_parts.kubernetes.cluster import UNPULLABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker
    from tests.testbed_parts.kubernetes.cluster import Cluster

_BOTH = "linux/amd64,linux/arm64"
_DOCKERFILE = "ARG BASE\nFROM ${BASE}\nRUN uname -m > /machine\n"
_PGREP = ("pgrep", "-f", "buildctl dial-stdio")


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text(_DOCKERFILE)
    return tmp_path


@pytest.fixture
def builder(docker: Docker, unique: str) -> Iterator[str]:
    """Return a name for a builder and its Deployment. Both are removed after the test."""
    yield unique
    if unique in docker("buildx", "ls"):
        docker("buildx", "rm", "--force", unique)


def _create(docker: Docker, builder: str, *options: str) -> None:
    given = [word for option in options for word in ("--driver-opt", option)]
    docker("buildx", "create", "--name", builder, "--node", builder, "--driver", "kubernetes", *given)


def _build(docker: Docker, testbed: Testbed, builder: str, context: Path, *more: str) -> str:
    base = f"BASE={testbed.env()['BASE_IMAGE']}"
    return docker("buildx", "build", "--builder", builder, "--build-arg", base, *more, str(context))


def _exec(env: dict[str, str], pod: str, *command: str) -> subprocess.CompletedProcess[str]:
    argv = ("kubectl", "exec", pod, "--", *command)
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def _pods(cluster: Cluster, builder: str) -> list[str]:
    return cluster.kubectl("get", "pods", "--selector", f"app={builder}", "--output", "name").split()


def test_builder_boots_builds_and_pushes(
    cluster: Cluster, testbed: Testbed, docker: Docker, builder: str, repository: str, context: Path
) -> None:
    _create(docker, builder)
    assert "inactive" in docker("buildx", "inspect", builder)
    assert "running" in docker("buildx", "inspect", "--bootstrap", builder)
    assert _pods(cluster, builder)

    _build(docker, testbed, builder, context, "--platform", _BOTH, "--push", "--tag", f"{repository}:1")

    (build,) = cluster.builds(builder)
    assert build.platforms == ("linux/amd64", "linux/arm64")
    assert build.attributes["build-arg:BASE"] == testbed.env()["BASE_IMAGE"]
    _, index = testbed.registry.client.manifest(f"{repository}:1")
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]


def test_large_contexts_and_results_pass(
    cluster: Cluster, testbed: Testbed, docker: Docker, builder: str, context: Path
) -> None:
    content = os.urandom(20 << 20)
    (context / "large").write_bytes(content)
    (context / "Dockerfile").write_text(f"{_DOCKERFILE}COPY large /\n")
    _create(docker, builder, "image=any:1")
    _build(docker, testbed, builder, context, "--output", f"type=local,dest={context}/out")
    assert (context / "out/large").read_bytes() == content
    assert len(cluster.builds(builder)) == 1


def test_rm_leaves_nothing(cluster: Cluster, docker: Docker, builder: str, tmp_path: Path) -> None:
    (tmp_path / "buildkitd.toml").write_text("debug = true\n")
    driver = ("--driver", "kubernetes", "--config", str(tmp_path / "buildkitd.toml"))
    docker("buildx", "create", "--name", builder, "--node", builder, *driver, "--bootstrap")
    kept = ("get", "deployments,configmaps", "--output", "name")
    assert f"deployment.apps/{builder}\nconfigmap/{builder}-config\n" in cluster.kubectl(*kept)
    docker("buildx", "rm", builder)
    assert builder not in cluster.kubectl(*kept)


def test_deployment_is_what_the_builder_asks_for(cluster: Cluster, docker: Docker, builder: str) -> None:
    options = ("image=some/image:1", "replicas=2", "requests.cpu=500m", "limits.memory=1Gi", "rootless=true")
    more = ("qemu.install=true", "serviceaccount=builder", '"annotations=team.example/name=red"')
    _create(docker, builder, *options, *more, '"labels=team=red"', '"tolerations=key=ci,operator=Exists"')
    docker("buildx", "inspect", "--bootstrap", builder)

    got = json.loads(cluster.kubectl("get", "deployment", builder, "--output", "json"))

    assert got in cluster.deployments()
    assert got["metadata"]["labels"] == {"app": builder, "team": "red"}
    assert got["metadata"]["annotations"]["team.example/name"] == "red"
    assert (got["spec"]["replicas"], got["status"]["readyReplicas"]) == (2, 2)
    pod = got["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "builder"
    assert pod["tolerations"] == [{"key": "ci", "operator": "Exists"}]
    assert pod["initContainers"][0]["args"] == ["--install", "all"]
    (container,) = pod["containers"]
    assert container["image"] == "some/image:1"
    assert container["resources"] == {"limits": {"memory": "1Gi"}, "requests": {"cpu": "500m"}}
    assert len(_pods(cluster, builder)) == 2


def test_pods_of_another_machine_pose_as_it(docker: Docker, builder: str) -> None:
    for architecture in ("amd64", "arm64"):
        _create(docker, builder, f'"nodeselector=kubernetes.io/arch={architecture}"')
        inspected = docker("buildx", "inspect", "--bootstrap", builder).splitlines()
        (listed,) = [line.split(":")[1].strip() for line in inspected if line.startswith("Platforms:")]
        assert listed.startswith(f"linux/{architecture}, ")
        docker("buildx", "rm", builder)


def test_deployment_of_an_unknown_image_never_gets_ready(
    cluster: Cluster, testbed_env: dict[str, str], docker: Docker, builder: str
) -> None:
    _create(docker, builder, f"image={UNPULLABLE}")
    boot = ("docker", "buildx", "inspect", "--bootstrap", builder)
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(boot, env=testbed_env, capture_output=True, timeout=3, check=False)
    assert "stopped" in docker("buildx", "inspect", builder)
    (pod,) = _pods(cluster, builder)
    assert "ImagePullBackOff" in cluster.kubectl("get", pod, "--output", "json")
    assert "container not found" in _exec(testbed_env, pod, "buildctl", "--help").stderr


def test_commands_in_pods(cluster: Cluster, testbed_env: dict[str, str], docker: Docker, builder: str) -> None:
    _create(docker, builder)
    docker("buildx", "inspect", "--bootstrap", builder)
    (pod,) = _pods(cluster, builder)
    assert _exec(testbed_env, pod, "buildctl", "debug", "workers").returncode == 0
    assert (_exec(testbed_env, pod, *_PGREP).returncode, _exec(testbed_env, pod, *_PGREP).stdout) == (1, "")
    other = _exec(testbed_env, pod, "rm", "-rf", "/")
    assert other.returncode == 126
    assert "no such command in the pods of the testbed: rm -rf /" in other.stderr
    assert '"missing" not found' in _exec(testbed_env, "missing", "true").stderr


@contextmanager
def _sleeping(cluster: Cluster, docker: Docker, env: dict[str, str], builder: str, context: Path) -> Iterator[None]:
    """Yield a build that runs in its pod. Its client is killed after the test."""
    _create(docker, builder)
    docker("buildx", "inspect", "--bootstrap", builder)
    (context / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN exec sleep 54321 # {builder}\n")
    base = f"BASE={env['BASE_IMAGE']}"
    command = ("docker", "buildx", "build", "--builder", builder, "--build-arg", base, str(context))
    with subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as client:
        try:
            assert wait_until(lambda: len(cluster.builds(builder)) == 1, seconds=20)
            yield
        finally:
            os.killpg(client.pid, 9)


def test_a_build_is_seen_in_its_pod_and_ends_with_its_client(
    cluster: Cluster, testbed_env: dict[str, str], docker: Docker, builder: str, context: Path
) -> None:
    with _sleeping(cluster, docker, testbed_env, builder, context):
        (pod,) = _pods(cluster, builder)
        (line,) = _exec(testbed_env, pod, *_PGREP).stdout.splitlines()
        assert int(line)
    assert wait_until(lambda: _exec(testbed_env, pod, *_PGREP).returncode == 1, seconds=20)


def test_a_build_ends_with_its_pod(
    cluster: Cluster, testbed_env: dict[str, str], docker: Docker, builder: str, context: Path
) -> None:
    with _sleeping(cluster, docker, testbed_env, builder, context):
        assert cluster.open_connections(builder) == 1
        cluster.kubectl("delete", "deployment", builder)
        assert wait_until(lambda: cluster.open_connections(builder) == 0, seconds=20)
        # buildx waits for ever, because it does not end a build when the exec of the build ends


def test_kubectl_makes_waits_and_deletes(cluster: Cluster, unique: str) -> None:
    got = ("get", "deployment", unique, "--output", "json", "--ignore-not-found")
    assert cluster.kubectl(*got) == ""
    cluster.add_deployment(unique, image="foreign:1")
    with pytest.raises(TestbedError, match=rf'deployments\.apps "{unique}" already exists'):
        cluster.add_deployment(unique)
    cluster.kubectl("wait", "--for", "condition=available", "--timeout", "10s", f"deployment/{unique}")
    cluster.kubectl("annotate", "deployment", unique, "team=red")
    foreign = json.loads(cluster.kubectl(*got))
    assert foreign["metadata"]["annotations"] == {"team": "red"}
    assert foreign["spec"]["template"]["spec"]["containers"][0]["image"] == "foreign:1"
    cluster.kubectl("delete", "deployment", unique)
    assert cluster.kubectl(*got) == ""
    with pytest.raises(TestbedError, match=rf'\(NotFound\): deployments\.apps "{unique}" not found'):
        cluster.kubectl("delete", "deployment", unique)


def test_variables_of_a_container_can_be_read(cluster: Cluster, unique: str) -> None:
    labels = {"app": unique}
    container = {"name": "main", "image": "any:1", "env": [{"name": "LEVEL", "value": "debug"}]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": unique}, "spec": spec}
    for expected in ("created", "unchanged"):
        assert expected in cluster.kubectl("apply", "--filename", "-", stdin=json.dumps(made))
    path = "jsonpath={.spec.template.spec.containers[0].env[0].value}"
    assert cluster.kubectl("get", "deployment", unique, "--output", path) == "debug"
    cluster.kubectl("delete", "deployment", unique)


def test_namespaces_are_kept_apart(cluster: Cluster, docker: Docker, builder: str) -> None:
    _create(docker, builder, f"namespace={builder}")
    with pytest.raises(AssertionError, match=f'namespaces "{builder}" not found'):
        docker("buildx", "inspect", "--bootstrap", builder)
    cluster.add_namespace(builder)
    docker("buildx", "inspect", "--bootstrap", builder)
    assert [deployment["metadata"]["name"] for deployment in cluster.deployments(builder)] == [builder]
    assert builder not in [deployment["metadata"]["name"] for deployment in cluster.deployments()]
    cluster.kubectl("delete", "namespace", builder)
    assert cluster.deployments(builder) == []


def test_objects_outlive_a_stop(cluster: Cluster, unique: str) -> None:
    cluster.add_deployment(unique)
    before = cluster.kubectl("get", "deployment", unique, "--output", "json")
    cluster.stop()
    with pytest.raises(TestbedError, match="refused"):
        cluster.deployments()
    cluster.start()
    assert cluster.kubectl("get", "deployment", unique, "--output", "json") == before
    cluster.kubectl("delete", "deployment", unique)
