"""Builders in a simulated Kubernetes cluster: the whole life of a Deployment, through buildx and kubectl."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of

from mpbake.model.plan import Driver
from mpbake.spec.tables.builder_tables import OPTIONS, SINCE
from tests.checkout import CHECKOUT
from tests.testbed_parts.kubernetes.cluster import UNPULLABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake, RunMpbake
    from tests.testbed_parts.kubernetes.cluster import Cluster


@pytest.fixture
def name(unique: str, cluster: Cluster, docker: Docker) -> Iterator[str]:
    """Return a builder's name. Everything that is left of its node `one` is removed after the test."""
    builder = f"k{unique[-6:]}"
    yield builder
    cluster.start()
    for kind in ("deployment", "statefulset"):
        cluster.kubectl("delete", kind, f"{builder}-one", "--ignore-not-found")
    if f"{builder} " in docker("buildx", "ls"):
        docker("buildx", "rm", "--keep-daemon", builder)


def plan(testbed: Testbed, name: str, *, options: str = "", tags: str = "", work: str = "echo built") -> str:
    return f"""
version = 1
[builders.{name}]
driver = "kubernetes"
{options}
[builders.{name}.nodes.one]
platforms = ["linux/amd64", "linux/arm64"]
[targets.web]
builder = "{name}"
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN {work}
'''
platforms = ["linux/amd64", "linux/arm64"]
{f'tags = ["{tags}"]' if tags else ""}
push = {str(bool(tags)).lower()}
"""


def objects(cluster: Cluster, namespace: str = "default") -> str:
    """Return the names of all objects that a node can leave behind."""
    return cluster.kubectl("get", "deployments,statefulsets,configmaps", "--output", "name", "--namespace", namespace)


def test_a_node_of_several_pods(testbed: Testbed, mpbake: Mpbake, name: str, tmp_path: Path) -> None:
    """Each pod is listed by buildx under the name of the node."""
    (tmp_path / "build.toml").write_text(plan(testbed, name, options="replicas = 2"))
    assert f"{name}: in buildx's store" in mpbake("builders", "up").stderr
    assert mpbake("builders", "plan").stdout.endswith("  as declared\nnothing to do\n")
    mpbake("builders", "rm")


