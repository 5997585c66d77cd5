"""Where one testbed keeps its files, its ports, and the note of what it changed elsewhere."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from testbed.errors import TestbedError
from testbed.processes import Daemon

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_LONGEST_ROOT_WITH_SOCKETS = 50  # a unix socket's path has 107 characters, Docker's own parts take half
_FIRST_PORT, _PORTS = 20000, 12000  # below the range from which Linux takes ports for clients

Kind = Literal[
    "bridge", "cgroup", "container", "containers", "daemon", "folder", "image", "leftover", "mounts", "shared"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One thing outside the testbed's folder that its end must undo."""

    kind: Kind
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """One testbed's folder and the names that follow from it; two places never share a name."""

    root: Path
    environ: Mapping[str, str]
    say: Callable[[str], None]

    @property
    def key(self) -> str:
        """Eight characters that tell this testbed's bridges, containers and cgroups from others'."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def sockets(self) -> Path:
        """A folder whose path is short enough for unix sockets."""
        if len(str(self.root)) <= _LONGEST_ROOT_WITH_SOCKETS:
            return self.root / "run"
        return Path("/tmp") / f"mpbake-{self.key}"  # noqa: S108 (prepare() sees to it that it is ours)

    def folder(self, name: str) -> Path:
        """The folder of that name below the root, made if needed."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def daemon(self, name: str) -> Daemon:
        """The background process of that name."""
        return Daemon(name=name, folder=self.folder("daemons"))

    def prepare(self) -> None:
        """Make the folders; the one for sockets must be ours alone."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if self.sockets.parent != self.root:
            self.note("folder", str(self.sockets))
        if self.sockets.stat().st_uid != os.getuid():
            message = f"{self.sockets} belongs to somebody else: remove it"
            raise TestbedError(message)

    def port(self, name: str) -> int:
        """The port on 127.0.0.1 that belongs to the name: free when first asked for, then kept."""
        kept = self.folder("ports") / name
        if not kept.exists():
            taken = {int(file.read_text()) for file in kept.parent.iterdir()}
            free = (port for port in self._candidates(name) if port not in taken and is_free(port))
            kept.write_text(str(next(free)))
        return int(kept.read_text())

    def note(self, kind: Kind, what: str) -> None:
        """Write down what is about to be changed outside the folder, before it is changed."""
        if Change(kind=kind, what=what) not in self.changes():
            with (self.root / "changes.jsonl").open("a") as file:
                file.write(json.dumps({"kind": kind, "what": what}) + "\n")

    def changes(self) -> tuple[Change, ...]:
        """What the end must undo, the newest first."""
        notes = self.root / "changes.jsonl"
        lines = notes.read_text().splitlines() if notes.exists() else []
        return tuple(Change(**json.loads(line)) for line in reversed(lines))

    def _candidates(self, name: str) -> Iterator[int]:
        start = int(hashlib.sha256(f"{self.root} {name}".encode()).hexdigest(), 16)
        return (_FIRST_PORT + (start + step) % _PORTS for step in range(_PORTS))


def is_free(port: int) -> bool:
    """Whether nobody listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
