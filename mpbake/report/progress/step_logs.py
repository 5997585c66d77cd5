"""The output of running steps, stored until a step ends."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from mpbake.base.text import count, shortened

if TYPE_CHECKING:
    from mpbake.model.steps import Step

MOST_CHARACTERS = 500_000
"""The maximum number of characters that are stored for a step. Up to 256 steps run at once."""
LONGEST_LINE = 2000
"""The maximum number of characters of a line. The log file contains the whole line."""


class _StepLog:
    """The last lines of a step's output, and the number of earlier lines that were dropped."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._characters = 0
        self._dropped = 0

    def add(self, line: str) -> None:
        line = shortened(line, LONGEST_LINE)
        self._lines.append(line)
        self._characters += len(line) + 1
        while self._characters > MOST_CHARACTERS:
            self._characters -= len(self._lines.popleft()) + 1
            self._dropped += 1

    def lines(self) -> list[str]:
        dropped = f"({count(self._dropped, 'earlier line')}: see the log in .mpbake/runs)"
        return [*([dropped] if self._dropped else []), *self._lines]


class StepLogs:
    """The output of all running steps. Not thread-safe."""

    def __init__(self) -> None:
        self._logs: dict[Step, _StepLog] = {}

    def add(self, step: Step, text: str) -> None:
        """Store output of `step`: whole lines."""
        log = self._logs.setdefault(step, _StepLog())
        for line in text.split("\n"):
            log.add(line)

    def take(self, step: Step) -> list[str]:
        """Return the stored lines of `step`, and forget them."""
        log = self._logs.pop(step, None)
        return log.lines() if log is not None else []
