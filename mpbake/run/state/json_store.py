"""What mpbake keeps for later runs below `.mpbake/`: JSON with an entry for each name.

Such a file may have come with a checkout or be of another version, so it is read with suspicion, and nothing in it is
trusted.
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


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonStore:
    """A file of entries, under `key`. `loss` says in a warning what it means that they cannot be used.

    `format` rises when a field changes its meaning; a file of a newer one is neither read nor written.
    """

    path: Path
    key: str
    format: int
    loss: str

    def read(self, parse: Callable[[str, Any], JsonEntry]) -> tuple[dict[str, JsonEntry], str]:
        """The entries by name, each made by `parse` of name and value; and a warning when they cannot be used.

        A file that is not there is no reason for one: nothing was kept yet.
        """
        try:
            found = self._content()
            if found["format"] > self.format:
                return {}, f"{self.path} was written by a newer mpbake and stays as it is: {self.loss}"
            return {str(name): parse(str(name), each) for name, each in found[self.key].items()}, ""
        except FileNotFoundError:
            return {}, ""
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError):
            return {}, f"{self.path} is damaged: {self.loss}"

    def write(self, entries: Mapping[str, Any]) -> None:
        """Keep `entries`, unless a newer mpbake wrote what is there, as `read` tells. Raises OSError."""
        if self._is_newer():
            return
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(each)}" for name, each in sorted(entries.items()))
        write_whole(self.path, f'{{"format": {self.format}, "{self.key}": {{\n{lines}\n}}}}\n')

    def _is_newer(self) -> bool:
        try:
            return bool(self._content()["format"] > self.format)
        except (OSError, ValueError, LookupError, TypeError):
            return False

    def _content(self) -> Any:
        """What it holds. Raises OSError, also where it is a link, and ValueError."""
        return parse_json(read_bounded(self.path, pipe=False, link=False))
