"""The resources that mpbake makes for a node: kinds, names, and whether the cache survives their removal. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from mpbake.base.text import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.node_state import ResourceKind
    from mpbake.model.plan import Driver, Node


def resource_kind(node: Node) -> ResourceKind | None:
    """Return the kind of the resource that mpbake makes for `node`; None if mpbake makes nothing."""
    rules = node.driver.rules.resource
    return rules.kind(node) if rules else None


def resource_word(node: Node) -> str:
    """Return the word for the resource of `node` in messages; empty if mpbake makes nothing."""
    kind = resource_kind(node)
    return kind.value if kind else ""


def resource_name(node: Node) -> str:
    """Return the name of the resource of `node`."""
    rules = node.driver.rules.resource
    return rules.name(node) if rules else node.buildx_name


def keeps_cache(node: Node, *, wanted: bool = True) -> bool:
    """Whether the cache of `node` survives the removal of its resource, if the user wants that (`wanted`)."""
    rules = node.driver.rules.resource
    return rules.keeps_cache(node, wanted) if rules else wanted


def volume_name(node: Node) -> str:
    """Return the name of the volume that mpbake makes for the cache of `node`; empty if there is no volume."""
    rules = node.driver.rules.resource
    return rules.volume(node) if rules else ""


def volume_names(node: Node) -> tuple[str, ...]:
    """Return the names of all volumes that mpbake may have made for `node`."""
    rules = node.driver.rules.resource
    names = (rules.volume(node), rules.files_volume(node)) if rules else ()
    return tuple(name for name in names if name)


def place_of(node: Node) -> dict[str, str]:
    """Return the place of the resource of `node` on its engine, such as a namespace."""
    rules = node.driver.rules.resource
    return dict(rules.place(node)) if rules else {}


def located_fields(driver: Driver, engine: str, place: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a node of `driver` whose resource is at the given engine and place."""
    rules = driver.rules.resource
    return rules.located(engine, place) if rules else {"endpoint": engine}


def context_name(node: Node) -> str:
    """Return the name of the docker context that mpbake makes for `node`; empty if none is needed."""
    rules = node.driver.rules.resource
    return rules.context(node) if rules else ""


def has_engine(node: Node) -> bool:
    """Whether mpbake reaches a Docker engine on the machine of `node`."""
    return node.deploy is not None or node.driver.rules.endpoint.is_engine


def docker_command(node: Node) -> str:
    """Return the docker command for the engine of `node`."""
    engine = context_name(node) or node.engine
    if not engine or not has_engine(node):
        return "docker"
    return one_line(shlex.join(["docker", "-H" if "://" in engine else "--context", engine]))
