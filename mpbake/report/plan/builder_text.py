"""Builders as text: their changes as a diff, and their nodes as a table. Pure."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from mpbake.base.platforms import runs_natively
from mpbake.base.text import columns, one_line
from mpbake.model.node_state import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mpbake.model.node_state import Change, NodeRow
    from mpbake.model.plan import Builder

DEFAULT_BUILDER_TEXT = '"default" is the engine in use, or a container that a run starts on it'
"""The description of the default builder, which no plan declares."""
_WIDTH = 80
"""The width in columns at which long lists of platforms wrap, on any terminal."""


def changes_text(builder: Builder, changes: Iterable[Change], unclear: Iterable[str] = ()) -> str:
    """Return the changes of one builder as a diff, then the `unclear` parts, whose actual state is unknown."""
    lines = [f"{builder.name} ({builder.driver})"]
    for change in changes:
        lines.append(f"  {change.action.sign} {change.action} {_subject(change)}: {change.reason}")
        lines += [f"      {name}: {one_line(value)}" for name, value in change.settings]
        lines += [f"      {difference}" for difference in change.differences]
    lines += [f"  ? {part}: its actual state is not known" for part in unclear]
    if len(lines) == 1:
        lines.append("  as declared")
    return "\n".join(lines) + "\n"


def _subject(change: Change) -> str:
    """Return the subject of a change: for a deployment the engine, otherwise the resource."""
    if change.action is Action.DEPLOY and change.node:
        return f"BuildKit on {one_line(change.node.engine)}"
    return f"{change.kind.value} {change.name}"


def changes_summary(changes: Iterable[Change], unclear: Sequence[str] = ()) -> str:
    """Return the number of changes, such as `2 to create, 1 to correct, 1 not known`, or `nothing to do`."""
    actions = [change.action for change in changes]
    counts = [f"{actions.count(action)} to {action}" for action in Action if action in actions]
    counts += [f"{len(unclear)} not known"] if unclear else []
    adopt = "; to adopt, run: mpbake builders up --adopt" if Action.ADOPT in actions else ""
    return (", ".join(counts) or "nothing to do") + adopt


def inventory_text(builders: Iterable[Sequence[NodeRow]]) -> str:
    """Return the nodes of `builders` as a table of status, version and drift.

    Below the row of a node are the node's platforms. Below the table are the errors of all nodes.
    """
    nodes = [row for rows in builders for row in rows]
    if not nodes:
        return f"no builder is declared; {DEFAULT_BUILDER_TEXT}\n"
    header = ("node", "driver", "endpoint", "status", "buildkit", "drift")
    head, *lines = columns([header, *map(_cells, nodes)])
    lines = [part for line, node in zip(lines, nodes, strict=True) for part in (line, *_platform_lines(node))]
    troubles = dict.fromkeys(f"\n{node.trouble}" for node in nodes if node.trouble)
    return "\n".join([head, *lines, *troubles]) + "\n"


def _cells(row: NodeRow) -> tuple[str, ...]:
    node = row.node
    return (
        node.id,
        node.driver_name,
        one_line(node.endpoint) or "(in use)",
        row.status,
        row.version or "-",
        ", ".join(row.drift) or "-",
    )


def _platform_lines(row: NodeRow) -> list[str]:
    """Return lines with the platforms that a node reports or, if the node reports none, with the declared platforms."""
    native = [platform for platform in row.reported if runs_natively(row.reported, platform)]
    emulated = [platform for platform in row.reported if platform not in native]
    named = {"native": native, "emulated": emulated, "declared": () if row.reported else row.node.platforms}
    lines = []
    for name, platforms in named.items():
        text = ", ".join(map(str, platforms))  # wrapping an empty text returns no line
        lines += wrap(text, _WIDTH, initial_indent=f"  {name:<10}", subsequent_indent=" " * 12)
    return lines
