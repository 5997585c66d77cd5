"""A BuildKit node: a port or a socket that leads to the BuildKit of an engine, and a record of the builds.

Run it as `python -m testbed.node_proxy SETTINGS.json`. `nodes.py` writes the settings.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import ssl
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from testbed.node_settings import Settings
from testbed.witness import FrameReader, MessageReader, pose, solve_attributes, state_version

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK = 1 << 18
# With this request, a Docker engine forwards the connection to the BuildKit inside it.
_UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


class Source(Protocol):
    """A stream of incoming bytes."""

    async def read(self, size: int, /) -> bytes:
        """Return the next bytes, about `size` bytes at most, or no bytes at the end."""


class Sink(Protocol):
    """A stream of outgoing bytes."""

    def write(self, data: bytes) -> None:
        """Write bytes to the buffer of the stream."""

    async def drain(self) -> None:
        """Wait until the buffer has room."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Witness:
    """The file in which a node records each connection and each build: one JSON object per line."""

    file: Path

    def note(self, event: str, connection: int, **more: object) -> None:
        """Add one line. A line of this size is written in one piece."""
        entry = {"event": event, "connection": connection, "time": time.time(), **more}
        with self.file.open("a") as opened:
            opened.write(json.dumps(entry) + "\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node that serves each connection in a task of its own."""

    settings: Settings
    witness: Witness
    numbers: itertools.count[int]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection from its first byte until either side ends it."""
        try:
            await self.bridge(reader, writer)
        finally:
            writer.close()

    async def bridge(self, source: Source, sink: Sink) -> None:
        """Connect a client with BuildKit until either side ends the connection."""
        number = next(self.numbers)
        self.witness.note("connected", number)
        await asyncio.sleep(self.settings.delay)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._connect(number, (source, sink))
        finally:
            self.witness.note("closed", number)

    async def _connect(self, number: int, client: tuple[Source, Sink]) -> None:
        if self.settings.command:
            await self._through_command(number, client)
            return
        path = self.settings.buildkit_socket or self.settings.engine_socket
        reader, writer = await asyncio.open_unix_connection(path, limit=_CHUNK)
        try:
            if not self.settings.buildkit_socket:
                await _upgrade(reader, writer)
            await self._exchange(number, client, (reader, writer))
        finally:
            writer.transport.abort()

    async def _through_command(self, number: int, client: tuple[Source, Sink]) -> None:
        process = await asyncio.create_subprocess_exec(
            *self.settings.command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_CHUNK,
        )
        streams = cast("tuple[asyncio.StreamReader, asyncio.StreamWriter]", (process.stdout, process.stdin))
        try:
            await self._exchange(number, client, streams)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def _exchange(self, number: int, client: tuple[Source, Sink], engine: tuple[Source, Sink]) -> None:
        """Copy in both directions until one side ends. Then end the other side, so that BuildKit cancels the build."""
        copies = [
            asyncio.ensure_future(_copy(client[0], engine[1], self._watch(number))),
            asyncio.ensure_future(_copy(engine[0], client[1], self._posed())),
        ]
        try:
            await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)

    def _watch(self, number: int) -> Callable[[bytes], bytes]:
        """Return a function that returns its bytes unchanged, and records the builds that they request."""
        messages = MessageReader()

        def watch(data: bytes) -> bytes:
            for message in messages.feed(data):
                if (attributes := solve_attributes(message)) is not None:
                    self.witness.note("build", number, attributes=attributes)
            return data

        return watch

    def _posed(self) -> Callable[[bytes], bytes]:
        """Return a function that changes frames if the node states a version or poses as a platform."""
        platform, version = self.settings.poses_as, self.settings.version
        if not platform and not version:
            return lambda data: data
        frames = FrameReader()

        def change(raw: bytes) -> bytes:
            posed = pose(raw, platform) if platform else raw
            return state_version(posed, version) if version else posed

        return lambda data: b"".join(change(frame.raw) for frame in frames.feed(data))


async def _upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask a Docker engine to forward the connection to the BuildKit inside it."""
    writer.write(_UPGRADE)
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head.partition(b"\r\n")[0]:
        raise ConnectionError(head.decode(errors="replace"))


async def _copy(source: Source, sink: Sink, through: Callable[[bytes], bytes]) -> None:
    while data := await source.read(_CHUNK):
        sink.write(through(data))
        await sink.drain()


def _tls(certificates: Path) -> ssl.SSLContext:
    """Return TLS settings that admit only clients with a certificate of our authority, and only HTTP/2 (for gRPC)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2"])
    return context


async def _listen(settings: Settings, node: Node) -> asyncio.Server:
    if settings.socket:
        return await asyncio.start_unix_server(node.serve, settings.socket, limit=_CHUNK)
    tls = _tls(Path(settings.certificates))
    return await asyncio.start_server(
        node.serve, "127.0.0.1", settings.port, ssl=tls, ssl_shutdown_timeout=1, limit=_CHUNK, backlog=200
    )


async def _main(settings: Settings) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    witness = Witness(file=Path(settings.witness))
    node = Node(settings=settings, witness=witness, numbers=itertools.count(1))
    server = await _listen(settings, node)
    await ended.wait()
    server.close()  # the tasks of open connections are cancelled when the loop ends


if __name__ == "__main__":
    asyncio.run(_main(Settings(**json.loads(Path(sys.argv[1]).read_text()))))
