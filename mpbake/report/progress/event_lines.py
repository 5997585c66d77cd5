"""The text of each event, used by all reporters."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import count, duration, one_line, shortened
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    Execution,
    JoinArchives,
    Publish,
    StepStatus,
    Verify,
    bootstrapped_node,
    platform_list,
    step_subject,
    step_verb,
)
from mpbake.report.plan.plan_text import check_text
from mpbake.run.events import EngineProbeStarted, NodeProbeStarted, NodeProgressed, Warned

if TYPE_CHECKING:
    from mpbake.model.steps import Step, StepResult
    from mpbake.run.events import StepRetried


WARNING = "warning: "
"""The start of each warning."""
_COMMAND_LENGTH = 60
"""Characters of a check's command that a line shows."""


def short_digest(digest: str) -> str:
    """Return the first twelve digits of a digest, or `-` for an empty digest."""
    return digest.removeprefix("sha256:")[:12] or "-"


def step_label(step: Step) -> str:
    """Return the label of a step, such as `build web linux/arm64 on release/linux-arm64`."""
    match step:
        case BuildPiece():
            return f"build {step.target.name} {platform_list(step)} on {step.node.id}"
        case CheckPiece():
            node = f" on {step.piece.node.id}" if step.lost else ""
            return f"check {short_step_label(step)}{node}: {shortened(check_text(step.check), _COMMAND_LENGTH)}"
        case BootstrapNode() | JoinArchives() | Publish() | Verify():
            return f"{step_verb(step)} {step_subject(step)}"
        case _:
            assert_never(step)


def short_step_label(step: Step) -> str:
    """Return the prefix for the lines of a step's output, such as `web linux/arm64`."""
    match step:
        case BuildPiece():
            return f"{step.target.name} {platform_list(step)}"
        case CheckPiece():
            return f"{step.target.name} {','.join(map(str, step.platforms)) or 'native'}"
        case BootstrapNode() | JoinArchives() | Publish() | Verify():
            return step_subject(step)
        case _:
            assert_never(step)


def start_line(step: Step) -> str:
    """Return the line for the start of a step: its label, and the platforms that it emulates."""
    match step:
        case BuildPiece():
            emulated = [str(placed.platform) for placed in step.platforms if placed.execution is Execution.EMULATED]
            return f"{step_label(step)} (emulated: {', '.join(emulated)})" if emulated else step_label(step)
        case BootstrapNode() | JoinArchives() | CheckPiece() | Publish() | Verify():
            return step_label(step)
        case _:
            assert_never(step)


def finish_line(result: StepResult) -> str:
    """Return the line for the end of a step."""
    label = step_label(result.step)
    match result.status:
        case StepStatus.DONE:
            note = _note(result)
            return f"{label}: done in {duration(result.seconds)}{f', {note}' if note else ''}"
        case StepStatus.FAILED:
            return f"{label}: FAILED after {duration(result.seconds)}"
        case StepStatus.SKIPPED:
            cause = f", since {step_label(result.blocked_by)} failed" if result.blocked_by is not None else ""
            return f"{label}: not started{cause}"
        case StepStatus.CANCELLED:
            return f"{label}: cancelled"
        case _:
            assert_never(result.status)


def opening_line(event: EngineProbeStarted | NodeProbeStarted) -> str:
    """Return the line for the start of a probe, which happens before any build."""
    match event:
        case EngineProbeStarted():
            return "asking the engine in use for the default builder"
        case NodeProbeStarted():
            whose = "its" if len(event.nodes) == 1 else "their"
            return f"asking {', '.join(node.id for node in event.nodes)} for {whose} platforms"
        case _:
            assert_never(event)


def warning_line(event: Warned | StepRetried) -> str:
    """Return a warning or a retry as one line."""
    return f"{WARNING}{one_line(event.message if isinstance(event, Warned) else retry_line(event))}"


def progress_line(event: NodeProgressed) -> str:
    """Return the line for the progress of a node that is starting."""
    return f"{event.node.id}: {event.activity}"


def retry_line(event: StepRetried) -> str:
    """Return the reason of a failed attempt, and the next action of mpbake."""
    reason = event.error.message.partition("\n")[0]
    if (node := bootstrapped_node(event.step)) is not None:
        return f"{node.id} is not used{'' if event.node_failed else ' for now'}: {reason}"
    others = f" and {count(len(event.others), 'other')}" if event.others else ""
    return f"{step_label(event.step)}{others}: {reason}: retrying"


def _note(result: StepResult) -> str:
    outcome = result.outcome
    match result.step:
        case Publish():
            return f"published {count(len(outcome.tags), 'tag')}"
        case Verify():
            numbers = f"{count(len(outcome.platforms), 'platform')}, {count(len(outcome.tags), 'tag')}"
            return f"{numbers}, {short_digest(outcome.digest)}"
        case BootstrapNode() | BuildPiece() | JoinArchives() | CheckPiece():
            return outcome.note
        case _:
            assert_never(result.step)
