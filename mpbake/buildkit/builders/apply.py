"""Reconciles declared builders with their actual state.

A lock ensures that only one process at a time changes a builder.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from mpbake.base.errors import ImageUnavailable, MpbakeError, UsageError
from mpbake.base.text import one_line
from mpbake.buildkit.builders.changes import entry_action, node_changes, undeployed_nodes
from mpbake.buildkit.builders.emulation import install_emulators
from mpbake.buildkit.builders.registration import register, unregister
from mpbake.buildkit.builders.replacement import check_replacement
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.builders.workspace import idle_resource
from mpbake.buildkit.nodes.first_start import NodeStart
from mpbake.buildkit.nodes.services import errors_of, find_own_resource, side_by_side, start_node
from mpbake.model.node_resources import context_name, keeps_cache, resource_kind
from mpbake.model.node_state import Action, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mpbake.buildkit.builders.survey import BuilderState
    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.model.node_state import Change, NodeState
    from mpbake.model.plan import Builder, Node


def reconcile(
    workspace: BuilderWorkspace, builder: Builder, announce: Callable[[BuilderState], None], *, adopt: bool = False
) -> BuilderState:
    """Bring `builder` to its declared state. `announce` receives the changes before they are applied.

    With `adopt`, mpbake first takes over what was made by hand. If another process held the lock, that process has
    usually made the changes already. The result contains the errors of the survey and of the changes.
    """
    with workspace.locked(builder.name):
        platforms = workspace.platforms.get(builder.name, ())
        state = survey_builder(workspace.services, builder, workspace.plan, platforms, adopt=adopt)
        announce(state)
        if adopt:
            _name_other_plans(workspace, builder)
        if not state.changes:
            return state
        usable = [node for node in state.nodes if not node.trouble]
        results = side_by_side(lambda node: _bring_up_node(workspace, node, state.changes), usable)
        errors, warnings = errors_of(results), [result for result in results if isinstance(result, tuple)]
        running = [node.node for node, result in zip(usable, results, strict=True) if isinstance(result, tuple)]
        emulation_errors = install_emulators(workspace, builder, running, platforms)
        entry_warnings, entry_errors = _apply_to_entry(workspace, state, errors, running)
        every_warning = dict.fromkeys([*state.warnings, *chain.from_iterable(warnings), *entry_warnings])
        every_error = _without_repeats([*state.errors, *errors, *entry_errors, *emulation_errors])
        return replace(state, warnings=tuple(every_warning), errors=every_error)


def _name_other_plans(workspace: BuilderWorkspace, builder: Builder) -> None:
    """Name the other plans for which mpbake has made or adopted the builder from this machine."""
    for record in workspace.services.records.of_others(builder.name, workspace.plan):
        workspace.say(f"{builder.name}: mpbake made or adopted it for {one_line(record.plan)} too")


def _apply_to_entry(
    workspace: BuilderWorkspace, state: BuilderState, errors: Sequence[MpbakeError], running: Sequence[Node]
) -> tuple[tuple[str, ...], list[MpbakeError]]:
    """Change the builder's entry in buildx's store.

    `errors` are the errors of the nodes; the `running` nodes have none. Return warnings and errors.
    """
    builder, action = state.builder, entry_action(state.changes)
    if action is Action.REMOVE:
        unregister(workspace, builder.name)
    elif action is not None:
        is_undeployed = any(node not in running for node in undeployed_nodes(state.changes))
        if is_undeployed or _is_unmakable(state, errors) or (errors and not _has_contexts(workspace, builder)):
            stays = "not added to buildx's store" if action is Action.CREATE else "its entry in buildx's store stays"
            workspace.say(f"{builder.name}: {stays} until all of its nodes can be made")
        else:
            existing = [node for node in builder.nodes if resource_kind(node) is None]
            warnings = _record(workspace, existing)
            return warnings, register(workspace, builder, verify=not errors and not state.errors)
    return (), []


def _bring_up_node(workspace: BuilderWorkspace, state: NodeState, changes: Iterable[Change]) -> tuple[str, ...]:
    """Apply the changes of one node, record the node, and make sure that the node answers. Return warnings.

    The resource is inspected again: if the node's docker context was missing, the survey could not see the resource,
    and another process may have replaced the resource since.
    """
    node = state.node
    manager = workspace.services.manager(node)
    if manager is None:
        return ()
    if not any(change.node is node and change.kind is not ResourceKind.EMULATORS for change in changes):
        return _record(workspace, [node])
    with workspace.node_locked(node):
        start = NodeStart.of(node, lambda activity: workspace.progress(node.id, activity))
        if state.foreign:
            manager.adopt(node, state.made)
        made = find_own_resource(workspace.services.contexts, manager, node)
        warnings = _record(workspace, [node])
        current = node_changes(replace(state, made=made, foreign=False))
        action = next((change.action for change in current if change.kind is resource_kind(node)), None)
        if action in {Action.CREATE, Action.DEPLOY, Action.REPLACE}:
            manager.fetch(node, start)
        if action in {Action.CREATE, Action.DEPLOY}:
            manager.prepare(node)
        if action is Action.REPLACE and made is not None:
            # First pull and check: if mpbake cannot make the new resource, the old resource stays.
            check_replacement(workspace, node, manager, made)
            _remove_idle(node, manager)
        elif made is not None:
            manager.resume(node, made)
        if action in {Action.CREATE, Action.DEPLOY, Action.REPLACE}:
            manager.create(node)
        instance = workspace.services.instances.write(node)
        start_node(workspace.services.instances, manager, instance, start)
    workspace.say(f"{node.id}: {_outcome(node, action, adopted=state.foreign)}")
    return warnings


def _remove_idle(node: Node, manager: ResourceManager) -> None:
    """Remove the resource of `node` if no build runs in it. The cache is kept if possible. Raises LockHeld."""
    made = idle_resource(node, manager)
    if made is not None:
        manager.remove(node, made)


def _record(workspace: BuilderWorkspace, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Record `nodes` of one builder, right before the nodes are created. Return warnings if that fails."""
    return workspace.services.records.add(nodes[0].builder, nodes, workspace.plan) if nodes else ()


