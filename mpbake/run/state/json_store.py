"""Files of named JSON entries that mpbake keeps for later runs below `.mpbake/`.

Such a file may come from a checkout or from another version, so mpbake validates everything in the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mpbake.base.files import read_bounded, write_whole
from mpbake.base.json_text import parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

JsonEntry = TypeVar("JsonEntry")

_LARGEST = 8 * 1024 * 1024
"""The maximum size of a file in bytes. The record of 10,000 targets needs half of this."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonStore:
    """A file of entries under `key`.

    Warnings end with `loss`, a text that says which information is unknown without the file. `format` rises when a
    field changes its meaning. mpbake neither reads nor writes a file of a newer format.
    """

    path: Path
    key: str
    format: int
    loss: str

    def read(self, parse: Callable[[str, Any], JsonEntry]) -> tuple[dict[str, JsonEntry], str]:
        """Return the entries by name, each parsed from its name and value, and a warning if the file is unusable.

        A missing file causes no warning: a first run has no entries.
        """
        try:
            content = self._content()
            if content["format"] > self.format:
                return {}, f"{self.path} was written by a newer mpbake and stays as it is: {self.loss}"
            return {str(name): parse(str(name), value) for name, value in content[self.key].items()}, ""
        except FileNotFoundError:
            return {}, ""
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            return {}, f"{self.path} is damaged: {self.loss}"

    def write(self, entries: Mapping[str, Any]) -> None:
        """Write `entries`, unless a newer mpbake wrote the file; `read` then warns. Raises OSError."""
        if self._is_newer():
            return
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(entries.items()))
        write_whole(self.path, f'{{"format": {self.format}, "{self.key}": {{\n{lines}\n}}}}\n')

    def _is_newer(self) -> bool:
        try:
            return bool(self._content()["format"] > self.format)
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def _content(self) -> Any:
        """Return the content of the file. Raises OSError, also for a symlink, and ValueError."""
        return parse_json(read_bounded(self.path, pipe=False, link=False, most=_LARGEST))
