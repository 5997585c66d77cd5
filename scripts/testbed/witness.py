"""The traffic between buildx and a BuildKit node: HTTP/2 frames, gRPC messages, and the Solve requests in them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed.protobuf import fields

if TYPE_CHECKING:
    from collections.abc import Iterator

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_FRAME_HEADER, _GRPC_HEADER = 9, 5
_DATA, _RST_STREAM = 0x0, 0x3
_END_STREAM, _PADDED = 0x1, 0x8

# The field numbers of a request's frontend and of its attributes. The first pair is for the gateway, which buildx uses.
# The second is for BuildKit's own requests, which other clients use.
_FRONTEND_AND_ATTRIBUTES = ((2, 3), (6, 7))
_FRONTENDS = frozenset({b"dockerfile.v0", b"gateway.v0"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """An HTTP/2 frame, and its bytes as received."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    raw: bytes


@dataclass(kw_only=True, slots=True)
class FrameReader:
    """A parser that splits bytes into HTTP/2 frames.

    The bytes may come in any chunks. A client sends a `preface` first.
    """

    _rest: bytearray = field(default_factory=bytearray)
    _expects_preface: bool = False

    @classmethod
    def of_client(cls) -> FrameReader:
        """Return a reader for the bytes of a client."""
        return cls(_expects_preface=True)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete after these bytes."""
        self._rest += data
        if self._expects_preface and len(self._rest) >= len(_PREFACE):
            self._expects_preface = False
            del self._rest[: len(_PREFACE)]
        while not self._expects_preface and (size := self._complete_size()):
            raw = bytes(self._rest[:size])
            del self._rest[:size]
            yield Frame(
                kind=raw[3],
                flags=raw[4],
                stream=int.from_bytes(raw[5:9], "big"),
                payload=raw[_FRAME_HEADER:],
                raw=raw,
            )

    def _complete_size(self) -> int:
        """Return the size of the first frame with its header, or 0 if it is incomplete."""
        if len(self._rest) < _FRAME_HEADER:
            return 0
        size = _FRAME_HEADER + int.from_bytes(self._rest[:3], "big")
        return size if len(self._rest) >= size else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MessageReader:
    """A parser that assembles the gRPC messages of a client's streams."""

    _frames: FrameReader = field(default_factory=FrameReader.of_client)
    _streams: dict[int, bytearray] = field(default_factory=dict)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that are complete after these bytes."""
        for frame in self._frames.feed(data):
            if frame.kind == _DATA:
                yield from self._data(frame)
            if frame.kind == _RST_STREAM or (frame.kind <= 1 and frame.flags & _END_STREAM):
                self._streams.pop(frame.stream, None)

    def _data(self, frame: Frame) -> Iterator[bytes]:
        rest = self._streams.setdefault(frame.stream, bytearray())
        rest += _unpadded(frame)
        while len(rest) >= _GRPC_HEADER:
            size = _GRPC_HEADER + int.from_bytes(rest[1:_GRPC_HEADER], "big")
            if len(rest) < size:
                return
            yield bytes(rest[_GRPC_HEADER:size])
            del rest[:size]


def solve_attributes(message: bytes) -> dict[str, str] | None:
    """Return the frontend's attributes if the message requests a build of a Dockerfile, otherwise None."""
    with contextlib.suppress(ValueError, IndexError):  # most messages are other requests
        parts = _bytes_fields(message)
        for frontend, attributes in _FRONTEND_AND_ATTRIBUTES:
            if any(number == frontend and value in _FRONTENDS for number, value in parts):
                return dict(_map_entry(value) for number, value in parts if number == attributes)
    return None


def pose(raw: bytes, platform: str) -> bytes:
    """Return the frame as a machine of that platform would send it.

    A node lists its own platform first. A node that emulates arm64 lists amd64 before arm64. If the frame contains such
    a list with another platform first, this function swaps the two platforms. Their entries have the same length.
    """
    if b"org.mobyproject.buildkit.worker." not in raw:
        return raw
    # the byte before the name is its length, which excludes entries with a variant, such as linux/amd64/v2
    amd64, arm64 = b"\x0e\x0a\x05amd64\x12\x05linux", b"\x0e\x0a\x05arm64\x12\x05linux"
    wanted = arm64 if platform == "linux/arm64" else amd64
    other = amd64 if wanted == arm64 else arm64
    first, second = raw.find(other), raw.find(wanted)
    if -1 in {first, second} or second < first:
        return raw
    parts = (part.replace(wanted, other) for part in raw.split(other))
    return wanted.join(parts)


# the message in which a BuildKit reports its version, here the 14 characters of a BuildKit that was built without one
_PACKAGE, _UNSTATED = b"\x0a\x18github.com/moby/buildkit\x12\x0e", b"v0.0.0+unknown"


def state_version(raw: bytes, version: str) -> bytes:
    """Return the frame with `version`, if its BuildKit was built without a version.

    The version has as many characters as the text that it replaces, so no length changes.
    """
    stated = version.encode()
    if len(stated) != len(_UNSTATED):
        message = f"{version} has not {len(_UNSTATED)} characters"
        raise ValueError(message)
    return raw.replace(_PACKAGE + _UNSTATED, _PACKAGE + stated)


def _unpadded(frame: Frame) -> bytes:
    if not frame.flags & _PADDED:
        return frame.payload
    return frame.payload[1 : len(frame.payload) - frame.payload[0]]


def _bytes_fields(message: bytes) -> list[tuple[int, bytes]]:
    return [(number, value) for number, value in fields(message) if isinstance(value, bytes)]


def _map_entry(entry: bytes) -> tuple[str, str]:
    parts = dict(_bytes_fields(entry))
    return parts.get(1, b"").decode(), parts.get(2, b"").decode()
