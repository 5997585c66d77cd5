"""Removes the resources, docker contexts and entries of builders, but nothing that is foreign or still declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, NodeMayBeInUse, Unreachable
from mpbake.base.text import one_line
from mpbake.buildkit.builders.changes import entry_action, undeployed_nodes
from mpbake.buildkit.builders.registration import register, unregister
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.builders.workspace import idle_resource
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.records import record_of
from mpbake.buildkit.nodes.services import side_by_side
from mpbake.model.node_resources import (
    context_name,
    keeps_cache,
    resource_kind,
    resource_name,
    resource_word,
    volume_name,
    volume_names,
)
from mpbake.model.node_state import Action, CacheRemoval

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.buildkit.nodes.records import MadeNode, Record
    from mpbake.model.plan import Builder, Node


@dataclass(frozen=True, kw_only=True, slots=True)
class _Removal:
    """The nodes of a builder to remove, and the options. Resources and contexts of `staying` nodes are not removed.

    The `recorded` nodes were created from this machine, according to the records; other nodes may never have been
    created. `forget` drops nodes that do not answer; `command` is the mpbake command line that sets `forget`.
    """

    builder: str
    nodes: tuple[MadeNode, ...]
    recorded: Collection[MadeNode]
    command: str
    staying: tuple[Node, ...] = ()
    keep_state: bool = False
    forget: bool = False

    def with_forget_hint(self, error: Unreachable) -> Unreachable:
        """Return the error of a node that does not answer. The hint says how to forget the node."""
        hints = [hint for hint in (error.hint, f"if it is gone for good, run: mpbake builders {self.command}") if hint]
        return Unreachable(error.message, hint="; ".join(hints))

    def namesakes(self, node: Node) -> list[Node]:
        """Return the staying nodes whose resource has the name of the resource of `node`, perhaps on another engine."""
        name = (node.driver, node.buildx_name)
        return [other for other in self.staying if (other.driver, other.buildx_name) == name]


def remove(
    workspace: BuilderWorkspace, builder: Builder, *, keep_state: bool, forget: bool = False
) -> list[MpbakeError]:
    """Remove what mpbake created for `builder`: resources, caches unless `keep_state`, docker contexts, the entry.

    If a node does not answer, the result contains an error and the node stays in the record, unless `forget` is set. A
    node whose cache is kept also stays in the record, since nothing else shows that the cache exists.
    """
    with workspace.locked(builder.name):
        before = workspace.services.records.read(builder.name, workspace.plan)
        record = record_of(builder, workspace.plan, before)
        of_others = _also_made_for_others(workspace, record, record.undeclared(builder))
        nodes = tuple(made for made in record.nodes if resource_kind(made.node(builder.name)) and made not in of_others)
        recorded = before.nodes if before else ()
        removal = _Removal(
            builder=builder.name,
            nodes=nodes,
            recorded=recorded,
            keep_state=keep_state,
            forget=forget,
            command=f"rm --forget {builder.name}",
        )
        failed, kept = _remove_nodes(workspace, removal)
        _record_kept(workspace, builder, {made.name for made in kept if made not in recorded})
        if _entry_may_go(failed.values()):
            unregister(workspace, builder.name)
            _drop(workspace, record, [made for made in record.nodes if made not in failed and made not in kept])
        return list(failed.values())


def prune(
    workspace: BuilderWorkspace, record: Record, declared: Mapping[str, Builder], *, forget: bool = False
) -> list[MpbakeError]:
    """Remove everything that mpbake created for the recorded nodes that are no longer `declared`.

    If a node does not answer, the result contains an error and the node stays in the record, unless `forget` is set.
    """
    with workspace.locked(record.builder):
        builder = record.declared_in(declared)
        undeclared = record.undeclared(builder)
        of_others = _also_made_for_others(workspace, record, undeclared)
        leaving = tuple(made for made in undeclared if made not in of_others)
        removal = _Removal(
            builder=record.builder,
            nodes=leaving,
            recorded=leaving,
            staying=tuple(node for other in declared.values() for node in other.nodes),
            forget=forget,
            command="prune --forget",
        )
        failed, _ = _remove_nodes(workspace, removal)
        errors = list(failed.values())
        if not _entry_may_go(errors):
            return errors
        if builder is None and not workspace.services.records.of_others(record.builder, workspace.plan):
            unregister(workspace, record.builder)
        _drop(workspace, record, [made for made in undeclared if made not in failed], declared=builder is not None)
        return errors + (_correct_entry(workspace, builder) if builder else [])


def _record_kept(workspace: BuilderWorkspace, builder: Builder, names: Collection[str]) -> None:
    """Record the nodes with these names, which were created from another machine, and whose caches are kept."""
    nodes = [node for node in builder.nodes if node.name in names]
    for warning in workspace.services.records.add(builder.name, nodes, workspace.plan):
        workspace.say(f"warning: {warning}")


def _drop(workspace: BuilderWorkspace, record: Record, nodes: Collection[MadeNode], *, declared: bool = False) -> None:
    """Remove `nodes` from a record. If the record is then empty, delete the record unless its builder is `declared`."""
    if declared or set(record.nodes) - set(nodes):
        workspace.services.records.drop(record.builder, workspace.plan, nodes)
    else:
        workspace.services.records.remove(record.builder, workspace.plan)


def _correct_entry(workspace: BuilderWorkspace, builder: Builder) -> list[MpbakeError]:
    """Correct the entry of `builder` in buildx's store, if the entry exists and all nodes are deployed."""
    changes = survey_builder(workspace.services, builder, workspace.plan).changes
    match entry_action(changes):
        case Action.CORRECT if undeployed_nodes(changes):
            stays = f"stays until `mpbake builders up {builder.name}` deploys its nodes"
            workspace.say(f"{builder.name}: its entry in buildx's store {stays}")
        case Action.CORRECT:
            return register(workspace, builder, verify=False)
        case Action.REMOVE:
            unregister(workspace, builder.name)
    return []


