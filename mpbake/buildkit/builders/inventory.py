"""The nodes of a builder as they are now: whether they run, what they are, and what is not as declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.buildkit.builders.changes import entry_action
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.tools import side_by_side
from mpbake.model.node_resources import resource_kind
from mpbake.model.node_state import Action, NodeRow, ResourceKind

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.builders.survey import BuilderState
    from mpbake.buildkit.nodes.instances import ReadyNode
    from mpbake.buildkit.nodes.tools import NodeServices
    from mpbake.model.node_state import NodeState
    from mpbake.model.plan import Builder, Node

_UNUSABLE = "unusable"
_OF_ALL_NODES = {"driver", "order"}
"""What an entry says of its nodes together."""


def inventory(tools: NodeServices, builder: Builder, plan: Path) -> list[NodeRow]:
    """A line for each node that the file `plan` declares of a builder; nothing is started or changed."""
    found = survey_builder(tools, builder, plan)
    lines = side_by_side(lambda node: _line(tools, found, node), found.nodes)
    return [
        each if isinstance(each, NodeRow) else unusable_row(node.node, str(each), silent=isinstance(each, Unreachable))
        for node, each in zip(found.nodes, lines, strict=True)
    ]


def _line(tools: NodeServices, found: BuilderState, each: NodeState) -> NodeRow:
    node = each.node
    drift = _drift(found, node)
    if each.trouble:
        return unusable_row(node, each.trouble, silent=each.silent)
    if resource_kind(node) and not node.external:
        status = each.made.status if each.made else "missing"
        if status != "running":
            return NodeRow(node=node, status=status, drift=drift)
    ready = _ask(tools, node)
    return NodeRow(
        node=node, status=ready.note, version=ready.facts.version, reported=ready.facts.platforms, drift=drift
    )


def unusable_row(node: Node, trouble: str, *, silent: bool) -> NodeRow:
    """The line of a node that cannot be used, and why."""
    return NodeRow(node=node, status=_UNUSABLE, trouble=trouble, silent=silent)


def _ask(tools: NodeServices, node: Node) -> ReadyNode:
    if node.external:
        return tools.instances.seen(node)
    return back_end_of(node).ask(tools.instances, node)


def _drift(found: BuilderState, node: Node) -> tuple[str, ...]:
    """What is not as declared, by name: of the container, of the docker context, of the entry in buildx's store."""
    own = [change for change in found.changes if change.node is node]
    names = [difference.name for change in own for difference in change.differences]
    names += [change.kind.value for change in own if change.kind is ResourceKind.CONTEXT]
    entry = [each.name for change in found.changes if change.kind is ResourceKind.ENTRY for each in change.differences]
    prefix = f"{node.buildx_name}: "
    ours = [each for each in entry if each in _OF_ALL_NODES or each.startswith((prefix, "node "))]  # which there are
    names += [f"entry: {each.removeprefix(prefix)}" for each in ours]
    missing = entry_action(found.changes) is Action.CREATE
    return (*names, *(["no entry"] if missing else []))
