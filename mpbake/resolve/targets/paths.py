"""Make local paths absolute. In a plan file, paths are relative to the folder of the file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from mpbake.base.references import format_fields
from mpbake.model.bake_fields import is_folder_output, map_paths
from mpbake.spec.tables.target_tables import ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpbake.base.errors import KeyPath
    from mpbake.resolve.targets.inheritance import InheritedTable


@dataclass(frozen=True, kw_only=True, slots=True)
class PathResolver:
    """Makes the paths in the values of one table absolute; `folder` returns the folder of a key's file."""

    table: InheritedTable
    folder: Callable[[KeyPath], Path]

    def absolute(self, name: str, value: Any) -> Any:
        """Return the value of the attribute `name` with absolute paths."""
        return map_paths(ATTRIBUTES[name].paths, value, partial(self._resolve, name))

    def items(self, name: str, value: list[Any]) -> list[Any]:
        """Return the items of the attribute `name`, a list, in comparable form: with absolute paths."""
        if name == "output":
            return [self.output(output, index) for index, output in enumerate(value)]
        return list(self.absolute(name, value))

    def output(self, entry: str, index: int) -> str:
        """Return one entry of `output` with absolute paths. As in buildx, a lone path means that local folder."""
        entry = format_fields({"type": "local", "dest": entry}) if is_folder_output(entry) else entry
        resolve = partial(self._resolve, "output")
        return str(map_paths(ATTRIBUTES["output"].paths, entry, lambda _, path: resolve((index,), path)))

    def _resolve(self, name: str, place: KeyPath, path: str) -> str:
        """Return the absolute form of `path`, which is at `place` in the value of the attribute `name`."""
        return str(self.folder(self.table.key_of((name, *place))) / path)
