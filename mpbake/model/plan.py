"""The plan as it is meant: everything resolved, references are objects, nothing changes any more."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from mpbake.base.references import is_local_context
from mpbake.model.drivers.table import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.base.platforms import Platform
    from mpbake.model.drivers.rules import DriverRules


BOOT_TIMEOUT = 300.0
"""Seconds in which a node has to start and answer: an image may have to be pulled."""

CERTIFICATE_DAYS = 30
"""Days before its end from which on a certificate is warned of."""


class Driver(StrEnum):
    """The name of a driver, under buildx's own names. `rules` holds all that differs from driver to driver."""

    DOCKER = "docker"
    DOCKER_CONTAINER = "docker-container"
    KUBERNETES = "kubernetes"
    REMOTE = "remote"
    AUTOMATIC = "automatic"
    """The default builder of a plan: the engine's own, or a container, as the engine's abilities decide."""
    EXTERNAL = "external"
    """A builder that somebody else made, with a driver that mpbake does not know, or that buildx does not list."""

    @property
    def rules(self) -> DriverRules:
        """The rules of the driver."""
        return RULES[self]


ENGINE_DRIVER = Driver.DOCKER
"""The driver of the builder that every Docker engine has; the first choice for the default builder."""
CONTAINER_DRIVER = Driver.DOCKER_CONTAINER
"""The driver of a declared builder that names none; the second choice for the default builder."""
AUTOMATIC_DRIVER = Driver.AUTOMATIC
"""The driver of the default builder until the engine in use is known."""


class Emulation(StrEnum):
    """What a builder does about a platform that none of its nodes runs natively."""

    FORBID = "forbid"
    WARN = "warn"
    ALLOW = "allow"


