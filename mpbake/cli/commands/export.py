"""`mpbake export`: resolved targets for another tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.redaction import MASK
from mpbake.base.text import one_line
from mpbake.cli.loading import check_platforms, chosen_platforms, load
from mpbake.report.bake_definition import bake_text, losses
from mpbake.resolve import select

if TYPE_CHECKING:
    from mpbake.cli.options import Options, World


def main(options: Options, world: World) -> int:
    """Print a bake file of the targets that `options.names` mean, or of all; what is lost is told on standard error."""
    _, plan = load(options, world, relative=True)
    targets = select(plan, options.names) if options.names else tuple(plan.targets.values())
    check_platforms(targets, options)
    for loss in losses(targets):
        world.stderr.write(f"warning: {one_line(loss)}\n")
    text = bake_text(plan, targets, chosen_platforms(options))
    if world.hiding.hide(text) != text:
        world.stderr.write(f"warning: sensitive values are written as {MASK}: what is printed cannot build with them\n")
    world.stdout.write(text)
    return 0
