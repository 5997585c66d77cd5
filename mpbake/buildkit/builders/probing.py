"""Queries nodes for facts before anything is created or started, for `mpbake plan --probe`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.buildkit.builders.inventory import node_rows, unusable_row
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.nodes.engines.engine import Engines
from mpbake.graph.emulators import wanted_platforms
from mpbake.review.probe import NodeProbe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.model.plan import Builder, Target


def probe_nodes(services: NodeServices, targets: Sequence[Target], plan: Path) -> NodeProbe:
    """Return what the nodes of `targets` report, and what must be created or corrected before a run can use them.

    For a node that does not run or does not answer, the facts hold only the driver. `plan` is the file that declares
    the nodes.
    """
    builders = dict.fromkeys(target.builder for target in targets)
    probes = [_probe_builder(services, builder, targets, plan) for builder in builders]
    return NodeProbe(
        rows=tuple(row for probe in probes for row in probe.rows),
        changes=tuple(change for probe in probes for change in probe.changes),
        unclear=tuple(part for probe in probes for part in probe.unclear),
    )


def _probe_builder(services: NodeServices, builder: Builder, targets: Sequence[Target], plan: Path) -> NodeProbe:
    try:
        settled = with_settled_driver(services, builder, targets)
    except Unreachable as error:  # the driver of the default builder depends on the engine
        return NodeProbe(rows=tuple(unusable_row(node, str(error), silent=True) for node in builder.nodes))
    platforms = wanted_platforms(settled, targets) if settled.emulators else ()
    state = survey_builder(services, settled, plan, platforms)
    return NodeProbe(
        rows=tuple(node_rows(services, state)),
        changes=tuple((builder.name, change) for change in state.changes),
        unclear=tuple((builder.name, part) for part in state.unclear),
    )


def with_settled_driver(services: NodeServices, builder: Builder, targets: Sequence[Target]) -> Builder:
    """Return `builder` with the driver that a run would use, if the driver depends on the engine.

    Raises Unreachable.
    """
    if not builder.driver.rules.is_automatic:
        return builder
    own = [target for target in targets if target.builder is builder]
    driver = services.instances.default_driver(own, Engines(services.docker).facts())
    return replace(builder, driver=driver, nodes=tuple(replace(node, driver=driver) for node in builder.nodes))
