"""The types of the values in a plan: annotated Python types with their validators and JSON Schemas."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema, WrapValidator

from mpbake.base.codes import Code
from mpbake.base.platforms import each_platform, parse_platform
from mpbake.base.references import check_pullable, parse_fields, parse_reference
from mpbake.base.text import did_you_mean, parse_duration, short_name
from mpbake.model.bake_fields import (
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
from mpbake.model.plan import Driver, Emulation, EmulatorsMode, PublishMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
MARKER = re.compile(r"\{\{|\{%|\{#")
"""The beginnings of template tags: a string that contains such a beginning is a template."""

TEMPLATE_SCHEMA: Mapping[str, str] = MappingProxyType({"type": "string", "pattern": MARKER.pattern})
"""The JSON Schema of a template."""

AS_WRITTEN: Mapping[str, bool] = MappingProxyType({"as_written": True})
"""The validation context of a plan before rendering: a template can replace a value of any type."""


def as_literal(value: Any) -> Any:
    """Return `value` in the notation of a plan, with each template marker as a template that produces the marker."""
    match value:
        case str() if MARKER.search(value):
            # Jinja would treat a carriage return as a line break.
            return re.sub(rf"{MARKER.pattern}|\r", lambda match: f"{{{{ {match.group()!r} }}}}", value)
        case list():
            return [as_literal(entry) for entry in value]
        case dict():
            return {key: as_literal(entry) for key, entry in value.items()}
        case _:
            return value


class VariableType(StrEnum):
    """The type of a variable."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    LIST = "list"
    MAP = "map"


class Resource(StrEnum):
    """A resource of RUN steps that a plan can limit."""

    MEMORY = "memory"
    MEMORY_SWAP = "memory-swap"
    CPU_SHARES = "cpu-shares"
    CPU_PERIOD = "cpu-period"
    CPU_QUOTA = "cpu-quota"
    CPUSET_CPUS = "cpuset-cpus"
    CPUSET_MEMS = "cpuset-mems"


def _is_template(value: Any, info: ValidationInfo) -> bool:
    written = bool(info.context and info.context.get("as_written"))
    return written and isinstance(value, str) and bool(MARKER.search(value))


def _template_or(value: Any, handler: Callable[[Any], Any], info: ValidationInfo) -> Any:
    return value if _is_template(value, info) else handler(value)


