"""The plan as it is written: one model for each table; what an attribute is, is declared here and nowhere else."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, time
from enum import Enum, StrEnum
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
    model_validator,
)

from mpbake.base.codes import Code
from mpbake.base.platforms import parse_platform
from mpbake.base.references import parse_fields, parse_reference
from mpbake.base.text import closest_name, did_you_mean, one_line, parse_duration, short_name
from mpbake.model.bake_fields import (
    PathAccess,
    Paths,
    check_annotation,
    check_attestation,
    check_cache,
    check_call,
    check_destination,
    check_entitlement,
    check_network,
    check_output,
    check_policy,
    check_secret,
    check_size,
    check_ulimit,
)
from mpbake.model.plan import Driver, Emulation, PublishMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from packaging.specifiers import SpecifierSet
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.fields import FieldInfo

    from mpbake.base.errors import KeyPath

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
MARKER = re.compile(r"\{\{|\{%|\{#")
"""What makes a string a template."""

TEMPLATE_SCHEMA: Mapping[str, str] = MappingProxyType({"type": "string", "pattern": MARKER.pattern})
"""A template, as JSON Schema knows it."""

AS_WRITTEN: Mapping[str, bool] = MappingProxyType({"as_written": True})
"""Validation context for a plan before rendering: a template may stand where any other type belongs."""


class VariableType(StrEnum):
    """What a variable holds."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    LIST = "list"
    MAP = "map"


class Resource(StrEnum):
    """What a build may be given less of."""

    MEMORY = "memory"
    MEMORY_SWAP = "memory-swap"
    CPU_SHARES = "cpu-shares"
    CPU_PERIOD = "cpu-period"
    CPU_QUOTA = "cpu-quota"
    CPUSET_CPUS = "cpuset-cpus"
    CPUSET_MEMS = "cpuset-mems"


class Merge(Enum):
    """How an attribute combines with the inherited one."""

    REPLACE = "the last wins"
    APPEND = "appended"
    BY_KEY = "merged by key"
    BY_FIELD = "merged by a field of each entry"
    BY_PLATFORM = "merged by platform, then as each attribute says"
    OWN = "not inherited"


Version = tuple[int, int]
"""A version of buildx, as far as abilities go by it."""


def version_text(version: Version) -> str:
    """`0.17`."""
    return ".".join(map(str, version))


class OptionForm(Enum):
    """How buildx takes the value of a driver option."""

    PLAIN = "key=value; a table: key.name=value for each name in it"
    PAIRS = "one value: name=value,name=value"
    ROWS = "one value: a row of pairs for each table, with semicolons between them"


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """What mpbake must know of an option of nodes besides its type: the drivers that have it.

    `to_driver`: handed over as a `--driver-opt` of the key's own name. `of_client`: what is made is the same with and
    without it, since only buildx at this end heeds it.
    """

    drivers: tuple[Driver, ...]
    to_driver: bool = True
    of_client: bool = False
    form: OptionForm = OptionForm.PLAIN

    def __str__(self) -> str:
        """`docker-container, kubernetes`."""
        return ", ".join(self.drivers)


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionSince:
    """The first buildx that knows an option of nodes, or a part of one; others that mpbake works with refuse it.

    It holds for `drivers`; without any, for all that have the option.
    """

    version: Version
    drivers: tuple[Driver, ...] = ()

    def __str__(self) -> str:
        """`from buildx 0.14`, or `with kubernetes from buildx 0.28`."""
        which = f"with {', '.join(self.drivers)} " if self.drivers else ""
        return f"{which}from buildx {version_text(self.version)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Attribute:
    """What mpbake must know of a target's attribute besides its type.

    `to_bake`: handed to BuildKit under the same name. `identity`: the field by which BY_FIELD merges. `access`: what a
    build does with its `paths`. `sensitive`: a sensitive value may stand in it, since it is neither printed nor part of
    the image or of an argument list. `since`: the first buildx whose bake knows it, where not every one that mpbake
    works with does; others ignore it in silence.
    """

    merge: Merge
    to_bake: bool = False
    identity: str = ""
    paths: Paths = Paths.NONE
    access: PathAccess = PathAccess.NEEDS
    sensitive: bool = False
    since: Version = (0, 0)


def _is_template(value: Any, info: ValidationInfo) -> bool:
    written = bool(info.context and info.context.get("as_written"))
    return written and isinstance(value, str) and bool(MARKER.search(value))


