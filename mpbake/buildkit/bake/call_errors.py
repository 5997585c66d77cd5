"""Finds the build pieces that made a bake call fail, and the error of each piece."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import BatchFailed, BuildFailed, NodeLost, Unreachable
from mpbake.base.text import duration
from mpbake.buildkit.bake.definition import dockerfiles
from mpbake.buildkit.bake.failures import (
    build_error,
    has_lost_result,
    is_push_failure,
    is_store_collision,
    may_be_lost_node,
)
from mpbake.buildkit.bake.progress import operation_target
from mpbake.graph.links import linked_targets
from mpbake.model.steps import CheckPiece

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mpbake.base.errors import MpbakeError
    from mpbake.buildkit.bake.attempts import Attempts
    from mpbake.buildkit.bake.bake_call import BakeCall
    from mpbake.buildkit.bake.progress import Progress
    from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
    from mpbake.buildkit.process.completed import Completed
    from mpbake.model.plan import Target
    from mpbake.model.steps import BuildPiece, Outcome, Step

_PROBE_SECONDS = 20.0
"""Seconds within which a node must answer after a build that failed for an unclear reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallErrors:
    """Explains failed bake calls.

    `repeat` returns a command that repeats a build piece or a whole target. `root` is the folder of the plan.
    """

    attempts: Attempts
    nodes: ReadyNodes
    repeat: Callable[[BuildPiece | Target], str]

    @property
    def _root(self) -> Path:
        return self.attempts.bake.root

    def results(
        self, pieces: Sequence[BuildPiece], call: BakeCall, completed: Completed, progress: Progress
    ) -> dict[Step, Outcome | MpbakeError]:
        """Return the error of each build piece of a failed call. Raises NodeLost if the node is at fault."""
        culprit = _slow_piece(pieces, progress) if completed.timed_out else _culprit(pieces, progress)
        first = culprit or pieces[0]
        error = self.error(first, call, completed, progress)
        if isinstance(error, NodeLost):
            raise error
        if len(pieces) == 1:
            return {pieces[0]: error}
        culprit = None if is_store_collision(progress) or has_lost_result(progress) else culprit
        # If several targets link to a base, BuildKit names each operation of the base after the target that requested
        # it first.
        linked = linked_targets(culprit.target) if culprit else ()
        bases = {piece for piece in pieces if piece.target in linked}
        is_known = culprit is not None and not bases
        message = f"another target of the same batch failed: {first.target.name}" if is_known else "the batch failed"
        alone = bases if culprit else set(pieces)
        results: dict[Step, Outcome | MpbakeError] = {
            piece: BatchFailed(message, alone=piece in alone) for piece in pieces
        }
        return results | ({first: error} if is_known else {})

    def error(self, piece: BuildPiece, call: BakeCall, completed: Completed, progress: Progress) -> MpbakeError:
        """Return the error of `piece` in a failed call."""
        # A repeated build piece does not push, so a failed push needs a repetition of the whole target.
        repeat = self._redact(self.repeat(piece.target if is_push_failure(progress) else piece))
        if engine_error := call.engine_error():
            message = f"cannot be loaded: {engine_error.message}\nlog: {call.log}"
            return Unreachable(message, hint=f"{engine_error.hint}; repeat with: {repeat}")
        if completed.stalled:
            if call.is_disconnected():
                return self._lost(piece, "its BuildKit was replaced, or lost the connection to this build", call.log)
            limit = duration(piece.target.stall_timeout)
            return self._lost(piece, f"no progress and no answer within {limit}", call.log)
        if completed.timed_out:
            limit = duration(call.timeout)
            message = f"took longer than its timeout of {limit}\nlog: {call.log}"
            return BuildFailed(message, hint=f"raise timeout if that is too short; repeat with: {repeat}")
        return self._build_error(piece, call, progress, repeat)

    def _build_error(self, piece: BuildPiece, call: BakeCall, progress: Progress, repeat: str) -> MpbakeError:
        """Return the error of a call that ended by itself."""
        check = next((step for step in call.steps.values() if isinstance(step, CheckPiece)), None)
        files = {
            name: replace(file, path=self._redact(file.path))
            for name, file in dockerfiles(call.definition, self._root).items()
        }
        error = build_error(progress, repeat, str(call.log), check, own=call.steps, dockerfiles=files)
        if is_push_failure(progress) and not isinstance(error, NodeLost):
            error = self._push_error(error, [piece.target])
        if isinstance(error, NodeLost):
            return NodeLost(f"node {piece.node.id} was lost: {error.message}", hint=error.hint)
        if may_be_lost_node(error) and not self.nodes.answers(piece.node, _PROBE_SECONDS):
            first_line = error.message.partition("\n")[0]
            return self._lost(piece, f"it no longer answers: {first_line}", call.log)
        return error

    def _push_error(self, error: MpbakeError, targets: Sequence[Target]) -> MpbakeError:
        """Return `error` of a push, extended by the registry's own answer. When a push fails, no tag has moved."""
        error = error.with_line("no tag has moved")
        for name, failure in self.attempts.push_failures(targets).items():
            if failure.lost is None:
                answer = failure.error(f"push to {name}")
                hint = "; ".join(filter(None, (answer.hint, error.hint)))
                kind = BuildFailed if answer.exit_code == BuildFailed.exit_code else type(answer)
                return kind(f"{error.message}\n{answer.message}", hint=hint)
        return error

    def _lost(self, piece: BuildPiece, reason: str, log: Path) -> NodeLost:
        hint = f"check that it is up and reachable from this machine; repeat with: {self._redact(self.repeat(piece))}"
        return NodeLost(f"node {piece.node.id} was lost: {reason}\nlog: {log}", hint=hint)

    def _redact(self, text: str) -> str:
        return self.attempts.bake.redact(text)


def _culprit(pieces: Sequence[BuildPiece], progress: Progress) -> BuildPiece | None:
    """Return the build piece of the first failed operation; None if unknown.

    If no piece builds the target of the operation, return the piece that links to the target, unless several pieces do.
    """
    name = operation_target(progress.failed.name) if progress.failed is not None else ""
    own = [piece for piece in pieces if piece.target.name == name]
    users = [piece for piece in pieces if any(link.name == name for link in linked_targets(piece.target))]
    return own[0] if own else users[0] if len(users) == 1 else None


def _slow_piece(pieces: Sequence[BuildPiece], progress: Progress) -> BuildPiece | None:
    """Return the build piece that used up the time of its call: the only unfinished piece, if there is one."""
    slow = [piece for piece in pieces if piece.target.name in progress.unfinished()]
    return slow[0] if len(slow) == 1 else None
