"""The tables of builders and nodes, and the options of nodes in these tables."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field
from pydantic_core import PydanticUndefined

from mpbake.model.emulators import EMULATORS_IMAGE
from mpbake.model.plan import DEPLOYED_IMAGE, RESTART, Driver
from mpbake.spec.tables.attributes import Option, OptionForm, OptionSince
from mpbake.spec.tables.table import Table, kebab
from mpbake.spec.tables.value_types import (
    OR_TEMPLATE,
    BootDuration,
    DriverName,
    Duration,
    EmulationName,
    EmulatorsName,
    Flag,
    ImageName,
    Platforms,
    Slots,
    Text,
    TextMap,
    Texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class TlsSpec(Table):
    """Files for mutual TLS with a remote node. Paths are relative to the file that contains them."""

    ca: Text = Field(default="", description="certificate of the authority that signed the node's certificate")
    cert: Text = Field(default="", description="client certificate")
    key: Text = Field(default="", description="private key of the client certificate")
    servername: Text = Field(
        default="", description="host name in the node's certificate, if it differs from the host of the endpoint"
    )


class ServerTlsSpec(Table):
    """Files for mutual TLS of a deployed BuildKit. Paths are relative to the file that contains them."""

    ca: Text = Field(
        default="", description="certificate of the authority that verifies clients; default: `tls.ca` of the node"
    )
    cert: Text = Field(
        default="", description="server certificate; default: BUILDER-NODE.pem in the folder of `tls.cert` of the node"
    )
    key: Text = Field(
        default="",
        description="private key of the server certificate; default: BUILDER-NODE-key.pem in the folder of `tls.cert`",
    )


class DeploySpec(Table):
    """How `mpbake builders up` deploys the BuildKit of a `remote` node: in a container of a Docker engine."""

    host: Text = Field(
        default="", description="engine that runs the container: Docker context, ssh://, tcp:// or unix://; required"
    )
    tls: ServerTlsSpec = Field(default_factory=ServerTlsSpec, description="files of the server for mutual TLS")
    image: Text = Field(
        default="",
        description="BuildKit image; default with `rootless`: moby/buildkit:buildx-stable-1-rootless",
        json_schema_extra={"default": DEPLOYED_IMAGE},
    )
    restart: Text = Field(
        default="",
        description="restart policy: no, always, unless-stopped, on-failure or on-failure:NUMBER",
        json_schema_extra={"default": RESTART},
    )
    volume: Text = Field(
        default="", description="volume with the state of BuildKit, such as its cache; default: mpbake-BUILDER-NODE"
    )
    rootless: Flag = Field(default=False, description="run BuildKit without privileges")
    buildkitd: dict[str, Any] = Field(
        default_factory=dict, description="configuration of buildkitd: the content of buildkitd.toml"
    )


_CREATING_DRIVERS = (Driver.DOCKER_CONTAINER, Driver.KUBERNETES)
_CONTAINER = Option(drivers=(Driver.DOCKER_CONTAINER,))
_CLUSTER_OPTION = Option(drivers=(Driver.KUBERNETES,))
_CLUSTER_BY_CLIENT = Option(drivers=(Driver.KUBERNETES,), of_client=True)
_CLUSTER_PAIRS = Option(drivers=(Driver.KUBERNETES,), form=OptionForm.PAIRS)
_CLUSTER_ROWS = Option(drivers=(Driver.KUBERNETES,), form=OptionForm.ROWS)
_WHERE_CREATED = Option(drivers=_CREATING_DRIVERS)
_BY_CLIENT = Option(drivers=(*_CREATING_DRIVERS, Driver.REMOTE), of_client=True)
_CONTAINERS_BY_CLIENT = Option(drivers=(Driver.DOCKER_CONTAINER,), of_client=True)
_BUILDKITD = Option(drivers=_CREATING_DRIVERS, to_driver=False)
_Shares = Annotated[Annotated[int, Field(ge=0, le=262_144)] | None, OR_TEMPLATE]
_Period = Annotated[Annotated[int, Field(ge=0, le=1_000_000)] | None, OR_TEMPLATE]
_Quota = Annotated[Annotated[int, Field(ge=0, le=1_000_000_000)] | None, OR_TEMPLATE]
_Replicas = Annotated[Annotated[int, Field(ge=1, le=1000)] | None, OR_TEMPLATE]
_Days = Annotated[Annotated[int, Field(ge=0, le=36_500)] | None, OR_TEMPLATE]


class ResourcesSpec(Table):
    """Amounts in the notation of Kubernetes, such as cpu = "2" and memory = "4Gi"."""

    cpu: Text = Field(default="", description="number of processors")
    memory: Text = Field(default="", description="amount of memory")
    ephemeral_storage: Annotated[Text, OptionSince(version=(0, 14))] = Field(
        default="", description="local storage that is deleted with the pod"
    )


class StorageSpec(Table):
    """The size of a volume claim."""

    storage: Annotated[Text, OptionSince(version=(0, 34))] = Field(
        default="", description="size of the volume, such as 20Gi"
    )


class VolumeClaimSpec(Table):
    """A persistent volume for the state of BuildKit."""

    requests: StorageSpec = Field(default_factory=StorageSpec, description="requested size")


class QemuSpec(Table):
    """QEMU emulators in the pods."""

    install: Flag = Field(default=False, description="install emulators for other platforms")
    image: Text = Field(default="", description="image that installs the emulators")


class TolerationSpec(Table):
    """A taint of machines that the pods tolerate."""

    key: Text = Field(default="", description="key of the taint")
    operator: Text = Field(default="", description="Equal or Exists")
    value: Text = Field(default="", description="value of the taint")
    effect: Text = Field(default="", description="NoSchedule, PreferNoSchedule or NoExecute")
    toleration_seconds: Text = Field(
        default="", alias="tolerationSeconds", description="time for which NoExecute is tolerated, in seconds"
    )


class NodeOptionsSpec(Table):
    """Options for the creation of a node. The names are those of buildx."""

    image: Annotated[Text, _WHERE_CREATED] = Field(default="", description="BuildKit image")
    env: Annotated[TextMap, _WHERE_CREATED, OptionSince(version=(0, 28), drivers=(Driver.KUBERNETES,))] = Field(
        default_factory=dict, description="environment variables of BuildKit"
    )
    flags: Annotated[Texts, _BUILDKITD] = Field(default_factory=list, description="command-line flags of buildkitd")
    config: Annotated[Text, _BUILDKITD] = Field(
        default="", description="configuration file of buildkitd, relative to the file that contains the key"
    )
    buildkitd: Annotated[dict[str, Any], _BUILDKITD] = Field(
        default_factory=dict, description="configuration of buildkitd: the content of buildkitd.toml"
    )
    default_load: Annotated[Flag, _BY_CLIENT, OptionSince(version=(0, 14))] = Field(
        default=False, description="`docker buildx build` on the command line loads its images into the engine"
    )
    network: Annotated[Text, _CONTAINER] = Field(default="", description="network of the container")
    memory: Annotated[Text, _CONTAINER] = Field(default="", description="memory limit, such as 8g")
    memory_swap: Annotated[Text, _CONTAINER] = Field(default="", description="limit of memory and swap together")
    cpu_quota: Annotated[_Quota, _CONTAINER] = Field(
        default=None, description="processor time in each period, in microseconds"
    )
    cpu_period: Annotated[_Period, _CONTAINER] = Field(
        default=None, description="length of the period, in microseconds"
    )
    cpu_shares: Annotated[_Shares, _CONTAINER] = Field(default=None, description="weight relative to other containers")
    cpuset_cpus: Annotated[Text, _CONTAINER] = Field(default="", description="processors to use, such as 0-3")
    cpuset_mems: Annotated[Text, _CONTAINER] = Field(default="", description="memory nodes to use, such as 0,1")
    cgroup_parent: Annotated[Text, _CONTAINER] = Field(default="", description="control group of the container")
    restart_policy: Annotated[Text, _CONTAINER] = Field(
        default="", description="no, always, unless-stopped, on-failure or on-failure:NUMBER"
    )
    provenance_add_gha: Annotated[Flag, _CONTAINER, OptionSince(version=(0, 30))] = Field(
        default=False,
        description="record the GitHub Actions workflow run that creates the container in the provenance of its images",
    )
    allow_untrusted_image: Annotated[Flag, _CONTAINERS_BY_CLIENT, OptionSince(version=(0, 36))] = Field(
        default=False, description="allow a BuildKit image that BUILDX_DEFAULT_POLICY=1 does not trust"
    )
    namespace: Annotated[Text, _CLUSTER_OPTION] = Field(default="", description="namespace of the Deployment")
    replicas: Annotated[_Replicas, _CLUSTER_OPTION] = Field(default=None, description="number of pods")
    requests: Annotated[ResourcesSpec, _CLUSTER_OPTION] = Field(
        default_factory=ResourcesSpec, description="resources that a pod requests"
    )
    limits: Annotated[ResourcesSpec, _CLUSTER_OPTION] = Field(
        default_factory=ResourcesSpec, description="limits of a pod"
    )
    persistent_volume_claim: Annotated[VolumeClaimSpec, _CLUSTER_OPTION] = Field(
        default_factory=VolumeClaimSpec, description="persistent volume for the state of BuildKit"
    )
    rootless: Annotated[Flag, _CLUSTER_OPTION] = Field(default=False, description="run BuildKit without privileges")
    schedulername: Annotated[Text, _CLUSTER_OPTION, OptionSince(version=(0, 14))] = Field(
        default="", description="scheduler of the pods"
    )
    serviceaccount: Annotated[Text, _CLUSTER_OPTION] = Field(default="", description="service account of the pods")
    nodeselector: Annotated[TextMap, _CLUSTER_PAIRS] = Field(
        default_factory=dict, description="labels that select the machines of the cluster"
    )
    annotations: Annotated[TextMap, _CLUSTER_PAIRS] = Field(
        default_factory=dict, description="annotations of the Deployment and its pods"
    )
    labels: Annotated[TextMap, _CLUSTER_PAIRS] = Field(
        default_factory=dict, description="labels of the Deployment and its pods"
    )
    tolerations: Annotated[list[TolerationSpec], _CLUSTER_ROWS] = Field(
        default_factory=list, description="taints that the pods tolerate"
    )
    loadbalance: Annotated[Text, _CLUSTER_BY_CLIENT] = Field(
        default="",
        description="how `docker buildx build` on the command line chooses a pod: sticky (by the folder of the build) "
        "or random; a run always uses sticky",
    )
    qemu: Annotated[QemuSpec, _CLUSTER_OPTION] = Field(default_factory=QemuSpec, description="emulators in the pods")
    buildkit_root_volume_memory: Annotated[Text, _CLUSTER_OPTION, OptionSince(version=(0, 26))] = Field(
        default="", description="keep the state of BuildKit in memory, with this limit"
    )
    timeout: Annotated[Duration, _CLUSTER_BY_CLIENT, OptionSince(version=(0, 15))] = Field(
        default="", description="time limit for the start of the Deployment, such as 2m"
    )


class _NodeKeysSpec(Table):
    buildx_name: Text = Field(
        default="",
        description="name of the node in buildx, from which the name of its container or Deployment follows; "
        "for nodes that were made by hand; default: BUILDER-NODE",
    )
    endpoint: Text = Field(
        default="", description="Docker context, ssh://, tcp:// or unix://; default: the current Docker engine"
    )
    platforms: Platforms = Field(
        default_factory=list, description="platforms that this node builds; default: the platforms that it reports"
    )
    tls: TlsSpec = Field(default_factory=TlsSpec, description="mutual TLS for a node or an engine behind tcp://")
    deploy: DeploySpec = Field(
        default_factory=DeploySpec,
        description="where `mpbake builders up` deploys the BuildKit of this node (remote)",
    )
    insecure: Flag = Field(
        default=False,
        description="connect to a tcp:// node on another machine without TLS: everyone who reaches it controls it",
    )
    slots: Slots | None = Field(
        default=None, description="maximum number of build pieces at the same time; default: the `slots` of the builder"
    )
    required: Flag = Field(
        default=False, description="losing this node is an error, even if another node could build its targets"
    )


class NodeSpec(NodeOptionsSpec, _NodeKeysSpec):
    """A node: one BuildKit of a builder. Its options override the options of the builder."""


class _BuilderKeysSpec(Table):
    driver: DriverName = Field(
        default="", description="buildx driver; default for a declared builder: docker-container"
    )
    emulation: EmulationName = Field(
        default="",
        description="policy for a platform that no node runs natively",
        json_schema_extra={"default": "warn"},
    )
    emulators: EmulatorsName = Field(
        default="",
        description="whether `mpbake builders up` installs the emulators that the platforms of the plan need, on the "
        "engines of the nodes",
        json_schema_extra={"default": "never"},
    )
    emulators_image: ImageName = Field(
        default="",
        description="image that installs the emulators; it runs with all privileges on the machines of the nodes",
        json_schema_extra={"default": EMULATORS_IMAGE},
    )
    slots: Slots | None = Field(
        default=None,
        description="maximum number of build pieces at the same time on each node; "
        "default: the `max-parallelism` that BuildKit reports, or no limit",
    )
    boot_timeout: BootDuration = Field(
        default="",
        description="time limit for a node to start and answer, including the pull of its image",
        json_schema_extra={"default": "5m"},
    )
    certificate_days: _Days = Field(
        default=None,
        description="mpbake warns of a certificate that expires within this number of days",
        json_schema_extra={"default": 30},
    )


class BuilderDefaultsSpec(NodeOptionsSpec, _BuilderKeysSpec):
    """Defaults for every builder, including the default builder."""


class BuilderSpec(BuilderDefaultsSpec):
    """A builder: nodes that build the same targets. Its options are defaults for its nodes."""

    external: Flag = Field(
        default=False, description="use the existing buildx builder of this name, and never change it"
    )
    nodes: dict[str, NodeSpec] = Field(
        default_factory=dict,
        description="nodes by name; nodes that build a platform equally well share the targets",
    )


def options_of(model: type[BaseModel]) -> dict[str, Option]:
    """Return the options that the model of a node declares, by their keys in the file."""
    metadata = {kebab(name): field.metadata for name, field in model.model_fields.items()}
    return {name: item for name, items in metadata.items() for item in items if isinstance(item, Option)}


def option_default(option: str) -> Any:
    """Return the default of an option, or of a part of an option such as `requests.cpu`. Raises KeyError."""
    model: Any = NodeOptionsSpec
    *tables, last = option.replace("-", "_").split(".")
    for name in tables:
        model = model.model_fields[name].annotation
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise KeyError(option)
    default = model.model_fields[last].default
    if default is PydanticUndefined:
        raise KeyError(option)  # a table
    return default


OPTIONS: Mapping[str, Option] = MappingProxyType(options_of(NodeOptionsSpec))


def _versions_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, OptionSince]]:
    """Yield the options of a node, and parts of options, that some supported buildx do not have."""
    for name, field in model.model_fields.items():
        option = f"{prefix}{kebab(name)}"
        yield from ((option, item) for item in field.metadata if isinstance(item, OptionSince))
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _versions_of(field.annotation, f"{option}.")


SINCE: Mapping[str, OptionSince] = MappingProxyType(dict(_versions_of(NodeOptionsSpec)))
"""The first buildx that supports an option, by its name in buildx: `requests.ephemeral-storage`.

Every supported buildx has the options that are not in this table.
"""
