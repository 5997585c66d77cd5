"""The files through which a step of a GitHub workflow sets outputs and writes the summary of its job."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import system_error

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST_SUMMARY = 1_000_000
"""GitHub refuses a summary of more than 1 MiB."""
_CUT = "\n\n(cut: the log of the job has the whole text)\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class GithubFiles:
    """The files that the runner names in its variables. A variable that is missing means that nothing is written."""

    environment: Mapping[str, str]

    def set_output(self, name: str, value: str) -> None:
        """Set an output of the step. Raises MpbakeError."""
        # A line that ends the value must not be in the value, which may come from a stranger.
        end = f"end_{secrets.token_hex(16)}"
        self._append("GITHUB_OUTPUT", f"{name}<<{end}\n{value}\n{end}\n")

    def add_summary(self, markdown: str) -> None:
        """Add Markdown to the summary of the job. Raises MpbakeError."""
        data = markdown.encode("utf-8", errors="backslashreplace")
        if len(data) > _LARGEST_SUMMARY:
            markdown = data[:_LARGEST_SUMMARY].decode("utf-8", errors="ignore").rpartition("\n")[0] + _CUT
        self._append("GITHUB_STEP_SUMMARY", markdown.rstrip("\n") + "\n\n")

    def _append(self, variable: str, text: str) -> None:
        path = self.environment.get(variable)
        if not path:
            return
        try:
            with Path(path).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
        except OSError as error:
            raise system_error(error, f"the file of {variable}") from None
