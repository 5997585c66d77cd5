"""Repeats a bake call that failed for a temporary reason."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.buildkit.bake.definition import without_cache
from mpbake.buildkit.bake.failures import has_lost_result, is_push_failure, is_store_collision
from mpbake.buildkit.bake.progress import operation_target
from mpbake.buildkit.registry.client import repository_of
from mpbake.graph.delivery import repositories
from mpbake.model.steps import BuildPiece
from mpbake.run.events import Warned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.buildkit.bake.bake_call import Bake, BakeCall
    from mpbake.buildkit.bake.progress import Progress
    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.registry.client import RegistryFailure
    from mpbake.buildkit.registry.registries import Registries
    from mpbake.model.plan import Target
    from mpbake.run.events import Reporter

_PUSH_BACKOFF = (1.0, 4.0)
"""Seconds to wait before each retry of a failed push, in addition to BuildKit's own retries."""
_SHORTEST = 1.0
"""The minimum timeout of a repeated call in seconds, even if less of the target's timeout is left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempts:
    """Makes bake calls, and repeats a call after a temporary failure."""

    bake: Bake
    registries: Registries

    def run(self, call: BakeCall, reporter: Reporter) -> tuple[Completed, Progress]:
        """Make a call. If its push fails, retry while the registry accepts uploads or has a failure of its own."""
        begun = time.monotonic()
        completed, progress = self._run_twice(call, reporter)
        for seconds in _PUSH_BACKOFF:
            if not completed.returncode or not self._may_retry_push(call, completed, progress):
                break
            reporter.handle(Warned(message=f"{', '.join(call.steps)}: the push failed: mpbake retries it"))
            self.bake.docker.pause(seconds)
            completed, progress = self._run_twice(replace(call, timeout=_left(call, begun)), reporter)
        return completed, progress

    def push_failures(self, targets: Sequence[Target]) -> dict[str, RegistryFailure]:
        """Return the failures of registries that do not accept uploads of `targets` at the moment, by repository."""
        failures = {}
        for target in targets:
            client = self.registries.client(target.builder)
            for name in repositories(target):
                if failure := client.probe(repository_of(name)):
                    failures[name] = failure
        return failures

    def _run_twice(self, call: BakeCall, reporter: Reporter) -> tuple[Completed, Progress]:
        """Make a call. If the call fails for a temporary reason inside BuildKit, repeat the call once.

        A call without metadata only reads the cache, so mpbake does not rebuild its targets.
        """
        begun = time.monotonic()
        completed, progress = self.bake.run(call, reporter)
        if not completed.returncode:
            return completed, progress
        if is_store_collision(progress):
            warning = "another build stored the same image at that moment: mpbake builds again"
        elif call.metadata is not None and has_lost_result(progress):
            warning = "BuildKit lost the result of another build: mpbake builds again without the cache"
            at_fault = operation_target(progress.failed.name) if progress.failed else ""
            names = [at_fault] if at_fault in call.steps else call.steps
            call = replace(call, definition=without_cache(call.definition, names))
        else:
            return completed, progress
        reporter.handle(Warned(message=f"{', '.join(call.steps)}: {warning}"))
        return self.bake.run(replace(call, timeout=_left(call, begun)), reporter)

    def _may_retry_push(self, call: BakeCall, completed: Completed, progress: Progress) -> bool:
        """Return whether the call failed because of a push that may succeed now.

        mpbake queries the registry, because BuildKit's error message does not contain the status of the registry's
        response.
        """
        if completed.timed_out or completed.stalled or not is_push_failure(progress):
            return False
        failures = self.push_failures(_pushed_targets(call, progress))
        return not any(failure.is_refusal or failure.lost is not None for failure in failures.values())


def _pushed_targets(call: BakeCall, progress: Progress) -> list[Target]:
    """The targets whose push may have failed: the target in BuildKit's error, or else all targets of the call."""
    targets = {name: step.target for name, step in call.steps.items() if isinstance(step, BuildPiece)}
    name = operation_target(progress.failed.name) if progress.failed is not None else ""
    return [targets[name]] if name in targets else list(targets.values())


def _left(call: BakeCall, begun: float) -> float:
    """The remaining seconds of a call's timeout, for a repeated call; 0 if the call has no timeout."""
    return call.timeout and max(call.timeout - (time.monotonic() - begun), _SHORTEST)