def _template_or(value: Any, handler: Callable[[Any], Any], info: ValidationInfo) -> Any:
    return value if _is_template(value, info) else handler(value)


def _rows_or(value: Any, handler: Callable[[Any], Any]) -> Any:
    """A matrix may list its rows instead of the values of each variable."""
    if not isinstance(value, list):
        return handler(value)
    if not all(isinstance(row, dict) for row in value):
        msg = "each row must be a table"
        raise _Refused(msg, Code.WRONG_TYPE)
    return value


def _text(value: Any) -> Any:
    """Numbers and booleans are what people write for arguments and labels; TOML's spelling is kept."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class _Refused(ValueError):
    """A value that is not what it must be. A second line of the text is the remedy."""

    def __init__(self, text: str, code: Code) -> None:
        super().__init__(text)
        self.code = code


def _checked(
    check: Callable[[str], object], code: Code, *, templates: bool = True, empty: bool = True
) -> AfterValidator:
    """A validator that lets `check` raise ValueError on a string that it does not like, which is then a `code`.

    A second line of the error's text is the remedy. What a template renders to may be empty, which means nothing; what
    is written may be only where `empty` says so.
    """

    def validate(value: str, info: ValidationInfo) -> str:
        refused = not empty and bool(info.context and info.context.get("as_written"))
        if (value or refused) and not (templates and _is_template(value, info)):
            try:
                check(value)
            except ValueError as error:
                raise _Refused(_with_remedy(str(error), value), code) from error
        return value

    return AfterValidator(validate)


BAKE_TEMPLATE = re.compile(r"\$\{\s*([A-Za-z_]\w*)\s*\}")
"""A variable in the way of HCL, and of a shell; of a plan it is text like any other."""


def _with_remedy(text: str, value: str) -> str:
    """What is wrong with `value`; where it has no remedy yet, that of a template in another tool's way."""
    found = BAKE_TEMPLATE.search(value)
    return f"{text}\ntemplates are written {{{{ {found[1]} }}}}" if found and "\n" not in text else text


def _known(names: type[StrEnum]) -> list[str]:
    return [str(name) for name in names if not isinstance(name, Driver) or name.rules.is_declarable]


def _one_of(names: type[StrEnum], kind: str = "value") -> Callable[[str], None]:
    def check(value: str) -> None:
        known = _known(names)
        if value not in known:
            msg = f'unknown {kind} "{short_name(value)}"\n{did_you_mean(value, known, kind=f"{kind}s")}'
            raise ValueError(msg)

    return check


class _OrTemplate(WrapValidator):
    """A type in whose place a template may stand."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), dict(TEMPLATE_SCHEMA)]}


class _OrRows(WrapValidator):
    """A table instead of which a list of tables may stand."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "array", "items": {"type": "object"}}]}