def _also_made_for_others(
    workspace: BuilderWorkspace, record: Record, undeclared: Collection[MadeNode]
) -> set[MadeNode]:
    """Return the `undeclared` nodes that were also created for another plan, such as another checkout of this plan."""
    others = workspace.services.records.of_others(record.builder, workspace.plan)
    plans = {made: other.plan for other in others for made in other.nodes if made in undeclared}
    for made, plan in plans.items():
        workspace.say(f"{record.builder}/{made.name}: stays, since it was made for {plan} too")
    return set(plans)


def _remove_nodes(workspace: BuilderWorkspace, removal: _Removal) -> tuple[dict[MadeNode, MpbakeError], set[MadeNode]]:
    """Remove nodes. Return the error of each node that is not completely removed, and the nodes whose cache is kept."""
    results = side_by_side(lambda made: _remove_made(workspace, made, removal), removal.nodes)
    pairs = list(zip(removal.nodes, results, strict=True))
    failed = {made: result for made, result in pairs if isinstance(result, MpbakeError)}
    return failed, {made for made, result in pairs if result is True}


def _remove_made(workspace: BuilderWorkspace, made: MadeNode, removal: _Removal) -> bool:
    """Remove the resource of one node and the node's docker context. Return whether the cache is kept."""
    node, kept = made.node(removal.builder), False
    with workspace.node_locked(node):
        try:
            _check_cluster(workspace, made, node)
            same = _same_resource(workspace, node, removal.namesakes(node))
            if same:
                workspace.say(f"{node.id}: its {resource_word(node)} stays, since {same.id} uses it")
                _remove_earlier_cache(workspace, node, removal)
            else:
                kept = _remove_node(workspace, node, removal, recorded=made in removal.recorded)
        except NodeMayBeInUse:
            raise
        except Unreachable as error:
            _give_up(workspace, made, removal, error)
        else:
            if not kept:
                _remove_context(workspace, made, removal)
    return kept


def _check_cluster(workspace: BuilderWorkspace, made: MadeNode, node: Node) -> None:
    """Check that the cluster in use is the one in which a recorded node was created. Raises Unreachable."""
    current = workspace.services.records.cluster_of(node) if made.cluster else ""
    if current not in {"", made.cluster}:
        clusters = f"it was made in the cluster {one_line(made.cluster)}, and kubectl uses {one_line(current)}"
        hint = "choose the context of that cluster: kubectl config use-context NAME"
        raise Unreachable(f"{node.id}: {clusters}", hint=hint)


def _give_up(workspace: BuilderWorkspace, made: MadeNode, removal: _Removal, error: Unreachable) -> None:
    """Forget a node that does not answer, if `forget` is set or nothing was created. Otherwise raise Unreachable.

    If resources may remain on the engine, mpbake keeps the node's docker context, which is the only way to the engine.
    """
    node = made.node(removal.builder)
    if removal.forget:
        _remove_context(workspace, made, removal)
        where = one_line(made.cluster or made.engine) or node.driver.rules.endpoint.when_empty
        remains = ", ".join(_possible_remains(node))
        workspace.say(f"{node.id}: does not answer, and is forgotten; {where} may still have: {remains}")
        return
    is_context_gone = bool(made.context) and not workspace.services.contexts.has(made.context)
    if made not in removal.recorded:
        _remove_context(workspace, made, removal)
        if is_context_gone:
            return  # without the context, no engine was ever reached
    elif is_context_gone:
        message = f"{node.id}: its container and volume cannot be removed: unknown docker context {made.context}"
        raise removal.with_forget_hint(Unreachable(message))
    raise removal.with_forget_hint(error)


