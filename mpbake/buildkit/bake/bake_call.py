"""One `docker buildx bake` call: takes a definition, and returns the progress as events and as a log."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import system_error
from mpbake.buildkit.bake.definition import entitlements, grants
from mpbake.buildkit.bake.git_info import WITHOUT_GIT
from mpbake.buildkit.bake.progress import Progress, ProgressUpdate, operation_target
from mpbake.model.steps import BootstrapNode
from mpbake.report.plan.bake_definition import bake_json
from mpbake.review.grants import Rights
from mpbake.run.events import StepOutput, StepProgressed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import Unreachable
    from mpbake.buildkit.nodes.instances.instances import ReadyNode
    from mpbake.buildkit.process.client import DockerCommands
    from mpbake.buildkit.process.completed import Completed
    from mpbake.buildkit.process.docker import Docker, Watch
    from mpbake.model.steps import Step
    from mpbake.run.events import Reporter

_WITH_GRANTS = (0, 19)
_WITH_ENTITLEMENTS = (0, 17)
# Otherwise the `docker` driver would keep the result of a linked target as an image without a name.
_NO_DEFAULT_LOAD = {"BUILDX_NO_DEFAULT_LOAD": "true"}


@dataclass(frozen=True, kw_only=True, slots=True)
class BakeCall:
    """One call on a node.

    `steps` maps the names of targets in `definition`, which the call builds, to the steps that need the targets. The
    output is appended to `log`. buildx writes the file `metadata`. `timeout` is in seconds; 0 means none. If `watch`
    ends the call because of the engine in use, and not because of the node, `engine_error` returns the reason.
    `is_disconnected` returns whether `watch` ended the call because BuildKit no longer works on the call.
    """

    steps: Mapping[str, Step]
    ready_node: ReadyNode
    definition: dict[str, Any]
    log: Path
    metadata: Path | None = None
    timeout: float = 0.0
    watch: Watch | None = None
    engine_error: Callable[[], Unreachable | None] = lambda: None
    is_disconnected: Callable[[], bool] = lambda: False


@dataclass(frozen=True, kw_only=True, slots=True)
class Bake:
    """Makes bake calls in the folder `root`. `buildx` is the version of buildx. `redact` is applied to all output.

    `telemetry` holds the environment variables with the receiver of buildx's traces. `rights` are the rights
    of the run: each call needs no others. `may_start_git` returns whether buildx may start git in a context.
    """

    docker: Docker
    root: Path
    buildx: tuple[int, int]
    redact: Callable[[str], str] = field(default=str)
    telemetry: Mapping[str, str] = field(default_factory=dict)
    rights: Rights = field(default_factory=Rights)
    may_start_git: Callable[[str], bool] = field(default=lambda _: True)

    def run(self, call: BakeCall, reporter: Reporter) -> tuple[Completed, Progress]:
        """Make the call, and report its progress to `reporter`.

        Raises Cancelled, Unreachable, NotGranted, and MpbakeError if the log cannot be written.
        """
        self.rights.check(step.target for step in call.steps.values() if not isinstance(step, BootstrapNode))
        ready_node = call.ready_node
        follower = _Follower(call.steps, reporter, call.log, self.redact)
        try:
            with follower.open():
                completed = self.docker.follow(
                    partial(_request, call, self._grants(call.definition)),
                    endpoint=ready_node.endpoint,
                    environment=self._environment(call),
                    stdin=bake_json(call.definition),
                    cwd=self.root,
                    timeout=call.timeout or None,
                    on_stderr=follower.feed,
                    watch=call.watch,
                )
        except OSError as failure:
            raise system_error(failure, str(call.log)) from failure
        return completed, follower.progress

    def _environment(self, call: BakeCall) -> dict[str, str]:
        """Return the environment variables of a call, besides those that every call of docker gets."""
        contexts = {str(target["context"]) for target in call.definition["target"].values()}
        git_info = {} if all(map(self.may_start_git, sorted(contexts))) else WITHOUT_GIT
        return {**self.telemetry, **call.ready_node.environment, **_NO_DEFAULT_LOAD, **git_info}

    def _grants(self, definition: dict[str, Any]) -> list[str]:
        """Return the grants that this version of buildx requires for a definition."""
        privileges = entitlements(definition) if self.buildx >= _WITH_ENTITLEMENTS else []
        if self.buildx < _WITH_GRANTS:
            return privileges
        return [*privileges, *grants(definition, str(self.root), self.rights.real, nearest_existing)]


def _request(call: BakeCall, allow: Sequence[str], client: DockerCommands) -> Iterable[str]:
    """Make python-on-whales build the targets of a call. The definition is passed on standard input."""
    lines: Iterable[str] = client.buildx.bake(
        [*call.steps],
        builder=call.ready_node.builder,
        files=["-"],
        progress="rawjson",
        metadata_file=call.metadata,
        allow=allow,
        stream_logs=True,
    )
    return lines


def nearest_existing(path: str) -> str:
    """Return `path` if it exists, else the nearest parent folder that exists."""
    nearest = Path(path)
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    return str(nearest)


class _Follower:
    """Writes the log of a call and reports the call's progress as output arrives. `redact` is applied to all output.

    Output that belongs to no step counts as output of the first step.
    """

    def __init__(self, steps: Mapping[str, Step], reporter: Reporter, path: Path, redact: Callable[[str], str]) -> None:
        self.progress = Progress(redact)
        self._steps = steps
        self._first = next(iter(steps.values()))
        self._reporter = reporter
        self._path = path

    @contextlib.contextmanager
    def open(self) -> Iterator[_Follower]:
        """Open the log for a block. At the end of the block the log is complete, even after an error."""
        with self._path.open("a", encoding="utf-8") as self._log:
            try:
                yield self
            finally:
                self._report(self.progress.close())
                self._log.write(self.progress.text + "\n")

    def feed(self, data: bytes) -> None:
        """Process the next bytes of buildx's output."""
        self._report(self.progress.feed(data))

    def _report(self, update: ProgressUpdate) -> None:
        if update.lines:
            self._log.write("\n".join(update.lines) + "\n")
            self._log.flush()  # a user may be following the log, and a full disk must be noticed at once
        output: dict[Step, list[str]] = {}
        for operation, line in zip(update.operations, update.lines, strict=True):
            output.setdefault(self._step(operation), []).append(line)
        for step, lines in output.items():
            self._reporter.handle(StepOutput(step=step, text="\n".join(lines)))
        last = {self._step(operation): operation for operation in update.activities}
        for step, activity in last.items():
            self._reporter.handle(StepProgressed(step=step, activity=activity))

    def _step(self, operation: str) -> Step:
        if len(self._steps) == 1:
            return self._first
        return self._steps.get(operation_target(operation), self._first)
