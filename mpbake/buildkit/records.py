"""What mpbake made on this machine, written down, so that what is no longer in a plan can be found and removed."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.buildkit.contexts import engine_of
from mpbake.buildkit.locks import wait_for
from mpbake.files import write_whole
from mpbake.lifecycle import PLACE, context_of
from mpbake.plan import Driver, Node

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mpbake.plan import Builder

_FORMAT = 1
_LOCK = "lock"


@dataclass(frozen=True, kw_only=True, slots=True)
class MadeNode:
    """A node that was made. `engine` is how docker reached its engine, `context` the docker context made for it.

    `place` are the options of a kubernetes node that say where in the cluster it is, and as what.
    """

    name: str
    driver: str
    engine: str
    context: str = ""
    place: Mapping[str, str] = field(default_factory=dict, hash=False)

    def node(self, builder: str) -> Node:
        """The node, as far as it takes to find what there is of it."""
        options = tuple(self.place.items())
        return Node(builder=builder, name=self.name, driver=Driver(self.driver), endpoint=self.engine, options=options)


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """What was made of a builder, and for which plan."""

    builder: str
    plan: str
    nodes: tuple[MadeNode, ...]

    def declared_in(self, builders: Mapping[str, Builder]) -> Builder | None:
        """The builder of a plan that this is a record of, by its name in whatever case; None when there is none."""
        others = (each for name, each in builders.items() if name.lower() == self.builder.lower())
        return builders.get(self.builder) or next(others, None)

    def gone(self, builder: Builder | None) -> tuple[MadeNode, ...]:
        """Nodes that are no longer declared, or not in these words: another may lead to what they live in."""
        declared = {_made(node) for node in builder.nodes} if builder else set()
        return tuple(each for each in self.nodes if each not in declared)


def record_of(builder: Builder, plan: Path, before: Record | None) -> Record:
    """A record of `builder`; nodes that it had before stay in it until they are removed."""
    return _record(builder.name, builder.nodes, plan, before)


def _record(builder: str, made: Iterable[Node], plan: Path, before: Record | None) -> Record:
    nodes = dict.fromkeys([*(before.nodes if before else ()), *map(_made, made)])
    return Record(builder=builder, plan=str(plan), nodes=tuple(nodes))


def _made(node: Node) -> MadeNode:
    place = {name: value for name, value in node.options if name in PLACE} if node.driver is Driver.KUBERNETES else {}
    return MadeNode(
        name=node.name, driver=str(node.driver), engine=engine_of(node), context=context_of(node), place=place
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """The records of this user. One that cannot be read counts as none: it is only a help."""

    folder: Path

    def read(self, builder: str) -> Record | None:
        """The record of a builder; None when there is none."""
        return _read(self._path(builder))

    def of_plan(self, plan: Path) -> list[Record]:
        """The records of builders that were made for a plan, sorted by name."""
        found = [_read(path) for path in sorted(self.folder.glob("*.json"))]
        return [each for each in found if each is not None and each.plan == str(plan)]

    def add(self, builder: str, nodes: Iterable[Node], plan: Path) -> tuple[str, ...]:
        """Note that `nodes` of a builder are made for a plan, beside those that were before. A warning if it cannot."""
        try:
            with self._locked():
                self.write(_record(builder, nodes, plan, self.read(builder)))
        except OSError as error:
            what = f"{error.filename}: {error.strerror}"
            return (f"mpbake builders prune will not know what was made of {builder}: it cannot be noted ({what})",)
        return ()

    def drop(self, builder: str, nodes: Collection[MadeNode]) -> None:
        """Note that `nodes` of a builder are no more."""
        with self._locked():
            record = self.read(builder)
            if record is not None:
                self.write(replace(record, nodes=tuple(each for each in record.nodes if each not in nodes)))

    def damaged(self) -> list[Path]:
        """The files that are no records, sorted."""
        return [path for path in sorted(self.folder.glob("*.json")) if _read(path) is None]

    def write(self, record: Record) -> None:
        """Write a record, unless it says so already."""
        if self.read(record.builder) == record:
            return
        self._make_folder()
        write_whole(self._path(record.builder), json.dumps({"format": _FORMAT, **asdict(record)}, indent=1))

    def remove(self, builder: str) -> None:
        """Forget a builder."""
        self._path(builder).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """For a moment, nobody else changes a record."""
        self._make_folder()
        with Path(self.folder, _LOCK).open("ab") as file:
            wait_for(file)
            yield

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, builder: str) -> Path:
        return self.folder / f"{builder.lower()}.json"


def records_folder(environment: Mapping[str, str]) -> Path:
    """Where this user's records are, by the XDG base directory specification."""
    state = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/"), ".local", "state"))
    return Path(state, "mpbake", "builders")


def _read(path: Path) -> Record | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        found = json.loads(path.read_bytes())
        if found["format"] == _FORMAT:
            nodes = tuple(MadeNode(**each) for each in found["nodes"])
            return Record(builder=str(found["builder"]), plan=str(found["plan"]), nodes=nodes)
    return None
