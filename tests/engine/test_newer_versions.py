"""Abilities of newer buildx and BuildKit releases: the result of each with the versions of the testbed.

Nodes have the BuildKit in MPBAKE_TEST_BUILDKIT (0.32 or newer), or else the engine's own (older than 0.27).
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.engine.test_values import _two_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.registry_client import RegistryClient
    from testbed.testbed import Testbed

    from tests.engine.conftest import Docker, RunMpbake

ARTIFACT = "application/vnd.docker.attestation.manifest.v1+json"
"""The `artifactType` of an attestation that is an OCI artifact."""


@pytest.fixture(scope="session")
def new_nodes(testbed: Testbed) -> bool:
    """Whether nodes have a newer BuildKit than the engine."""
    return bool(testbed.place.environ.get("MPBAKE_TEST_BUILDKIT"))


def plan_of(testbed: Testbed, more: str) -> str:
    """Return a plan with a target of one platform on a remote node."""
    return f"""
version = 1
[targets.web]
builder = "two"
platforms = ["linux/amd64"]
dockerfile-inline = '''
FROM {testbed.env()["BASE_IMAGE"]}
RUN echo built > /built
'''
{more}
{_two_nodes(testbed)}
"""


# --- output in mode=delete --------------------------------------------------------------------------------------------


def test_a_folder_is_emptied_or_the_run_says_why_not(
    *, testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path, buildx: tuple[int, int], new_nodes: bool
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, 'output = ["type=local,dest=out,mode=delete"]'))
    stale = tmp_path / "out/stale"
    stale.parent.mkdir()
    stale.touch()

    completed = run_mpbake(["run", "web"])

    if buildx < (0, 35):
        assert completed.returncode == 3, completed.stderr
        assert "an output with mode=delete needs buildx 0.35 or newer" in completed.stderr
    elif not new_nodes:
        assert completed.returncode == 1, completed.stderr
        assert "build on a node with BuildKit 0.31 or newer, or remove mode=delete" in completed.stderr
    else:
        assert completed.returncode == 0, completed.stderr
        assert (tmp_path / "out/built").read_text() == "built\n"
    assert stale.exists() is not (buildx >= (0, 35) and new_nodes)
    assert (tmp_path / "build.toml").exists()


# --- policies ---------------------------------------------------------------------------------------------------------

POLICY = """
package docker
default allow := true
allow := false if input.image
decision := {"allow": allow, "deny_msg": ["no image is allowed"]}
"""


def test_a_policy_is_enforced_or_the_run_says_why_not(
    *, testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path, buildx: tuple[int, int], new_nodes: bool
) -> None:
    plan = plan_of(testbed, 'output = ["type=cacheonly"]\npolicy = ["filename=extra.rego"]')
    (tmp_path / "build.toml").write_text(plan)
    (tmp_path / "extra.rego").write_text(POLICY)

    completed = run_mpbake(["run", "web"])

    if buildx < (0, 31):
        assert completed.returncode == 3, completed.stderr
        assert "policy needs buildx 0.31 or newer" in completed.stderr
    elif not new_nodes:
        assert completed.returncode == 1, completed.stderr
        assert "build on a node with BuildKit 0.27 or newer, or write strict=false" in completed.stderr
        (tmp_path / "build.toml").write_text(plan.replace("extra.rego", "extra.rego,strict=false"))
        assert run_mpbake(["run", "web"]).returncode == 0
    else:
        assert completed.returncode == 1, completed.stderr
        assert "not allowed by policy" in completed.stderr
        assert "change the source, or the policy" in completed.stderr


def test_the_default_policy_of_the_environment_reaches_builds(
    *, testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path, buildx: tuple[int, int], new_nodes: bool
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, 'output = ["type=cacheonly"]'))

    completed = run_mpbake(["run", "-v", "web"], env={"BUILDX_DEFAULT_POLICY": "1"})

    assert completed.returncode == 0, completed.stderr
    is_loaded = "loading policies buildx_default_policy.rego" in completed.stdout + completed.stderr
    if buildx < (0, 34) or new_nodes:
        assert is_loaded is (buildx >= (0, 34))


# --- attestations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "env", "may_be_artifact"),
    [
        ("type=registry", {}, True),
        ("type=registry,oci-artifact=false", {}, False),
        # buildx would use this policy, although the plan does not name it
        ("type=registry", {"BUILDX_NO_DEFAULT_OCI_ARTIFACT": "true"}, True),
    ],
)
def test_attestations_are_artifacts_unless_the_plan_says_otherwise(  # noqa: PLR0913 - fixtures
    *,
    output: str,
    env: dict[str, str],
    may_be_artifact: bool,
    testbed: Testbed,
    run_mpbake: RunMpbake,
    tmp_path: Path,
    repository: str,
    new_nodes: bool,
) -> None:
    more = f'tags = ["{repository}:1"]\noutput = ["{output}"]'
    (tmp_path / "build.toml").write_text(plan_of(testbed, more))

    completed = run_mpbake(["run", "web"], env=env)

    assert completed.returncode == 0, completed.stderr
    manifest = attestation(testbed.registry.client, repository.partition("/")[2])
    assert (manifest.get("artifactType") == ARTIFACT) is (may_be_artifact and new_nodes)


def attestation(client: RegistryClient, repository: str) -> dict[str, Any]:
    """Return the manifest of the attestation of tag 1."""
    index = json.loads(client.manifest(f"{repository}:1")[1])
    entry = next(item for item in index["manifests"] if item["platform"]["os"] == "unknown")
    manifest: dict[str, Any] = json.loads(client.manifest(f"{repository}@{entry['digest']}")[1])
    return manifest


# --- the workflow run of GitHub Actions -------------------------------------------------------------------------------

CONTEXT = "/etc/buildkit/provenance.d/github_actions_context.json"


@pytest.fixture
def workflow(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a workflow run."""
    event = tmp_path / "event.json"
    event.write_text('{"ref": "refs/heads/main"}')
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_JOB": "images",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_ID": "4711",
        "GITHUB_RUN_NUMBER": "5",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_WORKFLOW": "release",
        "GITHUB_WORKFLOW_REF": "team/web/.github/workflows/release.yml@refs/heads/main",
        "GITHUB_WORKFLOW_SHA": "0123",
    }


