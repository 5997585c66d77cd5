"""The facts of a probe: what nodes really are, what a run would create or correct, and where tags point now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mpbake.base.platforms import runs_natively
from mpbake.graph.node_facts import NodeFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.model.node_state import Change, NodeRow


@dataclass(frozen=True, kw_only=True, slots=True)
class ServedTag:
    """A tag that a run would move, and the digest to which the tag points now.

    `digest` is empty for a tag that does not exist yet. If the registry does not say, `trouble` is the reason.
    """

    tag: str
    target: str
    digest: str = ""
    trouble: str = ""

    @property
    def state(self) -> str:
        """`new`, `moves` or `unknown`."""
        if self.trouble:
            return "unknown"
        return "moves" if self.digest else "new"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeProbe:
    """The reports of nodes, and the changes of builders before a run could use these nodes.

    `changes` holds each change with the name of its builder; `unclear` the parts whose state is unknown.
    """

    rows: tuple[NodeRow, ...] = ()
    changes: tuple[tuple[str, Change], ...] = ()
    unclear: tuple[tuple[str, str], ...] = ()

    @property
    def facts(self) -> dict[str, NodeFacts]:
        """The facts of the nodes by node ID. For a node without an answer, only the driver is known."""
        return {row.node.id: _facts(row) for row in self.rows}

    @property
    def notes(self) -> tuple[str, ...]:
        """A note on each node that reports no platforms."""
        return tuple(_note(row) for row in self.rows if not row.reported)


def _facts(row: NodeRow) -> NodeFacts:
    return NodeFacts(driver=row.node.driver, platforms=row.reported, version=row.version, unreachable=row.silent)


def _note(row: NodeRow) -> str:
    if row.trouble:
        reason = row.trouble.partition("\n")[0]
        return f"{row.node.id} cannot be asked: {reason}"
    return f"{row.node.id} was not asked: it is {row.status}, and a probe starts no node"


def probe_document(probe: NodeProbe, tags: Iterable[ServedTag]) -> dict[str, Any]:
    """Return the field `probe` of a plan document."""
    return {
        "nodes": [_node(row) for row in probe.rows],
        "changes": [_change(builder, change) for builder, change in probe.changes],
        "unclear": [{"builder": builder, "part": part} for builder, part in probe.unclear],
        "tags": [
            {"tag": tag.tag, "target": tag.target, "state": tag.state, "digest": tag.digest, "trouble": tag.trouble}
            for tag in tags
        ],
        "warnings": list(probe.notes),
    }


def _node(row: NodeRow) -> dict[str, Any]:
    return {
        "id": row.node.id,
        "driver": row.node.driver_name,
        "status": row.status,
        "version": row.version,
        "native": [str(platform) for platform in row.reported if runs_natively(row.reported, platform)],
        "emulated": [str(platform) for platform in row.reported if not runs_natively(row.reported, platform)],
        "trouble": row.trouble,
    }


def _change(builder: str, change: Change) -> dict[str, Any]:
    return {
        "builder": builder,
        "node": change.node.id if change.node else "",
        "action": str(change.action),
        "resource": change.kind.value,
        "name": change.name,
        "reason": change.reason,
        "differences": [str(difference) for difference in change.differences],
    }
