"""Queries nodes and registries before anything is created or started, for `plan --probe` and the check of an id."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from mpbake.run.signals import stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.cli.world import World
    from mpbake.graph.dag import Selection
    from mpbake.model.plan import Plan
    from mpbake.review.probe import NodeProbe, ServedTag
    from mpbake.run.executor import StopRequest


def probe_selection(plan: Plan, selection: Selection, world: World, stop: StopRequest) -> NodeProbe:
    """Query the nodes of the selected targets; start none. The paths of certificates must be absolute."""
    from mpbake.buildkit.builders.probing import probe_nodes  # noqa: PLC0415 - slow to import, used by probes only

    with _services(world, stop) as services:
        return probe_nodes(services, selection.targets, plan.file)


def probe_tags(selection: Selection, world: World, stop: StopRequest) -> tuple[ServedTag, ...]:
    """Ask the registries where the tags of the selected targets point now."""
    if not any(target.push for target in selection.targets):
        return ()
    from mpbake.buildkit.registry.registries import Registries  # noqa: PLC0415 - slow to import, used by probes only
    from mpbake.buildkit.registry.served_tags import served_tags  # noqa: PLC0415

    with _services(world, stop) as services:
        registries = Registries(services.docker, world.environment, world.redactor.redact)
        try:
            return served_tags(registries, selection.targets)
        finally:
            registries.close()


@contextmanager
def _services(world: World, stop: StopRequest) -> Iterator[NodeServices]:
    from mpbake.buildkit.nodes.services import open_services  # noqa: PLC0415 - slow to import, used by probes only

    with (
        stopped_by_signals(stop),
        open_services(world.environment, world.redactor.redact, world.now, stop.then) as services,
    ):
        yield services