def _rows_or(value: Any, handler: Callable[[Any], Any]) -> Any:
    """Validate a matrix: a table of variables, or a list of rows."""
    if not isinstance(value, list):
        return handler(value)
    wrong = next((index for index, row in enumerate(value) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise InvalidValue(wrong_row(wrong, value[wrong]), Code.WRONG_TYPE)
    return value


def wrong_row(index: int, row: object) -> str:
    """Return the message of a row of a matrix that is not a table."""
    return f"row {index + 1} must be a table, not {type_in_words(row)}"


def _check_tag(text: str) -> None:
    """Raise ValueError if `text` is not the name of an image. Variables of CI often hold several names."""
    try:
        parse_reference(text)
    except ValueError as error:
        if not re.search(r"[,\n]", text.strip()):
            raise
        hint = 'write one name in each entry; if a variable has several, give it type = "list": tags = "{{ tags }}"'
        msg = f"{error}\n{hint}"
        raise ValueError(msg) from None


def _as_text(value: Any) -> Any:
    """Convert numbers and booleans to text as written in TOML: users write such values for arguments and labels."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


class InvalidValue(ValueError):
    """The value is invalid. A second line of the text is the hint."""

    def __init__(self, text: str, code: Code) -> None:
        super().__init__(text)
        self.code = code


def checked(
    check: Callable[[str], object], code: Code, *, templates: bool = True, empty: bool = True
) -> AfterValidator:
    """Return a validator for strings: a ValueError of `check` becomes a problem with this `code`.

    A second line of the error's text is the hint. With `templates`, templates are accepted before rendering. A
    rendered value can always be empty, which means no value; without `empty`, a written value must not be empty.
    """

    def validate(value: str, info: ValidationInfo) -> str:
        checks_empty = not empty and bool(info.context and info.context.get("as_written"))
        if (value or checks_empty) and not (templates and _is_template(value, info)):
            try:
                check(value)
            except ValueError as error:
                raise InvalidValue(_with_hint(str(error), value), code) from error
        return value

    return AfterValidator(validate)


BAKE_TEMPLATE = re.compile(r"\$\{\s*([A-Za-z_]\w*)\s*\}")
"""A variable in the syntax of HCL and of shells: plain text in a plan."""


def _with_hint(text: str, value: str) -> str:
    """If `value` contains a variable in the syntax of bake, add a hint to an error text without a hint."""
    variable = BAKE_TEMPLATE.search(value)
    return f"{text}\nwrite templates as {{{{ {variable[1]} }}}}" if variable and "\n" not in text else text


def _known(names: type[StrEnum]) -> list[str]:
    return [str(name) for name in names if not isinstance(name, Driver) or name.rules.is_declarable]


def one_of(names: type[StrEnum], kind: str = "value") -> Callable[[str], None]:
    """Return a check that a value is one of `names`; `kind` is the word for the value in messages."""

    def check(value: str) -> None:
        known = _known(names)
        if value not in known:
            msg = f'unknown {kind} "{short_name(value)}"\n{did_you_mean(value, known, kind=f"{kind}s")}'
            raise ValueError(msg)

    return check


class _OrTemplate(WrapValidator):
    """A type whose values can be replaced by a template."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), dict(TEMPLATE_SCHEMA)]}


class _OrRows(WrapValidator):
    """A table that can also be written as a list of tables."""

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "array", "items": {"type": "object"}}]}


@dataclass(frozen=True, slots=True)
class ShortForm:
    """A table with a short form: the value of the key `key` instead of the table."""

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Convert the short form before pydantic validates the table."""
        return BeforeValidator(self._long_form).__get_pydantic_core_schema__(source, handler)

    def _long_form(self, value: Any) -> Any:
        return value if isinstance(value, dict) else {self.key: value}

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of the table and of its short form."""
        table = handler(schema)
        value = handler.resolve_ref_schema(table)["properties"][self.key]
        if isinstance(value.get("type"), list):  # a table is always the long form
            value = value | {"type": [name for name in value["type"] if name != "object"]}
        return {"anyOf": [{name: value[name] for name in ("type", "items", "anyOf") if name in value}, table]}


def _choice_schema(names: type[StrEnum], *, templates: bool = True) -> WithJsonSchema:
    choice: dict[str, Any] = {"type": "string", "enum": _known(names)}
    return WithJsonSchema({"anyOf": [choice, dict(TEMPLATE_SCHEMA)]} if templates else choice)


