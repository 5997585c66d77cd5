"""The tables of builders and nodes, and the options of nodes that they declare."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from mpbake.model.plan import Driver
from mpbake.spec.attributes import Option, OptionForm, OptionSince
from mpbake.spec.table import Table, kebab
from mpbake.spec.value_types import (
    TEMPLATE,
    BootDuration,
    DriverName,
    Duration,
    EmulationName,
    Flag,
    Platforms,
    Slots,
    Text,
    TextMap,
    Texts,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class TlsSpec(Table):
    """Files for mutual TLS with a remote node; relative to the file that states them."""

    ca: Text = Field(default="", description="certificate authority that signed the node's certificate")
    cert: Text = Field(default="", description="client certificate")
    key: Text = Field(default="", description="client key")
    servername: Text = Field(
        default="", description="name in the node's certificate, when it is not the endpoint's host"
    )


_MADE = (Driver.DOCKER_CONTAINER, Driver.KUBERNETES)
_IN_CONTAINERS = Option(drivers=(Driver.DOCKER_CONTAINER,))
_IN_CLUSTERS = Option(drivers=(Driver.KUBERNETES,))
_PAIRS_IN_CLUSTERS = Option(drivers=(Driver.KUBERNETES,), form=OptionForm.PAIRS)
_ROWS_IN_CLUSTERS = Option(drivers=(Driver.KUBERNETES,), form=OptionForm.ROWS)
_WHERE_MADE = Option(drivers=_MADE)
_AT_THIS_END = Option(drivers=(*_MADE, Driver.REMOTE), of_client=True)
_OF_CONTAINERS_AT_THIS_END = Option(drivers=(Driver.DOCKER_CONTAINER,), of_client=True)
_AT_START = Option(drivers=_MADE, to_driver=False)
_Shares = Annotated[Annotated[int, Field(ge=0, le=262_144)] | None, TEMPLATE]
_Period = Annotated[Annotated[int, Field(ge=0, le=1_000_000)] | None, TEMPLATE]
_Quota = Annotated[Annotated[int, Field(ge=0, le=1_000_000_000)] | None, TEMPLATE]
_Replicas = Annotated[Annotated[int, Field(ge=0, le=1000)] | None, TEMPLATE]
_Days = Annotated[Annotated[int, Field(ge=0, le=36_500)] | None, TEMPLATE]


class ResourcesSpec(Table):
    """Amounts as Kubernetes writes them, such as cpu = "2" and memory = "4Gi"."""

    cpu: Text = Field(default="", description="processors")
    memory: Text = Field(default="", description="memory")
    ephemeral_storage: Annotated[Text, OptionSince(version=(0, 14))] = Field(
        default="", description="storage that goes with the pod"
    )


class StorageSpec(Table):
    """How much a volume claim asks for."""

    storage: Annotated[Text, OptionSince(version=(0, 34))] = Field(
        default="", description="size of the volume, such as 20Gi"
    )


class VolumeClaimSpec(Table):
    """A volume that keeps BuildKit's state."""

    requests: StorageSpec = Field(default_factory=StorageSpec, description="what is asked for")


class QemuSpec(Table):
    """Emulators in the pods."""

    install: Flag = Field(default=False, description="install emulators for other platforms")
    image: Text = Field(default="", description="image that installs them")


class TolerationSpec(Table):
    """A taint of machines that the pods tolerate."""

    key: Text = Field(default="", description="key of the taint")
    operator: Text = Field(default="", description="Equal or Exists")
    value: Text = Field(default="", description="value of the taint")
    effect: Text = Field(default="", description="NoSchedule, PreferNoSchedule or NoExecute")
    toleration_seconds: Text = Field(
        default="", alias="tolerationSeconds", description="for how long NoExecute is tolerated"
    )


