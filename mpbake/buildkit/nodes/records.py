"""Records of the nodes that mpbake created from this machine: `prune` removes recorded nodes that left their plan."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.files import is_file, read_bounded, write_whole
from mpbake.base.json_text import parse_json
from mpbake.base.text import one_line
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.engines.contexts import engine_of
from mpbake.model.node_resources import context_name, located_fields, place_of
from mpbake.model.plan import Driver, Node
from mpbake.run.state.locks import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from mpbake.model.plan import Builder

_FORMAT = 1
_LOCK = "lock"
_FIND_BY_HAND = (
    "remove the file, and look for containers that it may record: docker ps --all --filter name=buildx_buildkit_"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeNode:
    """A node that mpbake created.

    `engine` is the docker context or URL of the node's engine. `context` is the docker context that mpbake created for
    the node. `place` says where the resource is, in addition to the engine, such as the namespace of a kubernetes node.
    `cluster` is the URL of the Kubernetes cluster; empty if it is unknown or there is none. `buildx_name` is the name
    of the node in buildx; empty for the usual name.
    """

    name: str
    driver: str
    engine: str
    context: str = ""
    place: Mapping[str, str] = field(default_factory=dict, hash=False)
    cluster: str = ""
    buildx_name: str = ""

    def node(self, builder: str) -> Node:
        """Return a node with all values that are needed to find the resource."""
        driver = Driver(self.driver)
        fields = located_fields(driver, self.engine, self.place)
        return Node(builder=builder, name=self.name, driver=driver, stated_buildx_name=self.buildx_name, **fields)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The nodes that were created for a builder of a plan."""

    builder: str
    plan: str
    nodes: tuple[MadeNode, ...]

    def declared_in(self, builders: Mapping[str, Builder]) -> Builder | None:
        """Return the builder of this record among the `builders` of a plan, ignoring case; None if there is none."""
        others = (builder for name, builder in builders.items() if name.lower() == self.builder.lower())
        return builders.get(self.builder) or next(others, None)

    def undeclared(self, builder: Builder | None) -> tuple[MadeNode, ...]:
        """Return the recorded nodes that `builder` no longer declares in the recorded form.

        A declared node of `builder` may still use the resource of a returned node. A node that was created in several
        clusters counts as declared in each of these clusters.
        """
        declared = {_made(node) for node in builder.nodes} if builder else set()
        return tuple(made for made in self.nodes if replace(made, cluster="") not in declared)


def record_of(builder: Builder, plan: Path, before: Record | None) -> Record:
    """Return a record of `builder`. The nodes in the earlier record `before` are kept until they are removed."""
    return _record(builder.name, map(_made, builder.nodes), plan, before)


def _record(builder: str, made: Iterable[MadeNode], plan: Path, before: Record | None) -> Record:
    nodes = dict.fromkeys([*(before.nodes if before else ()), *made])
    of_clusters = {replace(node, cluster="") for node in nodes if node.cluster}
    return Record(builder=builder, plan=str(plan), nodes=tuple(node for node in nodes if node not in of_clusters))


def _no_cluster(_: Node) -> str:
    return ""