def _text_schema(*examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": list(examples)})


OR_TEMPLATE = _OrTemplate(_template_or)
_PLATFORM_SCHEMA = _text_schema("linux/amd64", "linux/arm64", "linux/arm/v7")
_TAG = _text_schema("registry.example.com/team/web:1.0")
VALUE_SCHEMA = WithJsonSchema({"type": ["string", "number", "boolean", "array", "object"]})
Text = Annotated[str, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
Flag = Annotated[bool, OR_TEMPLATE]
Texts = Annotated[list[Text], OR_TEMPLATE]
Names = Annotated[list[str], OR_TEMPLATE]
TextMap = Annotated[dict[Annotated[str, Field(min_length=1)], Text], OR_TEMPLATE]
FieldLists = Annotated[list[Annotated[Text, checked(parse_fields, Code.BAD_FIELDS)]], OR_TEMPLATE]
Secrets = Annotated[list[Annotated[Text, checked(check_secret, Code.BAD_FIELDS)]], OR_TEMPLATE]
Policies = Annotated[list[Annotated[Text, checked(check_policy, Code.BAD_FIELDS)]], OR_TEMPLATE]
Attestations = Annotated[list[Annotated[Text, checked(check_attestation, Code.BAD_FIELDS)]], OR_TEMPLATE]
Outputs = Annotated[
    list[
        Annotated[Text, checked(check_output, Code.BAD_FIELDS), checked(check_destination, Code.OUTPUT_NAMES_NO_FILE)]
    ],
    OR_TEMPLATE,
]
Caches = Annotated[list[Annotated[Text, checked(check_cache, Code.BAD_FIELDS)]], OR_TEMPLATE]
Annotations = Annotated[list[Annotated[Text, checked(check_annotation, Code.BAD_VALUE)]], OR_TEMPLATE]
Ulimits = Annotated[list[Annotated[Text, checked(check_ulimit, Code.BAD_VALUE)]], OR_TEMPLATE]
Entitlements = Annotated[list[Annotated[Text, checked(check_entitlement, Code.BAD_VALUE)]], OR_TEMPLATE]
Network = Annotated[Text, checked(check_network, Code.BAD_VALUE)]
Operation = Annotated[Text, checked(check_call, Code.BAD_VALUE)]
Size = Annotated[Text, checked(check_size, Code.BAD_SIZE)]
Platforms = Annotated[list[Annotated[str, checked(parse_platform, Code.BAD_PLATFORM), _PLATFORM_SCHEMA]], OR_TEMPLATE]
TargetPlatforms = Annotated[
    list[Annotated[str, checked(each_platform(parse_platform), Code.BAD_PLATFORM), _PLATFORM_SCHEMA]], OR_TEMPLATE
]
Tags = Annotated[list[Annotated[str, checked(_check_tag, Code.BAD_IMAGE_NAME), _TAG]], OR_TEMPLATE]
Matrix = Annotated[dict[str, Annotated[list[Any], OR_TEMPLATE]], _OrRows(_rows_or), OR_TEMPLATE]
Resources = Annotated[
    dict[
        Annotated[
            str,
            checked(one_of(Resource, "key"), Code.UNKNOWN_KEY, templates=False, empty=False),
            _choice_schema(Resource, templates=False),
        ],
        int | str,
    ],
    OR_TEMPLATE,
]
Duration = Annotated[Text, checked(parse_duration, Code.BAD_DURATION)]
# Python cannot wait longer than 25 days for a process.
BootDuration = Annotated[Text, checked(partial(parse_duration, hours_at_most=24), Code.BAD_DURATION)]
Slots = Annotated[Annotated[int, Field(ge=1, le=1000)], OR_TEMPLATE]
DriverName = Annotated[str, checked(one_of(Driver), Code.UNKNOWN_DRIVER, empty=False), _choice_schema(Driver)]
VariableTypeName = Annotated[
    str,
    checked(one_of(VariableType), Code.UNKNOWN_TYPE, templates=False, empty=False),
    _choice_schema(VariableType, templates=False),
]
EmulationName = Annotated[
    str, checked(one_of(Emulation), Code.UNKNOWN_EMULATION, empty=False), _choice_schema(Emulation)
]
EmulatorsName = Annotated[
    str, checked(one_of(EmulatorsMode), Code.UNKNOWN_EMULATORS, empty=False), _choice_schema(EmulatorsMode)
]
ImageName = Annotated[Text, checked(check_pullable, Code.BAD_IMAGE_NAME)]


PublishingName = Annotated[
    str,
    checked(one_of(PublishMode), Code.UNKNOWN_PUBLISHING, templates=False, empty=False),
    _choice_schema(PublishMode, templates=False),
]


def check_variable_value(value: Any) -> Any:
    """Return the value of a variable. Raises InvalidValue for a type that no variable can have, such as a date."""
    if not isinstance(value, str | bool | int | float | list | dict):
        msg = f"a variable cannot hold {type_in_words(value)}"
        raise InvalidValue(msg, Code.WRONG_TYPE)
    return value


LocalValue = Annotated[Any, AfterValidator(check_variable_value), VALUE_SCHEMA]


def type_in_words(value: object) -> str:
    """Return the name of a value's type, in the words of plan authors."""
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
