"""Builders in the user's own buildx store, for `docker buildx build --builder`: put there, and taken out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, Unreachable, UsageError
from mpbake.buildkit.nodes.buildx_store import BuildxStore, entry_of, merged_entry
from mpbake.buildkit.nodes.causes import is_refused
from mpbake.buildkit.nodes.instances import parse_nodes
from mpbake.buildkit.nodes.node_errors import explain
from mpbake.buildkit.nodes.tools import errors_of, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.model.plan import Builder, Node

_CHECK_TIMEOUT = 60.0


def register(site: BuilderWorkspace, builder: Builder, *, sure: bool) -> list[MpbakeError]:
    """Put the builder into the user's store; when all nodes answer, buildx is first asked what it makes of it."""
    singles = side_by_side(lambda node: _single(site, node), builder.nodes)
    made = [each for each in singles if not isinstance(each, MpbakeError)]
    if len(made) < len(singles):
        return errors_of(singles)
    entry = merged_entry(builder, made)
    try:
        if sure:
            _check(site, builder, entry)
        site.tools.store.put(builder.name, entry)
    except MpbakeError as error:
        return [error]
    site.say(f"{builder.name}: in buildx's store, for docker buildx build --builder {builder.name.lower()}")
    return []


def unregister(site: BuilderWorkspace, builder: str) -> None:
    """Take the builder out of the user's store, if mpbake put it there."""
    found = site.tools.store.read(builder)
    if found is not None and entry_of(found).is_ours:
        site.tools.store.remove(builder)
        site.say(f"{builder}: taken out of buildx's store")
    elif found is not None:
        site.say(f"{builder}: the builder of that name in buildx's store is not mpbake's, and stays")


def _single(site: BuilderWorkspace, node: Node) -> dict[str, Any]:
    """What buildx itself makes of one node, in a store of its own."""
    instance = site.tools.instances.written(node)
    found = BuildxStore(folder=instance.store).read(instance.builder)
    if found is None:
        raise Unreachable(f"{node.id}: buildx did not write down what it was told")
    return found


def _check(site: BuilderWorkspace, builder: Builder, entry: Mapping[str, Any]) -> None:
    """Have buildx read an entry in a private store. Raises MpbakeError when it takes it for something else."""
    with tempfile.TemporaryDirectory(dir=site.tools.scratch) as folder:
        BuildxStore(folder=Path(folder)).put(builder.name, entry)
        command = ["buildx", "inspect", builder.name.lower()]
        private = {"BUILDX_CONFIG": folder}
        found = site.tools.docker.run(command, environment=private, timeout=_CHECK_TIMEOUT)
    nodes = parse_nodes(found.stdout)
    not_taken = f"{builder.name}: buildx does not take it as declared: {{}}; its store is as it was"
    refused = next((each["error"] for each in nodes if is_refused(each.get("error", ""))), "")
    if refused:
        raise UsageError(not_taken.format(refused), hint=explain(builder.nodes[0], refused)[1])
    # Of a node of several pods buildx tells each pod.
    seen = list(dict.fromkeys(each.get("name", "") for each in nodes))
    if seen != [node.buildx_name for node in builder.nodes]:
        said = found.error if found.returncode else f"it sees the nodes {', '.join(seen) or 'none'}"
        raise MpbakeError(not_taken.format(said))
