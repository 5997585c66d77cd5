"""Local paths made absolute: they count from the folder of the file that states them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mpbake.base.references import format_fields
from mpbake.model.bake_fields import is_folder_output, map_paths
from mpbake.spec.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.inheritance import InheritedTable


@dataclass(frozen=True, kw_only=True, slots=True)
class PathResolver:
    """Makes the paths in the values of one family absolute; `folder` tells the folder of a key's file."""

    family: InheritedTable
    folder: Callable[[KeyPath], Path]

    def absolute(self, name: str, value: Any) -> Any:
        """The value of the attribute `name`, its paths absolute."""
        return map_paths(ATTRIBUTES[name].paths, value, partial(self._located, name))

    def items(self, name: str, value: list[Any]) -> list[Any]:
        """The items of a list, the value of the attribute `name`, by what they mean: their paths absolute."""
        if name == "output":
            return [self.output(each, at) for at, each in enumerate(value)]
        return list(self.absolute(name, value))

    def output(self, entry: str, at: int) -> str:
        """One `output`; an entry that is only a path means that folder, as with buildx."""
        entry = format_fields({"type": "local", "dest": entry}) if is_folder_output(entry) else entry
        return str(map_paths(ATTRIBUTES["output"].paths, entry, lambda _, path: self._located("output", (at,), path)))

    def _located(self, name: str, place: KeyPath, path: str) -> str:
        """What `path` means that stands at a `place` in the value of the attribute `name`."""
        return str(self.folder(self.family.where((name, *place))) / path)
