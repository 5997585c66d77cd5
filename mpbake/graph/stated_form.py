"""Options of a plan that set the form of images. Older BuildKit releases ignore these options. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.references import parse_fields

if TYPE_CHECKING:
    from mpbake.model.plan import Target

OUTPUT_OPTIONS = ("oci-mediatypes", "oci-artifact")
"""The options of an output that decide on the form of its images."""


def states_form(target: Target) -> bool:
    """Whether the plan itself sets an option for the form of a target's images."""
    attestations = map(parse_fields, target.attributes.get("attest", ()))
    outputs = (target.push_options, *map(parse_fields, target.outputs))
    return any("version" in fields for fields in attestations) or any(
        option in fields for fields in outputs for option in OUTPUT_OPTIONS
    )
