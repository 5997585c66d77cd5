"""The file of `--metadata-file`: the results of a run in the format of bake's metadata file, with further fields."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.files import is_descriptor, write_named
from mpbake.base.text import one_line, printable
from mpbake.model.steps import StepStatus
from mpbake.report.progress.event_lines import finish_line
from mpbake.report.progress.summary import unsure_tags_text
from mpbake.report.progress.target_results import is_worth_reporting, results_by_target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mpbake.base.errors import MpbakeError
    from mpbake.base.platforms import Platform
    from mpbake.graph.dag import BuildGraph
    from mpbake.model.plan import Target
    from mpbake.model.steps import Step, StepResult
    from mpbake.report.progress.target_results import TargetResults
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
    causes: dict[Step | None, MpbakeError] = {result.step: result.error for result in finished.results if result.error}
    by_target = results_by_target(graph.targets, finished.results)
    return {
        target.name: _target(target, results, [redact(printable(error)) for error in _errors(results, causes)])
        for target, results in by_target.items()
    }


def _errors(results: TargetResults, causes: Mapping[Step | None, MpbakeError]) -> Iterator[str]:
    """Yield the errors of a target, the tags that may have moved, and the reasons why steps were not started.

    `causes` holds the errors of all steps.
    """
    for result in results.results:
        if result.error is not None:
            yield result.error.message
        elif unsure := unsure_tags_text(result):
            yield unsure
        elif result.status is StepStatus.SKIPPED and is_worth_reporting(result):
            cause = f": {causes[result.blocked_by].message}" if result.blocked_by in causes else ""
            yield f"{finish_line(result)}{cause}"


def _target(target: Target, results: TargetResults, errors: Sequence[str]) -> dict[str, Any]:
    fields = _buildx_metadata(target, results.pieces[0][1]) if len(results.pieces) == 1 else {}
    digest = _digest_of(results)
    moves = [result.outcome.moves.of(target.tags) for result in results.publishes]
    tags = [tag for result in results.publishes for tag in result.outcome.tags]
    tags += [tag for move in moves for tag in move.moved]
    fields |= {_DIGEST: digest} if digest else {}
    if results.status is not StepStatus.DONE:
        fields.pop(_NAME, None)  # buildx names every built image, even if the tag was never published
    fields |= {_NAME: ",".join(tags)} if tags else {}
    return fields | {
        _MPBAKE: {
            "status": results.status,
            "tags": tags,
            "may-have-moved": [tag for move in moves for tag in move.unsure],
            "platforms": _platforms(results),
            "errors": errors,
        }
    }


def _digest_of(results: TargetResults) -> str:
    """Return the digest of the whole target; empty if no step has one.

    If the target has a single piece, the piece has this digest.
    """
    pieces = [result for _, result in results.pieces] if len(results.pieces) == 1 else []
    whole = [*reversed(results.verifies), *reversed(results.publishes), *pieces]
    digests = (result.outcome.digest for result in whole if result.status is StepStatus.DONE)
    return next(filter(None, digests), "")


def _platforms(results: TargetResults) -> dict[str, dict[str, Any]]:
    """Return for each platform the node, the seconds, whether the image was pushed, and the digest in the registry."""
    digests: dict[Platform, str] = {}
    for result in results.results:
        digests |= result.outcome.images
    return {
        str(platform): {
            "status": result.status,
            "node": piece.node.id,
            "seconds": round(result.seconds, 3),
            "pushed": result.outcome.uploaded,
            _DIGEST: digests.get(platform, ""),
            "buildx.build.ref": _buildx_metadata(piece.target, result).get("buildx.build.ref", ""),
        }
        for piece, result in results.pieces
        for platform in result.outcome.platforms or [placed.platform for placed in piece.platforms]
    }


def _buildx_metadata(target: Target, piece: StepResult) -> dict[str, Any]:
    """Return the metadata of a build piece from buildx, redacted."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if piece.outcome.log:
            return dict(json.loads(Path(piece.outcome.log).with_suffix(".json").read_bytes())[target.name])
    return {}