def test_a_whole_life(
    testbed: Testbed,
    cluster: Cluster,
    mpbake: Mpbake,
    name: str,
    repository: str,
    tmp_path: Path,
) -> None:
    file, deployment = tmp_path / "build.toml", f"{name}-one"
    options = 'buildkitd = { debug = true }\nrequests = { cpu = "1" }'
    file.write_text(plan(testbed, name, options=options, tags=f"{repository}:1"))

    created = mpbake("builders", "plan", "--detailed-exitcode", code=2).stdout
    assert f"+ create Deployment {deployment}: it does not exist" in created
    assert deployment not in objects(cluster), "a plan makes nothing"
    assert f"{name}/one: created, and answers" in mpbake("builders", "up").stderr
    assert (
        mpbake("builders", "plan", "--detailed-exitcode").stdout
        == f"{name} (kubernetes)\n  as declared\nnothing to do\n"
    )
    assert f"configmap/{deployment}-config" in objects(cluster)

    mpbake("run", "web")
    (build,) = cluster.builds(deployment)
    assert build.platforms == ("linux/amd64", "linux/arm64")
    _, index = testbed.registry.client.manifest(f"{repository}:1")
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]
    listed = mpbake("builders").stdout
    assert f"{name}/one  kubernetes  (in use)  running" in listed
    assert "linux/amd64" in listed

    changed = options.replace('"1"', '"2"')
    file.write_text(plan(testbed, name, options=changed, tags=f"{repository}:1"))
    before = cluster.kubectl("get", "deployment", deployment, "--output", "json")
    warned = mpbake("run", "web", "--no-cache").stderr
    assert f"warning: {name}/one runs with other options than the plan declares (requests.cpu)" in warned
    assert cluster.kubectl("get", "deployment", deployment, "--output", "json") == before, "a run corrects nothing"
    drifted = mpbake("builders", "plan", "--detailed-exitcode", code=2).stdout
    change = f"± replace Deployment {deployment}: it was made with other options; its cache goes with its pods"
    assert f"  {change}\n      requests.cpu: 1 -> 2\n" in drifted
    assert f"{name}/one: recreated, and answers" in mpbake("builders", "up").stderr
    mpbake("run", "web")
    made = json.loads(cluster.kubectl("get", "deployment", deployment, "--output", "json"))
    assert made["spec"]["template"]["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "2"}}

    assert f"{name}/one: Deployment removed, and its cache" in mpbake("builders", "rm").stderr
    assert deployment not in objects(cluster), "neither the Deployment nor its ConfigMap"


def test_a_deployment_of_somebody_else_is_neither_used_nor_changed(
    testbed: Testbed,
    cluster: Cluster,
    mpbake: Mpbake,
    name: str,
    tmp_path: Path,
) -> None:
    cluster.add_deployment(f"{name}-one")
    before = cluster.kubectl("get", "deployment", f"{name}-one", "--output", "json")
    (tmp_path / "build.toml").write_text(plan(testbed, name))
    for command, code in ((("builders", "up"), 3), (("run", "web"), 3), (("builders", "rm"), 3)):
        errors = mpbake(*command, code=code).stderr
        assert f"{name}/one: mpbake did not make the Deployment {name}-one, and leaves it unchanged" in errors
        assert "= rename the builder or the node, use its builder (external = true), or remove it: " in errors
        assert f" or remove it: kubectl delete deployment {name}-one\n" in errors
    assert cluster.kubectl("get", "deployment", f"{name}-one", "--output", "json") == before
    assert cluster.builds(f"{name}-one") == []


def test_a_deployment_in_which_somebody_builds_stays(
    testbed: Testbed,
    cluster: Cluster,
    mpbake: Mpbake,
    name: str,
    testbed_env: dict[str, str],
    tmp_path: Path,
) -> None:
    file = tmp_path / "build.toml"
    file.write_text(plan(testbed, name, work="sleep 20"))
    mpbake("builders", "up")
    argv = (sys.executable, "-m", "mpbake", "run", "web", "-f", str(file))
    env = {**testbed_env, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(argv, env=env, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        try:
            while not cluster.builds(f"{name}-one"):
                assert run.poll() is None
                time.sleep(0.1)
            changed = tmp_path / "changed.toml"
            changed.write_text(plan(testbed, name, options="replicas = 2"))
            errors = mpbake("builders", "up", "-f", str(changed), code=4).stderr
            assert f"a build runs in {name}-one, so mpbake leaves it unchanged" in errors
            assert f"{name}-one" in objects(cluster)
        finally:
            run.terminate()


def test_a_deployment_that_does_not_say_whether_somebody_builds_stays(
    testbed: Testbed,
    cluster: Cluster,
    run_mpbake: RunMpbake,
    name: str,
    testbed_env: dict[str, str],
    tmp_path: Path,
) -> None:
    file, kubectl = tmp_path / "build.toml", tmp_path / "bin/kubectl"
    file.write_text(plan(testbed, name))
    assert run_mpbake(["builders", "up"]).returncode == 0
    kubectl.parent.mkdir()
    kubectl.write_text(f"""#!/bin/sh
case "$*" in *pgrep*) echo 'Error from server (Forbidden): it is forbidden' >&2; exit 1 ;; esac
PATH={testbed_env["PATH"]} exec kubectl "$@"
""")
    kubectl.chmod(0o755)
    file.write_text(plan(testbed, name, options="replicas = 2"))
    for command in ("up", "rm"):
        completed = run_mpbake(["builders", command], env={"PATH": f"{kubectl.parent}:{testbed_env['PATH']}"})
        assert completed.returncode == 5, completed.stderr
        assert f"{name}/one: mpbake cannot tell whether a build runs in the pod {name}-one" in completed.stderr
        assert ": this user may not do that in the cluster (" in completed.stderr
        assert f"if no build runs, run: kubectl delete deployment {name}-one" in completed.stderr
    assert f"{name}-one" in objects(cluster)


def test_pods_that_cannot_start_say_why(
    testbed: Testbed,
    mpbake: Mpbake,
    name: str,
    tmp_path: Path,
) -> None:
    options = f'image = "{UNPULLABLE}"\nboot-timeout = "4s"'
    (tmp_path / "build.toml").write_text(plan(testbed, name, options=options))
    errors = mpbake("builders", "up", code=5).stderr
    late = "no answer within 4.0s (waiting for 1 pods to be ready)"
    assert f"node {name}/one (kubernetes, the cluster in use) cannot be used: {late}\n" in errors
    assert "its pods wait:\n" in errors
    assert "ImagePull" in errors
    assert 'set image = "…" in the builder to a BuildKit image that the cluster can pull' in errors


def test_a_cluster_that_does_not_answer(
    testbed: Testbed,
    cluster: Cluster,
    mpbake: Mpbake,
    name: str,
    tmp_path: Path,
) -> None:
    (tmp_path / "build.toml").write_text(plan(testbed, name))
    cluster.stop()
    for command in (("builders", "up"), ("run", "web")):
        errors = mpbake(*command, code=5).stderr
        assert (
            f"node {name}/one (kubernetes, the cluster in use) cannot be used: the cluster does not answer (" in errors
        )
    assert "the cluster does not answer" in mpbake("builders").stdout


def test_without_kubectl_nothing_is_made(
    testbed: Testbed, cluster: Cluster, run_mpbake: RunMpbake, name: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(plan(testbed, name))
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "docker").symlink_to(shutil.which("docker") or "")
    completed = run_mpbake(["run", "web"], env={"PATH": str(folder)})
    assert completed.returncode == 5
    assert f"{name}/one: the kubectl command was not found" in completed.stderr
    assert f"{name}-one" not in objects(cluster)


def test_what_is_no_longer_declared_is_removed_from_its_namespace(
    testbed: Testbed,
    cluster: Cluster,
    mpbake: Mpbake,
    name: str,
    tmp_path: Path,
) -> None:
    namespace = f"n{name}"
    cluster.add_namespace(namespace)
    file = tmp_path / "build.toml"
    file.write_text(plan(testbed, name, options=f'namespace = "{namespace}"'))
    mpbake("builders", "up")
    assert f"{name}-one" in objects(cluster, namespace)
    file.write_text("version = 1\n")
    assert f"{name}/one: Deployment removed, and its cache" in mpbake("builders", "prune").stderr
    assert f"{name}-one" not in objects(cluster, namespace)


CLAIM = 'persistent-volume-claim = { requests = { storage = "1Gi" } }'
CLAIMS_SINCE = (0, 34)


@pytest.fixture
def claiming(testbed: Testbed, name: str, tmp_path: Path) -> str:
    """Return the name of a builder in a plan. Its node has a persistent volume claim."""
    (tmp_path / "build.toml").write_text(plan(testbed, name, options=CLAIM))
    return name


@pytest.mark.parametrize("command", [("builders", "plan"), ("builders", "up"), ("run", "web")])
def test_a_buildx_without_claims_is_refused_before_anything_starts(
    cluster: Cluster, run_mpbake: RunMpbake, claiming: str, command: Sequence[str], buildx: tuple[int, int]
) -> None:
    completed = run_mpbake(command)
    if buildx >= CLAIMS_SINCE:
        assert completed.returncode == 0, completed.stderr
        return
    assert completed.returncode == 3, completed.stderr
    name = claiming
    message = f"{name}: persistent-volume-claim.requests.storage of the kubernetes driver needs buildx 0.34 or newer"
    assert message in completed.stderr
    assert "build.toml:5:" in completed.stderr
    assert "install buildx 0.34 or newer, or remove persistent-volume-claim.requests.storage" in completed.stderr
    assert name not in objects(cluster)


def test_the_life_of_a_stateful_set(cluster: Cluster, mpbake: Mpbake, claiming: str, buildx: tuple[int, int]) -> None:
    """A node with a persistent volume claim is a StatefulSet. buildx before 0.34 cannot make one."""
    name = claiming
    if buildx < CLAIMS_SINCE:
        mpbake("builders", "up", code=3)
        return
    assert f"+ create StatefulSet {name}-one: it does not exist" in mpbake("builders", "plan").stdout
    assert f"{name}/one: created, and answers" in mpbake("builders", "up").stderr
    assert mpbake("builders", "plan").stdout == f"{name} (kubernetes)\n  as declared\nnothing to do\n"
    mpbake("run", "web")
    (build,) = cluster.builds(f"{name}-one")
    assert build.platforms == ("linux/amd64", "linux/arm64")
    made = json.loads(cluster.kubectl("get", "statefulset", f"{name}-one", "--output", "json"))
    (claim,) = made["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "1Gi"}}
    assert f"{name}/one: StatefulSet removed, its cache stays" in mpbake("builders", "rm").stderr
    assert name not in objects(cluster)


ENDPOINTS = {
    Driver.DOCKER_CONTAINER: ["unix:///nowhere"],
    Driver.KUBERNETES: [],
    Driver.REMOTE: ["unix:///nowhere"],
}


@pytest.mark.parametrize(
    ("option", "driver"),
    [
        (option, driver)
        for option, since in SINCE.items()
        for driver in since.drivers or OPTIONS[option.partition(".")[0]].drivers
    ],
)
@pytest.mark.usefixtures("cluster")
def test_this_buildx_has_what_it_is_said_to_have(
    testbed_env: dict[str, str], buildx: tuple[int, int], tmp_path: Path, option: str, driver: Driver
) -> None:
    """`docker buildx create` itself knows exactly the options that mpbake's table of versions lists."""
    driver_option = f"{option}.A=1" if option == "env" else f"{option}=1"
    completed = subprocess.run(
        ["docker", "buildx", "create", "--driver", driver, "--driver-opt", driver_option, *ENDPOINTS[driver]],
        env={**testbed_env, "BUILDX_CONFIG": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    known = buildx >= SINCE[option].version
    assert ("invalid driver option" in completed.stderr) is not known, completed.stderr
