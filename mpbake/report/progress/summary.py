"""The summary of a run: a row for each target, then the errors at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import abbreviated, columns, count, duration
from mpbake.graph.links import linked_targets
from mpbake.model.steps import StepStatus
from mpbake.report.progress import event_lines as lines
from mpbake.report.progress.target_results import results_by_target, step_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Target
    from mpbake.model.steps import BuildPiece, StepResult
    from mpbake.report.progress.target_results import TargetResults
    from mpbake.run.events import RunFinished

_MOST_NAMES = 3
_HEADINGS = ["target", "result", "digest", "time", "platforms", "node"]


def summary_text(graph: BuildGraph, finished: RunFinished) -> str:
    """Return the table of targets, and how many of them are done."""
    by_target = results_by_target(graph.targets, finished.results)
    rows = [_HEADINGS]
    for target, results in by_target.items():
        rows += _target_rows(target, results)
    return "\n".join(["", *columns(rows), "", _closing(list(by_target.values()), finished)]) + "\n"


def _target_rows(target: Target, results: TargetResults) -> list[list[str]]:
    """Return a row for a target with its first node, and below it a row for each further node."""
    pieces = [result for _, result in results.pieces]
    # The digest of one of several build pieces is not the digest of the image, which only a later step knows.
    is_whole = results.status is StepStatus.DONE and (len(pieces) == 1 or bool(results.verifies))
    digests = [result.outcome.digest for result in (*reversed(results.verifies), *reversed(pieces)) if is_whole]
    cells = [target.name, results.status, lines.short_digest(next(filter(None, digests), ""))]
    cells.append(duration(results.seconds))
    first, *others = _by_node(results.pieces)
    return [[*cells, *first], *([*[""] * len(cells), *node] for node in others)]


def _by_node(pieces: Iterable[tuple[BuildPiece, StepResult]]) -> list[list[str]]:
    """Return a row for each node: the platforms that the node built or should have built, and the node's name."""
    by_node: dict[str, list[str]] = {}
    for piece, result in pieces:
        platforms = result.outcome.platforms or [placed.platform for placed in piece.platforms]
        by_node.setdefault(piece.node.id, []).extend(map(str, platforms))
    return [[",".join(platforms) or "native", node] for node, platforms in by_node.items()]


def _closing(targets: Sequence[TargetResults], finished: RunFinished) -> str:
    statuses = [results.status for results in targets]
    parts = [
        f"{statuses.count(status)} {status}"
        for status in StepStatus
        if statuses.count(status) or status is StepStatus.DONE
    ]
    early = ", interrupted" if finished.signal else ""
    return f"{count(len(statuses), 'target')}: {', '.join(parts)} in {duration(finished.seconds)}{early}"


def unkept_results_text(graph: BuildGraph, finished: RunFinished) -> str:
    """Return warnings about finished targets whose results stay in the build cache only; empty without such targets."""
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
    return "".join(f"warning: no output for {_first_names(targets)}: {why}\n" for targets, why in warnings if targets)


def _first_names(targets: Sequence[Target]) -> str:
    """Return the names of the first targets, and the number of the other targets."""
    return abbreviated([target.name for target in targets], most=_MOST_NAMES)


def errors_text(finished: RunFinished) -> str:
    """Return the tags that may have moved, then every error; empty for a run without errors."""
    paragraphs = [unsure for result in finished.results if (unsure := unsure_tags_text(result))]
    failed = [result for result in finished.results if result.error is not None]
    paragraphs += [f"error: {lines.step_label(result.step)}: {result.error}" for result in failed]
    return "".join(f"\n{paragraph}\n" for paragraph in paragraphs)


def unsure_tags_text(result: StepResult) -> str:
    """Return the state of the tags that a cancelled step was moving; empty if no tag may have moved."""
    moves = result.outcome.moves
    if result.status is not StepStatus.CANCELLED or not (moves.moved or moves.unsure):
        return ""
    return f"{lines.finish_line(result)}; {moves}"