@dataclass(frozen=True, slots=True)
class _ShortForm:
    """A table instead of which the value of one of its keys may stand."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        return BeforeValidator(self._long_form).__get_pydantic_core_schema__(source, handler)

    def _long_form(self, value: Any) -> Any:
        return value if isinstance(value, dict) else {self.key: value}

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        table = handler(schema)
        value = handler.resolve_ref_schema(table)["properties"][self.key]
        if isinstance(value.get("type"), list):  # a table is the long form
            value = value | {"type": [each for each in value["type"] if each != "object"]}
        return {"anyOf": [{name: value[name] for name in ("type", "items", "anyOf") if name in value}, table]}


def _choice_schema(names: type[StrEnum], *, templates: bool = True) -> WithJsonSchema:
    choice: dict[str, Any] = {"type": "string", "enum": _known(names)}
    return WithJsonSchema({"anyOf": [choice, dict(TEMPLATE_SCHEMA)]} if templates else choice)


def _text_schema(*examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": list(examples)})


_TEMPLATE = _OrTemplate(_template_or)
_PLATFORM = _text_schema("linux/amd64", "linux/arm64", "linux/arm/v7")
_TAG = _text_schema("registry.example.com/team/web:1.0")
_VALUE = WithJsonSchema({"type": ["string", "number", "boolean", "array", "object"]})
Text = Annotated[str, BeforeValidator(_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Flag = Annotated[bool, _TEMPLATE]
Texts = Annotated[list[Text], _TEMPLATE]
TextMap = Annotated[dict[Annotated[str, Field(min_length=1)], Text], _TEMPLATE]
FieldLists = Annotated[list[Annotated[Text, _checked(parse_fields, Code.BAD_FIELDS)]], _TEMPLATE]
Secrets = Annotated[list[Annotated[Text, _checked(check_secret, Code.BAD_FIELDS)]], _TEMPLATE]
Policies = Annotated[list[Annotated[Text, _checked(check_policy, Code.BAD_FIELDS)]], _TEMPLATE]
Attestations = Annotated[list[Annotated[Text, _checked(check_attestation, Code.BAD_FIELDS)]], _TEMPLATE]
Outputs = Annotated[
    list[
        Annotated[Text, _checked(check_output, Code.BAD_FIELDS), _checked(check_destination, Code.OUTPUT_NAMES_NO_FILE)]
    ],
    _TEMPLATE,
]
Caches = Annotated[list[Annotated[Text, _checked(check_cache, Code.BAD_FIELDS)]], _TEMPLATE]
Annotations = Annotated[list[Annotated[Text, _checked(check_annotation, Code.BAD_VALUE)]], _TEMPLATE]
Ulimits = Annotated[list[Annotated[Text, _checked(check_ulimit, Code.BAD_VALUE)]], _TEMPLATE]
Entitlements = Annotated[list[Annotated[Text, _checked(check_entitlement, Code.BAD_VALUE)]], _TEMPLATE]
Network = Annotated[Text, _checked(check_network, Code.BAD_VALUE)]
Call = Annotated[Text, _checked(check_call, Code.BAD_VALUE)]
Size = Annotated[Text, _checked(check_size, Code.BAD_SIZE)]
Platforms = Annotated[list[Annotated[str, _checked(parse_platform, Code.BAD_PLATFORM), _PLATFORM]], _TEMPLATE]
Tags = Annotated[list[Annotated[str, _checked(parse_reference, Code.BAD_IMAGE_NAME), _TAG]], _TEMPLATE]
Matrix = Annotated[dict[str, Annotated[list[Any], _TEMPLATE]], _OrRows(_rows_or)]
Resources = Annotated[
    dict[
        Annotated[
            str,
            _checked(_one_of(Resource, "key"), Code.UNKNOWN_KEY, templates=False, empty=False),
            _choice_schema(Resource, templates=False),
        ],
        int | str,
    ],
    _TEMPLATE,
]
Duration = Annotated[Text, _checked(parse_duration, Code.BAD_DURATION)]
# Python waits for a program for less than 25 days.
BootDuration = Annotated[Text, _checked(partial(parse_duration, hours_at_most=24), Code.BAD_DURATION)]
Slots = Annotated[Annotated[int, Field(ge=1, le=1000)], _TEMPLATE]
DriverName = Annotated[str, _checked(_one_of(Driver), Code.UNKNOWN_DRIVER, empty=False), _choice_schema(Driver)]
VariableTypeName = Annotated[
    str,
    _checked(_one_of(VariableType), Code.UNKNOWN_TYPE, templates=False, empty=False),
    _choice_schema(VariableType, templates=False),
]
EmulationName = Annotated[
    str, _checked(_one_of(Emulation), Code.UNKNOWN_EMULATION, empty=False), _choice_schema(Emulation)
]


PublishingName = Annotated[
    str,
    _checked(_one_of(PublishMode), Code.UNKNOWN_PUBLISHING, templates=False, empty=False),
    _choice_schema(PublishMode, templates=False),
]


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _say_what_knows(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """The description of an option ends with the drivers that know it, and since which buildx."""
    for name, field in model.model_fields.items():
        knows = [str(each) for each in field.metadata if isinstance(each, Option | OptionSince)]
        if knows:
            schema["properties"][field.alias or name]["description"] += f" ({'; '.join(knows)})"


class _Table(BaseModel):
    """A TOML table: unknown keys are errors, nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=_kebab,
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra=_say_what_knows,
    )

    def written(self) -> dict[str, Any]:
        """Only what the file states, under the file's names, tables within it too."""
        fields, stated = type(self).model_fields, self.model_fields_set
        return {fields[name].alias or name: _written(getattr(self, name)) for name in fields if name in stated}


