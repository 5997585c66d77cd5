"""Adds builders to the user's own buildx store, for `docker buildx build --builder`, and removes them from it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, Unreachable, UsageError
from mpbake.buildkit.nodes.causes import is_refused
from mpbake.buildkit.nodes.instances.buildx_store import BuildxStore, entry_of, merged_entry
from mpbake.buildkit.nodes.instances.inspect_output import parse_nodes
from mpbake.buildkit.nodes.node_errors import explain
from mpbake.buildkit.nodes.services import errors_of, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.model.plan import Builder, Node

_CHECK_TIMEOUT = 60.0


def register(workspace: BuilderWorkspace, builder: Builder, *, verify: bool) -> list[MpbakeError]:
    """Add the builder to the user's buildx store, and return the errors.

    With `verify`, buildx first reads the entry in a private store, which takes long if a node does not answer.
    """
    results = side_by_side(lambda node: _single_entry(workspace, node), builder.nodes)
    entries = [result for result in results if not isinstance(result, MpbakeError)]
    if len(entries) < len(results):
        return errors_of(results)
    entry = merged_entry(builder, entries)
    try:
        if verify:
            _verify(workspace, builder, entry)
        workspace.services.store.put(builder.name, entry)
    except MpbakeError as error:
        return [error]
    workspace.say(f"{builder.name}: in buildx's store, for docker buildx build --builder {builder.name.lower()}")
    return []


def unregister(workspace: BuilderWorkspace, builder: str) -> None:
    """Remove the builder from the user's buildx store, if mpbake added it."""
    entry = workspace.services.store.read(builder)
    if entry is not None and entry_of(entry).is_ours:
        workspace.services.store.remove(builder)
        workspace.say(f"{builder}: removed from buildx's store")
    elif entry is not None:
        workspace.say(f"{builder}: the builder of that name in buildx's store stays: mpbake did not make it")


def _single_entry(workspace: BuilderWorkspace, node: Node) -> dict[str, Any]:
    """Return the entry that buildx itself writes for one node into a separate store."""
    instance = workspace.services.instances.write(node)
    entry = BuildxStore(folder=instance.store).read(instance.builder)
    if entry is None:
        raise Unreachable(f"{node.id}: buildx did not write its entry")
    return entry


def _verify(workspace: BuilderWorkspace, builder: Builder, entry: Mapping[str, Any]) -> None:
    """Have buildx read an entry in a private store.

    Raises MpbakeError if buildx's description of the builder differs from the entry.
    """
    with tempfile.TemporaryDirectory(dir=workspace.services.scratch) as folder:
        BuildxStore(folder=Path(folder)).put(builder.name, entry)
        inspected = workspace.services.docker.follow(
            lambda client: client.buildx.describe(builder.name.lower()),
            environment={"BUILDX_CONFIG": folder},
            timeout=_CHECK_TIMEOUT,
        )
    nodes = parse_nodes(inspected.stdout)
    not_taken = f"{builder.name}: buildx does not accept it as declared: {{}}; its store is unchanged"
    refused = next((node["error"] for node in nodes if is_refused(node.get("error", ""))), "")
    if refused:
        raise UsageError(not_taken.format(refused), hint=explain(builder.nodes[0], refused)[1])
    # buildx lists a node of several pods once for each pod.
    names = list(dict.fromkeys(node.get("name", "") for node in nodes))
    if names != [node.buildx_name for node in builder.nodes]:
        reason = inspected.error if inspected.returncode else f"it sees the nodes {', '.join(names) or 'none'}"
        raise MpbakeError(not_taken.format(reason))
