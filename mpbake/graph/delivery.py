"""Whether the image of a piece is pushed, and under which names. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mpbake.base.references import parse_fields, parse_reference
from mpbake.model.steps import Delivery

if TYPE_CHECKING:
    from mpbake.model.plan import Target
    from mpbake.model.steps import BuildPiece

_UPLOAD = "mpbake-upload"


def delivery_of(piece: BuildPiece) -> Delivery:
    """What a piece does with its image: no build moves a tag that people use."""
    return Delivery.UNTAGGED if piece.target.push else Delivery.KEEP


def possible_upload_tags(target: Target) -> list[str]:
    """The tags for an upload, where an engine's own builder pushes `target`, or may."""
    return upload_tags(target) if target.builder.driver.rules.may_be_engine else []


def upload_tags(target: Target) -> list[str]:
    """Tags under which an engine's own builder pushes, since it cannot push without one; mpbake moves the real tags.

    Each target has its own, since several of one repository may be pushed at once.
    """
    own = hashlib.sha256(target.name.encode()).hexdigest()[:12]
    return [f"{each}:{_UPLOAD}-{own}" for each in repositories(target)]


def repositories(target: Target) -> list[str]:
    """The repositories that the tags of `target` name, each once, in their order."""
    return list(dict.fromkeys(parse_reference(tag).repository for tag in target.tags))


def archives(target: Target) -> tuple[str, ...]:
    """The outputs of `target` that are OCI layouts: those of several pieces are joined."""
    return tuple(dict.fromkeys(each for each in target.outputs if parse_fields(each).get("type") == "oci"))
