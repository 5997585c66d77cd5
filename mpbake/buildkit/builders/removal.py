"""Builders taken away: what mpbake made of them, and nothing that is somebody else's or still declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, NodeMayBeInUse, Unreachable
from mpbake.base.text import one_line
from mpbake.buildkit.builders.changes import entry_action
from mpbake.buildkit.builders.registration import register, unregister
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.builders.workspace import idle_resource
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.records import record_of
from mpbake.buildkit.nodes.tools import side_by_side
from mpbake.model.node_resources import (
    context_name,
    keeps_cache,
    resource_kind,
    resource_name,
    resource_word,
    volume_name,
)
from mpbake.model.node_state import Action, CacheRemoval

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mpbake.buildkit.builders.workspace import BuilderWorkspace
    from mpbake.buildkit.nodes.records import MadeNode, Record
    from mpbake.model.plan import Builder, Node


@dataclass(frozen=True, kw_only=True, slots=True)
class _Removal:
    """Which nodes of a builder go, and how: not what those that are `staying` live in and are reached by.

    What is `noted` was made from here, for all that is known; other nodes may never have been. With `forget` those
    out of reach are given up; `command` does that.
    """

    builder: str
    nodes: tuple[MadeNode, ...]
    noted: Collection[MadeNode]
    command: str
    staying: tuple[Node, ...] = ()
    keep_state: bool = False
    forget: bool = False

    def way_out(self, error: Unreachable) -> Unreachable:
        """The error of a node out of reach, with what to do about one that will never be reached again."""
        remedies = [each for each in (error.hint, f"if it is gone for good: mpbake builders {self.command}") if each]
        return Unreachable(error.message, hint="; ".join(remedies))

    def namesakes(self, node: Node) -> list[Node]:
        """Those that are staying and are called as `node` is, maybe on another engine."""
        name = (node.driver, node.buildx_name)
        return [each for each in self.staying if (each.driver, each.buildx_name) == name]


def remove(site: BuilderWorkspace, builder: Builder, *, keep_state: bool, forget: bool = False) -> list[MpbakeError]:
    """Remove what mpbake made of `builder`: containers, their caches unless `keep_state`, contexts, its entry.

    What is out of reach is an error and stays noted, unless it is to be forgotten. So does a node whose cache is kept:
    nothing else tells that it is there.
    """
    with site.locked(builder.name):
        before = site.tools.records.read(builder.name, site.plan)
        record = record_of(builder, site.plan, before)
        others = _others(site, record, record.gone(builder))
        nodes = tuple(made for made in record.nodes if resource_kind(made.node(builder.name)) and made not in others)
        noted = before.nodes if before else ()
        removal = _Removal(
            builder=builder.name,
            nodes=nodes,
            noted=noted,
            keep_state=keep_state,
            forget=forget,
            command=f"rm --forget {builder.name}",
        )
        failed, kept = _remove_nodes(site, removal)
        _note_kept(site, builder, {made.name for made in kept if made not in noted})
        if _entry_may_go(failed.values()):
            unregister(site, builder.name)
            _drop(site, record, [each for each in record.nodes if each not in failed and each not in kept])
        return list(failed.values())


def prune(
    site: BuilderWorkspace, record: Record, declared: Mapping[str, Builder], *, forget: bool = False
) -> list[MpbakeError]:
    """Remove what was made of nodes that are no longer among the `declared`.

    What is out of reach is an error and stays noted, unless it is to be forgotten.
    """
    with site.locked(record.builder):
        builder = record.declared_in(declared)
        gone = record.gone(builder)
        others = _others(site, record, gone)
        staying = tuple(node for each in declared.values() for node in each.nodes)
        leaving = tuple(each for each in gone if each not in others)
        removal = _Removal(
            builder=record.builder,
            nodes=leaving,
            noted=leaving,
            staying=staying,
            forget=forget,
            command="prune --forget",
        )
        failed, _ = _remove_nodes(site, removal)
        errors = list(failed.values())
        if not _entry_may_go(errors):
            return errors
        if builder is None and not site.tools.records.of_others(record.builder, site.plan):
            unregister(site, record.builder)
        _drop(site, record, [each for each in gone if each not in failed], declared=builder is not None)
        return errors + (_correct_entry(site, builder) if builder else [])


def _note_kept(site: BuilderWorkspace, builder: Builder, names: Collection[str]) -> None:
    """Note the nodes of these names, which were made elsewhere, and whose caches were kept here."""
    nodes = [each for each in builder.nodes if each.name in names]
    for warning in site.tools.records.add(builder.name, nodes, site.plan):
        site.say(f"warning: {warning}")


def _drop(site: BuilderWorkspace, record: Record, nodes: Collection[MadeNode], *, declared: bool = False) -> None:
    """Note that `nodes` of a record are no more; without a node it is none, unless its builder is `declared`."""
    if declared or set(record.nodes) - set(nodes):
        site.tools.records.drop(record.builder, site.plan, nodes)
    else:
        site.tools.records.remove(record.builder, site.plan)


def _correct_entry(site: BuilderWorkspace, builder: Builder) -> list[MpbakeError]:
    """Correct what buildx's store says of `builder`, if it says something."""
    match entry_action(survey_builder(site.tools, builder, site.plan).changes):
        case Action.CORRECT:
            return register(site, builder, sure=False)
        case Action.REMOVE:
            unregister(site, builder.name)
    return []


