"""The base class of the tables of a plan."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from mpbake.spec.attributes import Option, OptionSince


def kebab(name: str) -> str:
    """Return the key of a field: `no-cache` for `no_cache`."""
    return name.replace("_", "-")


def _say_what_knows(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """The description of an option ends with the drivers that know it, and since which buildx."""
    for name, field in model.model_fields.items():
        knows = [str(each) for each in field.metadata if isinstance(each, Option | OptionSince)]
        if knows:
            schema["properties"][field.alias or name]["description"] += f" ({'; '.join(knows)})"


class Table(BaseModel):
    """A TOML table: unknown keys are errors, nothing is converted silently."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=kebab,
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
        case Table():
            return value.written()
        case dict():
            return {key: _written(each) for key, each in value.items()}
        case list():
            return [_written(each) for each in value]
        case _:
            return value
