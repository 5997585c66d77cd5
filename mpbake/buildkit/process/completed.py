"""The results of docker commands."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """The result of a docker command. `stderr` is empty if standard error was streamed."""

    returncode: int
    stdout: str
    stderr: str
    timed_out: bool = False
    stalled: bool = False

    @property
    def error(self) -> str:
        """The last line of standard error, without the word ERROR."""
        if self.timed_out:
            return "no answer in time"
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return lines[-1].removeprefix("ERROR: ") if lines else f"exit code {self.returncode}"


class CommandFailed(Exception):
    """A failed typed call, with the result of its command."""

    def __init__(self, completed: Completed) -> None:
        super().__init__(completed.error)
        self.completed = completed
