"""BuildKit nodes, for the rest of the testbed and for tests."""

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
    """The BuildKit behind a node: the one in the engine behind a socket, a buildkitd, or the streams of a command.

    `env` is the environment of the command. `version` is the version that nodes report if their BuildKit was built
    without one, like Debian's. The BuildKit of users always reports one.
    """

    engine_socket: str = ""
    buildkit_socket: str = ""
    version: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Build:
    """A build that was requested from a node.

    `platforms` is empty if the client let the node choose. `attributes` are the attributes of BuildKit's frontend:
    `filename`, `target`, `build-arg:NAME`, `label:NAME` and others. All builds over one `connection` belong to one
    process of buildx.
    """

    time: float
    platforms: tuple[str, ...]
    attributes: Mapping[str, str]
    connection: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A BuildKit node in a background process."""

    name: str
    endpoint: str
    settings: Settings
    daemon: Daemon
    env: Mapping[str, str]

    def start(self) -> None:
        """Start the node unless it runs."""
        file = self.daemon.folder / f"{self.daemon.name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(asdict(self.settings)))
        if self.settings.socket and self.daemon.pid() is None:
            # an old socket would look like a node that already listens
            Path(self.settings.socket).unlink(missing_ok=True)
        env = {**self.env, "PYTHONPATH": str(SOURCES)}
        argv = (sys.executable, "-m", "testbed.node_proxy", str(file))
        self.daemon.start(argv, env=env, ready=self._listens)

    def stop(self) -> None:
        """Stop the node and end every connection. A stopped node refuses new connections."""
        self.daemon.stop()

    def pause(self) -> None:
        """Freeze the node. A frozen node accepts connections and never answers."""
        self.daemon.pause()

    def resume(self) -> None:
        """Resume the node after a pause."""
        self.daemon.resume()

    def builds(self) -> list[Build]:
        """Return every build that was requested since the record began, in order."""
        return read_builds(Path(self.settings.witness))

    def connections(self) -> int:
        """Return the number of accepted connections, including those without a build."""
        return len([event for event in self._events() if event["event"] == "connected"])

    def open_connections(self) -> int:
        """Return the number of open connections."""
        return read_open_connections(Path(self.settings.witness))

    def forget(self) -> None:
        """Start a new record of builds and connections."""
        Path(self.settings.witness).unlink(missing_ok=True)

    def _events(self) -> list[dict[str, Any]]:
        return _events(Path(self.settings.witness))

    def _listens(self) -> bool:
        """Return whether the node listens.

        This makes no connection, so that the record contains only connections of clients.
        """
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
    """Return a node on a unix socket. It admits every client that may open the socket."""
    path = str(place.sockets / f"{name}.sock")
    settings = _settings(place, name, upstream, socket=path, poses_as=poses_as, delay=delay)
    return _node(place, name, f"unix://{path}", settings, upstream)


def read_builds(witness: Path) -> list[Build]:
    """Return the builds in a record. Without a record, return none."""
    return [_build(event) for event in _events(witness) if event["event"] == "build"]


def read_open_connections(witness: Path) -> int:
    """Return the number of connections in a record that have not ended."""
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
