"""The summary of a run: a row for each target, then the errors at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from mpbake.base.text import abbreviated, columns, count, duration
from mpbake.graph.links import linked_targets
from mpbake.model.steps import (
    BootstrapNode,
    BuildPiece,
    CheckPiece,
    JoinArchives,
    Publish,
    StepResult,
    StepStatus,
    Verify,
)
from mpbake.report.progress import event_lines as lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Target
    from mpbake.model.steps import Step
    from mpbake.run.events import RunFinished

_MOST_NAMES = 3
_HEADINGS = ["target", "result", "digest", "time", "platforms", "node"]


def summary_text(graph: BuildGraph, finished: RunFinished) -> str:
    """Return the table of targets, and how many of them are done."""
    by_target: dict[Target, list[StepResult]] = {target: [] for target in graph.targets}
    for result in finished.results:
        step = result.step
        if isinstance(step, BuildPiece | Verify) and step.target in by_target and is_own_step(step):
            by_target[step.target].append(result)
    rows = [_HEADINGS]
    for target, results in by_target.items():
        rows += _rows(target, results, finished.results)
    return "\n".join(["", *columns(rows), "", _closing(by_target, finished)]) + "\n"


def _rows(target: Target, results: Sequence[StepResult], everything: Sequence[StepResult]) -> list[list[str]]:
    """Return a row for a target with its first node, and below it a row for each further node."""
    pieces = [result for result in results if isinstance(result.step, BuildPiece)]
    status = status_of(target, everything)
    # The digest of one of several build pieces is not the digest of the image, which only a later step knows.
    whole = status is StepStatus.DONE and (len(pieces) == 1 or len(results) > len(pieces))
    digests = [result.outcome.digest for result in reversed(results) if result.outcome.digest] if whole else []
    cells = [target.name, status, lines.short_digest(digests[0] if digests else "")]
    cells.append(duration(_seconds(target, everything)))
    first, *others = _by_node(pieces)
    return [[*cells, *first], *([*[""] * len(cells), *node] for node in others)]


def _by_node(pieces: Iterable[StepResult]) -> list[list[str]]:
    """Return a row for each node: the platforms that the node built or should have built, and the node's name."""
    by_node: dict[str, list[str]] = {}
    for result in pieces:
        if isinstance(result.step, BuildPiece):
            platforms = result.outcome.platforms or [placed.platform for placed in result.step.platforms]
            by_node.setdefault(result.step.node.id, []).extend(map(str, platforms))
    return [[",".join(platforms) or "native", node] for node, platforms in by_node.items()]


def step_target(step: Step | None) -> Target | None:
    """Return the target of a step; None for a node's bootstrap, and for no step."""
    match step:
        case BootstrapNode() | None:
            return None
        case BuildPiece() | JoinArchives() | CheckPiece() | Publish() | Verify():
            return step.target
        case _:
            assert_never(step)


def is_worth_reporting(result: StepResult) -> bool:
    """Return whether a step that was not started is reported.

    Such a step is a build, or the publishing of tags that wait for another target.
    """
    same_target = step_target(result.blocked_by) is step_target(result.step)
    return isinstance(result.step, BuildPiece) or (isinstance(result.step, Publish) and not same_target)


def is_own_step(step: Step) -> bool:
    """Return whether a step belongs to a selected target, not to a target that is only linked to."""
    return not (isinstance(step, BuildPiece) and step.shared)


def _steps_of(target: Target, results: Sequence[StepResult]) -> list[StepResult]:
    return [result for result in results if step_target(result.step) is target and is_own_step(result.step)]


def status_of(target: Target, results: Sequence[StepResult]) -> StepStatus:
    """Return the final status of `target`: the worst status of its steps."""
    statuses = {result.status for result in _steps_of(target, results)}
    order = (StepStatus.FAILED, StepStatus.CANCELLED, StepStatus.SKIPPED)
    return next((status for status in order if status in statuses), StepStatus.DONE)


def _seconds(target: Target, results: Sequence[StepResult]) -> float:
    """Return the seconds that a target took. Of the steps of one kind, which run in parallel, the longest counts."""
    longest: dict[type[Step], float] = {}
    for result in _steps_of(target, results):
        longest[type(result.step)] = max(result.seconds, longest.get(type(result.step), 0.0))
    return sum(longest.values())


def _closing(targets: dict[Target, list[StepResult]], finished: RunFinished) -> str:
    statuses = [status_of(target, finished.results) for target in targets]
    parts = [
        f"{statuses.count(status)} {status}"
        for status in StepStatus
        if statuses.count(status) or status is StepStatus.DONE
    ]
    early = ", interrupted" if finished.signal else ""
    return f"{count(len(statuses), 'target')}: {', '.join(parts)} in {duration(finished.seconds)}{early}"


def unkept_results_text(graph: BuildGraph, finished: RunFinished) -> str:
    """Return warnings about finished targets whose results stay in the build cache only; empty if there are none."""
    users = (*graph.targets, *linked_targets(*graph.targets))
    used = {target for user in users for target in (*user.needs, *user.every_link)}
    undone = {step_target(result.step) for result in finished.results if result.status is not StepStatus.DONE}
    unkept = [target for target in graph.targets if not (target.push or target.load or target.has_other_results)]
    unkept = [target for target in unkept if target not in used | undone]
    tagged = [target for target in unkept if target.tags]
    untagged = [target for target in unkept if not target.tags]
    stays = "the result stays in the build cache"
    warnings = [(tagged, f"{stays} (--load puts it into the engine, --push into the registry)")]
    warnings += [(untagged, f"without tags nothing is pushed, and {stays} (add tags or an output)")]
    return "".join(f"warning: no output for {_names(targets)}: {why}\n" for targets, why in warnings if targets)


def _names(targets: Sequence[Target]) -> str:
    """Return the names of the first targets, and the number of the others."""
    return abbreviated([target.name for target in targets], most=_MOST_NAMES)


def errors_text(finished: RunFinished, *, with_skipped: bool = False) -> str:
    """Return the tags that may have moved, then every error; empty for a run without errors.

    `with_skipped` adds the steps that were not started, which a quiet reporter has not printed.
    """
    paragraphs = []
    for result in finished.results:
        if with_skipped and result.status is StepStatus.SKIPPED and is_worth_reporting(result):
            paragraphs.append(lines.finish_line(result))
        if unsure := unsure_tags_text(result):
            paragraphs.append(unsure)
    failed = [result for result in finished.results if result.error is not None]
    paragraphs += [f"error: {lines.step_label(result.step)}: {result.error}" for result in failed]
    return "".join(f"\n{paragraph}\n" for paragraph in paragraphs)


def unsure_tags_text(result: StepResult) -> str:
    """Return the state of the tags that a cancelled step was moving; empty if no tag may have moved."""
    moves = result.outcome.moves
    if result.status is not StepStatus.CANCELLED or not (moves.moved or moves.unsure):
        return ""
    return f"{lines.finish_line(result)}; {moves}"
