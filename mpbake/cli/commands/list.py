"""`mpbake list`: what can be built, and with which variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.cli.loading import load_plan
from mpbake.report.plan_text import list_text

if TYPE_CHECKING:
    from mpbake.cli.options import Options, World


def main(options: Options, world: World) -> int:
    """Print groups, targets and variables."""
    _, plan = load_plan(options, world)
    world.stdout.write(list_text(plan))
    return 0