def _made(node: Node, cluster: str = "") -> MadeNode:
    return MadeNode(
        name=node.name,
        driver=str(node.driver),
        engine=engine_of(node),
        context=context_name(node),
        place=place_of(node),
        cluster=cluster,
        buildx_name=node.stated_buildx_name,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A file in the folder of records that is not a valid record, with the reason and a hint."""

    path: Path
    reason: str
    hint: str

    def __str__(self) -> str:
        """Return the warning, with the hint on a second line."""
        return f"{one_line(str(self.path))} {self.reason}: mpbake does not know which nodes it records\n  = {self.hint}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """The records of this user. An invalid file counts as no record; `unreadable` lists such files.

    `cluster_of` returns the URL of the Kubernetes cluster in which a node is created; empty if unknown or none.
    """

    folder: Path
    cluster_of: Callable[[Node], str] = _no_cluster

    def read(self, builder: str, plan: Path) -> Record | None:
        """Return the record of a builder of a plan; None if there is none."""
        record = self._read(self._path(builder, plan))
        return record if isinstance(record, Record) else None

    def of_plan(self, plan: Path) -> list[Record]:
        """Return the records of a plan's builders, sorted by name."""
        return [record for record in self._all() if record.plan == str(plan)]

    def of_others(self, builder: str, plan: Path) -> list[Record]:
        """Return the records of builders with this name in other plans whose files still exist."""
        return [record for record in self._namesakes(builder, plan) if is_file(Path(record.plan))]

    def add(self, builder: str, nodes: Iterable[Node], plan: Path) -> tuple[str, ...]:
        """Add `nodes` to the record of a builder of a plan. Return a warning if the record cannot be written.

        A record that this version of mpbake cannot read is not overwritten, since a newer version or the user may need
        it. If the plan file of another record no longer exists, and the other record has one of these nodes, the plan
        file was moved: the record of `plan` takes over all nodes of the other record. Nodes that all plans share are
        not recorded, since no plan may remove such nodes.
        """
        created = [_made(node, self.cluster_of(node)) for node in nodes if not back_end_of(node).is_shared(node)]
        if not created:
            return ()
        try:
            with self._locked():
                before = self._read(self._path(builder, plan))
                if isinstance(before, Unreadable):
                    return (str(before),)
                record = _record(builder, created, plan, before)
                moved = [other for other in self._namesakes(builder, plan) if _was_moved(other, record)]
                earlier = [made for other in moved for made in other.nodes]
                self.write(replace(record, nodes=tuple(dict.fromkeys([*earlier, *record.nodes]))))
                for other in moved:
                    self.remove(other.builder, Path(other.plan))
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}"
            return (f"mpbake cannot record the nodes of {builder}, so prune will not find them ({reason})",)
        return ()

    def drop(self, builder: str, plan: Path, nodes: Collection[MadeNode]) -> None:
        """Remove `nodes` from the record of a builder of a plan."""
        with self._locked():
            record = self.read(builder, plan)
            if record is not None:
                self.write(replace(record, nodes=tuple(made for made in record.nodes if made not in nodes)))

    def unreadable(self) -> list[Unreadable]:
        """Return the files that are not valid records, sorted by path."""
        results = [self._read(path) for path in sorted(self.folder.glob("*.json"))]
        return [result for result in results if isinstance(result, Unreadable)]

    def write(self, record: Record) -> None:
        """Write a record, unless the file already contains the same record."""
        plan = Path(record.plan)
        if self.read(record.builder, plan) == record:
            return
        self._make_folder()
        write_whole(self._path(record.builder, plan), json.dumps(_document(record), indent=1))

    def remove(self, builder: str, plan: Path) -> None:
        """Remove the record of a builder of a plan. An invalid file is kept."""
        if self.read(builder, plan) is not None:
            self._path(builder, plan).unlink(missing_ok=True)

    def _all(self) -> list[Record]:
        results = [self._read(path) for path in sorted(self.folder.glob("*.json"))]
        return [result for result in results if isinstance(result, Record)]

    def _read(self, path: Path) -> Record | Unreadable | None:
        """Return the record in a file; None if there is no file.

        The builder and the plan in the record determine the file name, so a copy under another name counts as damaged.
        """
        try:
            document = parse_json(read_bounded(path, pipe=False))
            if document["format"] > _FORMAT:
                return Unreadable(path=path, reason="was written by a newer mpbake", hint="use that version of mpbake")
            record = _parse_record(document)
            if self._path(record.builder, Path(record.plan)) == path:
                return record
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass
        return Unreadable(path=path, reason="is damaged", hint=_FIND_BY_HAND)

    def _namesakes(self, builder: str, plan: Path) -> list[Record]:
        """Return the records of builders with this name, ignoring case, in other plans."""
        return [
            record for record in self._all() if record.builder.lower() == builder.lower() and record.plan != str(plan)
        ]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Prevent other processes from changing records during the block."""
        self._make_folder()
        with Path(self.folder, _LOCK).open("ab") as file:
            wait_for(file)
            yield

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, builder: str, plan: Path) -> Path:
        """Return the file of a record. The name contains a hash of the plan's path.

        Without the hash, two plans with unrelated builders of the same name would share a file.
        """
        digest = hashlib.sha256(os.fsencode(plan)).hexdigest()
        return self.folder / f"{builder.lower()}-{digest[:12]}.json"


def records_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of this user's records, as the XDG base directory specification defines it."""
    state = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/"), ".local", "state"))
    return Path(state, "mpbake", "builders")


def _was_moved(record: Record, here: Record) -> bool:
    """Whether the plan file of `record` is missing, and `record` has a node in common with the record `here`."""
    return not is_file(Path(record.plan)) and not set(record.nodes).isdisjoint(here.nodes)


def _document(record: Record) -> dict[str, Any]:
    """Return a record as JSON. Without a name in buildx, earlier versions of mpbake can read the record."""
    document = {"format": _FORMAT, **asdict(record)}
    for node in document["nodes"]:
        if not node["buildx_name"]:
            del node["buildx_name"]
    return document


def _parse_record(document: dict[str, Any]) -> Record:
    """Return a record from parsed JSON. Raises ValueError, LookupError or TypeError for an invalid value."""
    if document["format"] != _FORMAT:
        raise ValueError(document["format"])
    nodes = tuple(_parse_node(**node) for node in document["nodes"])
    return Record(builder=_checked_text(document["builder"]), plan=_checked_text(document["plan"]), nodes=nodes)


def _parse_node(*, name: Any, driver: Any, place: Any = None, **more: Any) -> MadeNode:
    options = {_checked_text(option): _checked_text(value) for option, value in (place or {}).items()}
    texts = {field: _checked_text(value) for field, value in more.items()}
    return MadeNode(name=_checked_text(name), driver=str(Driver(driver)), place=options, **texts)


def _checked_text(value: Any) -> str:
    """Return `value` if it is text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value