def _written(value: Any) -> Any:
    """What the file states of a value, which may be or hold tables."""
    match value:
        case _Table():
            return value.written()
        case dict():
            return {key: _written(each) for key, each in value.items()}
        case list():
            return [_written(each) for each in value]
        case _:
            return value


def _variable_value(value: Any) -> Any:
    if not isinstance(value, str | bool | int | float | list | dict):
        msg = f"a variable cannot hold {_kind(value)}"
        raise _Refused(msg, Code.WRONG_TYPE)
    return value


class VariableSpec(_Table):
    """A variable: its default (which also gives its type), and where else its value may come from."""

    default: Annotated[Any, AfterValidator(_variable_value), _VALUE] = Field(
        default=None, description="value when nothing else gives one; may refer to other variables"
    )
    type: VariableTypeName = Field(
        default="", description="string, int, float, bool, list or map; without it, the type of the default"
    )
    env: Text = Field(default="", description="environment variable that may give the value")
    description: Text = Field(default="", description="for `mpbake list` and reviewers")
    sensitive: bool = Field(default=False, description="the value is secret: it is shown as *** everywhere")
    required: bool = Field(default=False, description="the value must not be empty")
    choices: list[Any] = Field(default_factory=list, description="the only values allowed")
    pattern: Text = Field(default="", description="regular expression (RE2) that the text must match somewhere")
    min: int | float | None = Field(default=None, description="smallest number allowed")
    max: int | float | None = Field(default=None, description="largest number allowed")


class TlsSpec(_Table):
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
_Shares = Annotated[Annotated[int, Field(ge=0, le=262_144)] | None, _TEMPLATE]
_Period = Annotated[Annotated[int, Field(ge=0, le=1_000_000)] | None, _TEMPLATE]
_Quota = Annotated[Annotated[int, Field(ge=0, le=1_000_000_000)] | None, _TEMPLATE]
_Replicas = Annotated[Annotated[int, Field(ge=0, le=1000)] | None, _TEMPLATE]
_Days = Annotated[Annotated[int, Field(ge=0, le=36_500)] | None, _TEMPLATE]


class ResourcesSpec(_Table):
    """Amounts as Kubernetes writes them, such as cpu = "2" and memory = "4Gi"."""

    cpu: Text = Field(default="", description="processors")
    memory: Text = Field(default="", description="memory")
    ephemeral_storage: Annotated[Text, OptionSince(version=(0, 14))] = Field(
        default="", description="storage that goes with the pod"
    )


class StorageSpec(_Table):
    """How much a volume claim asks for."""

    storage: Annotated[Text, OptionSince(version=(0, 34))] = Field(
        default="", description="size of the volume, such as 20Gi"
    )


class VolumeClaimSpec(_Table):
    """A volume that keeps BuildKit's state."""

    requests: StorageSpec = Field(default_factory=StorageSpec, description="what is asked for")


class QemuSpec(_Table):
    """Emulators in the pods."""

    install: Flag = Field(default=False, description="install emulators for other platforms")
    image: Text = Field(default="", description="image that installs them")


class TolerationSpec(_Table):
    """A taint of machines that the pods tolerate."""

    key: Text = Field(default="", description="key of the taint")
    operator: Text = Field(default="", description="Equal or Exists")
    value: Text = Field(default="", description="value of the taint")
    effect: Text = Field(default="", description="NoSchedule, PreferNoSchedule or NoExecute")
    toleration_seconds: Text = Field(
        default="", alias="tolerationSeconds", description="for how long NoExecute is tolerated"
    )


class NodeOptionsSpec(_Table):
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


class _OfNodeSpec(_Table):
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


class _OfBuilderSpec(_Table):
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


class GroupSpec(_Table):
    """A name for several targets."""

    targets: Texts = Field(description="targets, groups and patterns such as php-*")
    description: Text = Field(default="", description="for `mpbake list`")


def _attribute(merge: Merge, *, to_bake: bool = True, **declared: Any) -> Attribute:
    return Attribute(merge=merge, to_bake=to_bake, **declared)


_PASSED = _attribute(Merge.REPLACE)
_OURS = _attribute(Merge.REPLACE, to_bake=False)
_OWN = _attribute(Merge.OWN, to_bake=False)
_LIST = _attribute(Merge.APPEND)
_MAP = _attribute(Merge.BY_KEY)


