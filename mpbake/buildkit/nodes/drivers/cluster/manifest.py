"""The manifest of a Deployment as buildx makes it, for a dry run in the cluster, and the cluster's answer. Pure.

A dry run shows whether the cluster accepts the Deployment and its pods. The manifest holds everything that a cluster
validates. buildx itself creates the real Deployment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mpbake.buildkit.nodes.instances.declaration import declare
from mpbake.model.drivers.kubernetes import CLAIM, declared_replicas, has_volume_claim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.plan import Node

    Manifest = dict[str, Any]

_DEFAULT_IMAGE = "moby/buildkit:buildx-stable-1"
_ROOTLESS_IMAGE = f"{_DEFAULT_IMAGE}-rootless"
_QEMU_IMAGE = "tonistiigi/binfmt:latest"
_LABEL = "app"
_PRIVILEGED = {"privileged": True}
_ROOTLESS = {"seccompProfile": {"type": "Unconfined"}}
_AMOUNTS = {
    "requests.cpu": ("requests", "cpu"),
    "requests.memory": ("requests", "memory"),
    "requests.ephemeral-storage": ("limits", "ephemeral-storage"),  # as buildx does
    "limits.cpu": ("limits", "cpu"),
    "limits.memory": ("limits", "memory"),
    "limits.ephemeral-storage": ("limits", "ephemeral-storage"),
}
"""The place in a container's resources for each driver option."""
_NO_RIGHTS = re.compile(r'\bUser "[^"]*" cannot \w+ resource')
_REJECTED = re.compile(r"\bis invalid: |\((Invalid|BadRequest|Forbidden)\)|is forbidden: |denied the request")
_EXCEEDED = "exceeded quota"
_NO_DRY_RUN = re.compile(r"dry[ -]?run\b(?!-)|\(MethodNotAllowed\)", re.IGNORECASE)
_PREFIX = re.compile(r'^(Error from server( \(\w+\))?: )?(error when creating "[^"]*": )?')


def deployment_manifest(node: Node) -> Manifest:
    """Return the Deployment or StatefulSet of `node`, with its mark."""
    options = dict(declare(node).options)
    labels = {**_pairs(options.get("labels", "")), _LABEL: node.buildx_name}
    metadata = {"labels": labels, "annotations": _pairs(options.get("annotations", ""))}
    spec: Manifest = {
        "replicas": declared_replicas(node),
        "selector": {"matchLabels": labels},
        "template": {"metadata": metadata, "spec": _pod_spec(node, options)},
    }
    kind = "Deployment"
    if has_volume_claim(node):
        kind = "StatefulSet"
        storage = {"requests": {"storage": options[CLAIM]}}
        claim = {"accessModes": ["ReadWriteOnce"], "resources": storage}
        spec |= {
            "serviceName": "buildkitd",
            "volumeClaimTemplates": [{"metadata": {"name": "buildkitd"}, "spec": claim}],
        }
    named = {"name": node.buildx_name, **metadata}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": named, "spec": spec}


def pod_manifest(deployment: Mapping[str, Any]) -> Manifest:
    """Return one pod of a Deployment. Policies, quotas and service accounts are checked for pods only."""
    template = deployment["spec"]["template"]
    metadata = {**template["metadata"], "generateName": "mpbake-dry-run-"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _pod_spec(node: Node, options: Mapping[str, str]) -> Manifest:
    is_rootless = options.get("rootless") == "true"
    default_image = _ROOTLESS_IMAGE if is_rootless else _DEFAULT_IMAGE
    container = {
        "name": "buildkitd",
        "image": options.get("image", default_image),
        "args": list(node.flags),
        "securityContext": _ROOTLESS if is_rootless else _PRIVILEGED,
        "resources": _resources(options),
    }
    spec: Manifest = {"containers": [container]}
    if options.get("qemu.install") == "true":
        image = options.get("qemu.image", _QEMU_IMAGE)
        spec["initContainers"] = [{"name": "qemu", "image": image, "securityContext": _PRIVILEGED}]
    for option, key in (("serviceaccount", "serviceAccountName"), ("schedulername", "schedulerName")):
        if options.get(option):
            spec[key] = options[option]
    if selector := _pairs(options.get("nodeselector", "")):
        spec["nodeSelector"] = selector
    if tolerations := options.get("tolerations"):
        spec["tolerations"] = [_toleration(row) for row in tolerations.split(";")]
    return spec


def _resources(options: Mapping[str, str]) -> Manifest:
    resources: dict[str, dict[str, str]] = {}
    for option, (kind, resource) in _AMOUNTS.items():
        if option in options:
            resources.setdefault(kind, {})[resource] = options[option]
    return resources


def _toleration(row: str) -> Manifest:
    values: Manifest = dict(_pairs(row))
    seconds = values.get("tolerationSeconds")
    return values | ({"tolerationSeconds": int(seconds)} if seconds and seconds.isdecimal() else {})


def _pairs(text: str) -> dict[str, str]:
    """Return the pairs in a driver option: `name=value,name=value`."""
    return dict(pair.split("=", 1) for pair in text.split(",") if "=" in pair)


def is_rejected(stderr: str) -> bool:
    """Whether the cluster rejects an object itself. A rejection may also mean that the user lacks a right."""
    return bool(_REJECTED.search(stderr)) and not _NO_RIGHTS.search(stderr) and not has_no_dry_run(stderr)


def has_no_dry_run(stderr: str) -> bool:
    """Whether the cluster, or a webhook in it, supports no dry run. The answer then says nothing about the object."""
    return bool(_NO_DRY_RUN.search(stderr))


def is_rejected_pod(stderr: str) -> bool:
    """Whether the cluster would reject a new pod even after the old pods are gone, which free their quota.

    A user who may create Deployments need not have the right to create pods.
    """
    return is_rejected(stderr) and _EXCEEDED not in stderr


def says_nothing_against(stderr: str) -> bool:
    """Whether a failed dry run says nothing about a new Deployment: the old one exists, or dry runs do not work."""
    return "already exists" in stderr.lower() or has_no_dry_run(stderr)


def rejection_text(stderr: str) -> str:
    """Return the reason in the output of a dry run, without kubectl's words."""
    lines = [line for line in stderr.strip().splitlines() if line and not line.startswith("Warning: ")]
    return _PREFIX.sub("", lines[-1]) if lines else ""
