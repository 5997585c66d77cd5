"""The protocol through which the executor runs steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mpbake.base.errors import MpbakeError
    from mpbake.model.steps import BuildPiece, Outcome, Step, StepResult
    from mpbake.run.events import Reporter


class StepRunner(Protocol):
    """Runs one step, or several build pieces together. Several threads call these methods at once."""

    def run(self, step: Step, inputs: Mapping[Step, StepResult], reporter: Reporter) -> Outcome:
        """Run `step`. `inputs` are the results of its dependencies.

        Raises an MpbakeError if the step fails, and Cancelled if `cancel` was called meanwhile.
        """

    def run_together(
        self, pieces: Sequence[BuildPiece], inputs: Mapping[Step, StepResult], reporter: Reporter
    ) -> Mapping[Step, Outcome | MpbakeError]:
        """Build several pieces of one node in one call. `inputs` are the results of all dependencies.

        Returns the outcome or the error of each piece. If a piece failed only because another piece failed, the error
        is `BatchFailed`. An error of the whole call is raised, as by `run`.
        """

    def finish(self) -> None:
        """Wait for background work of steps. The executor calls `finish` once, when every step is over."""

    def cancel(self) -> None:
        """Stop the running work, and kill it at a second call. Signal handlers may call `cancel`."""
