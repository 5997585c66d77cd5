"""Local paths made absolute: they count from the folder of the file that states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.entries import is_folder
from mpbake.references import format_fields, is_local, parse_fields
from mpbake.spec import ATTRIBUTES, Paths

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpbake.errors import KeyPath
    from mpbake.resolve.inheritance import Family


@dataclass(frozen=True, kw_only=True, slots=True)
class Locating:
    """Makes the paths in the values of one family absolute; `folder` tells the folder of a key's file."""

    family: Family
    folder: Callable[[KeyPath], Path]

    def absolute(self, name: str, value: Any) -> Any:
        """The value of the attribute `name`, its paths absolute."""
        match ATTRIBUTES[name].paths:
            case Paths.CONTEXT if isinstance(value, dict):
                return {key: _context(each, self._from(name, key)) for key, each in value.items()}
            case Paths.CONTEXT:
                return _context(value, self._from(name))
            case Paths.FIELDS:
                return [_fields(each, self._from(name, at)) for at, each in enumerate(value)]
            case Paths.SSH:
                return [_ssh(each, self._from(name, at)) for at, each in enumerate(value)]
            case _:
                return value

    def output(self, entry: str, at: int) -> str:
        """One `output`; an entry that is only a path means that folder, as with buildx."""
        folder = self._from("output", at)
        if is_folder(entry):
            return format_fields({"type": "local", "dest": str(folder / entry)})
        return _fields(entry, folder)

    def _from(self, *path: str | int) -> Path:
        return self.folder(self.family.where(path))


def _context(value: str, folder: Path) -> str:
    return str(folder / value) if value and is_local(value) else value


def _fields(entry: str, folder: Path) -> str:
    fields = parse_fields(entry)
    if fields.get("type") == "env":  # then src names a variable
        return entry
    names = [name for name in ("src", "source", "dest") if fields.get(name, "-") not in ("", "-")]
    return format_fields(fields | {name: str(folder / fields[name]) for name in names}) if names else entry


def _ssh(entry: str, folder: Path) -> str:
    name, equals, files = entry.partition("=")
    return name + equals + ",".join(str(folder / each) for each in files.split(",") if each)
