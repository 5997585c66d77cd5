"""`mpbake schema`: what a plan may hold, for editors and for people. Reads no plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.spec.explanations import diagnostics_page
from mpbake.spec.reference import reference_text
from mpbake.spec.schema import schema_text

if TYPE_CHECKING:
    from mpbake.cli.options import Options, World


def main(options: Options, world: World) -> int:
    """Print the JSON Schema, or one of the pages in Markdown."""
    printed = {"json": schema_text, "markdown": reference_text, "diagnostics": diagnostics_page}
    world.stdout.write(printed[options.format]())
    return 0
