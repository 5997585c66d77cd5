"""One `docker buildx bake`: its definition goes in, its progress comes out as events and as a log."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import system_error
from mpbake.buildkit.bake.definition import entitlements, grants
from mpbake.buildkit.bake.progress import Progress, ProgressUpdate, target_of
from mpbake.report.bake_definition import bake_json
from mpbake.run.events import StepAdvanced, StepOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import Unreachable
    from mpbake.buildkit.nodes.instances import ReadyNode
    from mpbake.buildkit.process.docker import Client, Completed, Docker, Watch
    from mpbake.model.steps import Step
    from mpbake.run.events import Reporter

_WITH_GRANTS = (0, 19)
_WITH_ENTITLEMENTS = (0, 17)
# Else an engine's own builder would keep, as an image without a name, what is only built for others.
_NOTHING_BY_ITSELF = {"BUILDX_NO_DEFAULT_LOAD": "true"}


@dataclass(frozen=True, kw_only=True, slots=True)
class BakeCall:
    """What one call is to build, and where: the targets of `definition` that `steps` names, each for a step.

    What is said is added to `log`. `metadata` is the file that buildx is to write, `timeout` in seconds; 0 is none.
    `complaint` tells why `watch` has had enough, where that is not the node's fault.
    """

    steps: Mapping[str, Step]
    ready: ReadyNode
    definition: dict[str, Any]
    log: Path
    metadata: Path | None = None
    timeout: float = 0.0
    watch: Watch | None = None
    complaint: Callable[[], Unreachable | None] = lambda: None


@dataclass(frozen=True, kw_only=True, slots=True)
class Bake:
    """Makes such calls with a buildx of version `buildx`, in the folder `root`; `hide` sees every text first.

    `telemetry` are environment variables: where buildx sends its traces.
    """

    docker: Docker
    root: Path
    buildx: tuple[int, int]
    redact: Callable[[str], str] = field(default=str)
    telemetry: Mapping[str, str] = field(default_factory=dict)

    def run(self, call: BakeCall, reporter: Reporter) -> tuple[Completed, Progress]:
        """Make the call, and tell `reporter` how it goes.

        Raises Cancelled; Unreachable; MpbakeError where the log cannot be written.
        """
        ready = call.ready
        request = partial(_request, call, self._grants(call.definition))
        follower = _Follower(call.steps, reporter, call.log, self.redact)
        try:
            with follower.open():
                found = self.docker.follow(
                    request,
                    endpoint=ready.endpoint,
                    environment={**self.telemetry, **ready.environment, **_NOTHING_BY_ITSELF},
                    stdin=bake_json(call.definition),
                    cwd=self.root,
                    timeout=call.timeout or None,
                    on_stderr=follower.feed,
                    watch=call.watch,
                )
        except OSError as failure:
            raise system_error(failure, str(call.log)) from failure
        return found, follower.progress

    def _grants(self, definition: dict[str, Any]) -> list[str]:
        """What the plan asks for and this buildx wants to be told."""
        found = entitlements(definition) if self.buildx >= _WITH_ENTITLEMENTS else []
        return [*found, *(grants(definition, nearest_existing) if self.buildx >= _WITH_GRANTS else [])]


def _request(call: BakeCall, grants: Sequence[str], client: Client) -> Iterable[str]:
    """Build the targets of a call whose definition is on standard input."""
    lines: Iterable[str] = client.buildx.bake(
        [*call.steps],
        builder=call.ready.builder,
        files=["-"],
        progress="rawjson",
        metadata_file=call.metadata,
        allow=grants,
        stream_logs=True,
    )
    return lines


def nearest_existing(path: str) -> str:
    """`path`, or the nearest folder above it that exists."""
    found = Path(path)
    while not found.exists() and found != found.parent:
        found = found.parent
    return str(found)


class _Follower:
    """Writes a call's log and tells the reporter, as the bytes come; `hide` sees every text first.

    What belongs to no step is told of the first.
    """

    def __init__(self, steps: Mapping[str, Step], reporter: Reporter, path: Path, redact: Callable[[str], str]) -> None:
        self.progress = Progress(redact)
        self._steps = steps
        self._first = next(iter(steps.values()))
        self._reporter = reporter
        self._path = path

    @contextlib.contextmanager
    def open(self) -> Iterator[_Follower]:
        """The log is complete when the block is left, however it is left."""
        with self._path.open("a", encoding="utf-8") as self._log:
            try:
                yield self
            finally:
                self._tell(self.progress.close())
                self._log.write(self.progress.text + "\n")

    def feed(self, data: bytes) -> None:
        """Take in what buildx wrote."""
        self._tell(self.progress.feed(data))

    def _tell(self, update: ProgressUpdate) -> None:
        if update.said:
            self._log.write("\n".join(update.said) + "\n")
            self._log.flush()  # people follow it, and a full disk is to be noticed now
        said: dict[Step, list[str]] = {}
        for operation, line in zip(update.about, update.said, strict=True):
            said.setdefault(self._step(operation), []).append(line)
        for step, lines in said.items():
            self._reporter.handle(StepOutput(step=step, text="\n".join(lines)))
        last = {self._step(operation): operation for operation in update.activities}
        for step, activity in last.items():
            self._reporter.handle(StepAdvanced(step=step, activity=activity))

    def _step(self, operation: str) -> Step:
        if len(self._steps) == 1:
            return self._first
        return self._steps.get(target_of(operation), self._first)
