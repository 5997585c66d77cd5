"""`--metadata-file`: what came of a run, for programs, in the form of bake's own file and with more."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.files import is_descriptor, write_named
from mpbake.base.text import one_line, printable
from mpbake.model.steps import BuildPiece, Publish, StepStatus, Verify
from mpbake.report.event_lines import finish_line as finished_line
from mpbake.report.summary import is_own_step, is_worth_reporting, status_of, unsure_tags_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mpbake.base.errors import MpbakeError
    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Target
    from mpbake.model.steps import Step, StepResult
    from mpbake.run.events import RunFinished

_DIGEST = "containerimage.digest"
_NAME = "image.name"
_OWN = "mpbake"


def metadata_file(folder: Path, given: str) -> Path | None:
    """Return the path that `--metadata-file` names, if it was `given`, relative to `folder`.

    Raises UsageError where mpbake does not write.
    """
    if not given:
        return None
    path, shown = folder / given, one_line(given)
    if path.is_dir() or not path.parent.is_dir():
        raise UsageError(f"--metadata-file {shown}: no such folder, or a folder itself")
    if path.is_symlink() and not is_descriptor(path):
        hint = "name the file itself, or remove the symlink: it may have come with a checkout"
        raise UsageError(f"--metadata-file {shown}: mpbake does not write through a symlink", hint=hint)
    return path


def write_metadata(path: Path, graph: BuildGraph, finished: RunFinished, redact: Callable[[str], str]) -> None:
    """Write what came of every target; into a file, whole or not at all. Raises OSError."""
    write_named(path, json.dumps(metadata_of(graph, finished, redact), indent=2) + "\n")


def metadata_of(graph: BuildGraph, finished: RunFinished, redact: Callable[[str], str]) -> dict[str, Any]:
    """By target: what bake would tell of it, and under `mpbake` what became of it, in all and on each platform."""
    found: dict[Target, list[StepResult]] = {target: [] for target in graph.targets}
    for result in finished.results:
        target = getattr(result.step, "target", None)
        if target in found and is_own_step(result.step):
            found[target].append(result)
    causes: dict[Step | None, MpbakeError] = {each.step: each.error for each in finished.results if each.error}
    errors = {
        target: [redact(printable(each)) for each in _errors(results, causes)] for target, results in found.items()
    }
    return {target.name: _target(target, results, errors[target]) for target, results in found.items()}


def _errors(results: Iterable[StepResult], causes: Mapping[Step | None, MpbakeError]) -> Iterator[str]:
    """What went wrong with a target, which tags may have moved, and why parts of it were not started.

    `causes` are the errors of all steps.
    """
    for result in results:
        if result.error is not None:
            yield result.error.message
        elif unsure := unsure_tags_text(result):
            yield unsure
        elif result.status is StepStatus.SKIPPED and is_worth_reporting(result):
            because = f": {causes[result.blame].message}" if result.blame in causes else ""
            yield f"{finished_line(result)}{because}"


def _target(target: Target, results: Sequence[StepResult], errors: Sequence[str]) -> dict[str, Any]:
    pieces = [each for each in results if isinstance(each.step, BuildPiece)]
    status = status_of(target, results)
    told = _told_by_buildx(target, pieces[0]) if len(pieces) == 1 else {}
    digest = next((each.outcome.digest for each in reversed(results) if _is_whole(each, pieces)), "")
    published = [each for each in results if isinstance(each.step, Publish)]
    moves = [each.outcome.moves.of(target.tags) for each in published]
    tags = [tag for each in published for tag in each.outcome.tags] + [tag for each in moves for tag in each.moved]
    told |= {_DIGEST: digest} if digest else {}
    if status is not StepStatus.DONE:
        told.pop(_NAME, None)  # buildx names what it has built, whether or not a tag was given
    told |= {_NAME: ",".join(tags)} if tags else {}
    return told | {
        _OWN: {
            "status": status,
            "tags": tags,
            "may-have-moved": [tag for each in moves for tag in each.unsure],
            "platforms": _platforms(pieces, results),
            "errors": errors,
        }
    }


def _is_whole(result: StepResult, pieces: Sequence[StepResult]) -> bool:
    """Whether the digest of a step is that of the whole target."""
    of_all = isinstance(result.step, Publish | Verify) or (len(pieces) == 1 and result in pieces)
    return of_all and result.status is StepStatus.DONE and bool(result.outcome.digest)


def _platforms(pieces: Iterable[StepResult], results: Iterable[StepResult]) -> dict[str, dict[str, Any]]:
    """Where each platform was built, in how long, what was pushed, and the digest of its image, as it is served."""
    digests: dict[Platform, str] = {}
    for result in results:
        digests |= result.outcome.images
    return {
        str(platform): {
            "status": piece.status,
            "node": piece.step.node.id,
            "seconds": round(piece.seconds, 3),
            "pushed": piece.outcome.uploaded,
            _DIGEST: digests.get(platform, ""),
            "buildx.build.ref": _told_by_buildx(piece.step.target, piece).get("buildx.build.ref", ""),
        }
        for piece in pieces
        if isinstance(piece.step, BuildPiece)
        for platform in piece.outcome.platforms or [each.platform for each in piece.step.platforms]
    }


def _told_by_buildx(target: Target, piece: StepResult) -> dict[str, Any]:
    """What buildx wrote of a piece, without secrets."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if piece.outcome.log:
            found = json.loads(Path(piece.outcome.log).with_suffix(".json").read_bytes())[target.name]
            return dict(found)
    return {}
