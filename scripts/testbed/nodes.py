"""BuildKit nodes, as the rest of the testbed and tests see them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.node_settings import Settings
from testbed.place import is_free

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.place import Place
    from testbed.processes import Daemon

SOURCES = Path(__file__).parent.parent
"""The PYTHONPATH of background processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Upstream:
    """The BuildKit behind nodes: that in the engine behind a socket, a buildkitd, or a command's streams.

    `env` is the environment of the command. `version` is what nodes state as the version of a BuildKit that was built
    without one, as Debian's is; the nodes of users state one.
    """

    engine_socket: str = ""
    buildkit_socket: str = ""
    version: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """A build that a node was asked for.

    `platforms` is empty if the client left the choice to the node. `attributes` are those of BuildKit's frontend:
    `filename`, `target`, `build-arg:NAME`, `label:NAME` and so on. Builds over one `connection` belong to one run of
    buildx.
    """

    time: float
    platforms: tuple[str, ...]
    attributes: Mapping[str, str]
    connection: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A BuildKit node in a background process of its own."""

    name: str
    endpoint: str
    settings: Settings
    daemon: Daemon
    env: Mapping[str, str]

    def start(self) -> None:
        """Start it unless it runs."""
        file = self.daemon.folder / f"{self.daemon.name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(asdict(self.settings)))
        if self.settings.socket and self.daemon.pid() is None:
            Path(self.settings.socket).unlink(missing_ok=True)  # otherwise it would seem to listen at once
        env = {**self.env, "PYTHONPATH": str(SOURCES)}
        argv = (sys.executable, "-m", "testbed.node_proxy", str(file))
        self.daemon.start(argv, env=env, ready=self._listens)

    def stop(self) -> None:
        """Stop it with every connection: a dead node, which refuses new ones."""
        self.daemon.stop()

    def pause(self) -> None:
        """Freeze it: a hanging node, which accepts connections and never answers."""
        self.daemon.pause()

    def resume(self) -> None:
        """Resume it after a pause."""
        self.daemon.resume()

    def builds(self) -> list[Build]:
        """Return every build that it was asked for since it was made or last told to forget, in order."""
        return read_builds(Path(self.settings.witness))

    def connections(self) -> int:
        """Return how many connections it accepted, those of mere queries included."""
        return len([event for event in self._events() if event["event"] == "connected"])

    def open_connections(self) -> int:
        """Return how many of its connections have not ended."""
        return read_open_connections(Path(self.settings.witness))

    def forget(self) -> None:
        """Begin a new record of builds and connections."""
        Path(self.settings.witness).unlink(missing_ok=True)

    def _events(self) -> list[dict[str, Any]]:
        return _events(Path(self.settings.witness))

    def _listens(self) -> bool:
        """Return whether it listens. This makes no connection, so that the record holds only those of clients."""
        if self.settings.socket:
            return Path(self.settings.socket).exists()
        return not is_free(self.settings.port)


def mtls_node(
    place: Place, name: str, upstream: Upstream, *, poses_as: str = "", certificates: Path | None = None
) -> Node:
    """Return a node on a port of its own that admits only holders of the testbed's client certificate.

    `certificates` is another folder with ca.crt, server.crt and server.key.
    """
    port = place.port(f"node-{name}")
    folder = str(certificates or place.folder("certs"))
    settings = _settings(place, name, upstream, port=port, certificates=folder, poses_as=poses_as)
    return _node(place, name, f"tcp://127.0.0.1:{port}", settings, upstream)


def unix_node(place: Place, name: str, upstream: Upstream, *, poses_as: str = "", delay: float = 0.0) -> Node:
    """Return a node on a unix socket, open to everybody who may open the socket."""
    path = str(place.sockets / f"{name}.sock")
    settings = _settings(place, name, upstream, socket=path, poses_as=poses_as, delay=delay)
    return _node(place, name, f"unix://{path}", settings, upstream)


def read_builds(witness: Path) -> list[Build]:
    """Return the builds in a record; none if there is no record."""
    return [_build(event) for event in _events(witness) if event["event"] == "build"]


def read_open_connections(witness: Path) -> int:
    """Return how many of the connections in a record have not ended."""
    events = [event["event"] for event in _events(witness)]
    return events.count("connected") - events.count("closed")


def _events(witness: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in witness.read_text().splitlines()] if witness.exists() else []


def _settings(place: Place, name: str, upstream: Upstream, **where: Any) -> Settings:
    return Settings(
        witness=str(place.folder("witness") / f"{name}.jsonl"),
        engine_socket=upstream.engine_socket,
        buildkit_socket=upstream.buildkit_socket,
        version=upstream.version,
        command=upstream.command,
        **where,
    )


def _node(place: Place, name: str, endpoint: str, settings: Settings, upstream: Upstream) -> Node:
    daemon = place.daemon(f"node-{name}")
    place.note("daemon", daemon.name)
    return Node(name=name, endpoint=endpoint, settings=settings, daemon=daemon, env=upstream.env)


def _build(event: Mapping[str, Any]) -> Build:
    attributes: dict[str, str] = event["attributes"]
    platforms = attributes.get("platform", "")
    return Build(
        time=event["time"],
        platforms=tuple(platforms.split(",")) if platforms else (),
        attributes=attributes,
        connection=event["connection"],
    )
