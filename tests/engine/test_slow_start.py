"""Nodes that start slowly: a registry that sends blobs slowly, and a cluster whose pods start late."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from testbed.oci import Blob, Tree

from tests.checkout import CHECKOUT
from tests.engine.faulty import FaultyRegistry, faulty_registry
from tests.engine.test_builders import container_plan
from tests.testbed_parts.kubernetes.cluster import SLOW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.registry_client import RegistryClient
    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake, RunMpbake
    from tests.testbed_parts.kubernetes.cluster import Cluster

pytestmark = pytest.mark.one_release

_FILLER = 64 << 20
OVER_20_SECONDS = 24.0
"""The seconds of a pull that takes longer than buildx's own time limit."""


@pytest.fixture
def slow(testbed: Testbed) -> Iterator[FaultyRegistry]:
    """Yield a slow proxy in front of the testbed's registry."""
    with faulty_registry(testbed.registry.host) as registry:
        yield registry


@pytest.fixture
def image(testbed: Testbed, slow: FaultyRegistry, docker: Docker, unique: str) -> Iterator[str]:
    """Yield a node image in the slow registry.

    The engine has no copy of its second layer, neither before nor after the test.
    """
    docker("pull", testbed.node_image())
    repository = testbed.node_image().partition("/")[2].partition(":")[0]
    push_enlarged(testbed.registry.client, f"{repository}:1", unique)
    push_enlarged(testbed.registry.client, f"{repository}:1", f"{unique}-late", late=True)
    name = f"{slow.host}/{repository}:{unique}"
    yield name
    docker("image", "rm", "--force", name, f"{name}-late")


def push_enlarged(registry: RegistryClient, image: str, tag: str, *, late: bool = False) -> None:
    """Push the image under another tag, with one more layer of unique bytes.

    If `late` is true, the BuildKit of the image starts after buildx's time limit.
    """
    repository = image.partition(":")[0]
    archive = io.BytesIO()
    Tree(files={"filler": os.urandom(_FILLER)}).write_tar(archive)
    manifest = json.loads(registry.manifest(image)[1])
    config = json.loads(registry.blob(repository, manifest["config"]["digest"]))
    layer = Blob.of(manifest["layers"][0]["mediaType"], archive.getvalue())
    if late:
        config["config"]["Entrypoint"] = ["sh", "-c", f"sleep {OVER_20_SECONDS}; exec buildkitd"]
    config["rootfs"]["diff_ids"].append(layer.digest)
    config["history"].append({"created_by": tag})
    configuration = Blob.of(manifest["config"]["mediaType"], json.dumps(config).encode())
    for blob in (layer, configuration):
        registry.put_blob(repository, blob.data)
    manifest |= {"config": configuration.descriptor(), "layers": [*manifest["layers"], layer.descriptor()]}
    registry.put_manifest(repository, tag, manifest["mediaType"], json.dumps(manifest).encode())


@pytest.fixture
def name(unique: str, docker: Docker) -> Iterator[str]:
    """Yield a builder's name. The containers of its nodes are removed after the test."""
    builder = f"s{unique[-6:]}"
    yield builder
    for node in ("local", "other", "far"):
        docker("rm", "--force", "--volumes", f"buildx_buildkit_{builder}-{node}")
        docker("volume", "rm", "--force", f"buildx_buildkit_{builder}-{node}_state")


@pytest.fixture
def plan(testbed: Testbed, name: str, image: str, tmp_path: Path) -> Path:
    """Return a plan with a node whose image is in the slow registry."""
    return written(testbed, name, image, tmp_path)


def written(
    testbed: Testbed, name: str, image: str, folder: Path, *, options: str = "", nodes: str = "local = {}"
) -> Path:
    plan = container_plan(testbed, name, options=options, nodes=nodes).replace(testbed.node_image(), image)
    (folder / "build.toml").write_text(plan)
    return folder / "build.toml"


def amounts(output: str, node: str) -> list[float]:
    """Return the megabytes in the lines about the progress of the pull of a node's image."""
    return [float(megabytes) for megabytes in re.findall(rf"{node}: pulling \S+: ([\d.]+) MB of [\d.]+ MB\n", output)]


