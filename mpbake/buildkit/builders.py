"""Declared builders made real: what `lifecycle` decided is done, by one process at a time."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.buildkit.causes import explain, is_refused
from mpbake.buildkit.containers import is_shared
from mpbake.buildkit.instances import parse_nodes
from mpbake.buildkit.locks import held
from mpbake.buildkit.records import record_of
from mpbake.buildkit.store import Store, entry_of, joined
from mpbake.buildkit.survey import look
from mpbake.buildkit.tools import boot, reached, side_by_side
from mpbake.errors import LockHeld, MayBeUsed, MpbakeError, NoImage, Unreachable, UsageError
from mpbake.lifecycle import MADE, Action, Thing, context_of, keeps_cache, made_name, of_node, volume_of
from mpbake.plan import Driver
from mpbake.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from contextlib import AbstractContextManager

    from mpbake.buildkit.records import MadeNode, Record
    from mpbake.buildkit.survey import Found
    from mpbake.buildkit.tools import Keeper, Tools
    from mpbake.lifecycle import Change, FoundNode, Made
    from mpbake.plan import Builder, Node

_CHECK_TIMEOUT = 60.0
_IDLE_TRIES = 10
_IDLE_PAUSE = 0.3


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Builders:
    """Brings builders up. `plan` is the file that declares them; `say` tells what has been done."""

    tools: Tools
    plan: Path
    say: Callable[[str], None]
    cancelled: Callable[[], bool] = lambda: False

    def bring_up(self, builder: Builder, tell: Callable[[Found], None]) -> Found:
        """Make the world match `builder`; `tell` hears before what will be done.

        What comes back has the errors of finding and doing. Whoever had to wait for another process finds nothing to
        do.
        """
        with self._locked(builder.name):
            found = look(self.tools, builder, self.plan)
            tell(found)
            if not found.changes:
                return found
            doable = [each for each in found.nodes if not each.trouble]
            results = side_by_side(lambda each: self._bring_up_node(each, found.changes), doable)
            errors, unnoted = _errors(results), [each for each in results if isinstance(each, tuple)]
            entry = next((change.action for change in found.changes if change.thing is Thing.ENTRY), None)
            if entry is Action.REMOVE:
                self._remove_entry(builder.name)
            elif entry is not None:
                if _is_unmakable(found, errors) or (errors and not self._has_contexts(builder)):
                    self.say(f"{builder.name}: not put into buildx's store before all of its nodes can be made")
                else:
                    unnoted.append(self._note(each for each in builder.nodes if each.driver is Driver.REMOTE))
                    errors += self._write_entry(builder, sure=not errors and not found.errors)
            warnings = dict.fromkeys([*found.warnings, *chain.from_iterable(unnoted)])
            return replace(found, warnings=tuple(warnings), errors=_told_once([*found.errors, *errors]))

    def _note(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """Note that `nodes` of a builder are made, right before they are. Warnings if that cannot be."""
        nodes = tuple(nodes)
        return self.tools.records.add(nodes[0].builder, nodes, self.plan) if nodes else ()

    def _has_contexts(self, builder: Builder) -> bool:
        """Whether the docker contexts are there through which the nodes of `builder` are reached."""
        names = (context_of(node) for node in builder.nodes)
        return all(self.tools.contexts.has(name) for name in names if name)

    def stop(self, builder: Builder) -> list[MpbakeError]:
        """Stop the containers of `builder` in which nobody builds; the next run starts them again."""
        with self._locked(builder.name):
            nodes = [node for node in builder.nodes if node.driver is Driver.DOCKER_CONTAINER]
            return _errors(side_by_side(self._stop_node, nodes))

    def _stop_node(self, node: Node) -> None:
        container = self._idle(node, self.tools.containers)
        if container is None or container.status not in {"running", "restarting"}:
            self.say(f"{node.id}: does not run")
            return
        self.tools.containers.stop(node, container)
        self.say(f"{node.id}: stopped")

    def remove(self, builder: Builder, *, keep_state: bool, forget: bool = False) -> list[MpbakeError]:
        """Remove what mpbake made of `builder`: containers, their caches unless `keep_state`, contexts, its entry.

        What is out of reach is an error and stays noted, unless it is to be forgotten.
        """
        with self._locked(builder.name):
            before = self.tools.records.read(builder.name, self.plan)
            record = record_of(builder, self.plan, before)
            others = self._others(record, record.gone(builder))
            nodes = tuple(each for each in record.nodes if each.driver != Driver.REMOTE and each not in others)
            noted = before.nodes if before else ()
            removal = _Removal(
                builder=builder.name,
                nodes=nodes,
                noted=noted,
                keep_state=keep_state,
                forget=forget,
                command=f"rm --forget {builder.name}",
            )
            failed = self._remove_nodes(removal)
            if _are_out_of_reach(failed.values()):
                self._remove_entry(builder.name)
                self._drop(record, [each for each in record.nodes if each not in failed])
            return list(failed.values())

    def prune(self, record: Record, declared: Mapping[str, Builder], *, forget: bool = False) -> list[MpbakeError]:
        """Remove what was made of nodes that are no longer among the `declared`.

        What is out of reach is an error and stays noted, unless it is to be forgotten.
        """
        with self._locked(record.builder):
            builder = record.declared_in(declared)
            gone = record.gone(builder)
            others = self._others(record, gone)
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
            failed = self._remove_nodes(removal)
            errors = list(failed.values())
            if not _are_out_of_reach(errors):
                return errors
            if builder is None and not self.tools.records.of_others(record.builder, self.plan):
                self._remove_entry(record.builder)
            self._drop(record, [each for each in gone if each not in failed], declared=builder is not None)
            return errors + (self._correct_entry(builder) if builder else [])

    def _drop(self, record: Record, nodes: Collection[MadeNode], *, declared: bool = False) -> None:
        """Note that `nodes` of a record are no more; without a node it is none, unless its builder is `declared`."""
        if declared or set(record.nodes) - set(nodes):
            self.tools.records.drop(record.builder, self.plan, nodes)
        else:
            self.tools.records.remove(record.builder, self.plan)

    def _correct_entry(self, builder: Builder) -> list[MpbakeError]:
        """Correct what buildx's store says of `builder`, if it says something."""
        changes = look(self.tools, builder, self.plan).changes
        match next((change.action for change in changes if change.thing is Thing.ENTRY), None):
            case Action.CORRECT:
                return self._write_entry(builder, sure=False)
            case Action.REMOVE:
                self._remove_entry(builder.name)
        return []

    def _others(self, record: Record, gone: Collection[MadeNode]) -> set[MadeNode]:
        """The nodes `gone` from this plan that were made for another one too, such as another checkout of it."""
        others = self.tools.records.of_others(record.builder, self.plan)
        plans = {made: other.plan for other in others for made in other.nodes if made in gone}
        for made, plan in plans.items():
            self.say(f"{record.builder}/{made.name}: made for {plan} too, and stays")
        return set(plans)

    def _remove_nodes(self, removal: _Removal) -> dict[MadeNode, MpbakeError]:
        """Remove what there is of nodes; those of which something stays that was to go, each with its error."""
        results = side_by_side(lambda made: self._remove_made(made, removal), removal.nodes)
        pairs = zip(removal.nodes, results, strict=True)
        return {made: result for made, result in pairs if isinstance(result, MpbakeError)}

    def _remove_made(self, made: MadeNode, removal: _Removal) -> None:
        """Remove what there is of one node, and the docker context that leads there."""
        node = made.node(removal.builder)
        with held(self.tools.environment, f"node-{node.buildx_name}", cancelled=self.cancelled):
            try:
                same = self._same(node, removal.namesakes(node))
                if same:
                    self.say(f"{node.id}: {same.id} still is the same {MADE[node.driver].value}, which stays")
                else:
                    self._remove_node(node, removal, noted=made in removal.noted)
            except MayBeUsed:
                raise
            except Unreachable as error:
                self._give_up(made, removal, error)
            else:
                self._remove_context(made, removal)

    def _give_up(self, made: MadeNode, removal: _Removal, error: Unreachable) -> None:
        """What to do about a node out of reach. Raises Unreachable, unless nothing is there or it is to be forgotten.

        Its docker context stays where something may be left: nothing else leads there.
        """
        node = made.node(removal.builder)
        if removal.forget:
            self._remove_context(made, removal)
            where = one_line(made.engine) or "the engine in use"
            self.say(f"{node.id}: out of reach, and forgotten; on {where} may be left: {', '.join(_left_of(node))}")
            return
        way_gone = bool(made.context) and not self.tools.contexts.has(made.context)
        if made not in removal.noted:
            self._remove_context(made, removal)
            if way_gone:
                return  # no engine was ever reached in this way
        elif way_gone:
            message = f"{node.id}: what was made there cannot be reached: the docker context {made.context} is gone"
            raise removal.way_out(Unreachable(message))
        raise removal.way_out(error)

    def _remove_context(self, made: MadeNode, removal: _Removal) -> None:
        """Remove the docker context that was made for a node, unless one that is staying is reached by it."""
        node, contexts = made.node(removal.builder), {context_of(each) for each in removal.staying}
        if made.context not in {"", *contexts} and self.tools.contexts.remove(node, made.context):
            self.say(f"{node.id}: docker context {made.context} removed")

    def _same(self, node: Node, namesakes: Collection[Node]) -> Node | None:
        """Which of its `namesakes` lives in the same as `node`, though it may be reached in another way."""
        keeper = self.tools.keeper(node)
        made = keeper.find(node) if keeper and namesakes else None
        if keeper is None or made is None:
            return None
        found = ((each, keeper.find(each)) for each in namesakes)
        return next((each for each, its in found if its and its.id == made.id), None)

    def _remove_node(self, node: Node, removal: _Removal, *, noted: bool) -> None:
        """Remove what there is of a node, which may be nothing, or just the cache of what was made from here."""
        if is_shared(node):
            self._leave(node)
            return
        keeper = self.tools.keeper(node)
        if keeper is None:
            return
        what, made = MADE[node.driver].value, self._idle(node, keeper)
        stays = keeps_cache(node, wanted=removal.keep_state)
        if made is not None:
            keeper.remove(node, made)
            if not stays:
                keeper.forget_cache(node)
            self.say(f"{node.id}: {what} removed, {'its cache stays' if stays else 'and its cache'}")
        elif noted and not stays and not removal.namesakes(node) and keeper.forget_cache(node):
            # A cache says not whose it is. One that is called the same may be its namesake's, on the same engine.
            self.say(f"{node.id}: its {what} was gone, its cache is removed")

    def _leave(self, node: Node) -> None:
        """Say of the container that is every plan's why it stays, if there is one."""
        if self.tools.containers.find(node) is not None:
            why = "its container is that of every plan that declares no builder, and stays"
            self.say(f"{node.id}: {why}; docker rm --force {made_name(node)} removes it")

    def _remove_entry(self, builder: str) -> None:
        """Take the builder out of the user's store, if mpbake put it there."""
        found = self.tools.store.read(builder)
        if found is not None and entry_of(found).is_ours:
            self.tools.store.remove(builder)
            self.say(f"{builder}: taken out of buildx's store")
        elif found is not None:
            self.say(f"{builder}: the builder of that name in buildx's store is not mpbake's, and stays")

    def _locked(self, builder: str) -> AbstractContextManager[None]:
        return held(
            self.tools.environment,
            f"builder-{builder}",
            waiting=lambda: self.say(f"{builder}: another mpbake works on it, waiting"),
            cancelled=self.cancelled,
        )

    def _bring_up_node(self, found: FoundNode, changes: Iterable[Change]) -> tuple[str, ...]:
        """Do what is to be done about one node, which is noted, and see that it answers; warnings of that.

        What it lives in is looked at anew: it may be seen through its docker context only, or be another's by now.
        """
        node = found.node
        keeper = self.tools.keeper(node)
        if keeper is None:
            return ()
        if not any(change.node is node for change in changes):
            return self._note([node])
        with held(self.tools.environment, f"node-{node.buildx_name}", cancelled=self.cancelled):
            made = reached(self.tools.contexts, keeper, node)
            unnoted = self._note([node])
            todo = {change.thing: change.action for change in of_node(replace(found, made=made))}
            action = todo.get(MADE[node.driver])
            if action is Action.REPLACE:
                keeper.fetch(node)  # without its image the one that works would be gone for nothing
                self._remove_idle(node, keeper)
            boot(self.tools.instances, keeper, self.tools.instances.written(node))
        self.say(f"{node.id}: {_said(node, action)}")
        return unnoted

    def _remove_idle(self, node: Node, keeper: Keeper) -> None:
        """Take away what `node` lives in when nobody builds there; its cache stays where it can. Raises LockHeld."""
        made = self._idle(node, keeper)
        if made is not None:
            keeper.remove(node, made)

    def _idle(self, node: Node, keeper: Keeper) -> Made | None:
        """What `node` lives in, looked at anew, once nobody is connected to it; a mere question is soon over."""
        for _ in range(_IDLE_TRIES):
            made = keeper.own(node)
            if made is None or not keeper.is_used(node, made):
                return made
            time.sleep(_IDLE_PAUSE)
        raise LockHeld(
            f"{node.id}: something builds in {made_name(node)} just now; it is left as it is",
            hint="repeat this when it is idle",
        )

    def _write_entry(self, builder: Builder, *, sure: bool) -> list[MpbakeError]:
        """Put the builder into the user's store; when all nodes answer, buildx is first asked what it makes of it."""
        singles = side_by_side(self._single, builder.nodes)
        made = [each for each in singles if not isinstance(each, MpbakeError)]
        if len(made) < len(singles):
            return _errors(singles)
        entry = joined(builder, made)
        try:
            if sure:
                self._check(builder, entry)
            self.tools.store.put(builder.name, entry)
        except MpbakeError as error:
            return [error]
        self.say(f"{builder.name}: in buildx's store, for docker buildx build --builder {builder.name.lower()}")
        return []

    def _single(self, node: Node) -> dict[str, Any]:
        """What buildx itself makes of one node, in a store of its own."""
        instance = self.tools.instances.written(node)
        found = Store(folder=instance.store).read(instance.builder)
        if found is None:
            raise Unreachable(f"{node.id}: buildx did not write down what it was told")
        return found

    def _check(self, builder: Builder, entry: Mapping[str, Any]) -> None:
        """Have buildx read an entry in a private store. Raises MpbakeError when it takes it for something else."""
        with tempfile.TemporaryDirectory(dir=self.tools.scratch) as folder:
            Store(folder=Path(folder)).put(builder.name, entry)
            command = ["buildx", "inspect", builder.name.lower()]
            private = {"BUILDX_CONFIG": folder}
            found = self.tools.docker.run(command, environment=private, timeout=_CHECK_TIMEOUT)
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


def _errors(results: Iterable[object]) -> list[MpbakeError]:
    return [each for each in results if isinstance(each, MpbakeError)]


def _are_out_of_reach(errors: Iterable[MpbakeError]) -> bool:
    """Whether nothing is in the way but that something does not answer."""
    return all(isinstance(error, Unreachable) and not isinstance(error, MayBeUsed) for error in errors)


def _left_of(node: Node) -> list[str]:
    """What may be left of a node that was forgotten."""
    made = f"{MADE[node.driver].value} {made_name(node)}"
    return [made, f"volume {volume_of(node)}"] if node.driver is Driver.DOCKER_CONTAINER else [made]


def _is_unmakable(found: Found, errors: Iterable[MpbakeError]) -> bool:
    """Whether a node cannot be made or be used as declared: buildx would not have it, or another's in its place."""
    in_trouble = any(each.trouble and each.node.driver in MADE for each in found.nodes)
    return in_trouble or any(isinstance(error, UsageError | NoImage) for error in (*found.errors, *errors))


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
