"""What goes wrong with builders on a real cluster: slow starts, lost pods, rejected Deployments, several pods."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from testbed.certs import Authority, write_certificate
from testbed.errors import TestbedError
from testbed.processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cluster.conftest import Workspace

pytestmark = pytest.mark.cluster

BUILDX_SECONDS = 120
"""Seconds for which buildx waits for pods."""


def kubectl(workspace: Workspace, *args: str) -> str:
    return workspace.cluster.kubectl("--namespace", workspace.namespace, *args)


def after(seconds: float, do: Callable[[], object]) -> threading.Timer:
    """Do something later, beside the test."""
    timer = threading.Timer(seconds, do)
    timer.start()
    return timer


def succeeds(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except TestbedError:
        return False
    return True


def builds(workspace: Workspace, command: str) -> bool:
    """Return whether a build runs the command in the pod."""
    pgrep = ("exec", "--namespace", workspace.namespace, "deployment/k-one", "--", "pgrep", "-f", command)
    return succeeds(lambda: workspace.cluster.kubectl(*pgrep))


def target(workspace: Workspace, name: str, dockerfile: str, more: str = "") -> str:
    """Return the table of a target."""
    return f"""
[targets.{name}]
builder = "k"
platforms = ["linux/amd64"]
dockerfile-inline = '''
{dockerfile.replace("BASE", workspace.cluster.env()["BASE_IMAGE"])}
'''
{more}"""


def test_a_start_that_takes_longer_than_buildx_asks_for(workspace: Workspace) -> None:
    """The status that buildx prints after 20 seconds is from before the start."""
    label = f"{workspace.namespace}/late"
    workspace.write_plan(f'nodeselector = {{ "{label}" = "yes" }}')
    began = time.monotonic()
    labelled = after(24, lambda: workspace.cluster.kubectl("label", "node", "--all", f"{label}=yes"))
    said = workspace.mpbake("builders", "up")
    assert "k/one: waiting for 1 pods to be ready\n" in said
    assert "k/one: created, and answers" in said
    assert time.monotonic() - began > 24
    labelled.join()
    workspace.cluster.kubectl("label", "node", "--all", f"{label}-")


def test_a_pod_that_is_lost_during_a_silent_build(workspace: Workspace) -> None:
    silent = target(workspace, "slow", "FROM BASE\nRUN sleep 100", 'stall-timeout = "10s"\n')
    workspace.write_plan(targets=silent)
    workspace.mpbake("builders", "up")
    lost: list[float] = []

    def lose() -> None:
        """Delete the pod as soon as it builds."""
        assert wait_until(lambda: builds(workspace, "sleep 100"), seconds=60)
        kubectl(workspace, "delete", "pods", "--selector=app=k-one", "--force", "--grace-period=0")
        lost.append(time.monotonic())

    deleted = after(0, lose)
    said = workspace.mpbake("run", "slow", code=5)
    deleted.join()
    assert time.monotonic() - lost[0] < 60
    assert "node k/one was lost" in said


def test_a_deployment_in_which_a_build_runs_stays(workspace: Workspace) -> None:
    workspace.write_plan(targets=target(workspace, "slow", "FROM BASE\nRUN sleep 90"))
    workspace.mpbake("builders", "up")
    made = workspace.deployment("k-one")
    argv = (sys.executable, "-m", "mpbake", "run", "slow")
    with subprocess.Popen(
        argv, cwd=workspace.folder, env=workspace.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        try:
            assert wait_until(lambda: builds(workspace, "sleep 90"), seconds=60)
            workspace.write_plan("replicas = 2")
            assert "a build runs in k-one, so mpbake leaves it unchanged" in workspace.mpbake("builders", "up", code=4)
            assert workspace.deployment("k-one") == made
            assert run.poll() is None
        finally:
            run.terminate()


def layers(workspace: Workspace, image: str) -> list[str]:
    """Return the digests of the layers of the only platform of an image."""
    registry = workspace.cluster.registry
    manifest = json.loads(registry.manifest(image)[1])
    if "manifests" in manifest:
        (digest,) = (
            entry["digest"] for entry in manifest["manifests"] if entry["platform"]["architecture"] != "unknown"
        )
        manifest = json.loads(registry.manifest(f"{image.partition(':')[0]}@{digest}")[1])
    return [layer["digest"] for layer in manifest["layers"]]


def test_links_hold_with_several_pods(workspace: Workspace) -> None:
    images = {name: f"{workspace.namespace}-{name}:1" for name in ("base", "app")}
    pushed = {name: f'tags = ["{workspace.registry}/{image}"]\npush = true\n' for name, image in images.items()}
    base = target(workspace, "base", "FROM BASE\nRUN date +%N >/made", f"{pushed['base']}no-cache = true\n")
    app = target(workspace, "app", "FROM base\nRUN test -s /made", f'{pushed["app"]}contexts.base = "target:base"\n')
    workspace.write_plan("replicas = 2", targets=base + app)
    workspace.mpbake("builders", "up")
    made = workspace.deployment("k-one")

    workspace.write_plan('replicas = 2\nloadbalance = "random"', targets=base + app)
    said = workspace.mpbake("builders", "up")
    assert "k-one: loadbalance: (none) -> random" in said
    assert "Deployment" not in said
    assert workspace.deployment("k-one") == made, "only buildx on this machine uses the option"
    for _ in range(3):
        assert 'despite loadbalance = "random"' in workspace.mpbake("run", "base", "app")
        below = layers(workspace, images["base"])
        assert layers(workspace, images["app"])[: len(below)] == below
    assert "base: 1 tag as published" in workspace.mpbake("verify", "base", "app"), "over http, as the builder says"


def test_a_deployment_that_cannot_be_made_replaces_nothing(workspace: Workspace) -> None:
    workspace.write_plan()
    workspace.mpbake("builders", "up")
    made = workspace.deployment("k-one")

    workspace.write_plan('serviceaccount = "nobody"')
    said = workspace.mpbake("builders", "up", code=3)
    assert "the cluster would reject the new Deployment, so the old one stays: pods " in said
    assert 'serviceaccount "nobody" not found\n  = create it (kubectl create serviceaccount NAME)' in said

    workspace.write_plan(f'image = "{workspace.registry}/none:1"')
    said = workspace.mpbake("builders", "up", code=5)
    assert f"the image {workspace.registry}/none:1 does not exist, so its Deployment stays unchanged" in said

    enforced = "pod-security.kubernetes.io/enforce"
    workspace.cluster.kubectl("label", "namespace", workspace.namespace, f"{enforced}=baseline")
    workspace.write_plan('labels = { a = "b" }')
    assert 'violates PodSecurity "baseline:latest"' in workspace.mpbake("builders", "up", code=3)
    workspace.cluster.kubectl("label", "namespace", workspace.namespace, f"{enforced}-")
    assert workspace.deployment("k-one") == made

    assert "k/one: recreated, and answers" in workspace.mpbake("builders", "up")


@pytest.mark.parametrize(
    ("option", "reason", "details"),
    [
        (
            'serviceaccount = "nobody"',
            "the cluster creates no pods for it",
            'serviceaccount "nobody" not found\n  = create it (kubectl create serviceaccount NAME)',
        ),
        (
            'flags = ["--nope"]',
            "its pods do not start: CrashLoopBackOff",
            "buildkitd: flag provided but not defined: -nope",
        ),
        (
            'image = "REGISTRY/none:1"',
            "its pods do not start: ",
            'set image = "…" in the builder to a BuildKit image that the cluster can pull',
        ),
    ],
    ids=["no service account", "wrong flag", "no image"],
)
def test_pods_that_do_not_start_are_explained_before_buildx_gives_up(
    workspace: Workspace, option: str, reason: str, details: str
) -> None:
    workspace.write_plan(option.replace("REGISTRY", workspace.registry))
    began = time.monotonic()
    said = workspace.mpbake("builders", "up", code=5)
    assert time.monotonic() - began < BUILDX_SECONDS
    assert f"cannot be used: {reason}" in said
    assert "\nits pods wait:\n  pod" in said
    assert details in said


def test_a_deployment_that_was_scaled_to_0_by_hand(workspace: Workspace) -> None:
    workspace.write_plan(targets=target(workspace, "web", "FROM BASE"))
    workspace.mpbake("builders", "up")
    kubectl(workspace, "scale", "deployment/k-one", "--replicas=0")
    assert "scaled to 0" in workspace.mpbake("builders")
    said = workspace.mpbake("run", "web", code=5)
    assert "cannot be used: its Deployment is scaled to 0\n  = run `mpbake builders up`, which scales it up" in said
    assert "k/one: started, and answers" in workspace.mpbake("builders", "up")
    kept = "k/one: keeps running: mpbake stops containers only"
    assert kept in workspace.mpbake("builders", "stop")


def test_a_deployment_that_was_removed_by_hand_leaves_nothing(workspace: Workspace) -> None:
    workspace.write_plan()
    workspace.mpbake("builders", "up")
    kubectl(workspace, "delete", "deployment", "k-one")
    assert "configmap/k-one-config" in workspace.objects()
    said = workspace.mpbake("builders", "rm")
    assert "k/one: ConfigMap k-one-config removed, which was left of its Deployment" in said
    assert "k-one" not in workspace.objects()


def test_a_cluster_that_cannot_be_used(workspace: Workspace) -> None:
    workspace.write_plan()
    config = workspace.folder / "kubeconfig"
    env = {"KUBECONFIG": str(config)}
    used = json.loads(workspace.cluster.kubectl("config", "view", "--raw", "--output=json"))
    config.write_text(json.dumps({**used, "current-context": "gone"}))
    assert "kubectl does not know the context" in workspace.mpbake("builders", "up", code=5, env=env)

    write_certificate(workspace.folder / "other.crt", Authority.create().certificate)
    (cluster,) = used["clusters"]
    authority = {"certificate-authority": str(workspace.folder / "other.crt")}
    other = {"name": cluster["name"], "cluster": {"server": cluster["cluster"]["server"], **authority}}
    config.write_text(json.dumps({**used, "clusters": [other]}))
    assert "the certificate of the cluster cannot be verified" in workspace.mpbake("builders", "up", code=5, env=env)
