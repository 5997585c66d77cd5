"""Manifests for a dry run in a cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mpbake.buildkit.nodes.drivers.cluster.manifest import (
    deployment_manifest,
    is_rejected,
    is_rejected_pod,
    pod_manifest,
    rejection_text,
    says_nothing_against,
)
from mpbake.model.marks import ANNOTATION, annotated_mark
from mpbake.model.plan import Driver, Node
from tests.unit.plans import resolve_text

NODE = (
    resolve_text("""
[builders.k]
driver = "kubernetes"
image = "moby/buildkit:v2"
replicas = 3
requests = { cpu = 2, ephemeral-storage = "10Gi" }
limits.memory = "4Gi"
serviceaccount = "a"
schedulername = "s"
nodeselector = { "kubernetes.io/arch" = "arm64" }
labels = { team = "t" }
annotations = { note = "n" }
tolerations = [{ key = "arm", operator = "Exists", effect = "NoExecute", tolerationSeconds = 30 }]
qemu.install = true
flags = ["--debug"]
[builders.k.nodes.n]
""")
    .builders["k"]
    .nodes[0]
)
PLAIN = Node(builder="k", name="n", driver=Driver.KUBERNETES)


def test_a_deployment() -> None:
    manifest = deployment_manifest(NODE)
    labels = {"team": "t", "app": "k-n"}
    annotations = manifest["metadata"]["annotations"]
    assert annotations["note"] == "n"
    assert annotated_mark(annotations)
    assert manifest == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "k-n", "labels": labels, "annotations": annotations},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {
                    "containers": [
                        {
                            "name": "buildkitd",
                            "image": "moby/buildkit:v2",
                            "args": ["--debug"],
                            "securityContext": {"privileged": True},
                            "resources": {
                                "requests": {"cpu": "2"},
                                "limits": {"ephemeral-storage": "10Gi", "memory": "4Gi"},
                            },
                        }
                    ],
                    "initContainers": [
                        {
                            "name": "qemu",
                            "image": "tonistiigi/binfmt:latest",
                            "securityContext": {"privileged": True},
                        }
                    ],
                    "serviceAccountName": "a",
                    "schedulerName": "s",
                    "nodeSelector": {"kubernetes.io/arch": "arm64"},
                    "tolerations": [
                        {"key": "arm", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
                    ],
                },
            },
        },
    }


def test_a_pod_of_it() -> None:
    deployment = deployment_manifest(NODE)
    pod = pod_manifest(deployment)
    assert (pod["apiVersion"], pod["kind"]) == ("v1", "Pod")
    assert pod["metadata"]["labels"] == {"team": "t", "app": "k-n"}
    assert pod["metadata"]["generateName"] == "mpbake-dry-run-"
    assert pod["spec"] == deployment["spec"]["template"]["spec"]


def test_the_mark_of_a_node_without_annotations() -> None:
    assert list(deployment_manifest(PLAIN)["metadata"]["annotations"]) == [ANNOTATION]


def test_a_claim_makes_it_a_stateful_set() -> None:
    claimed = replace(PLAIN, options=(("persistent-volume-claim.requests.storage", "9Gi"),))
    manifest = deployment_manifest(claimed)
    assert manifest["kind"] == "StatefulSet"
    assert manifest["spec"]["serviceName"] == "buildkitd"
    (claim,) = manifest["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["resources"] == {"requests": {"storage": "9Gi"}}


@pytest.mark.parametrize(
    ("options", "image"),
    [
        ((), "moby/buildkit:buildx-stable-1"),
        ((("rootless", "true"),), "moby/buildkit:buildx-stable-1-rootless"),
        ((("image", "mine"), ("rootless", "true")), "mine"),
    ],
)
def test_images(options: tuple[tuple[str, str], ...], image: str) -> None:
    (container,) = deployment_manifest(replace(PLAIN, options=options))["spec"]["template"]["spec"]["containers"]
    assert container["image"] == image
    assert ("privileged" in container["securityContext"]) is (("rootless", "true") not in options)


@pytest.mark.parametrize(
    ("stderr", "rejected", "pod_rejected"),
    [
        (
            (
                'The Deployment "k-n" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: '
                '"2": must be less than or equal to memory limit of 1'
            ),
            True,
            True,
        ),
        ('Error from server (Forbidden): pods "x" is forbidden: violates PodSecurity "restricted:latest"', True, True),
        ('Error from server (Forbidden): pods "x" is forbidden: exceeded quota: q, requested: cpu=2', True, False),
        ('admission webhook "x" denied the request: no privileged pods', True, True),
        ('Error from server (Forbidden): pods is forbidden: User "ci" cannot create resource "pods"', False, False),
        ("Unable to connect to the server: dial tcp: i/o timeout", False, False),
        ('Error from server (BadRequest): admission webhook "x" does not support dry run', False, False),
    ],
)
def test_answers(stderr: str, *, rejected: bool, pod_rejected: bool) -> None:
    assert is_rejected(stderr) is rejected
    assert is_rejected_pod(stderr) is pod_rejected


@pytest.mark.parametrize(
    ("stderr", "nothing"),
    [
        ('Error from server (AlreadyExists): deployments.apps "k-n" already exists', True),
        ("Error from server (BadRequest): the dryRun alpha feature is disabled", True),
        ("Error from server (MethodNotAllowed): the server does not allow this method", True),
        ('Error from server (Forbidden): pods "mpbake-dry-run-1" is forbidden: no', False),
        ("Unable to connect to the server: dial tcp: i/o timeout", False),
    ],
)
def test_failed_dry_runs(stderr: str, *, nothing: bool) -> None:
    assert says_nothing_against(stderr) is nothing


def test_the_reason_of_a_rejection() -> None:
    stderr = (
        "Warning: would violate PodSecurity\n"
        'Error from server (Forbidden): error when creating "STDIN": pods "x" is forbidden: no\n'
    )
    assert rejection_text(stderr) == 'pods "x" is forbidden: no'
