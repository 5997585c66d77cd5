"""The resolved plan: immutable values in which variables are replaced and references are objects."""

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
"""The default number of seconds for a node to start and answer, which may include the pull of an image."""

CERTIFICATE_DAYS = 30
"""The default number of days before a certificate expires from which on mpbake warns."""


class Driver(StrEnum):
    """A driver, by buildx's name. `rules` holds the differences between drivers."""

    DOCKER = "docker"
    DOCKER_CONTAINER = "docker-container"
    KUBERNETES = "kubernetes"
    REMOTE = "remote"
    DEPLOYED = "deployed"
    """A `remote` node whose BuildKit mpbake deploys on a machine."""
    AUTOMATIC = "automatic"
    """The plan's default builder: driver `docker` if the engine supports every request, else `docker-container`."""
    EXTERNAL = "external"
    """A foreign builder that buildx does not list, or whose driver mpbake does not know."""

    @property
    def rules(self) -> DriverRules:
        """The rules of the driver."""
        return RULES[self]


ENGINE_DRIVER = Driver.DOCKER
"""The driver of the builder that every Docker engine has; the first choice for the default builder."""
CONTAINER_DRIVER = Driver.DOCKER_CONTAINER
"""The driver of a declared builder without `driver`; the second choice for the default builder."""
AUTOMATIC_DRIVER = Driver.AUTOMATIC
"""The driver of the default builder until the engine in use is known."""


class Emulation(StrEnum):
    """The policy of a builder for a platform that none of its nodes runs natively."""

    FORBID = "forbid"
    WARN = "warn"
    ALLOW = "allow"


class EmulatorsMode(StrEnum):
    """Whether mpbake installs emulators on the engines of a builder."""

    NEVER = "never"
    INSTALL = "install"
    """`mpbake builders up` installs the emulators that the platforms of the plan need."""


class PublishMode(StrEnum):
    """The time at which a run moves tags."""

    EACH = "each"
    """The tags of a target move when this target is built and has passed its checks."""
    TOGETHER = "together"
    """All tags move when every target of the run is built and has passed its checks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TlsFiles:
    """The files for mutual TLS of a node, as absolute paths; None for a file that the plan does not name."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    servername: str = ""

    @property
    def is_set(self) -> bool:
        """Whether the plan names any of these files."""
        return bool(self.files or self.servername)

    @property
    def files(self) -> dict[str, Path]:
        """The files that the plan names, by the name of the attribute: `ca`, `cert`, `key`."""
        named = {"ca": self.ca, "cert": self.cert, "key": self.key}
        return {name: path for name, path in named.items() if path is not None}