@pytest.mark.parametrize("asked", [False, True])
def test_a_container_holds_the_workflow_run_if_the_plan_asks_for_it(  # noqa: PLR0913 - fixtures
    *,
    asked: bool,
    workflow: dict[str, str],
    testbed: Testbed,
    run_mpbake: RunMpbake,
    docker: Docker,
    tmp_path: Path,
    buildx: tuple[int, int],
    new_nodes: bool,
    repository: str,
    unique: str,
) -> None:
    builder = f"b{unique[-6:]}"
    (tmp_path / "build.toml").write_text(f"""
version = 1
[builders.{builder}]
driver = "docker-container"
image = "{testbed.node_image()}"
network = "host"
{"provenance-add-gha = true" if asked else ""}
[targets.web]
builder = "{builder}"
platforms = ["linux/amd64"]
tags = ["{repository}:1"]
push = true
dockerfile-inline = "FROM scratch\\nCOPY build.toml /"
""")
    try:
        completed = run_mpbake(["run", "web"], env=workflow)
        if asked and buildx < (0, 30):
            assert completed.returncode == 3, completed.stderr
            assert "provenance-add-gha of the docker-container driver needs buildx 0.30 or newer" in completed.stderr
            return
        assert completed.returncode == 0, completed.stderr
        (container,) = docker("ps", "--filter", f"name={builder}", "--format", "{{.Names}}").split()
        context = docker("exec", container, "sh", "-c", f"cat {CONTEXT} || true")
        assert ('"github_run_id":"4711"' in context) is asked
        (layer,) = attestation(testbed.registry.client, repository)["layers"]
        provenance = testbed.registry.client.blob(repository.partition("/")[2], layer["digest"])
        assert (b"4711" in provenance) is (asked and new_nodes)
    finally:
        run_mpbake(["builders", "rm"])


# --- traces -----------------------------------------------------------------------------------------------------------


class _Receiver(BaseHTTPRequestHandler):
    """A handler that accepts every request and records its path."""

    paths: list[str]

    def do_POST(self) -> None:
        """Accept an export of traces or metrics."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.paths.append(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[str]]]:
    """Yield the URL of a receiver of traces, and the list of paths that clients have requested."""
    paths: list[str] = []
    handler = type("Handler", (_Receiver,), {"paths": paths})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()


def test_builds_send_their_traces_where_the_environment_says(
    testbed: Testbed, run_mpbake: RunMpbake, tmp_path: Path, receiver: tuple[str, list[str]]
) -> None:
    (tmp_path / "build.toml").write_text(plan_of(testbed, 'output = ["type=cacheonly"]'))
    url, paths = receiver

    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    completed = run_mpbake(["run", "web"], env=env)

    assert completed.returncode == 0, completed.stderr
    assert "/v1/traces" in paths
