"""What to do about a declared builder: declared beside found gives a list of changes, each with why. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from textwrap import wrap
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.platforms import runs_natively
from mpbake.base.text import columns, one_line
from mpbake.model.plan import Driver, TlsFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Builder, Node

Pairs = tuple[tuple[str, str], ...]
ALWAYS = "--allow-insecure-entitlement=network.host"
"""The flag that buildx adds to every node by itself."""
MARK = "MPBAKE_NODE"
"""Environment variable of a container that mpbake made: what it was made with, so that every machine knows.

`driver=…;image=1f0c9a3e;network=…`: for each thing declared a short hash of its value.
"""
ANNOTATION = "mpbake-node"
"""The same of a Deployment, whose environment older buildx cannot set; `:` stands for `=`, which buildx cuts at."""
VOLUME_LABEL = "mpbake-node"
"""Label of a volume that mpbake made for the cache of a container; its value is the id of the node."""
CERTIFICATES = ("cacert", "cert", "key")
"""Driver options that name certificates of a remote node."""


class CacheRemoval(Enum):
    """What came of removing the cache of a node: a volume that mpbake did not make is foreign, and stays."""

    NOTHING = "nothing"
    REMOVED = "removed"
    FOREIGN = "foreign"


class Action(StrEnum):
    """What a change does; the sign stands before it in a plan."""

    CREATE = "create"
    REPLACE = "replace"
    CORRECT = "correct"
    START = "start"
    REMOVE = "remove"

    @property
    def sign(self) -> str:
        """As in a diff."""
        return {"create": "+", "replace": "±", "correct": "~", "start": ">", "remove": "-"}[self]


class ResourceKind(Enum):
    """What is changed."""

    CONTEXT = "docker context"
    CONTAINER = "container"
    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    ENTRY = "builder"


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeResource:
    """What a node lives in, as its engine or cluster describes it. `mark` is empty when mpbake did not make it.

    `busy` says of a container that somebody is connected: buildx reaches BuildKit by a command that it runs in it, so
    there is one as long as it builds. `settings` are what can be read of its options, under buildx's names.
    """

    id: str
    name: str
    status: str
    mark: str
    busy: bool = False
    settings: Pairs = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredNode:
    """A node in buildx's store, its `mark` apart. For certificates in `options` their content stands, not the path."""

    name: str
    endpoint: str
    platforms: tuple[str, ...] = ()
    options: Pairs = ()
    flags: tuple[str, ...] = ()
    mark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBuilder:
    """A builder in buildx's store. One that mpbake wrote is `signed`, until buildx itself writes it anew."""

    driver: str
    nodes: tuple[StoredNode, ...]
    signed: bool = field(default=False, compare=False)

    @property
    def is_ours(self) -> bool:
        """Whether mpbake made it: it says so, or each of its nodes bears the mark, as those do that mpbake makes."""
        return self.signed or (bool(self.nodes) and all(node.mark for node in self.nodes))


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeState:
    """A declared node beside what there is of it.

    `mark` is that of the declaration. `context` says whether the docker context that it needs is right; None when it
    needs none. `trouble` is why nothing could be found out; `silent` says that it did not answer.
    """

    node: Node
    mark: str = ""
    made: NodeResource | None = None
    context: bool | None = None
    trouble: str = ""
    silent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One thing that is not as declared."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        """`memory: 4g -> 8g`."""
        return f"{self.name}: {one_line(self.before) or '(none)'} -> {one_line(self.after) or '(none)'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing to do, and what it is for. `node` is empty for the builder's own entry."""

    action: Action
    thing: ResourceKind
    name: str
    why: str
    node: Node | None = None
    differences: tuple[Drift, ...] = ()


# --- names ------------------------------------------------------------------------------------------------------------


def container_name(node: Node) -> str:
    """What buildx calls the container of `node`."""
    return f"buildx_buildkit_{node.buildx_name}"


def owned_resource(node: Node, found: NodeResource | None, remove: str) -> NodeResource | None:
    """What `node` lives in, or None when there is nothing; the command `remove` would take it away.

    Raises UsageError when it is somebody else's.
    """
    if found is not None and not found.mark:
        raise UsageError(
            f"{node.id}: a {resource_word(node)} {found.name} exists that mpbake did not make; it is left as it is",
            hint="rename the builder or the node, use its builder (external = true), "
            f"or remove it: {remove} {found.name}",
        )
    return found