class PlatformSpec(_Table):
    """What a target says otherwise for one of its platforms."""

    dockerfile: Annotated[Text, _PASSED] = Field(
        default="", description="path of the Dockerfile, relative to the context"
    )
    contexts: Annotated[TextMap, _attribute(Merge.BY_KEY, paths=Paths.CONTEXT, sensitive=True)] = Field(
        default_factory=dict, description="named contexts; `target:NAME` links to another target"
    )
    args: Annotated[TextMap, _MAP] = Field(default_factory=dict, description="build arguments")
    labels: Annotated[TextMap, _MAP] = Field(default_factory=dict, description="labels of the image")
    target: Annotated[Text, _PASSED] = Field(default="", description="stage of the Dockerfile to build")
    cache_from: Annotated[
        Caches, _attribute(Merge.APPEND, paths=Paths.FIELDS, access=PathAccess.READS, sensitive=True)
    ] = Field(default_factory=list, description="caches to read")
    cache_to: Annotated[
        Caches, _attribute(Merge.REPLACE, paths=Paths.FIELDS, access=PathAccess.WRITES, sensitive=True)
    ] = Field(default_factory=list, description="caches to write")


class CheckSpec(_Table):
    """What an image must pass before it is published: a command that runs in it, or a stage of its Dockerfile."""

    run: list[Text] = Field(default_factory=list, description="command and arguments, run in the image without a shell")
    target: Text = Field(default="", description="stage of the same Dockerfile whose build is the check")
    platforms: Platforms = Field(default_factory=list, description="platforms to check; default: all of the target's")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if "run" in self.model_fields_set and not self.run and not self.target:
            msg = 'run is empty\nfor example { run = ["php", "-v"] }'
            raise _Refused(msg, Code.BAD_CHECK)
        if bool(self.run) == bool(self.target):
            msg = 'a check has either run or target\nfor example { run = ["php", "-v"] }, or { target = "test" }'
            raise _Refused(msg, Code.BAD_CHECK)
        return self


class _SourceSpec(_Table):
    builder: Annotated[Text, _OURS] = Field(default="", description="builder whose nodes build this target")
    context: Annotated[Text, _attribute(Merge.REPLACE, paths=Paths.CONTEXT, sensitive=True)] = Field(
        default="", description="folder or URL of the build context; default: the plan's folder"
    )