class NodeOptionsSpec(Table):
    """What a node is made with, under buildx's own names."""

    image: Annotated[Text, _WHERE_MADE] = Field(default="", description="BuildKit image")
    env: Annotated[TextMap, _WHERE_MADE, OptionSince(version=(0, 28), drivers=(Driver.KUBERNETES,))] = Field(
        default_factory=dict, description="environment variables of BuildKit"
    )
    flags: Annotated[Texts, _AT_START] = Field(default_factory=list, description="flags of buildkitd")
    config: Annotated[Text, _AT_START] = Field(
        default="", description="file with the configuration of buildkitd, relative to the file that states it"
    )
    buildkitd: Annotated[dict[str, Any], _AT_START] = Field(
        default_factory=dict, description="configuration of buildkitd itself: what buildkitd.toml would hold"
    )
    default_load: Annotated[Flag, _AT_THIS_END, OptionSince(version=(0, 14))] = Field(
        default=False, description="by hand, docker buildx build loads its images into the engine"
    )
    network: Annotated[Text, _IN_CONTAINERS] = Field(default="", description="network of the container")
    memory: Annotated[Text, _IN_CONTAINERS] = Field(default="", description="limit of memory, such as 8g")
    memory_swap: Annotated[Text, _IN_CONTAINERS] = Field(default="", description="limit of memory and swap together")
    cpu_quota: Annotated[_Quota, _IN_CONTAINERS] = Field(
        default=None, description="microseconds of processor time in each period"
    )
    cpu_period: Annotated[_Period, _IN_CONTAINERS] = Field(
        default=None, description="length of that period in microseconds"
    )
    cpu_shares: Annotated[_Shares, _IN_CONTAINERS] = Field(default=None, description="weight among other containers")
    cpuset_cpus: Annotated[Text, _IN_CONTAINERS] = Field(default="", description="processors to use, such as 0-3")
    cpuset_mems: Annotated[Text, _IN_CONTAINERS] = Field(default="", description="memory nodes to use, such as 0,1")
    cgroup_parent: Annotated[Text, _IN_CONTAINERS] = Field(default="", description="control group of the container")
    restart_policy: Annotated[Text, _IN_CONTAINERS] = Field(
        default="", description="no, always, unless-stopped, on-failure or on-failure:NUMBER"
    )
    provenance_add_gha: Annotated[Flag, _IN_CONTAINERS, OptionSince(version=(0, 30))] = Field(
        default=False,
        description="put the GitHub Actions workflow run that makes the container into the provenance of its images",
    )
    allow_untrusted_image: Annotated[Flag, _OF_CONTAINERS_AT_THIS_END, OptionSince(version=(0, 36))] = Field(
        default=False, description="use a BuildKit image that BUILDX_DEFAULT_POLICY=1 does not trust"
    )
    namespace: Annotated[Text, _IN_CLUSTERS] = Field(default="", description="namespace of the Deployment")
    replicas: Annotated[_Replicas, _IN_CLUSTERS] = Field(default=None, description="number of pods")
    requests: Annotated[ResourcesSpec, _IN_CLUSTERS] = Field(
        default_factory=ResourcesSpec, description="what a pod asks for"
    )
    limits: Annotated[ResourcesSpec, _IN_CLUSTERS] = Field(
        default_factory=ResourcesSpec, description="what a pod may use"
    )
    persistent_volume_claim: Annotated[VolumeClaimSpec, _IN_CLUSTERS] = Field(
        default_factory=VolumeClaimSpec, description="volume for BuildKit's state"
    )
    rootless: Annotated[Flag, _IN_CLUSTERS] = Field(default=False, description="run BuildKit without privileges")
    schedulername: Annotated[Text, _IN_CLUSTERS, OptionSince(version=(0, 14))] = Field(
        default="", description="scheduler of the pods"
    )
    serviceaccount: Annotated[Text, _IN_CLUSTERS] = Field(default="", description="service account of the pods")
    nodeselector: Annotated[TextMap, _PAIRS_IN_CLUSTERS] = Field(
        default_factory=dict, description="labels of the machines to use"
    )
    annotations: Annotated[TextMap, _PAIRS_IN_CLUSTERS] = Field(
        default_factory=dict, description="annotations of Deployment and pods"
    )
    labels: Annotated[TextMap, _PAIRS_IN_CLUSTERS] = Field(
        default_factory=dict, description="labels of Deployment and pods"
    )
    tolerations: Annotated[list[TolerationSpec], _ROWS_IN_CLUSTERS] = Field(
        default_factory=list, description="taints that the pods tolerate"
    )
    loadbalance: Annotated[Text, _IN_CLUSTERS] = Field(
        default="", description="how buildx takes a pod: sticky (by the build's folder) or random"
    )
    qemu: Annotated[QemuSpec, _IN_CLUSTERS] = Field(default_factory=QemuSpec, description="emulators in the pods")
    buildkit_root_volume_memory: Annotated[Text, _IN_CLUSTERS, OptionSince(version=(0, 26))] = Field(
        default="", description="keep BuildKit's state in this much memory"
    )
    timeout: Annotated[Duration, _IN_CLUSTERS, OptionSince(version=(0, 15))] = Field(
        default="", description="how long buildx waits for the Deployment, such as 2m"
    )


