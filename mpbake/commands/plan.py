"""`mpbake plan`: what a run would do, for review. Touches neither Docker nor the network."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.commands.load import graph_of, load, selected
from mpbake.explain import explained
from mpbake.render import plan_text
from mpbake.render_json import plan_json
from mpbake.resolve import select

if TYPE_CHECKING:
    from mpbake.options import Options, World


def main(options: Options, world: World) -> int:
    """Print the plan of `options.names`, or why one target is built where it is."""
    document, plan = load(options, world)
    if options.explain:
        chosen = selected(plan, replace(options, names=(options.explain,)))
        texts = (explained(target, {}, chosen.only.get(target, ())) for target in select(plan, (options.explain,)))
        world.stdout.write("\n".join(texts))
        return 0
    graph, warnings = graph_of(document, selected(plan, options), {})
    printed = plan_json if options.format == "json" else plan_text
    world.stdout.write(printed(graph, warnings))
    return 0
