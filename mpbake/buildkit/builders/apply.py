"""Declared builders made real: what `lifecycle` decided is done, by one process at a time."""

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
from mpbake.buildkit.nodes.tools import errors_of, reached, side_by_side, start
from mpbake.model.node_resources import context_name, keeps_cache, resource_kind
from mpbake.model.node_state import Action

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mpbake.buildkit.builders.survey import BuilderState
    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.buildkit.nodes.drivers.back_end import Keeper
    from mpbake.model.node_state import Change, NodeState
    from mpbake.model.plan import Builder, Node


def reconcile(site: BuilderWorkspace, builder: Builder, tell: Callable[[BuilderState], None]) -> BuilderState:
    """Make the world match `builder`; `tell` hears before what will be done.

    What comes back has the errors of finding and doing. Whoever had to wait for another process finds nothing to
    do.
    """
    with site.locked(builder.name):
        found = survey_builder(site.tools, builder, site.plan)
        tell(found)
        if not found.changes:
            return found
        doable = [each for each in found.nodes if not each.trouble]
        results = side_by_side(lambda each: _bring_up_node(site, each, found.changes), doable)
        errors, unnoted = errors_of(results), [each for each in results if isinstance(each, tuple)]
        entry = entry_action(found.changes)
        if entry is Action.REMOVE:
            unregister(site, builder.name)
        elif entry is not None:
            if _is_unmakable(found, errors) or (errors and not _has_contexts(site, builder)):
                site.say(f"{builder.name}: not put into buildx's store before all of its nodes can be made")
            else:
                unnoted.append(_note(site, [node for node in builder.nodes if resource_kind(node) is None]))
                errors += register(site, builder, sure=not errors and not found.errors)
        warnings = dict.fromkeys([*found.warnings, *chain.from_iterable(unnoted)])
        return replace(found, warnings=tuple(warnings), errors=_told_once([*found.errors, *errors]))


def _bring_up_node(site: BuilderWorkspace, found: NodeState, changes: Iterable[Change]) -> tuple[str, ...]:
    """Do what is to be done about one node, which is noted, and see that it answers; warnings of that.

    What it lives in is looked at anew: it may be seen through its docker context only, or be another's by now.
    """
    node = found.node
    keeper = site.tools.keeper(node)
    if keeper is None:
        return ()
    if not any(change.node is node for change in changes):
        return _note(site, [node])
    with site.node_locked(node):
        boot = NodeStart.of(node, lambda activity: site.progress(node.id, activity))
        made = reached(site.tools.contexts, keeper, node)
        unnoted = _note(site, [node])
        todo = node_changes(replace(found, made=made))
        action = next((change.action for change in todo if change.kind is resource_kind(node)), None)
        if action in {Action.CREATE, Action.REPLACE}:
            keeper.fetch(node, boot)
        if action is Action.CREATE:
            keeper.prepare(node)
        if action is Action.REPLACE:  # only now: without an image for a new one, the old one must stay
            _remove_idle(node, keeper)
        elif made is not None:
            keeper.resume(node, made)
        start(site.tools.instances, keeper, site.tools.instances.written(node), boot)
    site.say(f"{node.id}: {_said(node, action)}")
    return unnoted


def _remove_idle(node: Node, keeper: Keeper) -> None:
    """Take away what `node` lives in when nobody builds there; its cache stays where it can. Raises LockHeld."""
    made = idle_resource(node, keeper)
    if made is not None:
        keeper.remove(node, made)


def _note(site: BuilderWorkspace, nodes: Sequence[Node]) -> tuple[str, ...]:
    """Note that `nodes` of a builder are made, right before they are. Warnings if that cannot be."""
    return site.tools.records.add(nodes[0].builder, nodes, site.plan) if nodes else ()


def _has_contexts(site: BuilderWorkspace, builder: Builder) -> bool:
    """Whether the docker contexts are there through which the nodes of `builder` are reached."""
    names = (context_name(node) for node in builder.nodes)
    return all(site.tools.contexts.has(name) for name in names if name)


def stop(site: BuilderWorkspace, builder: Builder) -> list[MpbakeError]:
    """Stop the containers of `builder` in which nobody builds; the next run starts them again."""
    with site.locked(builder.name):
        return errors_of(side_by_side(lambda node: _stop_node(site, node), builder.nodes))


def _stop_node(site: BuilderWorkspace, node: Node) -> None:
    keeper = site.tools.keeper(node)
    if keeper is None or not keeper.can_stop:
        return
    made = idle_resource(node, keeper)
    if made is None or keeper.is_stopped(made):
        site.say(f"{node.id}: does not run")
        return
    keeper.stop(node, made)
    site.say(f"{node.id}: stopped")


def _is_unmakable(found: BuilderState, errors: Iterable[MpbakeError]) -> bool:
    """Whether a node cannot be made or be used as declared: buildx would not have it, or another's in its place."""
    in_trouble = any(each.trouble and resource_kind(each.node) for each in found.nodes)
    return in_trouble or any(isinstance(error, UsageError | ImageUnavailable) for error in (*found.errors, *errors))


def _told_once(errors: Iterable[MpbakeError]) -> tuple[MpbakeError, ...]:
    """Without those that say what another has said: a node may have been asked twice."""
    return tuple({str(error): error for error in errors}.values())


def _said(node: Node, action: Action | None) -> str:
    match action:
        case Action.CREATE:
            return "created, and answers"
        case Action.REPLACE:
            return f"made anew{' with its cache' if keeps_cache(node) else ''}, and answers"
        case Action.START:
            return "started, and answers"
        case _:
            return "answers"
