"""The rules by which build pieces share a bake call. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.errors import BatchFailed
from mpbake.graph.links import linked_targets
from mpbake.model.steps import BuildPiece
from mpbake.spec.tables.attributes import Role
from mpbake.spec.tables.target_tables import attributes_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mpbake.base.errors import MpbakeError
    from mpbake.model.steps import Outcome, Step

_DELIVERY = attributes_for(Role.RESULT, Role.DESTINATION)
"""Attributes about the delivery of a result, which do not affect targets that link to the result."""


def check_links(piece: BuildPiece, results: Mapping[Step, Outcome | MpbakeError]) -> None:
    """Raise BatchFailed if `piece` links to a build piece that has an error before any build.

    `results` holds such errors.
    """
    refused = {step.target for step in results if isinstance(step, BuildPiece)}
    name = next((link.name for link in linked_targets(piece.target) if link in refused), "")
    if name:
        raise BatchFailed(f"it links to {name}, which cannot be built", alone=True)


def check_same_links(own: Mapping[str, Any], others: Mapping[str, Any], built: Collection[str]) -> None:
    """Raise BatchFailed if two build pieces need different definitions of the same linked target.

    `built` names the targets that the call itself builds. For these targets, delivery attributes may differ.
    """
    for name in own.keys() & others.keys():
        ignored = _DELIVERY if name in built else ()
        one, other = (
            {key: definition[key] for key in definition if key not in ignored}
            for definition in (own[name], others[name])
        )
        if one != other:
            raise BatchFailed(f"it links to {name}, whose definition differs from that of the batch", alone=True)
