"""The nodes of a builder as they are now: whether they run, what they are, and what is not as declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.buildkit.builders.survey import look
from mpbake.buildkit.nodes.tools import side_by_side
from mpbake.model.lifecycle import Action, Listed, Thing, action_on_entry, thing_of
from mpbake.model.plan import Driver

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.builders.survey import Found
    from mpbake.buildkit.nodes.instances import Ready
    from mpbake.buildkit.nodes.tools import Tools
    from mpbake.model.lifecycle import FoundNode
    from mpbake.model.plan import Builder, Node

_UNUSABLE = "unusable"
_OF_ALL_NODES = {"driver", "order"}
"""What an entry says of its nodes together."""


def inventory(tools: Tools, builder: Builder, plan: Path) -> list[Listed]:
    """A line for each node that the file `plan` declares of a builder; nothing is started or changed."""
    found = look(tools, builder, plan)
    lines = side_by_side(lambda node: _line(tools, found, node), found.nodes)
    return [
        each if isinstance(each, Listed) else unusable(node.node, str(each), silent=isinstance(each, Unreachable))
        for node, each in zip(found.nodes, lines, strict=True)
    ]


def _line(tools: Tools, found: Found, each: FoundNode) -> Listed:
    node = each.node
    drift = _drift(found, node)
    if each.trouble:
        return unusable(node, each.trouble, silent=each.silent)
    if thing_of(node) and not node.external:
        status = each.made.status if each.made else "missing"
        if status != "running":
            return Listed(node=node, status=status, drift=drift)
    ready = _ask(tools, node)
    return Listed(
        node=node, status=ready.note, version=ready.facts.version, reported=ready.facts.platforms, drift=drift
    )


def unusable(node: Node, trouble: str, *, silent: bool) -> Listed:
    """The line of a node that cannot be used, and why."""
    return Listed(node=node, status=_UNUSABLE, trouble=trouble, silent=silent)


def _ask(tools: Tools, node: Node) -> Ready:
    if node.external:
        return tools.instances.seen(node)
    if node.driver is Driver.DOCKER:
        return tools.instances.engine(node)
    return tools.instances.asked(tools.instances.written(node))


def _drift(found: Found, node: Node) -> tuple[str, ...]:
    """What is not as declared, by name: of the container, of the docker context, of the entry in buildx's store."""
    own = [change for change in found.changes if change.node is node]
    names = [difference.name for change in own for difference in change.differences]
    names += [change.thing.value for change in own if change.thing is Thing.CONTEXT]
    entry = [each.name for change in found.changes if change.thing is Thing.ENTRY for each in change.differences]
    prefix = f"{node.buildx_name}: "
    ours = [each for each in entry if each in _OF_ALL_NODES or each.startswith((prefix, "node "))]  # which there are
    names += [f"entry: {each.removeprefix(prefix)}" for each in ours]
    missing = action_on_entry(found.changes) is Action.CREATE
    return (*names, *(["no entry"] if missing else []))
