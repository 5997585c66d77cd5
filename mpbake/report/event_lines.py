"""One line for each thing that happens; the words that every reporter uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import count, duration, one_line, shortened
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    Execution,
    Publish,
    StepStatus,
    Verify,
    platform_list,
)
from mpbake.report.plan_text import check_text, step_subject, step_verb
from mpbake.run.events import EngineProbeStarted, Warned

if TYPE_CHECKING:
    from mpbake.model.steps import Step, StepResult
    from mpbake.run.events import NodeProbeStarted, NodeProgressed, StepRetried


_COMMAND = 60
"""Characters of a check's command that a line of its own shows."""


def short_digest(digest: str) -> str:
    """As many digits of a digest as people compare; the verified one stands in full in the registry."""
    return digest.removeprefix("sha256:")[:12] or "-"


def step_label(step: Step) -> str:
    """`build web linux/arm64 on release/linux-arm64`."""
    if isinstance(step, BuildPiece):
        return f"build {step.target.name} {platform_list(step)} on {step.node.id}"
    if isinstance(step, CheckPiece):
        place = f" on {step.piece.node.id}" if step.lost else ""
        return f"check {short_step_label(step)}{place}: {shortened(check_text(step.check), _COMMAND)}"
    return f"{step_verb(step)} {step_subject(step)}"


def short_step_label(step: Step) -> str:
    """`web linux/arm64`: enough to tell whose output a line is."""
    match step:
        case BuildPiece():
            return f"{step.target.name} {platform_list(step)}"
        case CheckPiece():
            return f"{step.target.name} {','.join(map(str, step.platforms)) or 'native'}"
        case _:
            return step_subject(step)


def start_line(step: Step) -> str:
    """A step that begins, and how, where that is worth a word."""
    emulated = isinstance(step, BuildPiece) and [
        each.platform for each in step.platforms if each.execution is Execution.EMULATED
    ]
    return f"{step_label(step)} (emulated: {', '.join(map(str, emulated))})" if emulated else step_label(step)


def finish_line(result: StepResult) -> str:
    """How a step ended."""
    match result.status:
        case StepStatus.DONE:
            note = _note(result)
            return f"{step_label(result.step)}: done in {duration(result.seconds)}{f', {note}' if note else ''}"
        case StepStatus.FAILED:
            return f"{step_label(result.step)}: FAILED after {duration(result.seconds)}"
        case StepStatus.SKIPPED:
            cause = f", since {step_label(result.blame)} failed" if result.blame is not None else ""
            return f"{step_label(result.step)}: not started{cause}"
        case StepStatus.CANCELLED:
            return f"{step_label(result.step)}: cancelled"


def opening_line(event: EngineProbeStarted | NodeProbeStarted) -> str:
    """What happens before anything can be built."""
    if isinstance(event, EngineProbeStarted):
        return "asking the engine in use what the default builder is"
    return f"asking {', '.join(node.id for node in event.nodes)} what can be built there"


def warning_line(event: Warned | StepRetried) -> str:
    """What a person should know and what stops nothing, in one line."""
    return f"warning: {one_line(event.message if isinstance(event, Warned) else retry_line(event))}"


def progress_line(event: NodeProgressed) -> str:
    """What is being done to start a node."""
    return f"{event.node.id}: {event.activity}"


def retry_line(event: StepRetried) -> str:
    """An attempt that came to nothing, and what happens now."""
    reason = event.error.message.partition("\n")[0]
    if isinstance(event.step, BootstrapNode):
        return f"{event.step.node.id} is left out{'' if event.node_failed else ' for now'}: {reason}"
    others = f" and {count(len(event.others), 'other')}" if event.others else ""
    return f"{step_label(event.step)}{others}: {reason}: tried again"


def _note(result: StepResult) -> str:
    outcome = result.outcome
    match result.step:
        case Publish():
            return f"gave {count(len(outcome.tags), 'tag')}"
        case Verify():
            numbers = f"{count(len(outcome.platforms), 'platform')}, {count(len(outcome.tags), 'tag')}"
            return f"{numbers}, {short_digest(outcome.digest)}"
        case _:
            return outcome.note
