"""What people are told while a run goes on, and in the end."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING

import pytest

from mpbake.errors import BuildFailed, Unreachable
from mpbake.events import (
    Event,
    Preparing,
    RunFinished,
    RunStarted,
    StepAdvanced,
    StepFinished,
    StepSaid,
    StepStarted,
    Warned,
)
from mpbake.platforms import parse_platforms
from mpbake.report import LiveReporter, PlainReporter, errors_text, summary_text
from mpbake.report.lines import short_digest, starting
from mpbake.steps import Outcome, StepResult, StepStatus
from tests.unit.graphs import TWO_NODES, graph_of_text
from tests.unit.plans import text
from tests.unit.worlds import ticking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mpbake.graph import BuildGraph

DONE, FAILED, SKIPPED, CANCELLED = StepStatus.DONE, StepStatus.FAILED, StepStatus.SKIPPED, StepStatus.CANCELLED
DIGEST = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

RELEASE = """
    [targets.web]
    builder = "release"
    platforms = ["linux/amd64", "linux/arm64"]
    tags = ["r/web:1", "r/web:latest"]
    push = true
    [targets.tool]
    """ + TWO_NODES.replace("\n", "\n    ")


def graph() -> BuildGraph:
    """Nine steps: three nodes, two pieces of web, its publication and verification, and one piece of tool."""
    return graph_of_text(RELEASE)


def ends(run: BuildGraph, said: Mapping[str, StepResult | StepStatus]) -> tuple[StepResult, ...]:
    """A result for each step: DONE in a second, unless `said` by the start of its key."""
    found = []
    for step in run.steps:
        given = next((each for key, each in said.items() if step.key.startswith(key)), DONE)
        result = given if isinstance(given, StepResult) else StepResult(step=step, status=given, seconds=1.0)
        found.append(StepResult(**{**_fields(result), "step": step}))
    return tuple(found)


def _fields(result: StepResult) -> dict[str, object]:
    names = ("status", "seconds", "outcome", "error", "blame")
    return {name: getattr(result, name) for name in names}
