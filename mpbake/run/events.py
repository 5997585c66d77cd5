"""The events of a run, as frozen types, and the protocol of their receivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mpbake.base.errors import MpbakeError
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node
    from mpbake.model.steps import Step, StepResult


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineProbeStarted:
    """A query of the engine in use has started, to determine the default builder. This is the first event."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeProbeStarted:
    """A probe of `nodes` has started, to query the platforms that these nodes build. Missing nodes are created.

    If the plan does not say enough to place every target, this event comes before placement.
    """

    nodes: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeProgressed:
    """The start of a node has advanced. The event may come often, and before `RunStarted`.

    `activity` is one line, such as `pulling moby/buildkit:v0.20: 12.3 MB of 98.0 MB`.
    """

    node: Node
    activity: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    """The run is planned, and its first step is about to start."""

    graph: BuildGraph


@dataclass(frozen=True, kw_only=True, slots=True)
class StepStarted:
    """A step has started. A build piece names the single node that builds it."""

    step: Step


@dataclass(frozen=True, kw_only=True, slots=True)
class StepProgressed:
    """A step has begun a new activity. `activity` is one line, such as `[2/4] RUN make`."""

    step: Step
    activity: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StepOutput:
    """A step has written output of its own: whole lines that are safe to print."""

    step: Step
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRetried:
    """An attempt at a step has failed, and the step is retried: on an equal node, or later.

    `others` are steps of the same call that are retried for the same reason. `node_failed` means that the node of the
    step is not used again: other nodes take over its work.
    """

    step: Step
    error: MpbakeError
    others: tuple[Step, ...] = ()
    node_failed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """A warning for the user, which does not stop the run."""

    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TimePassed:
    """A few seconds have passed. Only runs in CI have this event, so that a reporter can break a long silence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFinished:
    """A step is over, or will never start."""

    result: StepResult


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished:
    """The run is over.

    The results are in the graph's order; `signal` is the number of the signal that ended the run, or 0. A build piece
    that was started names the single node that built it. A bootstrap or shared piece appears once for each node that
    needed this step.
    """

    results: tuple[StepResult, ...]
    seconds: float
    signal: int = 0


Event = (
    EngineProbeStarted
    | NodeProbeStarted
    | NodeProgressed
    | RunStarted
    | StepStarted
    | StepProgressed
    | StepOutput
    | StepRetried
    | Warned
    | TimePassed
    | StepFinished
    | RunFinished
)


class Reporter(Protocol):
    """Receives every event, possibly from several threads at once."""

    def handle(self, event: Event) -> None:
        """Handle `event`; never raise an exception."""
