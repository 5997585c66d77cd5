"""Queries the nodes of a run before anything is created or started, for `plan --probe` and for the check of an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.run.signals import stopped_by_signals

if TYPE_CHECKING:
    from mpbake.cli.world import World
    from mpbake.graph.dag import Selection
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.model.plan import Plan
    from mpbake.run.executor import StopRequest


def probe_selection(
    plan: Plan, selection: Selection, world: World, stop: StopRequest
) -> tuple[dict[str, NodeFacts], tuple[str, ...]]:
    """Query the nodes of the selected targets; start none.

    Return facts by node ID, and a warning for each node without an answer. The paths of certificates must be absolute.
    """
    from mpbake.buildkit.builders.probing import probe_nodes  # noqa: PLC0415 - slow to import, used by probes only
    from mpbake.buildkit.nodes.services import open_services  # noqa: PLC0415

    with (
        stopped_by_signals(stop),
        open_services(world.environment, world.redactor.redact, world.now, stop.then) as services,
    ):
        return probe_nodes(services, selection.targets, plan.file)