class TargetDefaultsSpec(PlatformSpec, _SourceSpec):
    """What holds for every target that does not say otherwise, as if each inherited it first."""

    dockerfile_inline: Annotated[Text, _PASSED] = Field(
        default="", description="the Dockerfile itself; wins over `dockerfile`"
    )
    annotations: Annotated[Annotations, _LIST] = Field(
        default_factory=list, description="OCI annotations, such as index:key=value"
    )
    tags: Annotated[Tags, _OURS] = Field(default_factory=list, description="names of the image")
    platforms: Annotated[Platforms, _OURS] = Field(
        default_factory=list, description="platforms of the image; default: the first node's own"
    )
    platform: Annotated[
        dict[Annotated[str, _checked(parse_platform, Code.BAD_PLATFORM, templates=False, empty=False)], PlatformSpec],
        _attribute(Merge.BY_PLATFORM, to_bake=False),
    ] = Field(default_factory=dict, description="what is different for single platforms, such as linux/arm64")
    secret: Annotated[Secrets, _attribute(Merge.BY_FIELD, identity="id", paths=Paths.FIELDS)] = Field(
        default_factory=list, description="secrets for RUN --mount=type=secret"
    )
    ssh: Annotated[FieldLists, _attribute(Merge.BY_FIELD, paths=Paths.SSH)] = Field(
        default_factory=list, description="ssh agents or keys for RUN --mount=type=ssh"
    )
    attest: Annotated[Attestations, _attribute(Merge.BY_FIELD, identity="type")] = Field(
        default_factory=list, description="attestations: provenance, sbom"
    )
    output: Annotated[
        Outputs, _attribute(Merge.REPLACE, paths=Paths.FIELDS, access=PathAccess.WRITES, to_bake=False)
    ] = Field(default_factory=list, description="where results go, as for docker buildx build --output")
    push: Annotated[Flag, _OURS] = Field(default=False, description="push all tags to their registries")
    load: Annotated[Flag, _OURS] = Field(default=False, description="load the image into the engine in use")
    needs: Annotated[Texts, _attribute(Merge.APPEND, to_bake=False)] = Field(
        default_factory=list, description="targets that must be wholly done before"
    )
    checks: Annotated[list[CheckSpec], _attribute(Merge.APPEND, to_bake=False)] = Field(
        default_factory=list, description="what the image must pass before it is published"
    )
    enabled: Annotated[Flag, _attribute(Merge.REPLACE, to_bake=False, sensitive=True)] = Field(
        default=True, description="false: as if the target were not in the plan"
    )
    timeout: Annotated[Duration, _OURS] = Field(
        default="", description="longest time that a build of the target, or a push by docker, may take, such as 30m"
    )
    stall_timeout: Annotated[Duration, _OURS] = Field(
        default="5m",
        description="after so long without progress, a node that does not answer either counts as lost; 0s: never",
    )
    retries: Annotated[Annotated[int, Field(ge=0, le=10), _TEMPLATE], _OURS] = Field(
        default=0, description="how often a failed build is tried again"
    )
    no_cache: Annotated[Flag, _PASSED] = Field(default=False, description="build without the cache")
    no_cache_filter: Annotated[Texts, _LIST] = Field(
        default_factory=list, description="stages to build without the cache"
    )
    pull: Annotated[Flag, _PASSED] = Field(default=False, description="ask the registry for newer base images")
    shm_size: Annotated[Size, _PASSED] = Field(default="", description="size of /dev/shm in RUN steps")
    ulimits: Annotated[Ulimits, _LIST] = Field(
        default_factory=list, description="limits of RUN steps, such as nofile=1024:2048"
    )
    network: Annotated[Network, _attribute(Merge.REPLACE, since=(0, 17))] = Field(
        default="", description="network of RUN steps: default, none or host"
    )
    extra_hosts: Annotated[TextMap, _attribute(Merge.BY_KEY, since=(0, 25))] = Field(
        default_factory=dict, description="addresses of hosts by name, for RUN steps"
    )
    entitlements: Annotated[Entitlements, _attribute(Merge.APPEND, since=(0, 17))] = Field(
        default_factory=list, description="what RUN steps may do besides: network.host, security.insecure, device"
    )
    resources: Annotated[Resources, _attribute(Merge.BY_KEY, since=(0, 35))] = Field(
        default_factory=dict, description="limits of RUN steps: memory, cpu-shares and the like"
    )
    policy: Annotated[Policies, _attribute(Merge.APPEND, since=(0, 31))] = Field(
        default_factory=list,
        description="policies for the sources of a build, such as filename=extra.rego; paths count from the context",
    )
    call: Annotated[Call, _attribute(Merge.REPLACE, since=(0, 16))] = Field(
        default="", description="what is done instead of a build: check, outline or targets"
    )


class _OwnSpec(_Table):
    inherits: Annotated[list[str], _OWN] = Field(
        default_factory=list, description="targets and templates whose attributes this one takes over, left to right"
    )
    description: Annotated[Text, _OWN] = Field(default="", description="for `mpbake list` and reviewers")
    matrix: Annotated[Matrix, _OWN] = Field(
        default_factory=dict, description="variables with several values: one target for each combination"
    )
    exclude: Annotated[list[dict[str, Any]], _OWN] = Field(
        default_factory=list, description="rows to leave out: those that have all the values of an entry"
    )
    name: Annotated[Text, _OWN] = Field(default="", description="name of each target that a matrix makes")


class TargetSpec(TargetDefaultsSpec, _OwnSpec):
    """One image (or other result) to build; names and merge rules are bake's."""


class DefaultsSpec(_Table):
    """Defaults for other tables."""

    builder: BuilderDefaultsSpec = Field(default_factory=BuilderDefaultsSpec, description="for every builder")
    target: TargetDefaultsSpec = Field(default_factory=TargetDefaultsSpec, description="for every target")


def _local_file(path: str) -> None:
    if not path or "://" in path:
        msg = f'"{one_line(path)}" is no local file'
        raise ValueError(msg)


def version_range(text: str) -> SpecifierSet:
    """Read a range such as `>=0.1,<2`. Raises ValueError with a sentence for people."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - few plans say what they require

    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        msg = f'"{one_line(text)}" is no range of versions\nfor example requires = ">=0.1,<2"'
        raise ValueError(msg) from None


def _whole_number(value: Any) -> Any:
    """Python takes true and 1.0 for 1; a plan's version is the number itself."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