def check_volume(node: Node, labels: Mapping[str, str] | None) -> None:
    """Raise UsageError when the volume for the cache of `node` exists without mpbake's label. None is no volume."""
    if labels is not None and VOLUME_LABEL not in labels:
        raise UsageError(
            f"{node.id}: a volume {volume_name(node)} exists that mpbake did not make; it is left as it is",
            hint=f"rename the builder or the node, or remove the volume: docker volume rm {volume_name(node)}",
        )


def resource_name(node: Node) -> str:
    """The name of what is made for `node`."""
    return container_name(node) if node.driver is Driver.DOCKER_CONTAINER else node.buildx_name


PLACE = ("namespace", "persistent-volume-claim.requests.storage")
"""Options that say where in a cluster a kubernetes node is, and as what: without a claim a Deployment."""


def kubernetes_namespace(node: Node) -> str:
    """The namespace that a kubernetes node is declared to be in; empty for that of the context in use."""
    return dict(node.options).get(PLACE[0], "")


def has_volume_claim(node: Node) -> bool:
    """Whether a volume of the cluster holds the cache of a kubernetes node, which is a StatefulSet then."""
    return PLACE[1] in dict(node.options)


def resource_kind(node: Node) -> ResourceKind | None:
    """What mpbake makes for `node`; None for a driver whose nodes exist already."""
    match node.driver:
        case Driver.DOCKER_CONTAINER:
            return ResourceKind.CONTAINER
        case Driver.KUBERNETES:
            return ResourceKind.STATEFUL_SET if has_volume_claim(node) else ResourceKind.DEPLOYMENT
        case _:
            return None


def resource_word(node: Node) -> str:
    """The word for what mpbake makes for `node` in messages."""
    thing = resource_kind(node)
    return thing.value if thing else ""


def keeps_cache(node: Node, *, wanted: bool = True) -> bool:
    """Whether the cache of `node` outlives what it lives in: that of pods does just when a claim holds it."""
    return has_volume_claim(node) if node.driver is Driver.KUBERNETES else wanted


def volume_name(node: Node) -> str:
    """What buildx calls the volume that holds the cache of `node`."""
    return f"{container_name(node)}_state"


def context_name(node: Node) -> str:
    """The name of the docker context that mpbake makes for `node`; empty when it needs none."""
    needed = node.driver is Driver.DOCKER_CONTAINER and node.tls != TlsFiles()
    return f"mpbake-{node.buildx_name}" if needed else ""


# --- marks ------------------------------------------------------------------------------------------------------------


def read_mark(mark: str) -> dict[str, str]:
    """The hashes in a mark, by what they are of: `image=1f0c9a3e;network=…`."""
    return {name: value for name, _, value in (each.rpartition("=") for each in mark.split(";") if each)}


def add_mark(options: dict[str, str], driver: Driver, mark: str) -> None:
    """Put `mark` into the driver options of a node."""
    if driver is Driver.KUBERNETES:
        others = [options["annotations"]] if options.get("annotations") else []
        options["annotations"] = ",".join([*others, f"{ANNOTATION}={mark.replace('=', ':')}"])
    else:
        options[f"env.{MARK}"] = mark


def split_mark(options: dict[str, str]) -> str:
    """Take the mark out of the driver options of a node; empty when there is none."""
    others, is_marked, mark = options.get("annotations", "").rpartition(f"{ANNOTATION}=")
    if not is_marked:
        return options.pop(f"env.{MARK}", "")
    options["annotations"] = others.removesuffix(",")
    return _read_annotation(mark)


def annotated_mark(annotations: Mapping[str, str]) -> str:
    """The mark among the annotations of a Deployment; empty when there is none."""
    return _read_annotation(annotations.get(ANNOTATION, ""))


def _read_annotation(value: str) -> str:
    return value.replace(":", "=")


def drifted_names(found: str, declared: str) -> tuple[str, ...]:
    """What two marks differ in, by name, sorted."""
    one, other = read_mark(found), read_mark(declared)
    return tuple(sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name)))


