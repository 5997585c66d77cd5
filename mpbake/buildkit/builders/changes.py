"""The changes that give a declared builder its declared state, each with a reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.model.marks import drifted_names, read_mark
from mpbake.model.node_resources import context_name, keeps_cache, resource_kind, resource_name, volume_name
from mpbake.model.node_state import CERTIFICATE_OPTIONS, Action, Change, Drift, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mpbake.model.node_state import NodeResource, NodeState, StoredBuilder, StoredNode
    from mpbake.model.plan import Builder, Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Entries:
    """The entry of a builder in buildx's store, and the entry that the store should contain; None for no entry.

    `foreign`: the stored entry was made by hand and can be adopted.
    """

    stored: StoredBuilder | None = None
    declared: StoredBuilder | None = None
    foreign: bool = False


def builder_changes(builder: Builder, states: Sequence[NodeState], entries: Entries) -> tuple[Change, ...]:
    """Return the changes that bring `builder` to its declared state; none if there is no drift."""
    usable = [state for state in states if not state.trouble and not state.node.external]
    changes = [change for state in usable for change in node_changes(state)]
    return (*changes, *_entry_changes(builder, entries))


def node_changes(state: NodeState) -> Iterator[Change]:
    """Yield the changes that bring one node to its declared state."""
    node = state.node
    if state.context is False:
        reason = "buildx reaches an engine by TLS through a docker context only"
        yield Change(
            action=Action.CORRECT, kind=ResourceKind.CONTEXT, name=context_name(node), reason=reason, node=node
        )
    kind = resource_kind(node)
    if kind is None:
        return
    made, name = state.made, resource_name(node)
    if state.foreign:
        yield _adoption(state, kind, name)
    if made is None:
        reason = (
            "unless it exists, which only the docker context can show"
            if state.context is False
            else "it does not exist"
        )
        yield _creation(state, name, reason)
    elif names := _drifted_names(state, made):
        differences = tuple(_option_drift(option, made, state) for option in names)
        cache = "its cache stays" if keeps_cache(node) else "its cache goes with its pods"
        reason = f"it was made with other options; {cache}"
        yield Change(action=Action.REPLACE, kind=kind, name=name, reason=reason, node=node, differences=differences)
    elif made.status != "running":
        yield Change(action=Action.START, kind=kind, name=name, reason=f"it is {made.status}", node=node)


def _adoption(state: NodeState, kind: ResourceKind, name: str) -> Change:
    """Return the adoption of a resource and its cache, or of the cache alone."""
    if state.made is None:
        kind, name, reason = ResourceKind.VOLUME, volume_name(state.node), "it was made by hand; the cache in it stays"
    else:
        reason = f"it was made by hand{'; its cache stays' if keeps_cache(state.node) else ''}"
    return Change(action=Action.ADOPT, kind=kind, name=name, reason=reason, node=state.node)


def _drifted_names(state: NodeState, made: NodeResource) -> tuple[str, ...]:
    """Return the names of the options in which a resource differs, without certificates that this machine lacks."""
    rules = state.node.driver.rules.resource
    unknown = rules.certificates(state.node).keys() - dict(state.settings).keys() if rules else set()
    return tuple(name for name in drifted_names(made.mark, state.mark) if name not in unknown)


def _creation(state: NodeState, name: str, reason: str) -> Change:
    """Return the creation of a missing resource: mpbake itself deploys what buildx does not create."""
    node, rules = state.node, state.node.driver.rules.resource
    action = Action.CREATE if rules is None or rules.is_made_by_buildx else Action.DEPLOY
    settings = state.settings if action is Action.DEPLOY else ()
    kind = resource_kind(node) or ResourceKind.CONTAINER
    return Change(action=action, kind=kind, name=name, reason=reason, node=node, settings=settings)


def _option_drift(name: str, made: NodeResource, state: NodeState) -> Drift:
    """Return the actual and the declared value of an option, as far as they are known.

    Values of environment variables are omitted, since they may contain credentials.
    """
    unread = "another" if name in read_mark(made.mark) else ""
    if name.startswith("env.") or name in {"config", "driver"}:
        return Drift(name=name, before=unread, after="as declared")
    if name == "flags":
        return Drift(name=name, before="others", after=" ".join(state.node.flags))
    before = dict(made.settings).get(name, unread)
    shown = _amount(int(before)) if name.startswith("memory") and before.isdecimal() else before
    return Drift(name=name, before=shown, after=dict(state.settings).get(name, ""))


def _amount(size: int) -> str:
    """Return a number of bytes in docker's notation: `8g`, `512m`, `1000b`."""
    units = (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10))
    return next((f"{size // factor}{unit}" for unit, factor in units if size % factor == 0), f"{size}b")


