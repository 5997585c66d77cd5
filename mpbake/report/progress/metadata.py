"""The file of `--metadata-file`: the results of a run in the format of bake's metadata file, with further fields."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.files import is_descriptor, write_named
from mpbake.base.text import one_line, printable
from mpbake.model.steps import BuildPiece, Publish, StepStatus, Verify
from mpbake.report.progress.event_lines import finish_line
from mpbake.report.progress.summary import is_own_step, is_worth_reporting, status_of, step_target, unsure_tags_text

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
_MPBAKE = "mpbake"


def metadata_file(folder: Path, option: str) -> Path | None:
    """Return the path of `--metadata-file`, relative to `folder`; None without the option.

    Raises UsageError for a path that mpbake does not write to.
    """
    if not option:
        return None
    path, shown = folder / option, one_line(option)
    if path.is_dir() or not path.parent.is_dir():
        hint = "name a file in a folder that exists"
        raise UsageError(f"--metadata-file {shown}: is a folder, or its folder does not exist", hint=hint)
    if path.is_symlink() and not is_descriptor(path):
        hint = "name the file itself, or remove the symlink: it may have come with a checkout"
        raise UsageError(f"--metadata-file {shown}: mpbake does not write through a symlink", hint=hint)
    return path


def write_metadata(path: Path, graph: BuildGraph, finished: RunFinished, redact: Callable[[str], str]) -> None:
    """Write the results of all targets, as a whole file or not at all. Raises OSError."""
    write_named(path, json.dumps(metadata_of(graph, finished, redact), indent=2) + "\n")


def metadata_of(graph: BuildGraph, finished: RunFinished, redact: Callable[[str], str]) -> dict[str, Any]:
    """Return the metadata of each target: bake's fields, and under `mpbake` the results by target and by platform."""
    by_target: dict[Target, list[StepResult]] = {target: [] for target in graph.targets}
    for result in finished.results:
        target = step_target(result.step)
        if target is not None and target in by_target and is_own_step(result.step):
            by_target[target].append(result)
    causes: dict[Step | None, MpbakeError] = {result.step: result.error for result in finished.results if result.error}
    return {
        target.name: _target(target, results, [redact(printable(error)) for error in _errors(results, causes)])
        for target, results in by_target.items()
    }


def _errors(results: Iterable[StepResult], causes: Mapping[Step | None, MpbakeError]) -> Iterator[str]:
    """Yield the errors of a target, the tags that may have moved, and the reasons why steps were not started.

    `causes` holds the errors of all steps.
    """
    for result in results:
        if result.error is not None:
            yield result.error.message
        elif unsure := unsure_tags_text(result):
            yield unsure
        elif result.status is StepStatus.SKIPPED and is_worth_reporting(result):
            cause = f": {causes[result.blocked_by].message}" if result.blocked_by in causes else ""
            yield f"{finish_line(result)}{cause}"


def _target(target: Target, results: Sequence[StepResult], errors: Sequence[str]) -> dict[str, Any]:
    pieces = [result for result in results if isinstance(result.step, BuildPiece)]
    status = status_of(target, results)
    fields = _buildx_metadata(target, pieces[0]) if len(pieces) == 1 else {}
    digest = next((result.outcome.digest for result in reversed(results) if _is_whole(result, pieces)), "")
    published = [result for result in results if isinstance(result.step, Publish)]
    moves = [result.outcome.moves.of(target.tags) for result in published]
    tags = [tag for result in published for tag in result.outcome.tags]
    tags += [tag for move in moves for tag in move.moved]
    fields |= {_DIGEST: digest} if digest else {}
    if status is not StepStatus.DONE:
        fields.pop(_NAME, None)  # buildx names every built image, even if the tag was never published
    fields |= {_NAME: ",".join(tags)} if tags else {}
    return fields | {
        _MPBAKE: {
            "status": status,
            "tags": tags,
            "may-have-moved": [tag for move in moves for tag in move.unsure],
            "platforms": _platforms(pieces, results),
            "errors": errors,
        }
    }


def _is_whole(result: StepResult, pieces: Sequence[StepResult]) -> bool:
    """Return whether the digest in a step's result is the digest of the whole target."""
    covers_target = isinstance(result.step, Publish | Verify) or (len(pieces) == 1 and result in pieces)
    return covers_target and result.status is StepStatus.DONE and bool(result.outcome.digest)


def _platforms(pieces: Iterable[StepResult], results: Iterable[StepResult]) -> dict[str, dict[str, Any]]:
    """Return for each platform the node, the seconds, whether the image was pushed, and the digest in the registry."""
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
            "buildx.build.ref": _buildx_metadata(piece.step.target, piece).get("buildx.build.ref", ""),
        }
        for piece in pieces
        if isinstance(piece.step, BuildPiece)
        for platform in piece.outcome.platforms or [placed.platform for placed in piece.step.platforms]
    }


def _buildx_metadata(target: Target, piece: StepResult) -> dict[str, Any]:
    """Return the metadata of a build piece from buildx, redacted."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if piece.outcome.log:
            return dict(json.loads(Path(piece.outcome.log).with_suffix(".json").read_bytes())[target.name])
    return {}