def entry_action(changes: Iterable[Change]) -> Action | None:
    """What `changes` do to a builder's entry in buildx's store; None where it is right."""
    return next((change.action for change in changes if change.thing is ResourceKind.ENTRY), None)


# --- deciding ---------------------------------------------------------------------------------------------------------


def builder_changes(
    builder: Builder, found: Sequence[NodeState], kept: StoredBuilder | None, declared: StoredBuilder | None
) -> tuple[Change, ...]:
    """What makes the world match `builder`; nothing when it does.

    `kept` is its entry in buildx's store, `declared` what it is to be: None for a builder that is to have none.
    """
    changes = [change for each in found if not each.trouble and not each.node.external for change in node_changes(each)]
    return (*changes, *_of_entry(builder, kept, declared))


def node_changes(found: NodeState) -> Iterator[Change]:
    """What makes one node as declared."""
    node = found.node
    if found.context is False:
        why = "buildx reaches an engine by TLS through a docker context only"
        yield Change(action=Action.CORRECT, thing=ResourceKind.CONTEXT, name=context_name(node), why=why, node=node)
    thing = resource_kind(node)
    if thing is None:
        return
    made, name = found.made, resource_name(node)
    if made is None:
        why = "if there is none: only the context can show it" if found.context is False else "there is none"
        yield Change(action=Action.CREATE, thing=thing, name=name, why=why, node=node)
    elif names := drifted_names(made.mark, found.mark):
        differences = tuple(_difference(each, made, node) for each in names)
        cache = "its cache stays" if keeps_cache(node) else "its cache goes with its pods"
        why = f"it was made with other options; {cache}"
        yield Change(action=Action.REPLACE, thing=thing, name=name, why=why, node=node, differences=differences)
    elif made.status != "running":
        yield Change(action=Action.START, thing=thing, name=name, why=f"it is {made.status}", node=node)


def _difference(name: str, made: NodeResource, node: Node) -> Drift:
    """What is known of the two values; environment variables are not shown, since they may hold credentials."""
    unread = "another" if name in read_mark(made.mark) else ""
    if name.startswith("env.") or name in {"config", "driver"}:
        return Drift(name=name, before=unread, after="as declared")
    if name == "flags":
        return Drift(name=name, before="others", after=" ".join(node.flags))
    before = dict(made.settings).get(name, unread)
    shown = _amount(int(before)) if name.startswith("memory") and before.isdecimal() else before
    return Drift(name=name, before=shown, after=dict(node.options).get(name, ""))


def _amount(count: int) -> str:
    """Bytes as docker takes them: `8g`, `512m`, `1000b`."""
    units = (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10))
    return next((f"{count // size}{unit}" for unit, size in units if count % size == 0), f"{count}b")


def _of_entry(builder: Builder, kept: StoredBuilder | None, declared: StoredBuilder | None) -> Iterator[Change]:
    if kept == declared:
        return
    name = builder.name.lower()
    if declared is None:
        why = "it is the engine's own builder by now, which needs none in buildx's store"
        before = Drift(name="driver", before=kept.driver if kept else "", after=str(builder.driver))
        yield Change(action=Action.REMOVE, thing=ResourceKind.ENTRY, name=name, why=why, differences=(before,))
    elif kept is None:
        why = f"for use by hand: docker buildx build --builder {name}"
        yield Change(action=Action.CREATE, thing=ResourceKind.ENTRY, name=name, why=why)
    else:
        differences = tuple(entry_differences(kept, declared))
        why = "buildx's store says something else"
        yield Change(action=Action.CORRECT, thing=ResourceKind.ENTRY, name=name, why=why, differences=differences)


def entry_differences(kept: StoredBuilder, declared: StoredBuilder) -> Iterator[Drift]:
    """What differs between two entries, node by node."""
    if kept.driver != declared.driver:
        yield Drift(name="driver", before=kept.driver, after=declared.driver)
    before, after = ({each.name: each for each in entry.nodes} for entry in (kept, declared))
    for name in dict.fromkeys([*before, *after]):
        if name in before and name in after:
            yield from _node_differences(before[name], after[name])
        else:
            yield Drift(
                name=f"node {name}", before="listed" if name in before else "", after="listed" if name in after else ""
            )
    if list(before) != list(after) and before.keys() == after.keys():
        yield Drift(name="order", before=", ".join(before), after=", ".join(after))


