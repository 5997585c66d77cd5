"""`mpbake schema`: what a plan may hold, for editors and for people. Reads no plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.reference import reference_text
from mpbake.schema import schema_text

if TYPE_CHECKING:
    from mpbake.options import Options, World


def main(options: Options, world: World) -> int:
    """Print the JSON Schema, or the reference in Markdown."""
    world.stdout.write(reference_text() if options.format == "markdown" else schema_text())
    return 0
