"""The rules of the kubernetes driver: BuildKit in the pods of a Deployment or StatefulSet that mpbake makes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mpbake.model.drivers.rules import DriverRules, EndpointRules, ResourceRules
from mpbake.model.marks import ANNOTATION, add_mark_annotation
from mpbake.model.node_state import ResourceKind

if TYPE_CHECKING:
    from mpbake.model.plan import Node

_NAMESPACE = "namespace"
CLAIM = "persistent-volume-claim.requests.storage"
"""The driver option that makes a node a StatefulSet with a volume claim."""
RESERVED_LABELS = ("app",)
"""Labels that buildx sets."""
RESERVED_ANNOTATIONS = ("buildx.docker.com/platform", ANNOTATION)
"""Annotations that buildx or mpbake sets."""
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LONGEST_NAME = 63
"""The longest name of a Deployment of buildx: the name is also the value of a label."""
_LONGEST_CLAIMED_NAME = 52
"""The longest name of a StatefulSet: the cluster adds a hash to the name, and uses the result as a label."""


def kubernetes_namespace(node: Node) -> str:
    """Return the declared namespace of a node; empty for the namespace of the context in use."""
    return dict(node.options).get(_NAMESPACE, "")


def has_volume_claim(node: Node) -> bool:
    """Whether a volume of the cluster holds the cache of a node. buildx then makes a StatefulSet."""
    return CLAIM in dict(node.options)


def declared_replicas(node: Node) -> int:
    """Return the declared number of pods of a node."""
    return int(dict(node.options).get("replicas", "1"))


def _bad_name(node: Node) -> str:
    """Return why a cluster cannot have an object with the name of `node`; empty if the name is valid."""
    name, longest = node.buildx_name, _LONGEST_CLAIMED_NAME if has_volume_claim(node) else _LONGEST_NAME
    if not _OBJECT_NAME.fullmatch(name):
        return f"{name} is not a valid name for a Deployment: it must start and end with a letter or digit"
    kind = _kind(node).value
    return f"{name} is too long for a {kind}: at most {longest} characters" if len(name) > longest else ""


def _kind(node: Node) -> ResourceKind:
    return ResourceKind.STATEFUL_SET if has_volume_claim(node) else ResourceKind.DEPLOYMENT


def _place(node: Node) -> dict[str, str]:
    """Return the options that determine the place and the kind of a node's Deployment."""
    return {name: value for name, value in node.options if name in {_NAMESPACE, CLAIM}}


KUBERNETES = DriverRules(
    name="kubernetes",
    endpoint=EndpointRules(
        misplaced_hint="remove it: the Deployment is created in the current context of KUBECONFIG, as with kubectl",
        when_empty="the cluster in use",
        url_when_empty=lambda node: f"kubernetes://{kubernetes_namespace(node)}",
    ),
    resource=ResourceRules(
        kind=_kind,
        name=lambda node: node.buildx_name,
        bad_name=_bad_name,
        keeps_cache=lambda node, _: has_volume_claim(node),
        add_mark=add_mark_annotation,
        place=_place,
    ),
    spreading_options=("loadbalance",),
    buildx_name=lambda name: name.replace("_", "-"),  # as buildx names Deployments
    emulators_hint="set qemu.install = true, which installs emulators in the pods",
)
