"""What mpbake made on this machine, written down, so that what is no longer in a plan can be found and removed."""

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
from mpbake.buildkit.nodes.contexts import engine_of
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.model.node_resources import context_name
from mpbake.model.plan import Driver, Node
from mpbake.run.state.locks import wait_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from mpbake.model.plan import Builder

_FORMAT = 1
_LOCK = "lock"
_FIND_BY_HAND = (
    "remove the file, and look for containers that it may record: docker ps --all --filter name=buildx_buildkit_"
)


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
    rules = node.driver.rules.resource
    place = {name: value for name, value in node.options if rules and name in rules.location_options}
    return MadeNode(
        name=node.name, driver=str(node.driver), engine=engine_of(node), context=context_name(node), place=place
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """A file in the folder of records that cannot be read as a record: why, and what to do about it."""

    path: Path
    why: str
    hint: str

    def __str__(self) -> str:
        """The warning, with its hint in a second line."""
        return f"{one_line(str(self.path))} {self.why}: mpbake does not know which nodes it records\n  = {self.hint}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Records:
    """The records of this user. A file that cannot be read counts as no record; `unreadable` lists such files."""

    folder: Path

    def read(self, builder: str, plan: Path) -> Record | None:
        """The record of a builder that was made for a plan; None when there is none."""
        found = self._read(self._path(builder, plan))
        return found if isinstance(found, Record) else None

    def of_plan(self, plan: Path) -> list[Record]:
        """The records of builders that were made for a plan, sorted by name."""
        return [each for each in self._all() if each.plan == str(plan)]

    def of_others(self, builder: str, plan: Path) -> list[Record]:
        """The records of builders of this name that were made for other plans, of those that still are there."""
        return [each for each in self._namesakes(builder, plan) if is_file(Path(each.plan))]

    def add(self, builder: str, nodes: Iterable[Node], plan: Path) -> tuple[str, ...]:
        """Note that `nodes` of a builder are made for a plan, beside those that were before. A warning if it cannot.

        A record that this mpbake cannot read is not overwritten: a newer mpbake, or the user, may still need it.
        A plan that is no more, and had one of these nodes, was moved here: what was made for it is noted for this one.
        What is every plan's is not noted: none of them removes it.
        """
        nodes = [node for node in nodes if not back_end_of(node).is_shared(node)]
        if not nodes:
            return ()
        try:
            with self._locked():
                before = self._read(self._path(builder, plan))
                if isinstance(before, Unreadable):
                    return (str(before),)
                record = _record(builder, nodes, plan, before)
                moved = [each for each in self._namesakes(builder, plan) if _was_moved(each, record)]
                earlier = [node for each in moved for node in each.nodes]
                self.write(replace(record, nodes=tuple(dict.fromkeys([*earlier, *record.nodes]))))
                for each in moved:
                    self.remove(each.builder, Path(each.plan))
        except OSError as error:
            what = f"{error.filename}: {error.strerror}"
            return (f"mpbake builders prune will not know what was made of {builder}: it cannot be noted ({what})",)
        return ()

    def drop(self, builder: str, plan: Path, nodes: Collection[MadeNode]) -> None:
        """Note that `nodes` of a builder are no more, as far as a plan goes."""
        with self._locked():
            record = self.read(builder, plan)
            if record is not None:
                self.write(replace(record, nodes=tuple(each for each in record.nodes if each not in nodes)))

    def unreadable(self) -> list[Unreadable]:
        """The files that cannot be read as records, sorted by path."""
        found = [self._read(path) for path in sorted(self.folder.glob("*.json"))]
        return [each for each in found if isinstance(each, Unreadable)]

    def write(self, record: Record) -> None:
        """Write a record, unless the file holds it already."""
        plan = Path(record.plan)
        if self.read(record.builder, plan) == record:
            return
        self._make_folder()
        write_whole(self._path(record.builder, plan), json.dumps({"format": _FORMAT, **asdict(record)}, indent=1))

    def remove(self, builder: str, plan: Path) -> None:
        """Forget what was made of a builder for a plan. A file that cannot be read stays."""
        if self.read(builder, plan) is not None:
            self._path(builder, plan).unlink(missing_ok=True)

    def _all(self) -> list[Record]:
        found = [self._read(path) for path in sorted(self.folder.glob("*.json"))]
        return [each for each in found if isinstance(each, Record)]

    def _read(self, path: Path) -> Record | Unreadable | None:
        """What a file holds; None when there is no file.

        A record names its builder and plan, which give the name of its file: a copy under another name is damaged.
        """
        try:
            found = parse_json(read_bounded(path, pipe=False))
            if found["format"] > _FORMAT:
                return Unreadable(path=path, why="was written by a newer mpbake", hint="use that version of mpbake")
            record = _parsed(found)
            if self._path(record.builder, Path(record.plan)) == path:
                return record
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            pass
        return Unreadable(path=path, why="is damaged", hint=_FIND_BY_HAND)

    def _namesakes(self, builder: str, plan: Path) -> list[Record]:
        """The records of builders of this name, in whatever case, that were made for other plans."""
        return [each for each in self._all() if each.builder.lower() == builder.lower() and each.plan != str(plan)]

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """For a moment, nobody else changes a record."""
        self._make_folder()
        with Path(self.folder, _LOCK).open("ab") as file:
            wait_for(file)
            yield

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _path(self, builder: str, plan: Path) -> Path:
        """Each plan has its own: two may have builders of one name that have nothing to do with each other."""
        digest = hashlib.sha256(os.fsencode(plan)).hexdigest()
        return self.folder / f"{builder.lower()}-{digest[:12]}.json"


def records_folder(environment: Mapping[str, str]) -> Path:
    """Where this user's records are, by the XDG base directory specification."""
    state = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME", "/"), ".local", "state"))
    return Path(state, "mpbake", "builders")


def _was_moved(record: Record, here: Record) -> bool:
    """Whether the plan of a record is no more, and that of another had one of its nodes made."""
    return not is_file(Path(record.plan)) and not set(record.nodes).isdisjoint(here.nodes)


def _parsed(found: dict[str, Any]) -> Record:
    """A record from its JSON. Raises ValueError, LookupError or TypeError where a value is not of its type."""
    if found["format"] != _FORMAT:
        raise ValueError(found["format"])
    nodes = tuple(_parsed_node(**each) for each in found["nodes"])
    return Record(builder=_text(found["builder"]), plan=_text(found["plan"]), nodes=nodes)


def _parsed_node(name: Any, driver: Any, engine: Any, context: Any = "", place: Any = None) -> MadeNode:
    options = {_text(option): _text(value) for option, value in (place or {}).items()}
    return MadeNode(
        name=_text(name), driver=str(Driver(driver)), engine=_text(engine), context=_text(context), place=options
    )


def _text(value: Any) -> str:
    """`value`, which must be text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(value)
    return value