def _others(site: BuilderWorkspace, record: Record, gone: Collection[MadeNode]) -> set[MadeNode]:
    """The nodes `gone` from this plan that were made for another one too, such as another checkout of it."""
    others = site.tools.records.of_others(record.builder, site.plan)
    plans = {made: other.plan for other in others for made in other.nodes if made in gone}
    for made, plan in plans.items():
        site.say(f"{record.builder}/{made.name}: made for {plan} too, and stays")
    return set(plans)


def _remove_nodes(site: BuilderWorkspace, removal: _Removal) -> tuple[dict[MadeNode, MpbakeError], set[MadeNode]]:
    """Remove what there is of nodes.

    Returns those of which something stays that was to go, each with its error, and those whose cache was to be kept.
    """
    results = side_by_side(lambda made: _remove_made(site, made, removal), removal.nodes)
    pairs = list(zip(removal.nodes, results, strict=True))
    failed = {made: result for made, result in pairs if isinstance(result, MpbakeError)}
    return failed, {made for made, result in pairs if result is True}


def _remove_made(site: BuilderWorkspace, made: MadeNode, removal: _Removal) -> bool:
    """Remove what there is of one node, and the docker context that leads there; whether its cache is kept."""
    node, kept = made.node(removal.builder), False
    with site.node_locked(node):
        try:
            same = _same(site, node, removal.namesakes(node))
            if same:
                site.say(f"{node.id}: {same.id} still is the same {resource_word(node)}, which stays")
            else:
                kept = _remove_node(site, node, removal, noted=made in removal.noted)
        except NodeMayBeInUse:
            raise
        except Unreachable as error:
            _give_up(site, made, removal, error)
        else:
            if not kept:
                _remove_context(site, made, removal)
    return kept


def _give_up(site: BuilderWorkspace, made: MadeNode, removal: _Removal, error: Unreachable) -> None:
    """What to do about a node out of reach. Raises Unreachable, unless nothing is there or it is to be forgotten.

    Its docker context stays where something may be left: nothing else leads there.
    """
    node = made.node(removal.builder)
    if removal.forget:
        _remove_context(site, made, removal)
        where = one_line(made.engine) or "the engine in use"
        site.say(f"{node.id}: out of reach, and forgotten; on {where} may be left: {', '.join(_left_of(node))}")
        return
    way_gone = bool(made.context) and not site.tools.contexts.has(made.context)
    if made not in removal.noted:
        _remove_context(site, made, removal)
        if way_gone:
            return  # no engine was ever reached in this way
    elif way_gone:
        message = f"{node.id}: what was made there cannot be reached: the docker context {made.context} is gone"
        raise removal.way_out(Unreachable(message))
    raise removal.way_out(error)


