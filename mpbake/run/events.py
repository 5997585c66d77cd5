"""What can happen in a run, as frozen types, and who is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mpbake.base.errors import MpbakeError
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Node
    from mpbake.model.steps import Step, StepResult


@dataclass(frozen=True, kw_only=True, slots=True)
class AskingEngine:
    """First of all, the engine in use is asked what the default builder is, and takes its time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbingNodes:
    """Before anything can be placed, `nodes` are asked what they build; those that do not exist are made."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeAdvanced:
    """A node is being started; `activity` is one line such as `pulling moby/buildkit:v0.20: 12.3 MB of 98.0 MB`.

    It may come often, before `RunStarted` too.
    """

    node: Node
    activity: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RunStarted:
    """Everything is planned; the first step is about to start."""

    graph: BuildGraph


@dataclass(frozen=True, kw_only=True, slots=True)
class StepStarted:
    """A step has begun; a piece has been given to the one node that it names."""

    step: Step


@dataclass(frozen=True, kw_only=True, slots=True)
class StepAdvanced:
    """A step works on something new; `activity` is one line such as `[2/4] RUN make`."""

    step: Step
    activity: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StepOutput:
    """A step's own output: whole lines, safe to print."""

    step: Step
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRetried:
    """An attempt at a step came to nothing, and the step is tried again: on an equal node, or later.

    With `given_up` its node is not tried again: others do what was for it. `others` are steps of the same call for
    which the same holds.
    """

    step: Step
    error: MpbakeError
    others: tuple[Step, ...] = ()
    given_up: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """Something that a person should know and that stops nothing."""

    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFinished:
    """A step is over, or will never start."""

    result: StepResult


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFinished:
    """Nothing more will happen; results are in the graph's order. `signal` is what ended the run early, else 0.

    A piece that was started stands there as it was built, on one node; bootstraps and shared pieces stand there once
    for each node that needed them.
    """

    results: tuple[StepResult, ...]
    seconds: float
    signal: int = 0


Event = (
    AskingEngine
    | ProbingNodes
    | NodeAdvanced
    | RunStarted
    | StepStarted
    | StepAdvanced
    | StepOutput
    | StepRetried
    | Warned
    | StepFinished
    | RunFinished
)


class Reporter(Protocol):
    """Told of every event, possibly from several threads at once."""

    def handle(self, event: Event) -> None:
        """Take note of `event`; must not raise."""
