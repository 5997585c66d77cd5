"""`mpbake export`: resolved targets for another tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.redaction import MASK
from mpbake.base.text import one_line
from mpbake.cli.loading import check_platforms, chosen_platforms, load_plan
from mpbake.report.bake_definition import bake_text, export_losses
from mpbake.resolve import select_targets

if TYPE_CHECKING:
    from mpbake.cli.options import Options, World


def main(options: Options, world: World) -> int:
    """Print a bake file of the targets that `options.names` mean, or of all; what is lost is told on standard error."""
    _, plan = load_plan(options, world, relative=True)
    targets = select_targets(plan, options.names) if options.names else tuple(plan.targets.values())
    check_platforms(targets, options)
    for loss in export_losses(targets):
        world.stderr.write(f"warning: {one_line(loss)}\n")
    text = bake_text(plan, targets, chosen_platforms(options))
    if world.redactor.redact(text) != text:
        world.stderr.write(f"warning: sensitive values are written as {MASK}: what is printed cannot build with them\n")
    world.stdout.write(text)
    return 0