def _has_contexts(workspace: BuilderWorkspace, builder: Builder) -> bool:
    """Whether the docker contexts of all nodes of `builder` exist."""
    names = (context_name(node) for node in builder.nodes)
    return all(workspace.services.contexts.has(name) for name in names if name)


def stop(workspace: BuilderWorkspace, builder: Builder) -> list[MpbakeError]:
    """Stop the containers of `builder` in which no build runs, and return errors.

    The next run starts the containers again. Other nodes keep running, and a message says so.
    """
    with workspace.locked(builder.name):
        return errors_of(side_by_side(lambda node: _stop_node(workspace, node), builder.nodes))


def _stop_node(workspace: BuilderWorkspace, node: Node) -> None:
    manager = workspace.services.manager(node)
    if manager is None or not manager.can_stop:
        remedy = f"; to free its resources, run: mpbake builders rm {node.builder}" if manager else ""
        workspace.say(f"{node.id}: keeps running: mpbake stops containers only{remedy}")
        return
    made = idle_resource(node, manager)
    if made is None or manager.is_stopped(made):
        workspace.say(f"{node.id}: is not running")
        return
    manager.stop(node, made)
    workspace.say(f"{node.id}: stopped")


def _is_unmakable(state: BuilderState, errors: Iterable[MpbakeError]) -> bool:
    """Whether a node cannot be created or used as declared.

    If the store had an entry for such a builder, buildx would fail or would use a foreign resource.
    """
    in_trouble = any(node.trouble and resource_kind(node.node) for node in state.nodes)
    return in_trouble or any(isinstance(error, UsageError | ImageUnavailable) for error in (*state.errors, *errors))


def _without_repeats(errors: Iterable[MpbakeError]) -> tuple[MpbakeError, ...]:
    """Return the errors without duplicates: a node may have been queried twice."""
    return tuple({str(error): error for error in errors}.values())


def _outcome(node: Node, action: Action | None, *, adopted: bool) -> str:
    words = ["adopted"] if adopted else []
    match action:
        case Action.CREATE:
            words.append("created")
        case Action.DEPLOY:
            words.append(f"BuildKit deployed on {one_line(node.engine)}")
        case Action.REPLACE:
            words.append(f"recreated{' with its cache' if keeps_cache(node) else ''}")
        case Action.START:
            words.append("started")
    return ", ".join([*words, "and answers"]) if words else "answers"
