"""The command `mpbake plan`: print the steps of a run, for review.

Without `--probe`, the command contacts neither Docker nor the network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.cli.loading import load_plan
from mpbake.cli.reviewing import review_selection
from mpbake.cli.selection import select_for
from mpbake.graph.explain import explain_placement
from mpbake.report.formats import PLAN_FORMATS
from mpbake.resolve import select_targets
from mpbake.run.signals import stoppable, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    plan_files, plan = load_plan(options.source, world, options.overrides, relative=True, quiet=options.quiet)
    names = (options.explain,) if options.explain else options.names
    selection = select_for(plan, names, options.overrides)
    facts, unanswered = _probe(options, names, world, stop) if options.probe else ({}, ())
    if options.explain:
        world.stdout.write(_explanations(select_targets(plan, names), selection, facts))
        world.stderr.writelines(f"warning: {warning}\n" for warning in unanswered)
        return 0
    review = review_selection(plan_files, selection, facts, world)
    if options.probe:
        review = replace(review, document=review.document | {"probe": {"warnings": list(unanswered)}})
    world.stdout.write(PLAN_FORMATS[options.format].load()(review))
    return 0


def _explanations(targets: Sequence[Target], selection: Selection, facts: Facts) -> str:
    """Return the node of each platform of `targets`, with the reason for the choice."""
    return "\n".join(explain_placement(target, facts, selection.only.get(target, ())) for target in targets)


def _probe(
    options: PlanOptions, names: Sequence[str], world: World, stop: StopRequest
) -> tuple[Facts, tuple[str, ...]]:
    """Query the nodes of the named targets. Return facts by node ID, and a warning for each node without an answer.

    The paths of certificates are absolute here, so the plan is resolved a second time.
    """
    from mpbake.buildkit.builders.probing import probe_nodes  # noqa: PLC0415 - slow to import, used by --probe only
    from mpbake.buildkit.nodes.services import open_services  # noqa: PLC0415

    _, plan = load_plan(options.source, world, options.overrides, quiet=True)
    targets = select_for(plan, names, options.overrides).targets
    with (
        stopped_by_signals(stop),
        open_services(world.environment, world.redactor.redact, world.now, stop.then) as services,
    ):
        return probe_nodes(services, targets, plan.file)
