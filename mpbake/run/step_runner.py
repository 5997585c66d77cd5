"""The protocol through which the executor runs steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.errors import MpbakeError
    from mpbake.model.steps import BuildPiece, Outcome, Step, StepResult
    from mpbake.run.events import Reporter


class StepRunner(Protocol):
    """Runs one step, or several pieces together, in each of several threads."""

    def run(self, step: Step, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        """Run `step`. `inputs` are the results of the steps that had to come before it.

        Raises an MpbakeError if it fails, and Cancelled if `cancel` was called meanwhile.
        """

    def run_together(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> Mapping[Step, Outcome | MpbakeError]:
        """Build several pieces of one node in one call. `inputs` are the results of the steps before any of them.

        Returns the outcome or the error of each piece. The error of a piece that failed only because another piece did
        is `BatchFailed`. An error of the whole call is raised as `run` does.
        """

    def finish(self) -> None:
        """Wait for the work that steps left to the background. The executor calls it once, when every step is over."""

    def cancel(self) -> None:
        """End the running work soon, and at a second call at once. Signal handlers may call it."""
