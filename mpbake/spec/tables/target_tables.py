"""The tables of targets, and the attributes of targets in these tables."""

from __future__ import annotations

from enum import Enum
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Self, get_args, get_origin

from pydantic import BaseModel, Field, model_validator

from mpbake.base.codes import Code
from mpbake.base.platforms import check_platform, each_platform, parse_platform
from mpbake.model.bake_fields import PathAccess, Paths, check_call, check_entitlement, check_limit
from mpbake.spec.tables.attributes import Attribute, Exposure, Merge, Role, Scope
from mpbake.spec.tables.table import Table, kebab
from mpbake.spec.tables.value_types import (
    OR_TEMPLATE,
    Annotations,
    Attestations,
    Caches,
    Duration,
    Entitlements,
    FieldLists,
    Flag,
    InvalidValue,
    LocalValue,
    Matrix,
    Names,
    Network,
    Operation,
    Outputs,
    Platforms,
    Policies,
    Resources,
    Secrets,
    Size,
    Tags,
    TargetPlatforms,
    Text,
    TextMap,
    Texts,
    Ulimits,
    checked,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic.fields import FieldInfo

_PLAN = Attribute(merge=Merge.REPLACE, role=Role.PLAN)
_ROWS = partial(Attribute, merge=Merge.OWN, role=Role.PLAN, scope=Scope.PLAN)
_SOURCE_ATTRIBUTE = Attribute(merge=Merge.REPLACE, role=Role.SOURCE)
_CACHE = partial(Attribute, paths=Paths.FIELDS, exposure=Exposure.PRIVATE, bake_variables=True)
_CONTEXT = partial(Attribute, role=Role.SOURCE, paths=Paths.CONTEXT, exposure=Exposure.PRIVATE)


class PlatformSpec(Table):
    """Values of a target for one of its platforms: they replace or extend the values for all platforms."""

    dockerfile: Annotated[Text, _SOURCE_ATTRIBUTE] = Field(
        default="", description="path of the Dockerfile, relative to the context"
    )
    contexts: Annotated[TextMap, _CONTEXT(merge=Merge.BY_KEY, refers=True, bake_variables=True)] = Field(
        default_factory=dict, description="named contexts; `target:NAME` links to another target"
    )
    args: Annotated[
        TextMap, Attribute(merge=Merge.BY_KEY, role=Role.SOURCE, exposure=Exposure.HISTORY, bake_variables=True)
    ] = Field(default_factory=dict, description="build arguments")
    labels: Annotated[
        TextMap, Attribute(merge=Merge.BY_KEY, role=Role.SOURCE, exposure=Exposure.IMAGE, bake_variables=True)
    ] = Field(default_factory=dict, description="labels of the image")
    target: Annotated[Text, _SOURCE_ATTRIBUTE] = Field(default="", description="stage of the Dockerfile to build")
    cache_from: Annotated[Caches, _CACHE(merge=Merge.APPEND, role=Role.SOURCE, access=PathAccess.READS)] = Field(
        default_factory=list, description="caches to read"
    )
    cache_to: Annotated[Caches, _CACHE(merge=Merge.REPLACE, role=Role.RESULT, access=PathAccess.WRITES)] = Field(
        default_factory=list, description="caches to write"
    )


class CheckSpec(Table):
    """A check that an image must pass before it is published: a command in the image, or a stage of the Dockerfile."""

    run: list[Text] = Field(default_factory=list, description="command and arguments, run in the image without a shell")
    target: Text = Field(default="", description="stage of the same Dockerfile; the check passes if it builds")
    platforms: Platforms = Field(default_factory=list, description="platforms to check; default: all of the target's")

    @model_validator(mode="after")
    def _has_one_kind(self) -> Self:
        if "run" in self.model_fields_set and not self.run and not self.target:
            msg = 'run is empty\nname a command: { run = ["php", "-v"] }'
            raise InvalidValue(msg, Code.BAD_CHECK)
        if bool(self.run) == bool(self.target):
            msg = 'a check must have either run or target\nwrite { run = ["php", "-v"] } or { target = "test" }'
            raise InvalidValue(msg, Code.BAD_CHECK)
        return self


class _SourceSpec(Table):
    builder: Annotated[Text, Attribute(merge=Merge.REPLACE, role=Role.PLAN, refers=True)] = Field(
        default="", description="builder whose nodes build this target"
    )
    context: Annotated[Text, _CONTEXT(merge=Merge.REPLACE)] = Field(
        default="", description="folder or URL of the build context; default: the plan's folder"
    )


class TargetDefaultsSpec(PlatformSpec, _SourceSpec):
    """Defaults for every target, as if each target inherited them first."""

    dockerfile_inline: Annotated[Text, Attribute(merge=Merge.REPLACE, role=Role.SOURCE, exposure=Exposure.HISTORY)] = (
        Field(default="", description="content of the Dockerfile; takes precedence over `dockerfile`")
    )
    annotations: Annotated[Annotations, Attribute(merge=Merge.APPEND, role=Role.RESULT, exposure=Exposure.IMAGE)] = (
        Field(default_factory=list, description="OCI annotations, such as index:key=value")
    )
    tags: Annotated[
        Tags, Attribute(merge=Merge.REPLACE, role=Role.DESTINATION, exposure=Exposure.LISTED, bake_variables=True)
    ] = Field(default_factory=list, description="names of the image")
    platforms: Annotated[
        TargetPlatforms,
        Attribute(merge=Merge.REPLACE, role=Role.PLAN, of_bake=True, strict=each_platform(check_platform)),
    ] = Field(
        default_factory=list,
        description="platforms of the image; `local`: the platform of the machine that runs mpbake; "
        "default: the native platform of the first node",
    )
    platform: Annotated[
        dict[Annotated[str, checked(parse_platform, Code.BAD_PLATFORM, templates=False, empty=False)], PlatformSpec],
        Attribute(merge=Merge.BY_PLATFORM, role=Role.PLAN),
    ] = Field(default_factory=dict, description="values for a single platform, such as linux/arm64")
    secret: Annotated[Secrets, Attribute(merge=Merge.BY_FIELD, role=Role.SOURCE, identity="id", paths=Paths.FIELDS)] = (
        Field(default_factory=list, description="secrets for RUN --mount=type=secret")
    )
    ssh: Annotated[FieldLists, Attribute(merge=Merge.BY_FIELD, role=Role.SOURCE, paths=Paths.SSH)] = Field(
        default_factory=list, description="ssh agents or keys for RUN --mount=type=ssh"
    )
    attest: Annotated[Attestations, Attribute(merge=Merge.BY_FIELD, role=Role.RESULT, identity="type")] = Field(
        default_factory=list, description="attestations: provenance, sbom"
    )
    output: Annotated[
        Outputs, Attribute(merge=Merge.REPLACE, role=Role.DESTINATION, paths=Paths.FIELDS, access=PathAccess.WRITES)
    ] = Field(default_factory=list, description="destinations of the result, as for docker buildx build --output")
    push: Annotated[Flag, _PLAN] = Field(default=False, description="push all tags to their registries")
    load: Annotated[Flag, _PLAN] = Field(default=False, description="load the image into the current Docker engine")
    needs: Annotated[Texts, Attribute(merge=Merge.APPEND, role=Role.PLAN, refers=True)] = Field(
        default_factory=list, description="targets that must be finished first, including publication and verification"
    )
    checks: Annotated[list[CheckSpec], Attribute(merge=Merge.APPEND, role=Role.PLAN)] = Field(
        default_factory=list, description="checks that the image must pass before it is published"
    )
    let: Annotated[dict[str, LocalValue], Attribute(merge=Merge.BY_KEY, role=Role.PLAN, scope=Scope.LOCAL)] = Field(
        default_factory=dict, description="names for the templates of this target, and their values"
    )
    enabled: Annotated[Flag, Attribute(merge=Merge.REPLACE, role=Role.PLAN, exposure=Exposure.PRIVATE)] = Field(
        default=True, description="false removes the target from the plan"
    )
    timeout: Annotated[Duration, _PLAN] = Field(
        default="", description="time limit of a build of the target, and of a push by docker, such as 30m"
    )
    stall_timeout: Annotated[Duration, _PLAN] = Field(
        default="5m",
        description="a node that does not answer counts as lost after this time without progress; 0s: never",
    )
    retries: Annotated[Annotated[int, Field(ge=0, le=10), OR_TEMPLATE], _PLAN] = Field(
        default=0, description="number of retries of a failed build"
    )
    no_cache: Annotated[Flag, Attribute(merge=Merge.REPLACE, role=Role.NO_CACHE)] = Field(
        default=False, description="build without the cache"
    )
    no_cache_filter: Annotated[Texts, Attribute(merge=Merge.APPEND, role=Role.NO_CACHE)] = Field(
        default_factory=list, description="stages of the Dockerfile to build without the cache"
    )
    pull: Annotated[Flag, Attribute(merge=Merge.REPLACE, role=Role.PULL)] = Field(
        default=False, description="pull newer versions of base images"
    )
    shm_size: Annotated[Size, Attribute(merge=Merge.REPLACE, role=Role.RUN)] = Field(
        default="", description="size of /dev/shm in RUN steps"
    )
    ulimits: Annotated[Ulimits, Attribute(merge=Merge.APPEND, role=Role.RUN, strict=check_limit)] = Field(
        default_factory=list, description="limits of RUN steps, such as nofile=1024:2048"
    )
    network: Annotated[Network, Attribute(merge=Merge.REPLACE, role=Role.RUN, since=(0, 17))] = Field(
        default="", description="network of RUN steps: default, none or host"
    )
    extra_hosts: Annotated[TextMap, Attribute(merge=Merge.BY_KEY, role=Role.RUN, since=(0, 25))] = Field(
        default_factory=dict, description="entries of /etc/hosts for RUN steps: host name = address"
    )
    entitlements: Annotated[
        Entitlements,
        Attribute(
            merge=Merge.APPEND, role=Role.SOURCE, strict=partial(check_entitlement, allow_unknown=False), since=(0, 17)
        ),
    ] = Field(default_factory=list, description="privileges of RUN steps: network.host, security.insecure, device")
    resources: Annotated[Resources, Attribute(merge=Merge.BY_KEY, role=Role.RUN, since=(0, 35))] = Field(
        default_factory=dict, description="limits of RUN steps: memory, cpu-shares and others"
    )
    policy: Annotated[Policies, Attribute(merge=Merge.APPEND, role=Role.SOURCE, since=(0, 31))] = Field(
        default_factory=list,
        description="source policies, such as filename=extra.rego; paths are relative to the context",
    )
    call: Annotated[
        Operation,
        Attribute(
            merge=Merge.REPLACE, role=Role.SOURCE, strict=partial(check_call, allow_unknown=False), since=(0, 16)
        ),
    ] = Field(default="", description="operation instead of a build: check, outline or targets")


class _OwnSpec(Table):
    inherits: Annotated[Names, Attribute(merge=Merge.OWN, role=Role.PLAN, scope=Scope.PARENTS, of_bake=True)] = Field(
        default_factory=list,
        description="targets, templates and rows of a matrix whose attributes this target inherits, left to right",
    )
    description: Annotated[Text, Attribute(merge=Merge.REPLACE, role=Role.PLAN, of_bake=True)] = Field(
        default="", description="text for `mpbake list` and for reviewers"
    )
    matrix: Annotated[Matrix, _ROWS(of_bake=True)] = Field(
        default_factory=dict,
        description="variables with lists of values: each combination is a target; or a list of rows",
    )
    exclude: Annotated[list[dict[str, Any]], _ROWS()] = Field(
        default_factory=list, description="combinations to omit: an entry matches the rows that have all its values"
    )
    name: Annotated[Text, Attribute(merge=Merge.OWN, role=Role.PLAN, of_bake=True)] = Field(
        default="", description="template for the names of the targets of a matrix"
    )


class TargetSpec(TargetDefaultsSpec, _OwnSpec):
    """An image or another result to build. Names and merge rules are those of bake."""


def attributes_of(model: type[BaseModel]) -> dict[str, Attribute]:
    """Return the attributes that the model of a target declares, by their keys in the file."""
    return {kebab(name): _declared(field) for name, field in model.model_fields.items()}


def _declared(field: FieldInfo) -> Attribute:
    return next(item for item in field.metadata if isinstance(item, Attribute))


ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(attributes_of(TargetSpec))
PLATFORM_ATTRIBUTES = tuple(attributes_of(PlatformSpec))
"""The attributes whose values may differ from platform to platform."""


def attributes_for(*roles: Role) -> tuple[str, ...]:
    """Return the names of the attributes that have one of the roles, in the order of their declarations."""
    return tuple(name for name, attribute in ATTRIBUTES.items() if attribute.role in roles)


class ValueKind(Enum):
    """The kind of value of an attribute."""

    TEXT = str
    FLAG = bool
    NUMBER = int
    LIST = list
    MAP = dict


def value_kind(attribute: str) -> ValueKind:
    """Return the kind of value of a target's attribute, from its declared type."""
    annotation: Any = TargetSpec.model_fields[attribute.replace("-", "_")].annotation
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    return ValueKind(get_origin(annotation) or annotation)
