"""`mpbake export`: print resolved targets for another tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.redaction import MASK
from mpbake.base.text import one_line
from mpbake.cli.loading import load_plan
from mpbake.cli.selection import named_targets
from mpbake.report.formats import EXPORT_FORMATS

if TYPE_CHECKING:
    from mpbake.cli.options import ExportOptions
    from mpbake.cli.world import World


def main(options: ExportOptions, world: World) -> int:
    """Print the named targets, or all targets, and warn about settings that the other tool cannot express."""
    _, plan = load_plan(options.source, world, options.overrides, relative=True)
    targets, platforms = named_targets(plan, options.names or tuple(plan.targets), options.overrides)
    export = EXPORT_FORMATS[options.format].load()
    exported = export(plan, targets, platforms)
    world.stderr.writelines(f"warning: {one_line(loss)}\n" for loss in exported.losses)
    if world.redactor.redact(exported.text) != exported.text:
        world.stderr.write(f"warning: sensitive values are printed as {MASK}: the output cannot build with them\n")
    world.stdout.write(exported.text)
    return 0
