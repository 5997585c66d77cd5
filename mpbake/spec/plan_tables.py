"""The table of a whole plan, and the tables of variables, groups and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from mpbake.base.codes import Code
from mpbake.base.text import one_line
from mpbake.spec.builder_tables import BuilderDefaultsSpec, BuilderSpec
from mpbake.spec.table import Table
from mpbake.spec.target_tables import TargetDefaultsSpec, TargetSpec
from mpbake.spec.value_types import (
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


class VariableSpec(Table):
    """A variable: its default (which also gives its type), and where else its value may come from."""

    default: Annotated[Any, AfterValidator(check_variable_value), VALUE_SCHEMA] = Field(
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


class GroupSpec(Table):
    """A name for several targets."""

    targets: Texts = Field(description="targets, groups and patterns such as php-*")
    description: Text = Field(default="", description="for `mpbake list`")


class DefaultsSpec(Table):
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


class PlanSpec(Table):
    """A whole plan: variables, builders and their nodes, groups and targets."""

    version: Annotated[Literal[1], BeforeValidator(_whole_number)] = Field(description="version of the plan's format")
    requires: Annotated[Text, checked(version_range, Code.BAD_REQUIREMENT, templates=False)] = Field(
        default="", description="versions of mpbake that understand the plan, such as >=0.1,<2"
    )
    include: list[Annotated[str, checked(_local_file, Code.BAD_INCLUDE, templates=False, empty=False)]] = Field(
        default_factory=list, description="other files of the plan, relative to this one; what this one says wins"
    )
    publish: PublishingName = Field(
        default="",
        description="when tags move: `each` as soon as its target is done, or `together` when the whole run is built",
        json_schema_extra={"default": "each"},
    )
    variables: dict[str, Annotated[VariableSpec, ShortForm("default")]] = Field(
        default_factory=dict, description="values for templates"
    )
    defaults: DefaultsSpec = Field(default_factory=DefaultsSpec, description="defaults for other tables")
    builders: dict[str, BuilderSpec] = Field(default_factory=dict, description="builders by name")
    groups: dict[str, Annotated[GroupSpec, ShortForm("targets")]] = Field(
        default_factory=dict, description="groups by name"
    )
    targets: dict[str, TargetSpec] = Field(
        default_factory=dict, description="targets by name; a leading underscore makes a template"
    )
