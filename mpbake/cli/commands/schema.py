"""`mpbake schema`: describe plan files, for editors and for people. Reads no plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.report.formats import SCHEMA_FORMATS

if TYPE_CHECKING:
    from mpbake.cli.options import SchemaOptions
    from mpbake.cli.world import World


def main(options: SchemaOptions, world: World) -> int:
    """Print the JSON Schema, or one of the pages in Markdown."""
    describe = SCHEMA_FORMATS[options.format].load()
    world.stdout.write(describe())
    return 0