def containers(docker: Docker, name: str) -> str:
    return docker("ps", "--all", "--filter", f"name={name}", "--format", "{{.Names}}")


def test_an_image_that_is_pulled_for_longer_than_the_timer_of_buildx(
    slow: FaultyRegistry, mpbake: Mpbake, name: str, image: str, plan: Path
) -> None:
    slow.blob_seconds = OVER_20_SECONDS
    assert plan.exists()
    began = time.monotonic()
    output = mpbake("builders", "up").stderr
    seconds = time.monotonic() - began
    assert seconds > OVER_20_SECONDS
    pulled = amounts(output, f"{name}/local")
    assert pulled == sorted(set(pulled))
    assert 2 <= len(pulled) <= seconds / 5
    assert output.startswith(f"{name}/local: pulling {image}\n")
    assert f"{name}/local: created, and answers\n" in output


def test_a_newer_image_that_buildx_pulls_for_longer_than_its_timer(  # noqa: PLR0913, PLR0917 - fixtures
    testbed: Testbed, slow: FaultyRegistry, docker: Docker, mpbake: Mpbake, name: str, image: str, plan: Path
) -> None:
    """The engine has an older image of that name. So buildx itself looks for a newer image."""
    slow.blob_seconds = OVER_20_SECONDS
    assert plan.exists()
    docker("pull", testbed.env()["BASE_IMAGE"])
    docker("tag", testbed.env()["BASE_IMAGE"], image)
    began = time.monotonic()
    output = mpbake("run", "web").stderr
    assert time.monotonic() - began > OVER_20_SECONDS
    assert f"{name}/local: pulling image {image}\n" in output


def test_a_buildkit_that_starts_after_buildx_has_given_up(
    testbed: Testbed, mpbake: Mpbake, name: str, image: str, tmp_path: Path
) -> None:
    written(testbed, name, f"{image}-late", tmp_path)
    output = mpbake("builders", "up").stderr
    assert f"{name}/local: waiting for BuildKit to answer\n" in output
    assert f"{name}/local: created, and answers\n" in output


def test_a_pull_that_takes_longer_than_the_boot_timeout(  # noqa: PLR0913, PLR0917 - fixtures
    testbed: Testbed, slow: FaultyRegistry, docker: Docker, mpbake: Mpbake, name: str, image: str, tmp_path: Path
) -> None:
    slow.blob_seconds = 60.0
    written(testbed, name, image, tmp_path, options='boot-timeout = "3s"')
    for command in (("builders", "up"), ("run", "web")):
        began = time.monotonic()
        errors = mpbake(*command, code=5).stderr
        assert time.monotonic() - began < 25
        assert re.search(
            rf"node {name}/local \(docker-container, the engine in use\) cannot be used: pulling {image} takes too "
            r"long: only [\d.]+ MB of [\d.]+ MB arrived within 3\.0s\n"
            rf"  = raise boot-timeout; or pull it beforehand: docker pull {image}\n",
            errors,
        ), errors
    assert name not in containers(docker, name)
    slow.blob_seconds = 0.0
    written(testbed, name, image, tmp_path)
    mpbake("run", "web")