def entry_action(changes: Iterable[Change]) -> Action | None:
    """Return what `changes` do to a builder's entry in buildx's store; None if the entry stays unchanged."""
    return next((change.action for change in changes if change.kind is ResourceKind.ENTRY), None)


def undeployed_nodes(changes: Iterable[Change]) -> tuple[Node, ...]:
    """Return the nodes that `changes` deploy: until then, their entry in buildx's store leads nowhere."""
    return tuple(change.node for change in changes if change.action is Action.DEPLOY and change.node)


def _entry_changes(builder: Builder, entries: Entries) -> Iterator[Change]:
    stored, declared, name = entries.stored, entries.declared, builder.name.lower()
    if stored is not None and declared is not None and entries.foreign:
        differences = tuple(drift for drift in entry_drift(stored, declared) if not drift.name.endswith(": mark"))
        reason = "buildx's store has it, made by hand"
        yield Change(action=Action.ADOPT, kind=ResourceKind.ENTRY, name=name, reason=reason, differences=differences)
    elif stored == declared:
        return
    elif declared is None:
        reason = "the builder has the `docker` driver now, which needs no entry in buildx's store"
        before = Drift(name="driver", before=stored.driver if stored else "", after=str(builder.driver))
        yield Change(action=Action.REMOVE, kind=ResourceKind.ENTRY, name=name, reason=reason, differences=(before,))
    elif stored is None:
        reason = f"for use by hand: docker buildx build --builder {name}"
        yield Change(action=Action.CREATE, kind=ResourceKind.ENTRY, name=name, reason=reason)
    else:
        differences = tuple(entry_drift(stored, declared))
        reason = "buildx's store has other values"
        yield Change(action=Action.CORRECT, kind=ResourceKind.ENTRY, name=name, reason=reason, differences=differences)


def entry_drift(stored: StoredBuilder, declared: StoredBuilder) -> Iterator[Drift]:
    """Yield the differences between two entries, node by node."""
    if stored.driver != declared.driver:
        yield Drift(name="driver", before=stored.driver, after=declared.driver)
    before, after = ({node.name: node for node in entry.nodes} for entry in (stored, declared))
    for name in dict.fromkeys([*before, *after]):
        if name in before and name in after:
            yield from _node_drift(before[name], after[name])
        else:
            yield Drift(
                name=f"node {name}", before="listed" if name in before else "", after="listed" if name in after else ""
            )
    if list(before) != list(after) and before.keys() == after.keys():
        yield Drift(name="order", before=", ".join(before), after=", ".join(after))


def _node_drift(before: StoredNode, after: StoredNode) -> Iterator[Drift]:
    values = {
        "mark": (before.mark, after.mark),
        "endpoint": (before.endpoint, after.endpoint),
        "platforms": (", ".join(before.platforms), ", ".join(after.platforms)),
        "flags": (" ".join(before.flags), " ".join(after.flags)),
    }
    old, new = dict(before.options), dict(after.options)
    values |= {name: (old.get(name, ""), new.get(name, "")) for name in sorted(old.keys() | new.keys())}
    for name, (one, other) in values.items():
        if one != other:
            shown = ("another", "as declared") if _is_sensitive(name) else (one, other)
            yield Drift(name=f"{after.name}: {name}", before=shown[0], after=shown[1])


def _is_sensitive(option: str) -> bool:
    return option == "mark" or option.startswith("env.") or option in CERTIFICATE_OPTIONS
