"""How the executor has a step done, whoever does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.errors import MpbakeError
    from mpbake.model.steps import BuildPiece, Outcome, Step, StepResult
    from mpbake.run.events import Reporter


class StepRunner(Protocol):
    """Does one step at a time, or several pieces together, in each of several threads."""

    def run(self, step: Step, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        """Do `step`, given the results of all that had to come before it.

        Raises an MpbakeError when it fails, Cancelled when `cancel` was called meanwhile.
        """

    def run_together(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> Mapping[Step, Outcome | MpbakeError]:
        """Do several pieces of one node in one call, given the results of all that had to come before any of them.

        Tells what became of each: of one that failed only because another did, `Disturbed`. What concerns all of them
        is raised as `run` does.
        """

    def finish(self) -> None:
        """Wait for what steps left to the background. Called once, when every step has ended."""

    def cancel(self) -> None:
        """End what is under way, soon; a second call ends it at once. Safe to call from a signal handler."""
