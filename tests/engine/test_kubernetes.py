"""Builders in a simulated Kubernetes cluster: what tests/cluster cannot provoke in a real one of a single machine."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of

from mpbake.model.plan import Driver
from mpbake.spec.tables.builder_tables import OPTIONS, SINCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake, RunMpbake
    from tests.testbed_parts.kubernetes.cluster import Cluster

ONE = '{ platforms = ["linux/amd64", "linux/arm64"] }'
ARCHITECTURES = ("amd64", "arm64")


@pytest.fixture
def name(unique: str, cluster: Cluster, docker: Docker) -> Iterator[str]:
    """Return a builder's name. Everything that is left of its nodes is removed after the test."""
    builder = f"k{unique[-6:]}"
    yield builder
    cluster.start()
    nodes = [f"{builder}-{node}" for node in ("one", *ARCHITECTURES)]
    cluster.kubectl("delete", "deployments,statefulsets", *nodes, "--ignore-not-found")
    if f"{builder} " in docker("buildx", "ls"):
        docker("buildx", "rm", "--keep-daemon", builder)


def plan(testbed: Testbed, name: str, *, options: str = "", nodes: str = f"one = {ONE}", tags: str = "") -> str:
    return f"""
version = 1
[builders.{name}]
driver = "kubernetes"
{options}
[builders.{name}.nodes]
{nodes}
[targets.web]
builder = "{name}"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64", "linux/arm64"]
{f'tags = ["{tags}"]' if tags else ""}
push = {str(bool(tags)).lower()}
"""


def objects(cluster: Cluster) -> str:
    """Return the names of all objects that a node can leave behind."""
    return cluster.kubectl("get", "deployments,statefulsets,configmaps", "--output", "name")


def test_each_machine_builds_its_own_platform(
    testbed: Testbed, cluster: Cluster, mpbake: Mpbake, name: str, repository: str, tmp_path: Path
) -> None:
    """A node has several pods, and buildx lists each under the name of the node."""
    nodes = "\n".join(
        f'{architecture} = {{ platforms = ["linux/{architecture}"], '
        f'nodeselector = {{ "kubernetes.io/arch" = "{architecture}" }} }}'
        for architecture in ARCHITECTURES
    )
    options = "replicas = 2\nbuildkitd = { debug = true }"
    (tmp_path / "build.toml").write_text(plan(testbed, name, options=options, nodes=nodes, tags=f"{repository}:1"))
    created = mpbake("builders", "up").stderr
    for architecture in ARCHITECTURES:
        assert f"{name}/{architecture}: created, and answers" in created
        assert f"configmap/{name}-{architecture}-config" in objects(cluster)
    assert mpbake("builders", "plan").stdout == f"{name} (kubernetes)\n  as declared\nnothing to do\n"

    mpbake("run", "web")
    for architecture in ARCHITECTURES:
        (build,) = cluster.builds(f"{name}-{architecture}")
        assert build.platforms == (f"linux/{architecture}",)
    _, index = testbed.registry.client.manifest(f"{repository}:1")
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]

    removed = mpbake("builders", "rm").stderr
    assert all(f"{name}/{node}: Deployment removed, and its cache" in removed for node in ARCHITECTURES)
    assert name not in objects(cluster), "neither the Deployments nor their ConfigMaps"


@pytest.mark.one_release
def test_a_cluster_that_does_not_answer_for_a_while(
    testbed: Testbed, cluster: Cluster, mpbake: Mpbake, name: str, tmp_path: Path
) -> None:
    """Its objects stay, and mpbake forgets none."""
    (tmp_path / "build.toml").write_text(plan(testbed, name))
    mpbake("builders", "up")
    cluster.stop()
    for command in (("builders", "up"), ("run", "web")):
        errors = mpbake(*command, code=5).stderr
        assert (
            f"node {name}/one (kubernetes, the cluster in use) cannot be used: the cluster does not answer (" in errors
        )
    assert "the cluster does not answer (" in mpbake("builders", "rm", code=5).stderr
    assert "the cluster does not answer" in mpbake("builders").stdout
    cluster.start()
    assert f"{name}/one: Deployment removed, and its cache" in mpbake("builders", "rm").stderr


@pytest.mark.one_release
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


CLAIM = 'persistent-volume-claim = { requests = { storage = "1Gi" } }'
CLAIMS_SINCE = (0, 34)


def test_the_life_of_a_stateful_set(
    testbed: Testbed, cluster: Cluster, mpbake: Mpbake, name: str, buildx: tuple[int, int], tmp_path: Path
) -> None:
    """A node with a persistent volume claim is a StatefulSet. buildx before 0.34 cannot make one."""
    (tmp_path / "build.toml").write_text(plan(testbed, name, options=CLAIM))
    if buildx < CLAIMS_SINCE:
        claims_are_refused(mpbake, name)
        assert name not in objects(cluster)
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

    (tmp_path / "build.toml").write_text(plan(testbed, name, options=f"{CLAIM}\nreplicas = 2"))
    assert f"± replace StatefulSet {name}-one: " in mpbake("builders", "plan").stdout
    assert f"{name}/one: recreated with its cache, and answers" in mpbake("builders", "up").stderr
    assert mpbake("builders", "plan").stdout == f"{name} (kubernetes)\n  as declared\nnothing to do\n"
    assert f"{name}/one: StatefulSet removed, its cache stays" in mpbake("builders", "rm").stderr
    assert name not in objects(cluster)


def claims_are_refused(mpbake: Mpbake, name: str) -> None:
    """Check that each command refuses the claim before it makes anything."""
    option = "persistent-volume-claim.requests.storage"
    for command in (("builders", "plan"), ("builders", "up"), ("run", "web")):
        errors = mpbake(*command, code=3).stderr
        assert f"{name}: {option} of the kubernetes driver needs buildx 0.34 or newer" in errors
        assert "build.toml:5:" in errors
        assert f"install buildx 0.34 or newer, or remove {option}" in errors


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
