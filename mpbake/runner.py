"""How the executor has a step done, whoever does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.events import Reporter
    from mpbake.steps import Outcome, Step, StepResult


class StepRunner(Protocol):
    """Does one step at a time in each of several threads."""

    def run(self, step: Step, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        """Do `step`, given the results of all that had to come before it.

        Raises an MpbakeError when it fails, Cancelled when `cancel` was called meanwhile.
        """

    def cancel(self) -> None:
        """End what is under way, soon; a second call ends it at once. Safe to call from a signal handler."""
