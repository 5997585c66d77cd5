"""What there is of a declared builder, found out without changing anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, Unreachable, UsageError
from mpbake.buildkit.builders.changes import builder_changes
from mpbake.buildkit.nodes.buildx_store import declared_node, entry_of, stored_entry
from mpbake.buildkit.nodes.connection import check_node
from mpbake.buildkit.nodes.declaration import declare
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.tools import side_by_side
from mpbake.model.node_resources import context_name
from mpbake.model.node_state import NodeState, StoredBuilder
from mpbake.resolve import DEFAULT_BUILDER

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.buildkit.nodes.drivers.back_end import Keeper
    from mpbake.buildkit.nodes.endpoints import Endpoints
    from mpbake.buildkit.nodes.tools import NodeServices
    from mpbake.model.node_state import Change, StoredNode
    from mpbake.model.plan import Builder, Node


@dataclass(frozen=True, kw_only=True, slots=True)
class BuilderState:
    """What there is of a declared builder, and what is to be done about it.

    `unclear` is what could not be found out, `errors` say why.
    """

    builder: Builder
    nodes: tuple[NodeState, ...]
    changes: tuple[Change, ...] = ()
    unclear: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[MpbakeError, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Looked:
    """What was found of a node, and what is to be said of it."""

    found: NodeState
    warnings: tuple[str, ...] = ()
    error: MpbakeError | None = None


def survey_builder(tools: NodeServices, builder: Builder, plan: Path) -> BuilderState:
    """Find out what there is of `builder`, which the file `plan` declares.

    What fails is told in `errors`, and the rest goes on.
    """
    asked = side_by_side(lambda node: _look_at(tools, node), builder.nodes)
    looked = [
        each if isinstance(each, _Looked) else _Looked(found=_without_word(node, each), error=each)
        for node, each in zip(builder.nodes, asked, strict=True)
    ]
    errors = [each.error for each in looked if each.error is not None]
    unclear = [f"node {each.found.node.id}" for each in looked if each.error is not None]
    kept = declared = None
    try:
        kept, declared = _entries(tools, builder, plan)
    except MpbakeError as error:
        errors.append(error)
        unclear.append("its entry in buildx's store")
    nodes = tuple(each.found for each in looked)
    return BuilderState(
        builder=builder,
        nodes=nodes,
        changes=builder_changes(builder, nodes, kept, declared),
        unclear=tuple(unclear),
        warnings=tuple(warning for each in looked for warning in each.warnings),
        errors=tuple(dict.fromkeys(errors)),
    )


def _without_word(node: Node, error: MpbakeError) -> NodeState:
    return NodeState(node=node, trouble=str(error), silent=isinstance(error, Unreachable))


def _look_at(tools: NodeServices, node: Node) -> _Looked:
    """What there is of one node. Raises what is wrong with it."""
    if node.external:
        return _Looked(found=NodeState(node=node))
    warnings = check_node(node, tools.now, tools.environment)
    keeper = tools.keeper(node)
    if keeper is None:
        back_end_of(node).survey(tools.instances, node)
        return _Looked(found=NodeState(node=node), warnings=warnings)
    return _Looked(found=_look_at_made(tools, node, keeper), warnings=warnings)


def _look_at_made(tools: NodeServices, node: Node, keeper: Keeper) -> NodeState:
    right = tools.contexts.is_right(node) if context_name(node) else None
    made = None if right is False else keeper.own(node)
    if made is None and right is not False:
        keeper.check_new(node)
    return NodeState(node=node, mark=declare(node).mark, made=made, context=right)


def _entries(tools: NodeServices, builder: Builder, plan: Path) -> tuple[StoredBuilder | None, StoredBuilder | None]:
    """The entry of `builder` in the user's store, and what it is to be. Raises UsageError when it is another's."""
    if not has_entry(builder):
        return _left_over(tools, builder, plan), None
    nodes = [declared_node(node, tools.instances.endpoint(node), declare(node).options) for node in builder.nodes]
    declared = StoredBuilder(driver=str(builder.driver), nodes=tuple(nodes))
    found = tools.store.read(builder.name)
    if found is None:
        return None, declared
    kept = entry_of(found)
    declared = replace(declared, nodes=_spelled_as_kept(tools.instances.endpoints, declared, kept))
    if kept != declared and not kept.is_ours:
        raise _foreign(builder)
    return kept, declared


def _spelled_as_kept(endpoints: Endpoints, declared: StoredBuilder, kept: StoredBuilder) -> tuple[StoredNode, ...]:
    """Return the declared nodes, each with the endpoint that the store has for it if that leads to the same engine."""
    before = {node.name: node.endpoint for node in kept.nodes}
    return tuple(
        replace(node, endpoint=before[node.name]) if endpoints.same(before.get(node.name, ""), node.endpoint) else node
        for node in declared.nodes
    )


def _left_over(tools: NodeServices, builder: Builder, plan: Path) -> StoredBuilder | None:
    """The entry that mpbake made of what is the engine's own builder by now, unless it may be another plan's."""
    if builder.external or not builder.driver.rules.is_engine or builder.name.lower() == DEFAULT_BUILDER:
        return None
    kept = stored_entry(tools.environment, builder.name)
    is_ours = kept is not None and kept.is_ours and not tools.records.of_others(builder.name, plan)
    return kept if is_ours else None


def has_entry(builder: Builder) -> bool:
    """Whether a builder stands in buildx's store: not the engine's own, nor one of a name that buildx keeps for it."""
    ours = not builder.external and builder.driver.rules.is_stored
    return ours and builder.name.lower() != DEFAULT_BUILDER


def _foreign(builder: Builder) -> UsageError:
    name = builder.name.lower()
    return UsageError(
        f"{builder.name}: a builder {name} is in buildx's store that mpbake did not make; it is left as it is",
        hint="rename yours, use that one (external = true), or take it out and keep what it uses: "
        f"docker buildx rm --keep-daemon {name}",
    )