def _node_differences(before: StoredNode, after: StoredNode) -> Iterator[Drift]:
    pairs = {
        "endpoint": (before.endpoint, after.endpoint),
        "platforms": (", ".join(before.platforms), ", ".join(after.platforms)),
        "flags": (" ".join(before.flags), " ".join(after.flags)),
    }
    old, new = dict(before.options), dict(after.options)
    for name in sorted(old.keys() | new.keys()):
        pairs[name] = (old.get(name, ""), new.get(name, ""))
    for name, (one, other) in {"mark": (before.mark, after.mark), **pairs}.items():
        if one != other:
            shown = ("another", "as declared") if _is_hidden(name) else (one, other)
            yield Drift(name=f"{after.name}: {name}", before=shown[0], after=shown[1])


def _is_hidden(option: str) -> bool:
    return option == "mark" or option.startswith("env.") or option in CERTIFICATES


# --- telling ----------------------------------------------------------------------------------------------------------


def changes_text(builder: Builder, changes: Iterable[Change], unclear: Iterable[str] = ()) -> str:
    """The changes of one builder as a diff, and what is `unclear` about it."""
    lines = [f"{builder.name} ({builder.driver})"]
    for change in changes:
        lines.append(f"  {change.action.sign} {change.action} {change.thing.value} {change.name}: {change.why}")
        lines += [f"      {difference}" for difference in change.differences]
    lines += [f"  ? {each}: whether it is as declared is not known" for each in unclear]
    if len(lines) == 1:
        lines.append("  as declared")
    return "\n".join(lines) + "\n"


def changes_summary(changes: Iterable[Change], unclear: Sequence[str] = ()) -> str:
    """`2 to create, 1 to correct`, with what is `unclear`: `1 not known`; or `nothing to do`."""
    actions = [change.action for change in changes]
    counts = [f"{actions.count(action)} to {action}" for action in Action if action in actions]
    counts += [f"{len(unclear)} not known"] if unclear else []
    return ", ".join(counts) or "nothing to do"


# --- listing ----------------------------------------------------------------------------------------------------------

_WIDTH = 80
"""At which long lists of platforms are folded, whoever reads them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRow:
    """A declared node beside the real one. `reported` are its platforms in its own order, its hardware's own first.

    `trouble` is why it cannot be used, and what to do; `silent` says that it did not answer.
    """

    node: Node
    status: str
    trouble: str = ""
    silent: bool = False
    version: str = ""
    reported: tuple[Platform, ...] = ()
    drift: tuple[str, ...] = ()


AUTOMATIC = '"default" is the engine in use, or a container that a run starts on it'
"""What plans name where no builder is declared."""


def inventory_text(builders: Iterable[Sequence[NodeRow]]) -> str:
    """All nodes as a table, with each its status, version and drift, and below it its platforms; then troubles."""
    nodes = [each for listed in builders for each in listed]
    if not nodes:
        return f"no builder is declared; {AUTOMATIC}\n"
    header = ("node", "driver", "endpoint", "status", "buildkit", "drift")
    head, *rows = columns([header, *map(_row, nodes)])
    lines = [head, *(line for row, each in zip(rows, nodes, strict=True) for line in (row, *_platforms(each)))]
    troubles = dict.fromkeys(f"\n{each.trouble}" for each in nodes if each.trouble)
    return "\n".join([*lines, *troubles]) + "\n"


def _row(listed: NodeRow) -> tuple[str, ...]:
    node = listed.node
    return (
        node.id,
        str(node.driver),
        one_line(node.endpoint) or "(in use)",
        listed.status,
        listed.version or "-",
        ", ".join(listed.drift) or "-",
    )


def _platforms(listed: NodeRow) -> list[str]:
    """Lines with what a node builds, as it says itself; with what the plan says of it where it says nothing."""
    native = [each for each in listed.reported if runs_natively(listed.reported, each)]
    emulated = [each for each in listed.reported if each not in native]
    named = {"native": native, "emulated": emulated, "declared": () if listed.reported else listed.node.platforms}
    lines = []
    for name, platforms in named.items():
        text = ", ".join(map(str, platforms))  # of none there is no line
        lines += wrap(text, _WIDTH, initial_indent=f"  {name:<10}", subsequent_indent=" " * 12)
    return lines
