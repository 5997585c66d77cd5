"""The builders of a plan document."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mpbake.graph.node_facts import driver_of
from mpbake.review.document.targets import platform_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Builder, Deployment, Node, TlsFiles


def builder_documents(
    graph: BuildGraph, facts: Mapping[str, NodeFacts], digest: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Return the builders of a run, each with its used nodes, in the order of their bootstrap steps.

    `facts` are what nodes have reported, by their ids. `digest` returns the digest of a configuration of buildkitd.
    """
    by_name = {target.builder.name: target.builder for target in graph.targets}
    used: dict[str, list[Node]] = {}
    for node in graph.nodes:
        used.setdefault(node.builder, []).append(node)
    settled = {name: [_settled(node, facts) for node in nodes] for name, nodes in used.items()}
    return [_builder(by_name[name], nodes, digest) for name, nodes in settled.items()]


def _settled(node: Node, facts: Mapping[str, NodeFacts]) -> Node:
    """Return a node with the driver that mpbake chooses for it, if this is known."""
    automatic = node.driver.rules.is_automatic
    return replace(node, driver=driver_of(node, facts)) if automatic else node


def _builder(builder: Builder, nodes: Sequence[Node], digest: Callable[[str], str]) -> dict[str, Any]:
    return {
        "name": builder.name,
        "driver": str(builder.driver),
        "external": builder.external,
        "emulation": str(builder.emulation),
        "emulators": builder.emulators,
        "nodes": [_node(node, digest) for node in nodes],
    }


def _node(node: Node, digest: Callable[[str], str]) -> dict[str, Any]:
    return {
        "id": node.id,
        "driver": node.driver_name,
        **({"buildx_name": node.buildx_name} if node.stated_buildx_name else {}),
        "endpoint": node.endpoint,
        "platforms": platform_list(node.platforms),
        "slots": node.slots,
        "required": node.required,
        "insecure": node.insecure,
        "tls": _tls(node.tls),
        "options": dict(node.options),
        "flags": list(node.flags),
        "config": node.config,
        "config_file": str(node.config_file or ""),
        **({"config_sha256": digest(str(node.config_file))} if node.config_file else {}),
        "boot_timeout": node.boot_timeout,
        "certificate_days": node.certificate_days,
        "deploy": _deployment(node.deploy) if node.deploy else {},
    }


def _tls(tls: TlsFiles) -> dict[str, str]:
    files = {name: str(path) for name, path in tls.files.items()}
    return files | ({"servername": tls.servername} if tls.servername else {})


def _deployment(deploy: Deployment) -> dict[str, Any]:
    return {
        "host": deploy.host,
        "container": deploy.container,
        "volume": deploy.volume,
        "tls": _tls(deploy.tls),
        "port": deploy.port,
        "image": deploy.image,
        "restart": deploy.restart,
        "rootless": deploy.rootless,
    }
