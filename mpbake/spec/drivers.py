"""Check that drivers support the requests of a plan, and write the table of abilities for the docs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.references import parse_fields
from mpbake.base.text import one_line
from mpbake.model.drivers.rules import Ability
from mpbake.model.plan import CONTAINER_DRIVER, Driver
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Node, Target

ROWS: Mapping[str, str] = MappingProxyType(
    {
        "load": "pushed images are in the engine too, without `load`",
        "cache_export": "`cache-to` other than `inline`",
        "archives": "output `oci`",
        "folders": "outputs `local` and `tar`",
        "several_platforms": "image of several platforms",
        "parts": "push of an image with several build pieces (several nodes, or platforms that differ)",
        "configuration": "`buildkitd`, `config` and `flags`",
        "contexts": "docker context as `endpoint`",
    }
)
"""The heading of the row for each field of `Abilities`."""
_CONTAINERD = f'enable the containerd image store of the engine, or set driver = "{CONTAINER_DRIVER}"'


@dataclass(frozen=True, kw_only=True, slots=True)
class UnsupportedRequest:
    """A request of a target, in an `attribute`, that the driver of its builder does not support."""

    attribute: str
    message: str
    hint: str


def unsupported_requests(
    target: Target, platforms: Sequence[Platform], driver: Driver, *, containerd_store: bool
) -> Iterator[UnsupportedRequest]:
    """Yield the requests of `target`, built for `platforms`, that `driver` does not support.

    `containerd_store` says that the engine of the nodes uses the containerd image store.
    """
    abilities = driver.rules.abilities
    caches = target.on(platforms).attributes.get("cache-to", ())
    archives = [output for output in target.outputs if parse_fields(output).get("type") == "oci"]
    requests = {
        "cache-to": (abilities.cache_export, [cache for cache in caches if not _is_inline(cache)]),
        "output": (abilities.archives, archives),
        "platforms": (abilities.several_platforms, [", ".join(map(str, platforms))] if len(platforms) > 1 else []),
    }
    for attribute, (ability, values) in requests.items():
        if values and (ability is Ability.NO or (ability is Ability.WITH_CONTAINERD and not containerd_store)):
            message = (
                f"the {driver} driver does not support {attribute} {one_line(values[0])} with this engine's image store"
            )
            yield UnsupportedRequest(attribute=attribute, message=message, hint=_CONTAINERD)


def _is_inline(cache: str) -> bool:
    return parse_fields(cache).get("type") == "inline"


def node_warnings(nodes: Iterable[Node]) -> Iterator[Problem]:
    """Yield warnings about nodes without TLS that the plan allows, and about builders whose nodes buildx chooses."""
    for node in nodes:
        key: KeyPath = ("builders", node.builder)
        if node.driver.rules.is_placed_by_buildx or node.missing:
            message = f"{node.builder}: buildx, not mpbake, assigns platforms to the nodes of this builder"
            hint = ""
            if node.missing:
                message = f"{node.builder}: unknown builder; if it is a docker context, its engine builds all platforms"
                hint = "run `docker buildx ls` to see its name"
            yield Problem(code=Code.PLACED_BY_BUILDX, key=(*key, "external"), message=message, hint=hint)
        if node.insecure and node.endpoint.startswith("tcp://") and not node.tls.is_set:
            message = f"{node.id}: {one_line(node.endpoint)} has no TLS (insecure = true)"
            hint = "set tls = { ca, cert, key }: without TLS, everyone who reaches the port controls the node"
            at = (*key, "nodes", node.name, "insecure")
            yield Problem(code=Code.INSECURE_NODE, key=at, message=message, hint=hint)
        yield from _spreading_warnings(node)


def _spreading_warnings(node: Node) -> Iterator[Problem]:
    """Warn about an option that spreads builds over the pods of `node`, since the option has no effect on a run."""
    options = dict(node.options)
    if not node.external and options.get("loadbalance") == "random" and int(options.get("replicas", "1")) > 1:
        message = f'{node.id}: mpbake builds all targets of a run in one pod, despite loadbalance = "random"'
        hint = "to spread the targets of a run, declare several nodes instead of several replicas"
        key = ("builders", node.builder, "nodes", node.name, "loadbalance")
        yield Problem(code=Code.DOUBTFUL_VALUE, key=key, message=message, hint=hint)


def table_text() -> str:
    """Return the abilities of the drivers that a plan may name, as a Markdown table."""
    drivers = [driver for driver in Driver if driver.rules.is_declarable]
    header = ["", *(f"`{driver}`" for driver in drivers)]
    rows = [
        [title, *(getattr(driver.rules.abilities, field).value for driver in drivers)] for field, title in ROWS.items()
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, ["---"] * len(header), *rows])
