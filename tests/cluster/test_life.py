"""The whole life of builders on a real cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from testbed.registry_client import platforms_of

from tests.testbed_cluster.certificates import write_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.conftest import Workspace

pytestmark = pytest.mark.cluster

NOTHING_TO_DO = "k (kubernetes)\n  as declared\nnothing to do\n"


def test_a_whole_life(workspace: Workspace) -> None:
    workspace.write_plan('requests = { cpu = "10m" }', targets=workspace.targets())
    planned = workspace.mpbake("builders", "plan", "--detailed-exitcode", code=2)
    assert "+ create Deployment k-one: it does not exist" in planned
    assert "k-one" not in workspace.objects(), "a plan makes nothing"

    assert "k/one: created, and answers" in workspace.mpbake("builders", "up")
    assert {"deployment.apps/k-one", "configmap/k-one-config"} <= set(workspace.objects().split())
    made = workspace.deployment("k-one")
    assert workspace.mpbake("builders", "up") == "k (kubernetes)\n  as declared\n"
    assert workspace.mpbake("builders", "plan", "--detailed-exitcode") == NOTHING_TO_DO
    assert workspace.deployment("k-one") == made, "a second `up` changes nothing"

    workspace.mpbake("run", "web")
    _, index = workspace.cluster.registry.manifest(workspace.image)
    assert platforms_of(index) == ["linux/amd64", "linux/arm64"]
    listed = workspace.mpbake("builders")
    assert "k/one  kubernetes  (in use)  running" in listed
    assert "linux/amd64" in listed

    workspace.write_plan('requests = { cpu = "20m" }', targets=workspace.targets())
    drifted = workspace.mpbake("builders", "plan", "--detailed-exitcode", code=2)
    assert "± replace Deployment k-one: it was made with other options; its cache goes with its pods" in drifted
    assert "requests.cpu: 10m -> 20m" in drifted
    warned = workspace.mpbake("run", "web")
    assert "warning: k/one runs with options that differ from the plan (requests.cpu)" in warned
    assert workspace.deployment("k-one") == made, "a run corrects nothing"
    assert "k/one: recreated, and answers" in workspace.mpbake("builders", "up")
    assert workspace.requests("k-one") == {"cpu": "20m"}

    assert "k/one: Deployment removed, and its cache" in workspace.mpbake("builders", "rm")
    assert "k-one" not in workspace.objects(), "neither the Deployment nor its ConfigMap"


def test_a_node_that_left_the_plan_is_pruned(workspace: Workspace, tmp_path: Path) -> None:
    """In its own cluster only: with another context, mpbake neither removes it nor forgets it."""
    workspace.write_plan()
    workspace.mpbake("builders", "up")
    (workspace.folder / "build.toml").write_text("version = 1\n")

    elsewhere = "https://other.example:6443"
    write_kubeconfig(tmp_path / "other", workspace.cluster.settings, user={"token": "x"}, server=elsewhere)
    refused = workspace.mpbake("builders", "prune", code=5, env={"KUBECONFIG": str(tmp_path / "other")})
    here = workspace.cluster.settings.api
    assert f"k/one: it was made in the cluster {here}, and kubectl uses {elsewhere}\n" in refused
    assert "deployment.apps/k-one" in workspace.objects()

    assert "k/one: Deployment removed, and its cache" in workspace.mpbake("builders", "prune")
    assert "k-one" not in workspace.objects()


def test_a_foreign_deployment_is_neither_used_nor_changed(workspace: Workspace) -> None:
    image = "--image=pause:1"
    workspace.cluster.kubectl("create", "deployment", "k-one", image, "--namespace", workspace.namespace)
    before = workspace.deployment("k-one")
    workspace.write_plan(targets=workspace.targets())
    for command in (("builders", "up"), ("run", "web"), ("builders", "rm")):
        said = workspace.mpbake(*command, code=3)
        assert "k/one: mpbake did not make the Deployment k-one, and leaves it unchanged" in said
        assert f"or remove it: kubectl --namespace={workspace.namespace} delete deployment k-one" in said
    assert workspace.deployment("k-one") == before
