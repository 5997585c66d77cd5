"""`mpbake list`: print the groups, targets and variables of a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.cli.loading import load_plan
from mpbake.report.plan.list_text import list_text

if TYPE_CHECKING:
    from mpbake.cli.options import ListOptions
    from mpbake.cli.world import World


def main(options: ListOptions, world: World) -> int:
    """Print groups, targets and variables."""
    _, plan = load_plan(options.source, world)
    world.stdout.write(list_text(plan))
    return 0
