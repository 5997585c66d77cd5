"""What nodes say of themselves before anything is made or started: for `mpbake plan --probe`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.buildkit.builders.inventory import inventory, unusable_row
from mpbake.buildkit.nodes.engine import Engines
from mpbake.graph.placement import NodeFacts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.buildkit.nodes.tools import NodeServices
    from mpbake.model.node_state import NodeRow
    from mpbake.model.plan import Builder, Target


def probe_nodes(
    tools: NodeServices, targets: Sequence[Target], plan: Path
) -> tuple[dict[str, NodeFacts], tuple[str, ...]]:
    """What the nodes of `targets` of a `plan` say, by node id, and a word on each that says nothing."""
    builders = dict.fromkeys(target.builder for target in targets)
    lines = [line for each in builders for line in _lines(tools, each, targets, plan)]
    facts = {line.node.id: _facts(line) for line in lines if line.reported or line.silent}
    return facts, tuple(_silence(line) for line in lines if not line.reported)


def _lines(tools: NodeServices, builder: Builder, targets: Sequence[Target], plan: Path) -> list[NodeRow]:
    try:
        settled = _settled(tools, builder, targets)
    except Unreachable as error:  # the engine alone knows what the default builder is
        return [unusable_row(node, str(error), silent=True) for node in builder.nodes]
    return inventory(tools, settled, plan)


def _settled(tools: NodeServices, builder: Builder, targets: Sequence[Target]) -> Builder:
    """`builder`, with the driver that a run would use where the plan leaves it to the engine. Raises Unreachable."""
    if not builder.driver.rules.is_automatic:
        return builder
    own = [target for target in targets if target.builder is builder]
    driver = tools.instances.default_driver(own, Engines(tools.docker).facts())
    return replace(builder, driver=driver, nodes=tuple(replace(node, driver=driver) for node in builder.nodes))


def _facts(line: NodeRow) -> NodeFacts:
    return NodeFacts(driver=line.node.driver, platforms=line.reported, version=line.version, silent=line.silent)


def _silence(line: NodeRow) -> str:
    if line.trouble:
        why = line.trouble.partition("\n")[0]
        return f"{line.node.id} cannot be asked: {why}"
    return f"{line.node.id} was not asked: it is {line.status}, and is not started to be asked"
