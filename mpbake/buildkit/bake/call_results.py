"""The results of a successful bake call, from the metadata file of buildx."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import system_error
from mpbake.base.references import parse_reference
from mpbake.model.steps import Delivery, Outcome
from mpbake.run.events import Warned

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mpbake.buildkit.bake.bake_call import BakeCall
    from mpbake.buildkit.bake.definition import DefinitionContext
    from mpbake.buildkit.bake.images.loaded_platforms import LoadDecision
    from mpbake.model.steps import BuildPiece
    from mpbake.run.events import Reporter


def keep_metadata(metadata: Path, path: Path, redact: Callable[[str], str], reporter: Reporter) -> None:
    """Copy the metadata file to `path`, redacted: the file repeats much of the definition.

    If the copy cannot be written, a warning is reported, since the build has succeeded.
    """
    try:
        text = metadata.read_text(encoding="utf-8", errors="replace")
        path.write_text(redact(text), encoding="utf-8")
    except FileNotFoundError:
        pass
    except OSError as failure:
        reporter.handle(Warned(message=system_error(failure, str(path)).message))


def read_metadata(path: Path) -> Any:
    """Return the contents of buildx's metadata file by target; an empty mapping if the file cannot be read."""
    with contextlib.suppress(OSError, ValueError):
        return json.loads(path.read_bytes())
    return {}


def build_outcome(
    piece: BuildPiece, load: LoadDecision, context: DefinitionContext, call: BakeCall, metadata: Any
) -> Outcome:
    """Return the outcome of a successful build piece. `metadata` is the metadata of the call."""
    image, digest = _image_and_digest(metadata, piece.target.name)
    is_pushed = piece.delivery is Delivery.UNTAGGED and not context.classic
    return Outcome(
        digest=digest,
        image_id=image,
        uploaded=parse_reference(piece.target.tags[0]).at(digest) if is_pushed and digest else "",
        node=piece.node.id,
        platforms=tuple(placed.platform for placed in piece.platforms) or call.ready_node.facts.platforms[:1],
        log=str(call.log),
        warnings=(load.warning,) if load.warning else (),
    )


def _image_and_digest(metadata: Any, target: str) -> tuple[str, str]:
    """Return the name by which an engine finds a built image, and the image's digest.

    The classic image store knows only the ID of an image, which is not a digest. If an engine pushes, buildx replaces
    `containerimage.digest` by the current digest of the upload's tag, which another run may have pushed.
    """
    image = ""
    with contextlib.suppress(LookupError, TypeError, AttributeError):
        result = metadata[target]
        image = str(result["containerimage.digest"])
        digest = str(result["containerimage.descriptor"]["digest"])
        return digest, digest
    return image, ""
