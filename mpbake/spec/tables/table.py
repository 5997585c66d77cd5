"""The base class of the tables of a plan."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from mpbake.spec.tables.attributes import Option, OptionSince


def kebab(name: str) -> str:
    """Return the key of a field: `no-cache` for `no_cache`."""
    return name.replace("_", "-")


def _describe_support(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Add to the description of an option: the drivers with support, and the first buildx."""
    for name, field in model.model_fields.items():
        support = [str(item) for item in field.metadata if isinstance(item, Option | OptionSince)]
        if support:
            schema["properties"][field.alias or name]["description"] += f" ({'; '.join(support)})"


class Table(BaseModel):
    """A TOML table. Unknown keys are errors, and values are not converted to other types."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=kebab,
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra=_describe_support,
    )

    def written(self) -> dict[str, Any]:
        """Return the keys that the file contains, with their values; also in nested tables."""
        fields, written = type(self).model_fields, self.model_fields_set
        return {fields[name].alias or name: _written(getattr(self, name)) for name in fields if name in written}


def _written(value: Any) -> Any:
    """Return a value as in the file, with the written keys of all tables in it."""
    match value:
        case Table():
            return value.written()
        case dict():
            return {key: _written(item) for key, item in value.items()}
        case list():
            return [_written(item) for item in value]
        case _:
            return value
