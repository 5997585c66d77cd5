"""Lists the nodes of a builder with status, facts and drift, for `mpbake builders`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.errors import Cancelled, MpbakeError, Unreachable
from mpbake.buildkit.builders.changes import entry_action
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.services import side_by_side
from mpbake.model.node_resources import resource_kind
from mpbake.model.node_state import Action, NodeRow, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.base.platforms import Platform
    from mpbake.buildkit.builders.survey import BuilderState
    from mpbake.buildkit.nodes.instances.instances import ReadyNode
    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.model.node_state import NodeState
    from mpbake.model.plan import Builder, Node

_UNUSABLE = "unusable"
_SHARED_DRIFT = {"driver", "order"}
"""Differences of an entry that concern all nodes of the builder."""


def inventory(
    services: NodeServices, builder: Builder, plan: Path, platforms: Sequence[Platform] = ()
) -> list[NodeRow]:
    """Return a row for each declared node of a builder, without changes; parameters as in `survey_builder`."""
    return node_rows(services, survey_builder(services, builder, plan, platforms))


def node_rows(services: NodeServices, state: BuilderState) -> list[NodeRow]:
    """Return a row for each node of a surveyed builder. mpbake queries the nodes, but creates and starts none."""
    results = side_by_side(lambda node: _row(services, state, node), state.nodes)
    return [
        result
        if isinstance(result, NodeRow)
        else unusable_row(node.node, str(result), silent=isinstance(result, Unreachable))
        for node, result in zip(state.nodes, results, strict=True)
    ]


def _row(services: NodeServices, builder: BuilderState, state: NodeState) -> NodeRow:
    node = state.node
    drift = _drift(builder, node)
    if state.trouble:
        return unusable_row(node, state.trouble, silent=state.silent)
    if resource_kind(node) and not node.external:
        status = state.made.status if state.made else "missing"
        if status != "running":
            return NodeRow(node=node, status=status, drift=drift, warnings=state.warnings)
    try:
        ready = _ask(services, node)
    except Cancelled:
        raise
    except MpbakeError as error:
        row = unusable_row(node, str(error), silent=isinstance(error, Unreachable))
        return replace(row, drift=drift, warnings=state.warnings)
    return NodeRow(
        node=node,
        status=ready.note,
        version=ready.facts.version,
        reported=ready.facts.platforms,
        drift=drift,
        warnings=state.warnings,
    )


def unusable_row(node: Node, trouble: str, *, silent: bool) -> NodeRow:
    """Return the row of an unusable node, with the reason."""
    return NodeRow(node=node, status=_UNUSABLE, trouble=trouble, silent=silent)


def _ask(services: NodeServices, node: Node) -> ReadyNode:
    return services.instances.ask_external(node) if node.external else back_end_of(node).ask(services.instances, node)


def _drift(builder: BuilderState, node: Node) -> tuple[str, ...]:
    """Return the names of the differences from the plan in the resource, the docker context, and buildx's entry."""
    own = [change for change in builder.changes if change.node is node]
    names = [difference.name for change in own for difference in change.differences]
    names += [change.kind.value for change in own if change.kind in {ResourceKind.CONTEXT, ResourceKind.EMULATORS}]
    entry = [change for change in builder.changes if change.kind is ResourceKind.ENTRY]
    in_entry = [difference.name for change in entry for difference in change.differences]
    prefix = f"{node.buildx_name}: "
    # A difference named "node NAME" is about the list of nodes, so the difference concerns all nodes.
    concerning = [name for name in in_entry if name in _SHARED_DRIFT or name.startswith((prefix, "node "))]
    names += [f"entry: {name.removeprefix(prefix)}" for name in concerning]
    is_missing = entry_action(builder.changes) is Action.CREATE
    return (*names, *(["no entry"] if is_missing else []))
