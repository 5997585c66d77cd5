"""Limits of the size of a plan. A plan may be hostile, and must not exhaust memory or processor time."""

from __future__ import annotations

import re

from mpbake.base.codes import Code
from mpbake.base.errors import Diagnostic, Location, PlanError

MAX_BYTES = 8 * 1024 * 1024
"""The maximum size of all files of a plan in bytes. A plan of 10,000 targets has one or two million."""
MAX_VALUES = 500_000
"""The maximum number of lines, commas and equals signs in all files of a plan. 10,000 targets need 100,000."""
MAX_KEY_PARTS = 20
"""The maximum number of parts of a key: the parser needs memory in proportion to the square of this number."""

_PART = r"""(?:[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DEEP_KEY = re.compile(rf"""(?<![\w.-])(?:{_PART}[ \t]*\.[ \t]*){{{MAX_KEY_PARTS},}}{_PART}[ \t]*[=\]]""")


class DeepKeyError(ValueError):
    """A key of a TOML document has too many parts. `line` counts from 1."""

    def __init__(self, line: int) -> None:
        super().__init__(f"a key has more than {MAX_KEY_PARTS} parts")
        self.line = line


def check_keys(text: str) -> None:
    """Raise DeepKeyError if a key of the TOML document `text` has too many parts."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") >= MAX_KEY_PARTS and _DEEP_KEY.search(line):
            raise DeepKeyError(number)


class PlanSize:
    """Adds up the size of the files of a plan."""

    def __init__(self) -> None:
        self._bytes = 0
        self._values = 0

    def add(self, text: str, shown: str) -> None:
        """Count the text of a file that messages call `shown`. Raises PlanError if the plan is too large."""
        self._bytes += len(text.encode(errors="replace"))
        self._values += text.count("\n") + text.count(",") + text.count("=")
        message = ""
        if self._bytes > MAX_BYTES:
            message = f"the files of the plan have more than {MAX_BYTES // 1024**2} MB"
        elif self._values > MAX_VALUES:
            message = f"the files of the plan have more than {MAX_VALUES} lines, commas and equals signs"
        if message:
            hint = "split the plan: mpbake is made for plans of up to 10,000 targets"
            raise PlanError(
                [Diagnostic(code=Code.PLAN_TOO_LARGE, message=message, hint=hint, location=Location(file=shown))]
            )
