"""Builders that were made with docker buildx create: their import into a plan, and their adoption."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, Mpbake

CONFIG = """
debug = true
[worker.oci]
max-parallelism = 3
[registry."registry.local:5000"]
ca = ["{certs}/ca.crt"]
"""


@pytest.fixture
def name(unique: str, docker: Docker) -> Iterator[str]:
    """Return a builder's name. After the test, what is left of its nodes and its entry is removed."""
    builder = f"h{unique[-6:]}"
    yield builder
    for node in (f"{builder}0", f"{builder}-far"):
        docker("rm", "--force", "--volumes", f"buildx_buildkit_{node}")
    if builder in docker("buildx", "ls"):
        docker("buildx", "rm", "--force", builder)


def started(docker: Docker, node: str) -> str:
    """Return the id of a node's container, and when it was started."""
    return docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", f"buildx_buildkit_{node}")


def test_a_builder_with_two_nodes_is_imported_and_adopted(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    config = tmp_path / "buildkitd.toml"
    config.write_text(CONFIG.format(certs=testbed.certificates))
    create = ("buildx", "create", "--name", name, "--driver-opt", f"image={testbed.node_image()},network=host")
    options = ("--driver-opt", "memory=1g,env.GREETING=hello", "--buildkitd-flags", "--debug", "--config", str(config))
    docker(*create, "--platform", "linux/amd64", *options)
    docker(*create, "--append", "--node", f"{name}-far", "--platform", "linux/arm64", "ssh://mpbake-node-7")
    docker("buildx", "inspect", "--bootstrap", name)
    before = [started(docker, f"{name}0"), started(docker, f"{name}-far")]

    assert mpbake("import", "--builder", name, "-o", "builders.toml").stderr == ""
    (tmp_path / "build.toml").write_text('version = 1\ninclude = ["builders.toml"]\n')
    assert (
        (tmp_path / "builders.toml").read_text()
        == f"""version = 1

[builders.{name}]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"

[builders.{name}.nodes.{name}0]
buildx-name = "{name}0"
platforms = ["linux/amd64"]
env = {{ GREETING = "hello" }}
memory = "1g"
flags = ["--debug"]

[builders.{name}.nodes.{name}0.buildkitd]
debug = true

[builders.{name}.nodes.{name}0.buildkitd.registry."registry.local:5000"]
ca = ["{name}-registries/registry.local_5000/ca.crt"]

[builders.{name}.nodes.{name}0.buildkitd.worker.oci]
max-parallelism = 3

[builders.{name}.nodes.far]
endpoint = "ssh://mpbake-node-7"
platforms = ["linux/arm64"]
"""
    )
    adoption = f"""{name} (docker-container)
  = adopt container buildx_buildkit_{name}0: it was made by hand; its cache stays
  = adopt container buildx_buildkit_{name}-far: it was made by hand; its cache stays
  = adopt builder {name}: buildx's store has it, made by hand
"""
    planned = mpbake("builders", "plan", "--detailed-exitcode").stdout
    assert planned == f"{adoption}3 to adopt; to adopt, run: mpbake builders up --adopt\n"
    assert f"take it over (mpbake builders up --adopt {name})" in mpbake("builders", "up", code=3).stderr
    completed = mpbake("builders", "up", "--adopt")
    assert completed.stdout == adoption
    assert f"{name}/far: adopted, and answers" in completed.stderr
    assert [started(docker, f"{name}0"), started(docker, f"{name}-far")] == before
    assert mpbake("builders", "plan").stdout.endswith("  as declared\nnothing to do\n")
    assert f"{name}/far: stopped" in mpbake("builders", "stop").stderr
    assert f"{name}/{name}0: container removed, and its cache" in mpbake("builders", "rm").stderr
    assert name not in docker("ps", "--all") + docker("volume", "ls") + docker("buildx", "ls")


@pytest.mark.one_release
def test_a_container_that_differs_from_the_store_is_told_and_replaced_with_its_cache(
    testbed: Testbed, mpbake: Mpbake, docker: Docker, name: str
) -> None:
    create = ("buildx", "create", "--name", name, "--driver-opt", f"image={testbed.node_image()},network=host")
    docker(*create)
    docker("buildx", "inspect", "--bootstrap", name)
    docker(*create, "--node", f"{name}0", "--driver-opt", "memory=1g")  # changes the store only
    assert mpbake("import", "--builder", name, "-o", "build.toml").stderr == (
        f"warning: {name}: `mpbake builders up --adopt {name}` would replace container buildx_buildkit_{name}0: "
        "it was made with other options; its cache stays; memory: (none) -> 1g\n"
    )
    completed = mpbake("builders", "up", "--adopt")
    assert f"{name}/{name}0: adopted, recreated with its cache, and answers" in completed.stderr
    assert mpbake("builders", "plan").stdout.endswith("  as declared\nnothing to do\n")
    mpbake("builders", "rm")
    assert name not in docker("volume", "ls")


def test_a_remote_builder_is_imported_and_adopted(
    testbed: Testbed, testbed_env: dict[str, str], mpbake: Mpbake, docker: Docker, name: str, tmp_path: Path
) -> None:
    tls = {"cacert": "ca.crt", "cert": "client.crt", "key": "client.key"}
    paths = ",".join(f"{option}={testbed.certificates}/{file}" for option, file in tls.items())
    node = testbed.node("linux-amd64")
    create = ("buildx", "create", "--name", name, "--driver", "remote", "--driver-opt", paths)
    docker(*create, "--platform", "linux/amd64", node.endpoint)
    assert mpbake("import", "--builder", name, "-o", "build.toml").stderr == ""
    assert f'cert = "{testbed.certificates}/client.crt"' in (tmp_path / "build.toml").read_text()
    assert "1 to adopt" in mpbake("builders", "plan", "--detailed-exitcode").stdout
    assert mpbake("builders", "up").stdout.endswith("  as declared\n")
    assert f"= adopt builder {name}" in mpbake("builders", "up", "--adopt").stdout
    entry = json.loads(Path(testbed_env["BUILDX_CONFIG"], "instances", name).read_text())
    assert (entry["MadeBy"], entry["Nodes"][0]["Name"]) == ("mpbake", f"{name}0")
    assert mpbake("builders", "plan").stdout.endswith("  as declared\nnothing to do\n")
    mpbake("builders", "rm")
    assert name not in docker("buildx", "ls")


@pytest.mark.one_release
def test_what_cannot_be_imported(mpbake: Mpbake, docker: Docker, name: str) -> None:
    assert f'error: buildx has no builder "{name}"' in mpbake("import", "--builder", name, code=3).stderr
    docker("buildx", "create", "--name", name, "--driver", "remote", "tcp://127.0.0.1:9")
    completed = mpbake("import", "--builder", name)
    assert 'endpoint = "tcp://127.0.0.1:9"' in completed.stdout
    assert f"warning: {name}: its actual state is not known: " in completed.stderr
    assert 'driver = "docker"' in mpbake("import", "--builder", "default").stdout
