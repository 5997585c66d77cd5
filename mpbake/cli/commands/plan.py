"""The command `mpbake plan`: print the steps of a run, for review.

Without `--probe`, the command contacts neither Docker nor the network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.cli.loading import load_plan
from mpbake.cli.selection import make_graph, place_targets, preflight_input, select_for
from mpbake.graph.explain import explain_placement
from mpbake.graph.preflight.checks import Stage, preflight_warnings
from mpbake.report.formats import PLAN_FORMATS
from mpbake.resolve import select_targets
from mpbake.run.signals import stoppable, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.cli.options import PlanOptions
    from mpbake.cli.world import World
    from mpbake.graph.dag import Selection
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Target
    from mpbake.run.executor import StopRequest

    Facts = dict[str, NodeFacts]
    """The facts that nodes reported, by node ID."""


def main(options: PlanOptions, world: World) -> int:
    """Print the plan of the named targets; with `--explain`, print the reasons for the placement of one target."""
    return stoppable(lambda stop: _print(options, world, stop))


def _print(options: PlanOptions, world: World, stop: StopRequest) -> int:
    plan_files, plan = load_plan(options.source, world, options.overrides, quiet=options.quiet)
    names = (options.explain,) if options.explain else options.names
    selection = select_for(plan, names, options.overrides)
    facts, unanswered = _probe(selection.targets, plan.file, world, stop) if options.probe else ({}, ())
    if options.explain:
        world.stdout.write(_explanations(select_targets(plan, names), selection, facts))
        world.stderr.writelines(f"warning: {warning}\n" for warning in unanswered)
        return 0
    placements = place_targets(selection, facts)
    warnings = preflight_warnings(preflight_input(plan_files, selection, placements.values(), world), Stage.PLAN)
    graph = make_graph(selection, placements)
    print_plan = PLAN_FORMATS[options.format].load()
    every_warning = dict.fromkeys((*selection.warnings, *warnings))
    world.stdout.write(print_plan(graph, (*every_warning, *unanswered)))
    return 0


def _explanations(targets: Sequence[Target], selection: Selection, facts: Facts) -> str:
    """Return the node of each platform of `targets`, with the reason for the choice."""
    return "\n".join(explain_placement(target, facts, selection.only.get(target, ())) for target in targets)


def _probe(targets: Sequence[Target], plan: Path, world: World, stop: StopRequest) -> tuple[Facts, tuple[str, ...]]:
    """Query the nodes of `targets`. Return facts by node ID, and a warning for each node that does not answer."""
    from mpbake.buildkit.builders.probing import probe_nodes  # noqa: PLC0415 - slow to import, used by --probe only
    from mpbake.buildkit.nodes.services import open_services  # noqa: PLC0415

    with (
        stopped_by_signals(stop),
        open_services(world.environment, world.redactor.redact, world.now, stop.then) as services,
    ):
        return probe_nodes(services, targets, plan)
