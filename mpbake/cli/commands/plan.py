"""`mpbake plan`: what a run would do, for review. Touches neither Docker nor the network unless it is to ask nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.cli.loading import check_tags, load_plan, place_targets, run_graph, select_for
from mpbake.graph.explain import explain_placement
from mpbake.report.plan_json import plan_json
from mpbake.report.plan_text import plan_text
from mpbake.resolve import select_targets
from mpbake.run.signals import stoppable, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.cli.options import Options, World
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Target
    from mpbake.run.executor import StopRequest


def main(options: Options, world: World) -> int:
    """Print the plan of `options.names`, or why one target is built where it is."""
    return stoppable(lambda stop: _print(options, world, stop))


def _print(options: Options, world: World, stop: StopRequest) -> int:
    document, plan = load_plan(options, world)
    chosen = select_for(plan, replace(options, names=(options.explain,)) if options.explain else options)
    facts, silent = _probed(chosen.targets, plan.file, world, stop) if options.probe else ({}, ())
    if options.explain:
        texts = (
            explain_placement(target, facts, chosen.only.get(target, ()))
            for target in select_targets(plan, (options.explain,))
        )
        world.stdout.write("\n".join(texts))
        world.stderr.writelines(f"warning: {each}\n" for each in silent)
        return 0
    check_tags(document, chosen)
    graph, warnings = run_graph(document, chosen, place_targets(chosen, facts))
    printed = plan_json if options.format == "json" else plan_text
    world.stdout.write(printed(graph, (*warnings, *silent)))
    return 0


def _probed(
    targets: Sequence[Target], plan: Path, world: World, stop: StopRequest
) -> tuple[dict[str, NodeFacts], tuple[str, ...]]:
    """What the nodes of `targets` say of themselves, and a word on each that says nothing."""
    from mpbake.buildkit.builders.probing import probe_nodes  # noqa: PLC0415 - Docker's part is slow, and most plans are printed without
    from mpbake.buildkit.nodes.tools import open_services  # noqa: PLC0415

    with (
        stopped_by_signals(stop),
        open_services(world.environment, world.redactor.redact, world.now, stop.then) as tools,
    ):
        return probe_nodes(tools, targets, plan)
