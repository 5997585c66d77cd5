"""Reconciles declared builders: applies the changes that give them their declared state, in one process at a time."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING

from mpbake.base.errors import ImageUnavailable, MpbakeError, UsageError
from mpbake.buildkit.builders.changes import entry_action, node_changes
from mpbake.buildkit.builders.registration import register, unregister
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.builders.workspace import idle_resource
from mpbake.buildkit.nodes.first_start import NodeStart
from mpbake.buildkit.nodes.tools import errors_of, find_own_resource, side_by_side, start_node
from mpbake.model.node_resources import context_name, keeps_cache, resource_kind
from mpbake.model.node_state import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mpbake.buildkit.builders.survey import BuilderState
    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.model.node_state import Change, NodeState
    from mpbake.model.plan import Builder, Node


def reconcile(workspace: BuilderWorkspace, builder: Builder, announce: Callable[[BuilderState], None]) -> BuilderState:
    """Give `builder` its declared state. `announce` receives the changes before they are applied.

    The result holds the errors of the survey and of the changes. After waiting for another process, there is usually
    nothing left to do.
    """
    with workspace.locked(builder.name):
        state = survey_builder(workspace.tools, builder, workspace.plan)
        announce(state)
        if not state.changes:
            return state
        usable = [node for node in state.nodes if not node.trouble]
        results = side_by_side(lambda node: _bring_up_node(workspace, node, state.changes), usable)
        errors, warnings = errors_of(results), [result for result in results if isinstance(result, tuple)]
        entry_warnings, entry_errors = _apply_to_entry(workspace, state, errors)
        every_warning = dict.fromkeys([*state.warnings, *chain.from_iterable(warnings), *entry_warnings])
        every_error = _without_repeats([*state.errors, *errors, *entry_errors])
        return replace(state, warnings=tuple(every_warning), errors=every_error)


def _apply_to_entry(
    workspace: BuilderWorkspace, state: BuilderState, errors: Sequence[MpbakeError]
) -> tuple[tuple[str, ...], list[MpbakeError]]:
    """Change the builder's entry in buildx's store, after its nodes with these `errors`. Return warnings and errors."""
    builder, action = state.builder, entry_action(state.changes)
    if action is Action.REMOVE:
        unregister(workspace, builder.name)
    elif action is not None:
        if _is_unmakable(state, errors) or (errors and not _has_contexts(workspace, builder)):
            workspace.say(f"{builder.name}: not added to buildx's store until all of its nodes can be made")
        else:
            existing = [node for node in builder.nodes if resource_kind(node) is None]
            warnings = _record(workspace, existing)
            return warnings, register(workspace, builder, verify=not errors and not state.errors)
    return (), []


def _bring_up_node(workspace: BuilderWorkspace, state: NodeState, changes: Iterable[Change]) -> tuple[str, ...]:
    """Apply the changes of one node, record it, and make sure that it answers. Return warnings.

    The resource is inspected again: without its docker context it could not be seen, and another process may have
    replaced it.
    """
    node = state.node
    manager = workspace.tools.manager(node)
    if manager is None:
        return ()
    if not any(change.node is node for change in changes):
        return _record(workspace, [node])
    with workspace.node_locked(node):
        start = NodeStart.of(node, lambda activity: workspace.progress(node.id, activity))
        made = find_own_resource(workspace.tools.contexts, manager, node)
        warnings = _record(workspace, [node])
        current = node_changes(replace(state, made=made))
        action = next((change.action for change in current if change.kind is resource_kind(node)), None)
        if action in {Action.CREATE, Action.REPLACE}:
            manager.fetch(node, start)
        if action is Action.CREATE:
            manager.prepare(node)
        if action is Action.REPLACE:  # only now: without an image for a new one, the old one must stay
            _remove_idle(node, manager)
        elif made is not None:
            manager.resume(node, made)
        instance = workspace.tools.instances.write(node)
        start_node(workspace.tools.instances, manager, instance, start)
    workspace.say(f"{node.id}: {_outcome(node, action)}")
    return warnings


def _remove_idle(node: Node, manager: ResourceManager) -> None:
    """Remove the resource of `node` if no build runs in it. Its cache stays if it can. Raises LockHeld."""
    made = idle_resource(node, manager)
    if made is not None:
        manager.remove(node, made)


def _record(workspace: BuilderWorkspace, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Add `nodes` of one builder to the records, right before they are made. Return warnings if that fails."""
    return workspace.tools.records.add(nodes[0].builder, nodes, workspace.plan) if nodes else ()


def _has_contexts(workspace: BuilderWorkspace, builder: Builder) -> bool:
    """Whether all docker contexts exist that lead to the nodes of `builder`."""
    names = (context_name(node) for node in builder.nodes)
    return all(workspace.tools.contexts.has(name) for name in names if name)


def stop(workspace: BuilderWorkspace, builder: Builder) -> list[MpbakeError]:
    """Stop the containers of `builder` in which no build runs, and return errors. The next run starts them again."""
    with workspace.locked(builder.name):
        return errors_of(side_by_side(lambda node: _stop_node(workspace, node), builder.nodes))


def _stop_node(workspace: BuilderWorkspace, node: Node) -> None:
    manager = workspace.tools.manager(node)
    if manager is None or not manager.can_stop:
        return
    made = idle_resource(node, manager)
    if made is None or manager.is_stopped(made):
        workspace.say(f"{node.id}: is not running")
        return
    manager.stop(node, made)
    workspace.say(f"{node.id}: stopped")


def _is_unmakable(state: BuilderState, errors: Iterable[MpbakeError]) -> bool:
    """Whether a node cannot be made or used as declared. With an entry, buildx would fail or use a foreign resource."""
    in_trouble = any(node.trouble and resource_kind(node.node) for node in state.nodes)
    return in_trouble or any(isinstance(error, UsageError | ImageUnavailable) for error in (*state.errors, *errors))


def _without_repeats(errors: Iterable[MpbakeError]) -> tuple[MpbakeError, ...]:
    """Return the errors, those with the same text once: a node may have been asked twice."""
    return tuple({str(error): error for error in errors}.values())


def _outcome(node: Node, action: Action | None) -> str:
    match action:
        case Action.CREATE:
            return "created, and answers"
        case Action.REPLACE:
            return f"recreated{' with its cache' if keeps_cache(node) else ''}, and answers"
        case Action.START:
            return "started, and answers"
        case _:
            return "answers"