class _OfNodeSpec(Table):
    endpoint: Text = Field(
        default="", description="docker context, ssh://, tcp:// or unix://; empty: the engine in use"
    )
    platforms: Platforms = Field(default_factory=list, description="what this node builds; empty: what it reports")
    tls: TlsSpec = Field(default_factory=TlsSpec, description="mutual TLS for a node or an engine behind tcp://")
    insecure: Flag = Field(
        default=False, description="use a node behind tcp:// on another machine without TLS: whoever reaches it owns it"
    )
    slots: Slots | None = Field(
        default=None, description="most pieces of targets that this node builds at once; default: the builder's `slots`"
    )
    required: Flag = Field(
        default=False, description="true: losing this node is an error, even if an equal one could take its work"
    )


class NodeSpec(NodeOptionsSpec, _OfNodeSpec):
    """One BuildKit of a builder; an option here stands in for the builder's."""


class _OfBuilderSpec(Table):
    driver: DriverName = Field(
        default="", description="how nodes are reached; default of a declared builder: docker-container"
    )
    emulation: EmulationName = Field(
        default="",
        description="what to do about a platform that no node runs natively",
        json_schema_extra={"default": "warn"},
    )
    slots: Slots | None = Field(
        default=None,
        description="most pieces of targets that each node builds at once; "
        "default: BuildKit's `max-parallelism` if it reports one, else no limit",
    )
    boot_timeout: BootDuration = Field(
        default="",
        description="how long a node may take to start and answer, with the pull of its image",
        json_schema_extra={"default": "5m"},
    )
    certificate_days: _Days = Field(
        default=None,
        description="days before the end of a certificate from which on there is a warning",
        json_schema_extra={"default": 30},
    )


class BuilderDefaultsSpec(NodeOptionsSpec, _OfBuilderSpec):
    """What holds for every builder that does not say otherwise, the default builder included."""


class BuilderSpec(BuilderDefaultsSpec):
    """Nodes that serve the same targets; the options hold for each that does not say otherwise."""

    external: Flag = Field(
        default=False, description="use the buildx builder of this name, whoever made it, and never change it"
    )
    nodes: dict[str, NodeSpec] = Field(
        default_factory=dict,
        description="the nodes by name; those that build a platform equally well share the targets among them",
    )


def options_of(model: type[BaseModel]) -> dict[str, Option]:
    """The declared options of a node's model, under the file's names."""
    found = {kebab(name): field.metadata for name, field in model.model_fields.items()}
    return {name: each for name, metadata in found.items() for each in metadata if isinstance(each, Option)}


OPTIONS: Mapping[str, Option] = MappingProxyType(options_of(NodeOptionsSpec))


def _versions_of(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, OptionSince]]:
    """The options of a node's model, and parts of them, that not every buildx knows."""
    for name, field in model.model_fields.items():
        option = f"{above}{kebab(name)}"
        yield from ((option, each) for each in field.metadata if isinstance(each, OptionSince))
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _versions_of(field.annotation, f"{option}.")


SINCE: Mapping[str, OptionSince] = MappingProxyType(dict(_versions_of(NodeOptionsSpec)))
"""The first buildx that knows an option, by its name there, as `requests.ephemeral-storage`; others every one knows."""
