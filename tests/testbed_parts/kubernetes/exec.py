"""The exec of a command in a pod. Its streams are multiplexed with SPDY over the connection of the request."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.testbed_parts.kubernetes.http import head
from tests.testbed_parts.kubernetes.objects import bad_request
from tests.testbed_parts.kubernetes.spdy import Data, Opened, Ping, SpdyReader, SpdyWriter

if TYPE_CHECKING:
    from tests.testbed_parts.kubernetes.http import Request
    from tests.testbed_parts.kubernetes.objects import Object
    from tests.testbed_parts.kubernetes.programs import Programs
    from tests.testbed_parts.kubernetes.spdy import Event

_CHUNK = 1 << 16
_PROTOCOL = "v4.channel.k8s.io"
_AHEAD = 8  # the most pieces of input that wait until a command reads them


@dataclass(frozen=True, kw_only=True, slots=True)
class Exec:
    """A requested command that is not started yet. `streams` names the streams that the client will open."""

    pod: Object
    command: tuple[str, ...]
    streams: frozenset[str]
    programs: Programs

    @classmethod
    def of(cls, request: Request, pod: Object, programs: Programs) -> Exec:
        """Return the command that the request asks for. Raise ApiError if it cannot run.

        A request by WebSocket is refused, as in a Kubernetes cluster before 1.29. Then kubectl uses SPDY.
        """
        if not request.headers.get("upgrade", "").lower().startswith("spdy/3.1"):
            raise bad_request("unable to upgrade: only SPDY/3.1 is spoken here")
        wanted = (name for name in ("stdin", "stdout", "stderr") if request.asks(name) in {"1", "true"})
        command = tuple(request.query.get("command", ()))
        return cls(pod=pod, command=command, streams=frozenset({"error", *wanted}), programs=programs)

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run the command until it ends or the connection ends."""
        headers = {"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": _PROTOCOL}
        writer.write(head(HTTPStatus.SWITCHING_PROTOCOLS, headers))
        session = _Session(writer=writer)
        tasks = [asyncio.ensure_future(task) for task in (session.receive(reader), self._run(session))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, session: _Session) -> None:
        await session.opened(self.streams)
        streams = Streams(stdin=session.stdin, stdout=session.output("stdout"), stderr=session.output("stderr"))
        await session.end(await self.programs.run(self.pod, self.command, streams))


@dataclass(frozen=True, kw_only=True, slots=True)
class Streams:
    """The standard streams of a command."""

    stdin: Input
    stdout: Output
    stderr: Output


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """The standard input of a command, which the client sends in pieces. An empty piece marks the end."""

    pieces: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(_AHEAD))

    async def read(self, _size: int, /) -> bytes:
        """Return the next piece, or an empty piece at the end."""
        return await self.pieces.get()


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """An output stream of a command. Its bytes are discarded if the client did not open the stream."""

    stream: int
    frames: SpdyWriter
    writer: asyncio.StreamWriter

    def write(self, data: bytes) -> None:
        """Write bytes to the buffer of the stream."""
        if self.stream:
            for at in range(0, len(data), _CHUNK):
                self.writer.write(self.frames.data(self.stream, data[at : at + _CHUNK]))

    async def drain(self) -> None:
        """Wait until the buffer has room."""
        await self.writer.drain()


@dataclass(kw_only=True, slots=True)
class _Session:
    """The SPDY frames of one connection. `streams` maps the purpose of a stream to its number."""

    writer: asyncio.StreamWriter
    frames: SpdyWriter = field(default_factory=SpdyWriter)
    streams: dict[str, int] = field(default_factory=dict)
    stdin: Input = field(default_factory=Input)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def receive(self, reader: asyncio.StreamReader) -> None:
        """Handle the frames of the client until it ends the connection."""
        frames = SpdyReader()
        while data := await reader.read(_CHUNK):
            for event in frames.feed(data):
                await self._take(event)
            await self.writer.drain()

    async def _take(self, event: Event) -> None:
        match event:
            case Opened():
                self.writer.write(self.frames.accept(event.stream))
                self.streams[event.headers.get("streamtype", "")] = event.stream
                self.changed.set()
            case Data() if event.stream == self.streams.get("stdin"):
                if event.payload:
                    await self.stdin.pieces.put(event.payload)
                if event.last:
                    await self.stdin.pieces.put(b"")
            case Ping():
                self.writer.write(self.frames.pong(event.number))

    async def opened(self, wanted: frozenset[str]) -> None:
        """Wait until the client has opened all streams with these purposes."""
        while not wanted <= self.streams.keys():
            self.changed.clear()
            await self.changed.wait()

    def output(self, name: str) -> Output:
        """Return the stream with this purpose."""
        return Output(stream=self.streams.get(name, 0), frames=self.frames, writer=self.writer)

    async def end(self, code: int) -> None:
        """End every stream, and report the exit code of the command on the error stream."""
        self.writer.write(self.frames.data(self.streams["error"], json.dumps(_status(code)).encode(), last=True))
        for name in {"stdout", "stderr"} & self.streams.keys():
            self.writer.write(self.frames.data(self.streams[name], b"", last=True))
        with suppress(OSError):  # the client may have closed the connection
            await self.writer.drain()


def _status(code: int) -> Object:
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
