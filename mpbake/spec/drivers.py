"""What each driver can do: one table, from which plans are checked and the documentation is made. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.references import parse_fields
from mpbake.base.text import one_line
from mpbake.model.plan import Driver, TlsFiles
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Node, Target


class Ability(Enum):
    """Whether a driver can do something."""

    YES = "yes"
    NO = "no"
    WITH_CONTAINERD = "with the containerd image store"
    """Only where the engine says that it has this store."""
    ELSEWHERE = "where BuildKit is started"


@dataclass(frozen=True, kw_only=True, slots=True)
class Abilities:
    """What the nodes of one driver can do; each field is a row of the table in the documentation."""

    load: Ability
    cache_export: Ability
    archives: Ability
    folders: Ability
    several_platforms: Ability
    parts: Ability
    configuration: Ability
    contexts: Ability


ROWS: Mapping[str, str] = MappingProxyType(
    {
        "load": "what it pushes is in the engine, too, without `load`",
        "cache_export": "`cache-to` other than `inline`",
        "archives": "output `oci`",
        "folders": "outputs `local` and `tar`",
        "several_platforms": "image of several platforms",
        "parts": "image pushed in pieces, of several nodes or of platforms that differ",
        "configuration": "`buildkitd`, `config` and `flags`",
        "contexts": "docker context as `endpoint`",
    }
)
"""What each field of `Abilities` is about, in the words of a plan."""

_OWN_BUILDKIT = Abilities(
    load=Ability.NO,
    cache_export=Ability.YES,
    archives=Ability.YES,
    folders=Ability.YES,
    several_platforms=Ability.YES,
    parts=Ability.YES,
    configuration=Ability.YES,
    contexts=Ability.NO,
)
ABILITIES: Mapping[Driver, Abilities] = MappingProxyType(
    {
        Driver.DOCKER: Abilities(
            load=Ability.YES,
            cache_export=Ability.WITH_CONTAINERD,
            archives=Ability.WITH_CONTAINERD,
            folders=Ability.YES,
            several_platforms=Ability.WITH_CONTAINERD,
            parts=Ability.NO,
            configuration=Ability.NO,
            contexts=Ability.YES,
        ),
        Driver.DOCKER_CONTAINER: replace(_OWN_BUILDKIT, contexts=Ability.YES),
        Driver.KUBERNETES: _OWN_BUILDKIT,
        Driver.REMOTE: replace(_OWN_BUILDKIT, configuration=Ability.ELSEWHERE),
    }
)


def abilities_of(driver: Driver) -> Abilities:
    """What nodes of `driver` can do; of one that is not in the table, what every BuildKit can."""
    return ABILITIES.get(driver, _OWN_BUILDKIT)


_CONTAINERD = 'give the engine the containerd image store, or take driver = "docker-container"'


@dataclass(frozen=True, kw_only=True, slots=True)
class UnsupportedRequest:
    """Something that a target asks of its builder and that the builder's driver cannot do. `attribute` asks it."""

    attribute: str
    message: str
    hint: str


def unsupported_requests(
    target: Target, platforms: Sequence[Platform], driver: Driver, *, containerd_store: bool
) -> Iterator[UnsupportedRequest]:
    """What `target`, built for `platforms`, asks that nodes of `driver` cannot do with this store in their engine."""
    abilities = abilities_of(driver)
    caches = target.on(platforms).attributes.get("cache-to", ())
    asked = {
        "cache-to": (abilities.cache_export, [each for each in caches if not _is_inline(each)]),
        "output": (abilities.archives, [each for each in target.outputs if parse_fields(each).get("type") == "oci"]),
        "platforms": (abilities.several_platforms, [", ".join(map(str, platforms))] if len(platforms) > 1 else []),
    }
    for attribute, (can, values) in asked.items():
        if values and (can is Ability.NO or (can is Ability.WITH_CONTAINERD and not containerd_store)):
            message = f"the {driver} driver cannot do {attribute} {one_line(values[0])} with this engine's image store"
            yield UnsupportedRequest(attribute=attribute, message=message, hint=_CONTAINERD)


def _is_inline(cache: str) -> bool:
    return parse_fields(cache).get("type") == "inline"


def node_warnings(nodes: Iterable[Node]) -> Iterator[Problem]:
    """What is to be said of nodes: those reached in the clear, as the plan accepts, and those that buildx chooses."""
    for node in nodes:
        key: KeyPath = ("builders", node.builder)
        if node.driver is Driver.EXTERNAL or node.missing:
            message, hint = f"{node.builder}: buildx itself places on its nodes, all platforms in one piece", ""
            if node.missing:
                message = f"{node.builder}: buildx's store has no such builder; a docker context builds in one piece"
                hint = "docker buildx ls shows how yours are called"
            yield Problem(code=Code.PLACED_BY_BUILDX, key=(*key, "external"), message=message, hint=hint)
        if node.insecure and node.endpoint.startswith("tcp://") and node.tls == TlsFiles():
            what = f"{node.id}: {one_line(node.endpoint)} has no TLS (insecure = true)"
            message, hint = f"{what}: whoever reaches its port can do anything there", "give tls = { ca, cert, key }"
            at = (*key, "nodes", node.name, "insecure")
            yield Problem(code=Code.INSECURE_NODE, key=at, message=message, hint=hint)


def table_text() -> str:
    """The table as Markdown."""
    header = ["", *(f"`{driver}`" for driver in ABILITIES)]
    rows = [header, ["---"] * len(header)]
    rows += [[what, *(getattr(each, field).value for each in ABILITIES.values())] for field, what in ROWS.items()]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
