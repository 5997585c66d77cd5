"""The rules of the kubernetes driver: BuildKit in the pods of a Deployment or StatefulSet that mpbake makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.model.drivers.rules import DriverRules, EndpointRules, ResourceRules
from mpbake.model.marks import add_mark_annotation
from mpbake.model.node_state import ResourceKind

if TYPE_CHECKING:
    from mpbake.model.plan import Node

_NAMESPACE = "namespace"
_CLAIM = "persistent-volume-claim.requests.storage"


def kubernetes_namespace(node: Node) -> str:
    """Return the declared namespace of a node; empty for the namespace of the context in use."""
    return dict(node.options).get(_NAMESPACE, "")


def has_volume_claim(node: Node) -> bool:
    """Whether a volume of the cluster holds the cache of a node. buildx then makes a StatefulSet."""
    return _CLAIM in dict(node.options)


def _place(node: Node) -> dict[str, str]:
    """Return the options that say where the Deployment of a node is, and of which kind it is."""
    return {name: value for name, value in node.options if name in {_NAMESPACE, _CLAIM}}


KUBERNETES = DriverRules(
    name="kubernetes",
    endpoint=EndpointRules(
        misplaced_hint="remove it: the Deployment is created in the current context of KUBECONFIG, as with kubectl",
        when_empty="the cluster in use",
    ),
    resource=ResourceRules(
        kind=lambda node: ResourceKind.STATEFUL_SET if has_volume_claim(node) else ResourceKind.DEPLOYMENT,
        name=lambda node: node.buildx_name,
        keeps_cache=lambda node, _: has_volume_claim(node),
        add_mark=add_mark_annotation,
        place=_place,
    ),
    buildx_name=lambda name: name.replace("_", "-"),  # as buildx names Deployments
    emulators_hint="set qemu.install = true, which installs emulators in the pods",
)
