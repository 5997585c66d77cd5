"""The table of a whole plan, and the tables of variables, groups and defaults."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.spec.tables.builder_tables import BuilderDefaultsSpec, BuilderSpec
from mpbake.spec.tables.table import Table
from mpbake.spec.tables.target_tables import TargetDefaultsSpec, TargetSpec
from mpbake.spec.tables.value_types import (
    VALUE_SCHEMA,
    PublishingName,
    ShortForm,
    Text,
    Texts,
    VariableTypeName,
    check_variable_value,
    checked,
)

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

TargetTable = TypeVar("TargetTable", TargetSpec, TargetDefaultsSpec)


class VariableSpec(Table):
    """A variable for templates. The default also defines the variable's type; other sources can set the value."""

    default: Annotated[Any, AfterValidator(check_variable_value), VALUE_SCHEMA] = Field(
        default=None, description="value if no other source sets one; can refer to other variables"
    )
    type: VariableTypeName = Field(default="", description="type of the value; default: the type of `default`")
    env: Text = Field(default="", description="environment variable that can set the value")
    description: Text = Field(default="", description="text for `mpbake list` and for reviewers")
    sensitive: bool = Field(default=False, description="the value is secret: mpbake prints it as ***")
    required: bool = Field(default=False, description="the value must not be empty")
    choices: list[Any] = Field(default_factory=list, description="the allowed values")
    pattern: Text = Field(default="", description="regular expression (RE2) that must match some part of the text")
    min: int | float | None = Field(default=None, description="smallest allowed number")
    max: int | float | None = Field(default=None, description="largest allowed number")


class FunctionSpec(Table):
    """A function for templates: `{{ NAME(a, b) }}`, or as a filter `{{ a | NAME(b) }}`."""

    params: list[str] = Field(default_factory=list, description="names of the parameters, in the order of a call")
    defaults: dict[str, Any] = Field(
        default_factory=dict, description="values of parameters that a call may omit: the last of `params`"
    )
    variadic_param: str = Field(default="", description="name of a list with all further arguments of a call")
    result: Annotated[Any, AfterValidator(check_variable_value), VALUE_SCHEMA] = Field(
        description="value of a call, with templates that use the parameters and the variables of the plan"
    )
    description: Text = Field(default="", description="text for reviewers")


class GroupSpec(Table):
    """A name for several targets."""

    targets: Texts = Field(description="targets, groups and patterns such as php-*")
    description: Text = Field(default="", description="text for `mpbake list`")


class DefaultsSpec(Table):
    """Defaults for other tables."""

    builder: BuilderDefaultsSpec = Field(default_factory=BuilderDefaultsSpec, description="defaults for every builder")
    target: TargetDefaultsSpec = Field(default_factory=TargetDefaultsSpec, description="defaults for every target")


def _check_local(path: str) -> None:
    if not path or "://" in path:
        msg = f'"{one_line(path)}" is not a local file'
        raise ValueError(msg)


def version_range(text: str) -> SpecifierSet:
    """Return the range of versions that `text` describes: `>=0.1,<2`. Raises ValueError with a message for users."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # noqa: PLC0415 - few plans have `requires`

    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        msg = f'"{one_line(text)}" is not a range of versions\nwrite a range: requires = ">=0.1,<2"'
        raise ValueError(msg) from None


def _whole_number(value: Any) -> Any:
    """Return a whole number as `int`, and any other value as text, since in Python true and 1.0 equal 1."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


class PlanSpec(Table):
    """A plan: variables, builders with their nodes, groups and targets."""

    version: Annotated[Literal[1], BeforeValidator(_whole_number)] = Field(description="version of the plan format")
    requires: Annotated[Text, checked(version_range, Code.BAD_REQUIREMENT, templates=False)] = Field(
        default="", description="versions of mpbake that support the plan, such as >=0.1,<2"
    )
    include: list[Annotated[str, checked(_check_local, Code.BAD_INCLUDE, templates=False, empty=False)]] = Field(
        default_factory=list,
        description="other files of the plan, relative to this file; values of this file take precedence",
    )
    publish: PublishingName = Field(
        default="",
        description="when tags move: `each` as soon as its target is finished, `together` once all targets are built",
        json_schema_extra={"default": "each"},
    )
    variables: dict[str, Annotated[VariableSpec, ShortForm("default")]] = Field(
        default_factory=dict, description="values for templates"
    )
    functions: dict[str, FunctionSpec] = Field(default_factory=dict, description="functions for templates")
    defaults: DefaultsSpec = Field(default_factory=DefaultsSpec, description="defaults for other tables")
    builders: dict[str, BuilderSpec] = Field(default_factory=dict, description="builders by name")
    groups: dict[str, Annotated[GroupSpec, ShortForm("targets")]] = Field(
        default_factory=dict, description="groups by name"
    )
    targets: dict[str, TargetSpec] = Field(
        default_factory=dict, description="targets by name; a name with a leading underscore is a template"
    )


_FIELDS_OF_NAMES = frozenset({"enabled", "exclude", "inherits", "let", "matrix", "name"})
"""The fields of a target on which the names of its targets depend."""


def names_only(spec: PlanSpec) -> PlanSpec:
    """Return a plan with the same variables, functions, groups and names of targets, but without other attributes."""
    defaults = DefaultsSpec(target=_fields_of_names(spec.defaults.target))
    targets = {name: _fields_of_names(table) for name, table in spec.targets.items()}
    return PlanSpec.model_construct(
        {"version", "variables", "functions", "defaults", "groups", "targets"},
        version=spec.version,
        variables=spec.variables,
        functions=spec.functions,
        defaults=defaults,
        groups=spec.groups,
        targets=targets,
    )


def _fields_of_names(table: TargetTable) -> TargetTable:
    kept = table.model_fields_set & _FIELDS_OF_NAMES
    empty: TargetTable = _empty(type(table))
    return empty.model_copy(update={name: getattr(table, name) for name in kept})


@cache
def _empty(kind: type[TargetTable]) -> TargetTable:
    """Return an empty table. A copy of it costs much less than a new table."""
    return kind()
