"""`mpbake plan`: what a run would do, for review. Touches neither Docker nor the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.commands.load import graph_of, load, selected
from mpbake.render import plan_text
from mpbake.render_json import plan_json

if TYPE_CHECKING:
    from mpbake.options import Options, World


def main(options: Options, world: World) -> int:
    """Print the plan of `options.names`."""
    document, plan = load(options, world)
    graph, warnings = graph_of(document, selected(plan, options), {})
    printed = plan_json if options.format == "json" else plan_text
    world.stdout.write(printed(graph, warnings))
    return 0
