"""A stand-in for the command `mpbake`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(kw_only=True)
class FakeMpbake:
    """Answers each call with `code` and `output`, and stores the arguments. A run writes `metadata`, unless None."""

    code: int = 0
    output: str = ""
    metadata: Mapping[str, Any] | None = None
    calls: list[list[str]] = field(default_factory=list)

    def run(self, arguments: Sequence[str]) -> int:
        """Write the metadata file, if any."""
        self.calls.append(list(arguments))
        if "--metadata-file" in arguments and self.metadata is not None:
            Path(arguments[arguments.index("--metadata-file") + 1]).write_text(json.dumps(self.metadata))
        return self.code

    def read(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Return the output."""
        self.calls.append(list(arguments))
        return self.code, self.output