def test_a_pull_that_is_interrupted(
    slow: FaultyRegistry,
    docker: Docker,
    mpbake: Mpbake,
    testbed_env: dict[str, str],
    name: str,
    plan: Path,
) -> None:
    slow.blob_seconds = 60.0
    for command, prefix in ((("builders", "up"), ""), (("run", "web"), r" *\d+\.\ds  ")):
        env = {**testbed_env, "PYTHONPATH": str(CHECKOUT), "XDG_STATE_HOME": str(plan.parent / "state")}
        process = subprocess.Popen(
            (sys.executable, "-m", "mpbake", *command), cwd=plan.parent, env=env, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        for line in process.stderr:
            if re.match(rf"{prefix}{name}/local: pulling \S+: [\d.]+ MB of", line):
                break
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
        assert time.monotonic() - began < 10
        assert process.returncode == 130, rest
        assert name not in containers(docker, name)
    slow.blob_seconds = 0.0
    assert f"{name}/local: created, and answers\n" in mpbake("builders", "up").stderr


def test_two_at_once_that_pull_the_same_image(
    testbed: Testbed, slow: FaultyRegistry, run_mpbake: RunMpbake, name: str, image: str, tmp_path: Path
) -> None:
    """Two runs of two plans share a node."""
    slow.blob_seconds = 8.0
    folders = [tmp_path / folder_name for folder_name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        written(testbed, name, image, folder)
    with ThreadPoolExecutor() as pool:
        one, two = pool.map(lambda folder: run_mpbake(["run", "web"], cwd=folder), folders)
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    waited, pulled = sorted((one.stderr, two.stderr), key=lambda output: "pulling" in output)
    assert f"{name}/local: another mpbake works on it, waiting\n" in waited
    assert amounts(pulled, f"{name}/local")
    assert not amounts(waited, f"{name}/local")


def test_two_nodes_of_one_image_and_a_machine_behind_ssh(
    testbed: Testbed, slow: FaultyRegistry, mpbake: Mpbake, name: str, image: str, tmp_path: Path
) -> None:
    slow.blob_seconds = 8.0
    nodes = f'local = {{}}\nfar = {{ endpoint = "{testbed.ssh.endpoint}" }}'
    written(testbed, name, image, tmp_path, nodes=nodes)
    output = mpbake("builders", "up").stderr
    assert amounts(output, f"{name}/local")
    assert amounts(output, f"{name}/far")
    assert f"{name}/far: created, and answers\n" in output


def test_why_an_image_cannot_be_had(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    host = testbed.registry.host
    cases = {
        f"{host}/no/such:1": "the image does not exist (",
        f"{testbed.password_registry().host}/bk:1": "the registry denies the pull of its image (",
        "localhost:9/bk:1": "the registry of its image cannot be reached (",
        "no-such-registry.invalid/bk:1": "the registry of its image cannot be reached (",
    }
    for image, reason in cases.items():
        written(testbed, name, image, tmp_path)
        for command in (("builders", "up"), ("run", "web")):
            errors = mpbake(*command, code=5).stderr
            assert f"node {name}/local (docker-container, the engine in use) cannot be used: {reason}" in errors
            assert 'set image = "…" in the builder' in errors
    assert name not in containers(docker, name)


@pytest.fixture
def pods(cluster: Cluster, name: str, docker: Docker) -> Iterator[str]:
    """Yield a builder's name. Its Deployment is removed after the test."""
    yield name
    cluster.kubectl("delete", "deployment", f"{name}-one", "--ignore-not-found")
    if f"{name} " in docker("buildx", "ls"):
        docker("buildx", "rm", "--keep-daemon", name)


def pod_plan(testbed: Testbed, name: str, seconds: int, options: str = "") -> str:
    return f"""
version = 1
[builders.{name}]
driver = "kubernetes"
image = "{SLOW.format(seconds=seconds)}"
{options}
[builders.{name}.nodes.one]
[targets.web]
builder = "{name}"
dockerfile-inline = "FROM {testbed.env()["BASE_IMAGE"]}"
platforms = ["linux/amd64"]
"""


def test_a_pod_that_is_ready_after_the_timer_of_buildx(
    testbed: Testbed, mpbake: Mpbake, pods: str, buildx: tuple[int, int], tmp_path: Path
) -> None:
    """In this case, buildx since 0.34 reports the state from before the start."""
    if buildx < (0, 34):
        pytest.skip("tests/cluster tests this with older releases of buildx")
    (tmp_path / "build.toml").write_text(pod_plan(testbed, pods, 25))
    began = time.monotonic()
    output = mpbake("run", "web").stderr
    assert time.monotonic() - began > 20
    assert f"{pods}/one: waiting for 1 pods to be ready\n" in output


def test_a_pod_that_is_ready_after_the_boot_timeout(
    testbed: Testbed, mpbake: Mpbake, pods: str, tmp_path: Path
) -> None:
    (tmp_path / "build.toml").write_text(pod_plan(testbed, pods, 600, 'boot-timeout = "4s"'))
    errors = mpbake("run", "web", code=5).stderr
    assert (
        f"node {pods}/one (kubernetes, the cluster in use) cannot be used: no answer within 4.0s "
        "(waiting for 1 pods to be ready)\n"
    ) in errors
    assert "its pods wait:\n" in errors
    assert "ContainerCreating" in errors
    assert "the cluster does not answer" not in errors