def _remove_context(site: BuilderWorkspace, made: MadeNode, removal: _Removal) -> None:
    """Remove the docker context that was made for a node, unless one that is staying is reached by it."""
    node, contexts = made.node(removal.builder), {context_name(each) for each in removal.staying}
    if made.context not in {"", *contexts} and site.tools.contexts.remove(node, made.context):
        site.say(f"{node.id}: docker context {made.context} removed")


def _same(site: BuilderWorkspace, node: Node, namesakes: Collection[Node]) -> Node | None:
    """Which of its `namesakes` lives in the same as `node`, though it may be reached in another way."""
    keeper = site.tools.keeper(node)
    made = keeper.find(node) if keeper and namesakes else None
    if keeper is None or made is None:
        return None
    found = ((each, keeper.find(each)) for each in namesakes)
    return next((each for each, its in found if its and its.id == made.id), None)


def _remove_node(site: BuilderWorkspace, node: Node, removal: _Removal, *, noted: bool) -> bool:
    """Remove what there is of a node, which may be nothing, or just the cache of what was made from here.

    Returns whether there may be a cache that is kept, and that is mpbake's to remove another time.
    """
    if back_end_of(node).is_shared(node):
        _leave(site, node)
        return False
    keeper = site.tools.keeper(node)
    if keeper is None:
        return False
    what, made = resource_word(node), idle_resource(node, keeper)
    stays = keeps_cache(node, wanted=removal.keep_state)
    if made is not None:
        keeper.remove(node, made)
        cache = CacheRemoval.NOTHING if stays else keeper.forget_cache(node)
        with_it = "its cache stays" if stays or cache is CacheRemoval.FOREIGN else "and its cache"
        site.say(f"{node.id}: {what} removed, {with_it}")
        _say_of_foreign(site, node, cache)
    elif noted and not stays and not removal.namesakes(node):
        # A cache that is called the same may be its namesake's, on the same engine.
        cache = keeper.forget_cache(node)
        if cache is CacheRemoval.REMOVED:
            site.say(f"{node.id}: its {what} was gone, its cache is removed")
        _say_of_foreign(site, node, cache)
    return removal.keep_state and bool(volume_name(node)) and (noted or made is not None)


def _say_of_foreign(site: BuilderWorkspace, node: Node, cache: CacheRemoval) -> None:
    """Say of a volume that mpbake did not make that it stays."""
    if cache is CacheRemoval.FOREIGN:
        volume = volume_name(node)
        site.say(
            f"{node.id}: mpbake did not make the volume {volume}, which stays; docker volume rm {volume} removes it"
        )


def _leave(site: BuilderWorkspace, node: Node) -> None:
    """Say of the container that is every plan's why it stays, if there is one."""
    keeper = site.tools.keeper(node)
    if keeper is not None and keeper.find(node) is not None:
        why = "its container is that of every plan that declares no builder, and stays"
        site.say(f"{node.id}: {why}; docker rm --force {resource_name(node)} removes it")


def _entry_may_go(errors: Iterable[MpbakeError]) -> bool:
    """Whether what buildx's store and the notes say may go, too: nothing had to stay but what does not answer."""
    return all(isinstance(error, Unreachable) and not isinstance(error, NodeMayBeInUse) for error in errors)


def _left_of(node: Node) -> list[str]:
    """What may be left of a node that was forgotten."""
    made = f"{resource_word(node)} {resource_name(node)}"
    volume = volume_name(node)
    return [made, f"volume {volume}"] if volume else [made]
