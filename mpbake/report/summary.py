"""What a run came to: a row for each target, then the errors, which are what people read last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import abbreviated, columns, count, duration
from mpbake.graph.links import linked_targets
from mpbake.model.steps import BuildPiece, Publish, StepResult, StepStatus, Verify
from mpbake.report import event_lines as lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Target
    from mpbake.model.steps import Step
    from mpbake.run.events import RunFinished

_MOST_NAMES = 3
_HEAD = ["target", "result", "digest", "time", "platforms", "node"]


def summary_text(graph: BuildGraph, finished: RunFinished) -> str:
    """The table of targets and how many of them are done."""
    by_target: dict[Target, list[StepResult]] = {target: [] for target in graph.targets}
    for result in finished.results:
        step = result.step
        if isinstance(step, BuildPiece | Verify) and step.target in by_target and is_own_step(step):
            by_target[step.target].append(result)
    rows = [_HEAD]
    for target, results in by_target.items():
        rows += _rows(target, results, finished.results)
    return "\n".join(["", *columns(rows), "", _closing(by_target, finished)]) + "\n"


def _rows(target: Target, results: Sequence[StepResult], everything: Sequence[StepResult]) -> list[list[str]]:
    """A row for a target with its first node; what others have built of it stands in rows of their own below."""
    pieces = [result for result in results if isinstance(result.step, BuildPiece)]
    status = status_of(target, everything)
    # The digest of one part is not that of the image, and what was not verified is not served.
    whole = status is StepStatus.DONE and (len(pieces) == 1 or len(results) > len(pieces))
    digest = next((each.outcome.digest for each in reversed(results) if each.outcome.digest), "") if whole else ""
    said = [target.name, status, lines.short_digest(digest), duration(_seconds(target, everything))]
    first, *others = _by_node(pieces)
    return [[*said, *first], *([*[""] * len(said), *each] for each in others)]


def _by_node(pieces: Iterable[StepResult]) -> list[list[str]]:
    """The platforms that each node of `pieces` has built, or was to build, and the node."""
    found: dict[str, list[str]] = {}
    for result in pieces:
        if isinstance(result.step, BuildPiece):
            platforms = result.outcome.platforms or [each.platform for each in result.step.platforms]
            found.setdefault(result.step.node.id, []).extend(map(str, platforms))
    return [[",".join(platforms) or "native", node] for node, platforms in found.items()]


def is_worth_reporting(result: StepResult) -> bool:
    """Whether people wonder why a step was not started: a build; tags that wait for another target."""
    own = getattr(result.blame, "target", None) is getattr(result.step, "target", None)
    return isinstance(result.step, BuildPiece) or (isinstance(result.step, Publish) and not own)


def is_own_step(step: Step) -> bool:
    """Whether a step is for its target's own sake, not only for those who link to it."""
    return not (isinstance(step, BuildPiece) and step.shared)


def _steps_of(target: Target, results: Sequence[StepResult]) -> list[StepResult]:
    return [each for each in results if getattr(each.step, "target", None) is target and is_own_step(each.step)]


def status_of(target: Target, results: Sequence[StepResult]) -> StepStatus:
    """How the whole of `target` ended: the worst of its steps."""
    found = {result.status for result in _steps_of(target, results)}
    order = (StepStatus.FAILED, StepStatus.CANCELLED, StepStatus.SKIPPED)
    return next((status for status in order if status in found), StepStatus.DONE)


def _seconds(target: Target, results: Sequence[StepResult]) -> float:
    """Steps of a kind run side by side: the longest counts."""
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
    """Warnings of targets that are done and of which nobody gets anything; empty where there are none."""
    users = (*graph.targets, *linked_targets(*graph.targets))
    wanted = {each for user in users for each in (*user.needs, *user.every_link)}
    undone = {getattr(each.step, "target", None) for each in finished.results if each.status is not StepStatus.DONE}
    useless = [each for each in graph.targets if not (each.push or each.load or each.has_other_results)]
    useless = [each for each in useless if each not in wanted | undone]
    tagged, untagged = ([each for each in useless if bool(each.tags) is told] for told in (True, False))
    stays = "what was built stays in the build cache"
    found = [(tagged, f"{stays} (--load puts it into the engine, --push into the registry)")]
    found += [(untagged, f"without tags nothing is pushed, and {stays} (give it tags or an output)")]
    return "".join(f"warning: no output for {_named(targets)}: {why}\n" for targets, why in found if targets)


def _named(targets: Sequence[Target]) -> str:
    """The first of them by name, and how many more there are."""
    return abbreviated([each.name for each in targets], most=_MOST_NAMES)


def errors_text(finished: RunFinished) -> str:
    """What was not started and why, what may have moved, then every error; empty when all went well."""
    found = []
    for result in finished.results:
        if result.status is StepStatus.SKIPPED and is_worth_reporting(result):
            found += ["", lines.finish_line(result)]
        unsure = unsure_tags_text(result)
        found += ["", unsure] if unsure else []
    for result in finished.results:
        if result.error is not None:
            found += ["", f"error: {lines.step_label(result.step)}: {result.error}"]
    return "\n".join([*found, ""]) if found else ""


def unsure_tags_text(result: StepResult) -> str:
    """What became of the tags of a step that was cancelled while it moved them; empty where none may have moved."""
    moves = result.outcome.moves
    if result.status is not StepStatus.CANCELLED or not (moves.moved or moves.unsure):
        return ""
    return f"{lines.finish_line(result)}; {moves}"