class PlanSpec(_Table):
    """A whole plan: variables, builders and their nodes, groups and targets."""

    version: Annotated[Literal[1], BeforeValidator(_whole_number)] = Field(description="version of the plan's format")
    requires: Annotated[Text, _checked(version_range, Code.BAD_REQUIREMENT, templates=False)] = Field(
        default="", description="versions of mpbake that understand the plan, such as >=0.1,<2"
    )
    include: list[Annotated[str, _checked(_local_file, Code.BAD_INCLUDE, templates=False, empty=False)]] = Field(
        default_factory=list, description="other files of the plan, relative to this one; what this one says wins"
    )
    publish: PublishingName = Field(
        default="",
        description="when tags move: `each` as soon as its target is done, or `together` when the whole run is built",
        json_schema_extra={"default": "each"},
    )
    variables: dict[str, Annotated[VariableSpec, _ShortForm("default")]] = Field(
        default_factory=dict, description="values for templates"
    )
    defaults: DefaultsSpec = Field(default_factory=DefaultsSpec, description="defaults for other tables")
    builders: dict[str, BuilderSpec] = Field(default_factory=dict, description="builders by name")
    groups: dict[str, Annotated[GroupSpec, _ShortForm("targets")]] = Field(
        default_factory=dict, description="groups by name"
    )
    targets: dict[str, TargetSpec] = Field(
        default_factory=dict, description="targets by name; a leading underscore makes a template"
    )


def attributes_of(model: type[BaseModel]) -> dict[str, Attribute]:
    """The declared attributes of a target's model, under the file's names."""
    return {_kebab(name): _declared(field) for name, field in model.model_fields.items()}


def _declared(field: FieldInfo) -> Attribute:
    return next(each for each in field.metadata if isinstance(each, Attribute))


ATTRIBUTES: Mapping[str, Attribute] = MappingProxyType(attributes_of(TargetSpec))
PLATFORM_ATTRIBUTES = tuple(attributes_of(PlatformSpec))
"""Those that may differ from platform to platform."""


class ValueKind(Enum):
    """What kind of value an attribute holds."""

    TEXT = str
    FLAG = bool
    NUMBER = int
    LIST = list
    MAP = dict


def value_kind(attribute: str) -> ValueKind:
    """The kind of value that an attribute of a target holds, by its declared type."""
    declared: Any = TargetSpec.model_fields[attribute.replace("-", "_")].annotation
    while get_origin(declared) is Annotated:
        declared = get_args(declared)[0]
    return ValueKind(get_origin(declared) or declared)


def options_of(model: type[BaseModel]) -> dict[str, Option]:
    """The declared options of a node's model, under the file's names."""
    found = {_kebab(name): field.metadata for name, field in model.model_fields.items()}
    return {name: each for name, metadata in found.items() for each in metadata if isinstance(each, Option)}


OPTIONS: Mapping[str, Option] = MappingProxyType(options_of(NodeOptionsSpec))


def _versions_of(model: type[BaseModel], above: str = "") -> Iterator[tuple[str, OptionSince]]:
    """The options of a node's model, and parts of them, that not every buildx knows."""
    for name, field in model.model_fields.items():
        option = f"{above}{_kebab(name)}"
        yield from ((option, each) for each in field.metadata if isinstance(each, OptionSince))
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _versions_of(field.annotation, f"{option}.")


SINCE: Mapping[str, OptionSince] = MappingProxyType(dict(_versions_of(NodeOptionsSpec)))
"""The first buildx that knows an option, by its name there, as `requests.ephemeral-storage`; others every one knows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something wrong at `key`, not yet tied to a file.

    `culprit` is the part of the value that is to blame, if any; `of_key` says that it is the key itself.
    """

    code: Code
    key: KeyPath
    message: str
    hint: str = ""
    culprit: str = ""
    of_key: bool = False


def problems_of(error: ValidationError, model: type[BaseModel], prefix: KeyPath = ()) -> list[Problem]:
    """The findings of pydantic in the words of the people who write plans."""
    return [_problem(dict(each), model, prefix) for each in error.errors(include_url=False)]


_EXPECTED = {
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "list_type": "a list in square brackets",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
}

_OF_KEY = "[key]"
"""How pydantic says that the key of a table is wrong rather than its value."""

