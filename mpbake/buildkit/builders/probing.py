"""Queries nodes for facts before anything is created or started, for `mpbake plan --probe`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.buildkit.builders.inventory import inventory, unusable_row
from mpbake.buildkit.nodes.engines.engine import Engines
from mpbake.graph.node_facts import NodeFacts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.model.node_state import NodeRow
    from mpbake.model.plan import Builder, Target


def probe_nodes(
    services: NodeServices, targets: Sequence[Target], plan: Path
) -> tuple[dict[str, NodeFacts], tuple[str, ...]]:
    """Return the facts of the nodes of `targets` by node ID, and a note on each node that reports no platforms.

    Of a node that does not run or does not answer, the facts hold only the driver. `plan` is the file that declares the
    nodes.
    """
    builders = dict.fromkeys(target.builder for target in targets)
    rows = [row for builder in builders for row in _probed_rows(services, builder, targets, plan)]
    facts = {row.node.id: _facts(row) for row in rows}
    return facts, tuple(_note(row) for row in rows if not row.reported)


def _probed_rows(services: NodeServices, builder: Builder, targets: Sequence[Target], plan: Path) -> list[NodeRow]:
    try:
        settled = with_settled_driver(services, builder, targets)
    except Unreachable as error:  # the driver of the default builder depends on the engine
        return [unusable_row(node, str(error), silent=True) for node in builder.nodes]
    return inventory(services, settled, plan)


def with_settled_driver(services: NodeServices, builder: Builder, targets: Sequence[Target]) -> Builder:
    """Return `builder` with the driver that a run would use, if the driver depends on the engine.

    Raises Unreachable.
    """
    if not builder.driver.rules.is_automatic:
        return builder
    own = [target for target in targets if target.builder is builder]
    driver = services.instances.default_driver(own, Engines(services.docker).facts())
    return replace(builder, driver=driver, nodes=tuple(replace(node, driver=driver) for node in builder.nodes))


def _facts(row: NodeRow) -> NodeFacts:
    return NodeFacts(driver=row.node.driver, platforms=row.reported, version=row.version, unreachable=row.silent)


def _note(row: NodeRow) -> str:
    if row.trouble:
        reason = row.trouble.partition("\n")[0]
        return f"{row.node.id} cannot be asked: {reason}"
    return f"{row.node.id} was not asked: it is {row.status}, and a probe starts no node"