DEPLOYED_IMAGE = "moby/buildkit:buildx-stable-1"
"""The default image of a deployed BuildKit; a rootless BuildKit uses the tag that ends with `-rootless`."""
RESTART = "unless-stopped"
"""The default restart policy of a deployed BuildKit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Deployment:
    """How mpbake deploys BuildKit for a node, in a container of a Docker engine.

    - `host`: the engine: a URL or the name of a docker context.
    - `container`, `volume`: the names of the container, and of the volume with its state.
    - `tls`: the files of the server, as absolute paths; its `ca` verifies the clients.
    - `port`: the port that BuildKit listens on; 0 if clients reach it through the container instead.
    - `restart`: the restart policy of the container.
    - `rootless`: BuildKit runs without privileges.
    """

    host: str
    container: str
    volume: str
    tls: TlsFiles = field(default_factory=TlsFiles)
    port: int = 0
    image: str = DEPLOYED_IMAGE
    restart: str = RESTART
    rootless: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """One node of a builder: a BuildKit daemon, as the plan declares it.

    - `endpoint`: the name of a docker context or a URL; empty for the engine that the docker command uses.
    - `stated_buildx_name`: the name of the node in buildx; empty if the plan does not set the name.
    - `platforms`: the declared platforms; if empty, the node reports its platforms.
    - `slots`: how many build pieces the node builds at once; 0 if the plan does not set the number.
    - `required`: the loss of the node is an error, even if an equal node is available.
    - `insecure`: the plan allows a connection without TLS.
    - `external`: the node belongs to a foreign builder and is used unchanged.
    - `missing`: buildx's store has no builder with the name of the external builder, but a docker context may have the
      name.
    - `deploy`: how mpbake deploys the BuildKit of a `remote` node; None if mpbake does not deploy it.
    - `options`: the driver's options, sorted, under buildx's names; `flags`: the flags of buildkitd.
    - `config`: the text of buildkitd.toml for the node; `config_names`: the files that this text names.
    - `config_file`: the path of this buildkitd.toml; `config_key`: the key in the plan that names this path.
    - `boot_timeout`: seconds to start and answer.
    - `certificate_days`: mpbake warns this many days before a certificate expires.
    """

    builder: str
    name: str
    driver: Driver
    endpoint: str = ""
    stated_buildx_name: str = ""
    platforms: tuple[Platform, ...] = ()
    tls: TlsFiles = field(default_factory=TlsFiles)
    slots: int = 0
    required: bool = False
    insecure: bool = False
    external: bool = False
    missing: bool = False
    deploy: Deployment | None = None
    options: tuple[tuple[str, str], ...] = ()
    flags: tuple[str, ...] = ()
    config: str = ""
    config_names: tuple[Path, ...] = ()
    config_file: Path | None = None
    config_key: KeyPath = field(default=(), compare=False)
    boot_timeout: float = BOOT_TIMEOUT
    certificate_days: int = CERTIFICATE_DAYS

    @property
    def id(self) -> str:
        """`BUILDER/NODE`, such as `release/linux-amd64`: unique in a plan."""
        return f"{self.builder}/{self.name}"

    @property
    def engine(self) -> str:
        """The docker context or URL of the Docker engine of the node; empty for the engine in use."""
        return self.deploy.host if self.deploy else self.endpoint

    @property
    def driver_name(self) -> str:
        """The name of the node's driver in a plan and in buildx."""
        return self.driver.rules.variant_of or str(self.driver)

    @property
    def buildx_name(self) -> str:
        """The name of the node in buildx, also used for the container.

        Unless the plan sets the name in buildx, the name includes the builder's name.
        """
        if self.external:
            return self.name
        return self.driver.rules.buildx_name((self.stated_buildx_name or f"{self.builder}-{self.name}").lower())

    @property
    def folder_name(self) -> str:
        """The name of the folder for the node's own buildx instance, unique in a plan.

        Nodes of different external builders may have the same name, so the folder's name includes the builder. The name
        of a node cannot contain `@`.
        """
        return f"{self.name}@{self.builder}" if self.external else self.buildx_name