class PublishMode(StrEnum):
    """When the tags of a run move."""

    EACH = "each"
    """Those of a target when it is built and has passed its checks."""
    TOGETHER = "together"
    """All of them, when every target of the run is built and has passed its checks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """Files for mutual TLS, as absolute paths."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    servername: str = ""

    @property
    def is_set(self) -> bool:
        """Whether the plan sets any of them."""
        return bool(self.files or self.servername)

    @property
    def files(self) -> dict[str, Path]:
        """Those that are given, by their names here."""
        named = {"ca": self.ca, "cert": self.cert, "key": self.key}
        return {name: path for name, path in named.items() if path is not None}


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One BuildKit of a builder.

    `endpoint` is empty for the engine that the docker command itself talks to; otherwise a docker context's name or
    a URL. `platforms` is empty when the plan leaves it to the node to say. `slots` is how many pieces it builds at
    once, 0 when the plan does not say. The loss of a `required` node is an error even if an equal one is there. An
    `external` node is one of a builder that somebody else made: it is used as it is; `missing` where buildx's store has
    no such builder, though there may be a docker context of that name. `options` are those of its driver,
    sorted, under buildx's names; `config` is the text of its buildkitd.toml, which names the files `config_names`, or
    `config_file` the file that holds it, which the plan names at `config_at`. `boot_timeout` is in seconds;
    `certificate_days` before its end a certificate is warned of.
    """

    builder: str
    name: str
    driver: Driver
    endpoint: str = ""
    platforms: tuple[Platform, ...] = ()
    tls: TlsFiles = field(default_factory=TlsFiles)
    slots: int = 0
    required: bool = False
    insecure: bool = False
    external: bool = False
    missing: bool = False
    options: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    config: str = ""
    config_names: tuple[Path, ...] = ()
    config_file: Path | None = None
    config_at: KeyPath = field(default=(), compare=False)
    boot_timeout: float = BOOT_TIMEOUT
    certificate_days: int = CERTIFICATE_DAYS

    @property
    def id(self) -> str:
        """`release/linux-amd64`: unique in a plan."""
        return f"{self.builder}/{self.name}"

    @property
    def buildx_name(self) -> str:
        """Its name in buildx, which names its container too: the builder's name keeps projects apart."""
        if self.external:
            return self.name
        return self.driver.rules.buildx_name(f"{self.builder}-{self.name}".lower())

    @property
    def folder_name(self) -> str:
        """What the folder of its own instance is called, unique in a plan.

        Any external builder may have a node of this name; neither that nor a declared node has an `@` in its name.
        """
        return f"{self.name}@{self.builder}" if self.external else self.buildx_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Builder:
    """Nodes that serve the same targets; at least one. An `external` one is never created, changed or removed."""

    name: str
    driver: Driver
    nodes: tuple[Node, ...]
    emulation: Emulation = Emulation.WARN
    external: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformVariant:
    """What is built for a platform: see `attributes`, `links` and `where` of `Target`."""

    attributes: Mapping[str, Any]
    links: Mapping[str, Target]
    where: Callable[[KeyPath], KeyPath] = field(compare=False)

    @property
    def dockerfile(self) -> tuple[str, str]:
        """The Dockerfile itself where the plan holds it, and the path of one on this machine."""
        context, name = str(self.attributes["context"]), str(self.attributes.get("dockerfile", "Dockerfile"))
        is_here = is_local_context(context) and is_local_context(name)
        return str(self.attributes.get("dockerfile-inline", "")), posixpath.join(context, name) if is_here else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What an image must pass before it is published: a command that runs in it, or a stage of its Dockerfile.

    Without `platforms` it is for all of the target's.
    """

    run: tuple[str, ...] = ()
    target: str = ""
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Target:
    """One image (or other result) to build. Compared by identity: a plan holds each target once.

    `platforms` is empty when the native platform of the builder's first node is meant. `links` maps the names of
    named contexts to the targets that provide them. `attributes` holds what is handed to BuildKit as it stands, under
    bake's names, with local paths made absolute. `push_options` are what BuildKit's image exporter is told besides,
    such as a compression. `timeout` and `stall_timeout` are in seconds; 0 is none. `table` is its table in the plan,
    and `where` tells where the value at a path (an attribute, and what is below it) was written.

    Where platforms differ, `variants` holds what is built for each; `attributes` and `links` are those of the first.
    `varies` says that this is so of the target, or of something that it links to, however far; `declared_within` are
    the platforms that each of the latter declares.
    """

    name: str
    builder: Builder
    platforms: tuple[Platform, ...] = ()
    tags: tuple[str, ...] = ()
    push: bool = False
    load: bool = False
    push_options: Mapping[str, str] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    needs: tuple[Target, ...] = ()
    links: Mapping[str, Target] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    variants: Mapping[Platform, PlatformVariant] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    timeout: float = 0.0
    stall_timeout: float = 0.0
    retries: int = 0
    description: str = ""
    table: str = ""
    where: Callable[[KeyPath], KeyPath] = tuple
    varies: bool = field(init=False)
    declared_within: frozenset[tuple[Platform, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Know at once what would take a walk through all links to find out."""
        links = self.every_link
        object.__setattr__(self, "varies", bool(self.variants) or any(link.varies for link in links))
        declared = frozenset(link.platforms for link in links).union(*(link.declared_within for link in links))
        object.__setattr__(self, "declared_within", declared)

    def on(self, platforms: Sequence[Platform]) -> PlatformVariant:
        """What is built for `platforms`, all of which must be alike."""
        own = PlatformVariant(attributes=self.attributes, links=self.links, where=self.where)
        return self.variants.get(platforms[0], own) if platforms and self.variants else own

    def sides(self, platforms: Sequence[Platform]) -> list[tuple[PlatformVariant, tuple[Platform, ...]]]:
        """Each thing that is built for `platforms`, and those that it is built for."""
        if not self.variants:
            return [(self.on(()), tuple(platforms))]
        found: dict[int, tuple[PlatformVariant, tuple[Platform, ...]]] = {}
        for platform in platforms or self.platforms:
            variant = self.on((platform,))
            _, before = found.get(id(variant), (variant, ()))
            found[id(variant)] = (variant, (*before, platform))
        return list(found.values())

    @property
    def every_link(self) -> tuple[Target, ...]:
        """The targets that it links to, for whichever platform."""
        variants = self.variants.values() or [self]
        return tuple(dict.fromkeys(link for each in variants for link in each.links.values()))

    @property
    def is_of_use(self) -> bool:
        """Whether its build serves something even where its image is neither pushed nor loaded."""
        built = [variant.attributes for variant, _ in self.sides(())]
        serves = any(each.get("cache-to") or each.get("call", "build") != "build" for each in built)
        return bool(self.outputs or self.checks or serves)

    def __repr__(self) -> str:
        """Short: a target refers to others, which refer to others."""
        return f"Target({self.name!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A name for several targets, in the plan's order."""

    name: str
    targets: tuple[Target, ...]
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A variable as the plan declares it: `default` as written, templates and all; None where nobody may see it."""

    name: str
    default: Any = None
    env: str = ""
    sensitive: bool = False
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A whole plan. `root` is the folder of its file: where `.mpbake/` lies and relative paths count from.

    `disabled` are the names of targets whose `enabled` is false; `sensitive` is what nobody may see.
    """

    file: Path
    root: Path
    builders: Mapping[str, Builder]
    groups: Mapping[str, Group]
    targets: Mapping[str, Target]
    variables: tuple[Variable, ...] = ()
    publish: PublishMode = PublishMode.EACH
    disabled: tuple[str, ...] = ()
    sensitive: frozenset[str] = frozenset()
