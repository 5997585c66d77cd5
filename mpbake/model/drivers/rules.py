"""The rules of a driver: all differences between drivers that can be decided without Docker. Pure.

Each driver has one `DriverRules` object. The code of a driver that talks to Docker is in
`mpbake.buildkit.nodes.drivers`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mpbake.model.node_state import ResourceKind
    from mpbake.model.plan import Node

CHECK_ONLY = "check that it answers"


class Ability(Enum):
    """Whether a driver supports a feature."""

    YES = "yes"
    NO = "no"
    WITH_CONTAINERD = "with the containerd image store"
    """Supported only if the engine reports that it uses the containerd image store."""
    ELSEWHERE = "where BuildKit is started"


@dataclass(frozen=True, kw_only=True, slots=True)
class Abilities:
    """The features that nodes of a driver support; each field is a row of the table in the documentation.

    The defaults are the abilities of a BuildKit that runs apart from the Docker engine.
    """

    load: Ability = Ability.NO
    cache_export: Ability = Ability.YES
    archives: Ability = Ability.YES
    folders: Ability = Ability.YES
    several_platforms: Ability = Ability.YES
    parts: Ability = Ability.YES
    configuration: Ability = Ability.YES
    contexts: Ability = Ability.NO


@dataclass(frozen=True, kw_only=True, slots=True)
class EndpointRules:
    """The rules for `endpoint` and `tls` of a driver's nodes.

    `schemes` are the supported URL schemes. If `schemes` is empty, nodes of the driver have no endpoint, and
    `misplaced_hint` is the hint for a plan that sets an endpoint. `is_engine` says that an endpoint is a Docker engine.
    `when_empty` names the endpoint that is used if the plan sets none. `url_when_empty` returns this endpoint as
    `--allow endpoint=` names it; empty for the engine in use, which needs no right. `no_tls_hint` is the hint for a TCP
    endpoint without TLS on another machine.
    """

    schemes: tuple[str, ...] = ()
    is_required: bool = False
    is_engine: bool = False
    misplaced_hint: str = "remove the key"
    when_empty: str = "the engine in use"
    url_when_empty: Callable[[Node], str] = lambda _: ""
    takes_tls: bool = False
    takes_servername: bool = False
    no_tls_hint: str = (
        "set tls = { ca, cert, key }, or set insecure = true: then everyone who reaches the port controls the node"
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceRules:
    """The rules for the resource that mpbake makes for a node, such as a container or a Deployment.

    `volume` returns the name of the volume with the cache, `files_volume` of the volume with certificates, keys and
    configuration; empty if mpbake makes no such volume. `keeps_cache` returns
    whether the cache survives the removal of the resource, if the user wants that. `add_mark` adds a mark to the driver
    options of a node; None if buildx does not create the resource, and so a run does not create the resource either.
    `settings` returns the settings on which the resource depends, in addition to the driver options. `certificates`
    returns the public certificates that the resource contains. `place` returns the place of the resource on its engine,
    such as a namespace; `located` returns the fields of a node whose resource is at a given engine and place.
    `bad_name` returns why the name of a node's resource is not valid; empty for a valid name.
    """

    kind: Callable[[Node], ResourceKind]
    name: Callable[[Node], str]
    keeps_cache: Callable[[Node, bool], bool]
    add_mark: Callable[[dict[str, str], str], None] | None
    volume: Callable[[Node], str] = lambda _: ""
    files_volume: Callable[[Node], str] = lambda _: ""
    context: Callable[[Node], str] = lambda _: ""
    settings: Callable[[Node], Mapping[str, str]] = lambda _: {}
    certificates: Callable[[Node], Mapping[str, Path]] = lambda _: {}
    place: Callable[[Node], Mapping[str, str]] = lambda _: {}
    located: Callable[[str, Mapping[str, str]], dict[str, Any]] = lambda engine, place: {
        "endpoint": engine,
        "options": tuple(place.items()),
    }
    bad_name: Callable[[Node], str] = lambda _: ""

    @property
    def is_made_by_buildx(self) -> bool:
        """Whether buildx creates the resource when a node starts, so that a run creates a missing resource."""
        return self.add_mark is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class DriverRules:
    """The rules of one driver.

    `is_declarable`: a plan may name the driver.
    `deployed_as`: the driver of a node with `deploy`; empty if mpbake deploys no nodes of this driver.
    `variant_of`: if this driver is a variant, the driver that the plan and buildx name.
    `is_stored`: buildx keeps builders of the driver in its store, in entries that mpbake understands.
    `is_engine`: a node is the BuildKit of a Docker engine, which builds into the image store of the engine.
    `is_automatic`: the engine in use decides which other driver is really used.
    `is_placed_by_buildx`: buildx itself chooses among the nodes of a builder; mpbake sees one node.
    `takes_default_config`: a node without a configuration of its own uses the user's default configuration of BuildKit.
    `connects_on_create`: `buildx create` connects to the node, so mpbake itself writes the entry to buildx's store.
    `resource`: the rules of the resource that mpbake makes for a node; None if mpbake makes nothing.
    `start_text`: how `mpbake plan` describes the start of a node; `external_start_text`: how it describes the start of
    a node of an external builder. `buildx_name`: return the name of a node in buildx. `tls_options`: return the driver
    options that name the certificates of a node. `emulators_hint`: how to get emulators for nodes without an engine, on
    which mpbake installs none. `spreading_options`: driver options by which buildx may send two calls for one node to
    different BuildKits. A run omits these options: links, checks and loads need the cache of the build. `log_hint`:
    return a hint about the log of a node that does not answer; empty if there is none.
    """

    name: str
    abilities: Abilities = field(default_factory=Abilities)
    endpoint: EndpointRules = field(default_factory=EndpointRules)
    resource: ResourceRules | None = None
    is_declarable: bool = True
    deployed_as: str = ""
    variant_of: str = ""
    is_stored: bool = True
    is_engine: bool = False
    is_automatic: bool = False
    is_placed_by_buildx: bool = False
    takes_default_config: bool = False
    connects_on_create: bool = False
    start_text: str = "create or start it if needed"
    external_start_text: str = "check that it answers; buildx starts it if needed"
    buildx_name: Callable[[str], str] = str
    tls_options: Callable[[Node], dict[str, str]] = lambda _: {}
    emulators_hint: str = ""
    spreading_options: tuple[str, ...] = ()
    log_hint: Callable[[Node], str] = lambda _: ""

    @property
    def may_be_engine(self) -> bool:
        """Whether a node is, or may be, the BuildKit of a Docker engine."""
        return self.is_engine or self.is_automatic
