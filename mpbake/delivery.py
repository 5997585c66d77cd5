"""What is done with the image of a piece, and under which names: with its tags at once, or without one. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mpbake.entries import is_attested
from mpbake.plan import Driver
from mpbake.references import parse_fields, parse_reference
from mpbake.steps import Delivery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpbake.plan import Target
    from mpbake.platforms import Platform
    from mpbake.steps import BuildPiece

_ENGINES = (Driver.DOCKER, Driver.AUTOMATIC)
_UPLOAD = "mpbake-upload"


def delivery(piece: BuildPiece) -> Delivery:
    """What a piece does with its image."""
    target = piece.target
    if not target.push:
        return Delivery.KEEP
    in_the_way = piece.of > 1 or len(repositories(target)) > 1 or bool(target.checks)
    if not in_the_way and _is_index(target, [each.platform for each in piece.platforms]):
        # The engine pushes the parts of an index under the index' own tag, one after another. And a node that is cut
        # off goes on building: it would give the tags when another one has given them.
        in_the_way = target.builder.driver in _ENGINES or _may_be_repeated(piece)
    return Delivery.UNTAGGED if in_the_way else Delivery.TAGS


def _may_be_repeated(piece: BuildPiece) -> bool:
    """Whether a piece whose node is lost is built again within the run."""
    is_final = len(piece.nodes) == 1 and not piece.spare and not piece.target.retries
    return not is_final and not all(node.required for node in piece.nodes)


def _is_index(target: Target, platforms: Sequence[Platform]) -> bool:
    """Whether the image is one of several platforms, or of one and what is attested of it."""
    return len(platforms) > 1 or is_attested(target.on(platforms).attributes.get("attest", ()))


def may_upload(target: Target) -> list[str]:
    """The tags for an upload, where an index of `target` leaves an engine's own store, or may."""
    return uploads(target) if target.builder.driver in _ENGINES and _is_index(target, target.platforms) else []


def uploads(target: Target) -> list[str]:
    """Tags under which an engine pushes an index that is then tagged by digest: it cannot push without a tag.

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