def _remove_earlier_cache(workspace: BuilderWorkspace, node: Node, removal: _Removal) -> None:
    """Remove the old cache of a node whose resource uses another volume now, since the plan has changed."""
    manager = workspace.services.manager(node)
    if manager is None or volume_name(node) in {volume_name(staying) for staying in removal.staying}:
        return
    if manager.forget_cache(node) is CacheRemoval.REMOVED:
        workspace.say(f"{node.id}: its earlier volume {volume_name(node)} is removed")


def _remove_context(workspace: BuilderWorkspace, made: MadeNode, removal: _Removal) -> None:
    """Remove the docker context that was created for a node, unless a staying node uses the context."""
    node, contexts = made.node(removal.builder), {context_name(staying) for staying in removal.staying}
    if made.context not in {"", *contexts} and workspace.services.contexts.remove(node, made.context):
        workspace.say(f"{node.id}: docker context {made.context} removed")


def _same_resource(workspace: BuilderWorkspace, node: Node, namesakes: Collection[Node]) -> Node | None:
    """Return the node in `namesakes` that has the same resource as `node`, perhaps through another endpoint."""
    manager = workspace.services.manager(node)
    made = manager.find(node) if manager and namesakes else None
    if manager is None or made is None:
        return None
    resources = ((namesake, manager.find(namesake)) for namesake in namesakes)
    return next((namesake for namesake, resource in resources if resource and resource.id == made.id), None)


def _remove_node(workspace: BuilderWorkspace, node: Node, removal: _Removal, *, recorded: bool) -> bool:
    """Remove the resource of a node. If only the cache of a `recorded` node is left, remove the cache.

    Return whether a cache is kept that mpbake may remove later.
    """
    if back_end_of(node).is_shared(node):
        _report_shared(workspace, node)
        return False
    manager = workspace.services.manager(node)
    if manager is None:
        return False
    word, made = resource_word(node), idle_resource(node, manager)
    stays = keeps_cache(node, wanted=removal.keep_state)
    if made is not None:
        manager.remove(node, made)
        cache = CacheRemoval.NOTHING if stays else manager.forget_cache(node)
        with_cache = "its cache stays" if stays or cache is CacheRemoval.FOREIGN else "and its cache"
        workspace.say(f"{node.id}: {word} removed, {with_cache}")
        _report_foreign(workspace, node, cache)
        return removal.keep_state and bool(volume_name(node))
    for leftover in manager.remove_leftovers(node):
        workspace.say(f"{node.id}: {leftover} removed, which was left of its {word}")
    if recorded and not stays and not removal.namesakes(node):
        # If there is a namesake, a cache with this name may belong to the namesake on the same engine.
        cache = manager.forget_cache(node)
        if cache is CacheRemoval.REMOVED:
            workspace.say(f"{node.id}: its {word} was gone; its cache is removed")
        _report_foreign(workspace, node, cache)
    return removal.keep_state and bool(volume_name(node)) and recorded


def _report_foreign(workspace: BuilderWorkspace, node: Node, cache: CacheRemoval) -> None:
    """Report that a volume is kept because mpbake did not create it."""
    if cache is CacheRemoval.FOREIGN:
        volume = volume_name(node)
        workspace.say(
            f"{node.id}: the volume {volume} stays: mpbake did not make it; to remove it: docker volume rm {volume}"
        )


def _report_shared(workspace: BuilderWorkspace, node: Node) -> None:
    """If plans without a builder share the container of `node`, report why the container is kept."""
    manager = workspace.services.manager(node)
    if manager is not None and manager.find(node) is not None:
        reason = "its container stays, since all plans without a builder share it"
        workspace.say(f"{node.id}: {reason}; to remove it: docker rm --force {resource_name(node)}")


def _entry_may_go(errors: Iterable[MpbakeError]) -> bool:
    """Whether the record and the entry in buildx's store may be removed.

    The only errors must be nodes that do not answer.
    """
    return all(isinstance(error, Unreachable) and not isinstance(error, NodeMayBeInUse) for error in errors)


def _possible_remains(node: Node) -> list[str]:
    """Return the names of resources that may remain of a forgotten node."""
    made = f"{resource_word(node)} {resource_name(node)}"
    return [made, *(f"volume {volume}" for volume in volume_names(node))]