_CODES = {
    "string_too_short": Code.BAD_NAME,
    "literal_error": Code.PLAN_VERSION,
    "greater_than_equal": Code.OUT_OF_RANGE,
    "less_than_equal": Code.OUT_OF_RANGE,
}


def _problem(found: dict[str, Any], model: type[BaseModel], prefix: KeyPath) -> Problem:
    path: KeyPath = tuple(found["loc"])
    if path[-1:] == (_OF_KEY,):
        return replace(_problem(found | {"loc": path[:-1]}, model, prefix), of_key=True)
    match found["type"]:
        case "extra_forbidden":
            return _unknown_key(path, model, prefix)
        case "missing":
            message, hint = f'"{path[-1]}" is missing', _remedy_for_missing(path)
            return Problem(code=Code.MISSING_KEY, key=prefix + path[:-1], message=message, hint=hint)
        case "value_error":
            error = found["ctx"]["error"]
            message, _, hint = str(error).partition("\n")
            # Any other ValueError is Python's own, about a number with more digits than it prints.
            code = error.code if isinstance(error, _Refused) else Code.NUMBER_TOO_LONG
            return Problem(code=code, key=prefix + path, message=message, hint=hint)
        case kind:
            code = _CODES.get(kind, Code.WRONG_TYPE)
            lists_platforms = path[-1] == "platform" and not isinstance(found["input"], dict)
            hint = "what is built for stands in platforms" if lists_platforms else ""
            return Problem(code=code, key=prefix + path, message=_wrong_type(kind, found), hint=hint)


def _wrong_type(kind: str, found: dict[str, Any]) -> str:
    match kind:
        case "string_too_short":
            return "a name must not be empty"
        case "literal_error":
            return f"must be {found['ctx']['expected']}"
        case "greater_than_equal":
            return f"must be at least {found['ctx']['ge']}"
        case "less_than_equal":
            return f"must be at most {found['ctx']['le']}"
    expected = _EXPECTED.get(kind)
    return f"must be {expected}, not {_kind(found['input'])}" if expected else one_line(found["msg"])


def _remedy_for_missing(path: KeyPath) -> str:
    return "write version = 1 at the top of the file" if path == ("version",) else ""


_FOREIGN = {
    "build-args": "args",
    "buildargs": "args",
    "build_args": "args",
    "depends-on": "needs",
    "depends_on": "needs",
    "depends": "needs",
    "image": "tags",
    "images": "tags",
    "file": "dockerfile",
    "outputs": "output",
    "secrets": "secret",
}
"""What other tools call the attributes of a target."""


def _remedy_for_unknown(name: str, known: list[str]) -> str:
    """The right key for what other tools call so, else the nearest one."""
    if name == "env" and "args" in known:
        return "build arguments stand in args, values for templates in [variables]"
    right = _FOREIGN.get(name, "")
    return f'did you mean "{right}"?' if right in known else did_you_mean(name, known, kind="keys")


def _unknown_key(path: KeyPath, model: type[BaseModel], prefix: KeyPath) -> Problem:
    name = str(path[-1])
    known = [_kebab(each) for each in _model_at(model, path[:-1]).model_fields]
    code, kind = (Code.UNKNOWN_KEY, "key") if prefix + path[:-1] else (Code.UNKNOWN_TABLE, "table")
    message, hint = f'unknown {kind} "{short_name(name)}"', _remedy_for_unknown(name, known)
    if path[0] == "variables" and not closest_name(name, known):
        hint = f"if the table is the value, write default = {{ … }}; {hint}"
    return Problem(code=code, key=prefix + path, message=message, hint=hint, of_key=True)


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel]:
    """The model that describes the table at `path` below `model`."""
    parts = list(path)
    while parts:
        annotation = model.model_fields[str(parts.pop(0)).replace("-", "_")].annotation
        if not isinstance(annotation, type) and parts:
            parts.pop(0)  # a table of tables: skip the user's own name
        model = _model_in(annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        _model_in(each)
        for each in reversed(get_args(annotation))
        if get_args(each) or (isinstance(each, type) and issubclass(each, BaseModel))
    )


def _kind(value: object) -> str:
    # bool before int: a bool is an int
    names = (
        (bool, "true or false"),
        (str, "text"),
        ((int, float), "a number"),
        (list, "a list"),
        (dict, "a table"),
        ((date, time), "a date or time"),
        (type(None), "nothing"),
    )
    return next((name for types, name in names if isinstance(value, types)), "something else")
