"""Whether the image of a build piece is pushed, and under which names. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mpbake.base.references import parse_fields, parse_reference
from mpbake.model.steps import Delivery

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.model.plan import Target
    from mpbake.model.steps import BuildPiece

_UPLOAD_TAG = "mpbake-upload"


def delivery_of(piece: BuildPiece) -> Delivery:
    """Return how `piece` delivers its image. Builds never move tags that users pull."""
    return Delivery.UNTAGGED if piece.target.push else Delivery.KEEP


def possible_upload_tags(target: Target) -> list[str]:
    """Return patterns of the upload tags of `target` if its builder has, or may get, the `docker` driver.

    The list is empty for other drivers. A plan is the same text in every checkout, but each checkout has its own upload
    tags.
    """
    if not target.builder.driver.rules.may_be_engine:
        return []
    return [f"{repository}:{_UPLOAD_TAG}-*" for repository in repositories(target)]


def upload_tags(target: Target, root: Path) -> list[str]:
    """Return the temporary tags for a push with the `docker` driver, which cannot push without a tag.

    mpbake moves the real tags later. `root` is the folder of the plan. Each target of each folder has its own upload
    tags: several targets may be pushed to one repository at once, and an engine may build two checkouts of one project.
    """
    own = hashlib.sha256(f"{root}\0{target.name}".encode()).hexdigest()[:12]
    return [f"{repository}:{_UPLOAD_TAG}-{own}" for repository in repositories(target)]


def repositories(target: Target) -> list[str]:
    """Return the repositories of the tags of `target`, each once, in the order of the tags."""
    return list(dict.fromkeys(parse_reference(tag).repository for tag in target.tags))


def archives(target: Target) -> tuple[str, ...]:
    """Return the outputs of `target` that are OCI layouts. The layouts of several pieces are joined."""
    return tuple(dict.fromkeys(output for output in target.outputs if parse_fields(output).get("type") == "oci"))
