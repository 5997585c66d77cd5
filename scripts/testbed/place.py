"""The files and ports of one testbed, and the record of its changes outside its folder."""

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

# The path of a unix socket has at most 107 characters. ssh needs the most of them: "/run/", the 40 of %C, and 17 for a
# temporary name.
_LONGEST_ROOT_WITH_SOCKETS = 107 - len("/run/") - 40 - 17
_FIRST_PORT, _PORTS = 20000, 12000  # this is below the range of ports that Linux gives to clients

Kind = Literal[
    "bridge",
    "cgroup",
    "container",
    "containers",
    "daemon",
    "folder",
    "image",
    "leftover",
    "mounts",
    "namespace",
    "shared",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A change outside the testbed's folder that `down` must undo."""

    kind: Kind
    what: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """The folder of a testbed, and the names that are derived from it. Two places never share a name."""

    root: Path
    environ: Mapping[str, str]
    say: Callable[[str], None]

    @property
    def key(self) -> str:
        """Eight characters that distinguish the bridges, containers and cgroups of this testbed from others."""
        return hashlib.sha256(str(self.root).encode()).hexdigest()[:8]

    @property
    def sockets(self) -> Path:
        """A folder whose path is short enough for unix sockets."""
        if len(str(self.root)) <= _LONGEST_ROOT_WITH_SOCKETS:
            return self.root / "run"
        return Path("/tmp") / f"mpbake-{self.key}"  # noqa: S108 (prepare() checks the owner)

    def folder(self, name: str) -> Path:
        """Return the folder with this name below the root. Make it if necessary."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def daemon(self, name: str) -> Daemon:
        """Return the background process of that name."""
        return Daemon(name=name, folder=self.folder("daemons"))

    def prepare(self) -> None:
        """Make the folders. The folder for sockets must belong to this user."""
        self.root.mkdir(parents=True, exist_ok=True)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if self.sockets.parent != self.root:
            self.note("folder", str(self.sockets))
        if self.sockets.stat().st_uid != os.getuid():
            message = f"{self.sockets} belongs to another user: remove it"
            raise TestbedError(message)

    def port(self, name: str) -> int:
        """Return the port on 127.0.0.1 for this name.

        The first request chooses a free port, and later requests return the same.
        """
        kept = self.folder("ports") / name
        if not kept.exists():
            taken = {int(file.read_text()) for file in kept.parent.iterdir()}
            free = (port for port in self._candidates(name) if port not in taken and is_free(port))
            kept.write_text(str(next(free)))
        return int(kept.read_text())

    def note(self, kind: Kind, what: str) -> None:
        """Record a change outside the folder before it is made."""
        if Change(kind=kind, what=what) not in self.changes():
            with (self.root / "changes.jsonl").open("a") as file:
                file.write(json.dumps({"kind": kind, "what": what}) + "\n")

    def changes(self) -> tuple[Change, ...]:
        """Return the changes that `down` must undo, the newest first."""
        notes = self.root / "changes.jsonl"
        lines = notes.read_text().splitlines() if notes.exists() else []
        return tuple(Change(**json.loads(line)) for line in reversed(lines))

    def _candidates(self, name: str) -> Iterator[int]:
        start = int(hashlib.sha256(f"{self.root} {name}".encode()).hexdigest(), 16)
        return (_FIRST_PORT + (start + step) % _PORTS for step in range(_PORTS))


def is_free(port: int) -> bool:
    """Return whether nothing listens on the port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