@dataclass(frozen=True, kw_only=True, slots=True)
class Builder:
    """A builder: one or more nodes that build the same targets.

    mpbake never creates, changes or removes an `external` builder. `emulators` is the image with which
    `mpbake builders up` installs emulators on the engines of the nodes; empty if mpbake installs none.
    """

    name: str
    driver: Driver
    nodes: tuple[Node, ...]
    emulation: Emulation = Emulation.WARN
    emulators: str = ""
    external: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class PlatformVariant:
    """The values of a target that can differ by platform: `attributes`, `links` and `source_key` as in `Target`."""

    attributes: Mapping[str, Any]
    links: Mapping[str, Target]
    source_key: Callable[[KeyPath], KeyPath] = field(compare=False)

    @property
    def dockerfile(self) -> tuple[str, str]:
        """The text of the inline Dockerfile (or empty), and the path of the Dockerfile on this machine (or empty)."""
        context, name = str(self.attributes.get("context", ".")), str(self.attributes.get("dockerfile", "Dockerfile"))
        is_local = is_local_context(context) and is_local_context(name)
        return str(self.attributes.get("dockerfile-inline", "")), posixpath.join(context, name) if is_local else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A check that an image must pass before it is published.

    The check is either a command to `run` in the image or a stage (`target`) of the Dockerfile. `platforms` are the
    checked platforms; empty means all platforms of the target.
    """

    run: tuple[str, ...] = ()
    target: str = ""
    platforms: tuple[Platform, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Target:
    """One image (or other result) to build. Targets are compared by identity: a plan holds each target once.

    - `platforms`: empty means the native platform of the builder's first node.
    - `needs`: the targets that must be published before this target is built.
    - `links`: the linked targets, by the name of the named context.
    - `attributes`: the values passed to BuildKit unchanged, under bake's names; local paths are absolute.
    - `push_options`: further options of BuildKit's image exporter, such as a compression.
    - `timeout`, `stall_timeout`: in seconds; 0 means no limit.
    - `table`: the name of the target's table in the plan.
    - `source_key`: a function that maps the path of a value in this target (an attribute and the keys below) to the
      path in the plan where the value was written.

    If attributes differ by platform, `variants` has one variant for each platform, and `attributes` and `links` are the
    values for the first platform. Two fields are computed:

    - `varies`: whether this target, or a directly or indirectly linked target, has variants.
    - `platforms_of_links`: the declared platforms of each directly or indirectly linked target.
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
    source_key: Callable[[KeyPath], KeyPath] = tuple
    varies: bool = field(init=False)
    platforms_of_links: frozenset[tuple[Platform, ...]] = field(init=False)

    def __post_init__(self) -> None:
        """Compute once the fields that otherwise require a walk through all links."""
        links = self.every_link
        object.__setattr__(self, "varies", bool(self.variants) or any(link.varies for link in links))
        declared = frozenset(link.platforms for link in links).union(*(link.platforms_of_links for link in links))
        object.__setattr__(self, "platforms_of_links", declared)

    def on(self, platforms: Sequence[Platform]) -> PlatformVariant:
        """Return the variant for `platforms`, which must share one variant; without platforms, the first variant."""
        own = PlatformVariant(attributes=self.attributes, links=self.links, source_key=self.source_key)
        return self.variants.get(platforms[0], own) if platforms and self.variants else own

    def split_by_variant(self, platforms: Sequence[Platform]) -> list[tuple[PlatformVariant, tuple[Platform, ...]]]:
        """Group `platforms` (empty: all platforms of the target) by variant: return each variant with its platforms."""
        if not self.variants:
            return [(self.on(()), tuple(platforms))]
        groups: dict[int, tuple[PlatformVariant, tuple[Platform, ...]]] = {}
        for platform in platforms or self.platforms:
            variant = self.on((platform,))
            _, earlier = groups.get(id(variant), (variant, ()))
            groups[id(variant)] = (variant, (*earlier, platform))
        return list(groups.values())

    @property
    def every_link(self) -> tuple[Target, ...]:
        """The directly linked targets on any platform, each once."""
        variants = self.variants.values() or [self]
        return tuple(dict.fromkeys(link for variant in variants for link in variant.links.values()))

    @property
    def has_other_results(self) -> bool:
        """Whether the build has a result other than an image: an output, a check, a cache export or a `call`."""
        built = [variant.attributes for variant, _ in self.split_by_variant(())]
        has_export = any(
            attributes.get("cache-to") or attributes.get("call", "build") != "build" for attributes in built
        )
        return bool(self.outputs or self.checks or has_export)

    def __repr__(self) -> str:
        """The target's name: a full representation would contain all linked targets and dependencies."""
        return f"Target({self.name!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A named list of targets, in the plan's order."""

    name: str
    targets: tuple[Target, ...]
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A variable as the plan declares it.

    `default` is the default as written, with templates; None for a sensitive variable.
    """

    name: str
    default: Any = None
    env: str = ""
    sensitive: bool = False
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A resolved plan.

    - `root`: the folder of the plan file. Relative paths start there, and `.mpbake/` is there.
    - `disabled`: the names of the targets whose `enabled` is false.
    - `sensitive`: the values that must be redacted.
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
