"""SPDY/3 frames, as far as buildx and kubectl use them to run a command in a pod.

Neither these clients nor this module use flow control.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_VERSION = 0x8003  # the first bit marks a control frame
_HEADER = 8
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING = 1, 2, 3, 6
_FIN = 0x1
_BEFORE_HEADERS = 10  # two streams and a priority, in a SYN_STREAM

_SIZED = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|"
    "allow|authorization|cache-control|connection|content-base|content-encoding|content-language|content-length|"
    "content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|"
    "if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|"
    "proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|"
    "user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|"
    "keep-alive|origin"
)
_PLAIN = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _sized(text: str) -> bytes:
    return struct.pack(">I", len(text)) + text.encode()


DICTIONARY = b"".join(map(_sized, _SIZED.split("|"))) + _PLAIN.encode()
"""The dictionary with which both sides compress headers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """A frame with which the client opens a stream. Header names are in lower case."""

    stream: int
    headers: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """A frame with which the client sends bytes on a stream. The frame with `last` is the last one of the stream."""

    stream: int
    payload: bytes
    last: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Ping:
    """A frame whose number the client expects back."""

    number: int


Event = Opened | Data | Ping


def _decompressor() -> Any:
    return zlib.decompressobj(zdict=DICTIONARY)


def _compressor() -> Any:
    return zlib.compressobj(zdict=DICTIONARY)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpdyReader:
    """A parser of the bytes that a client sends on one connection. The bytes may come in any chunks."""

    _rest: bytearray = field(default_factory=bytearray)
    _headers: Any = field(default_factory=_decompressor)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the frames that are complete after these bytes. Raise ValueError if the bytes are not SPDY/3.

        A stream that the client resets ends. Settings, window updates and similar frames have no effect.
        """
        self._rest.extend(data)
        while size := self._complete_size():
            frame = bytes(self._rest[:size])
            del self._rest[:size]
            if (event := self._event(frame)) is not None:
                yield event

    def _complete_size(self) -> int:
        """Return the size of the first frame with its header, or 0 if it is incomplete."""
        if len(self._rest) < _HEADER:
            return 0
        size = _HEADER + int.from_bytes(self._rest[5:8], "big")
        return size if len(self._rest) >= size else 0

    def _event(self, frame: bytes) -> Event | None:
        first, flags, payload = int.from_bytes(frame[:4], "big"), frame[4], frame[_HEADER:]
        if first >> 31 == 0:
            return Data(stream=first, payload=payload, last=bool(flags & _FIN))
        if first >> 16 != _VERSION:
            message = f"no frame of SPDY/3: {frame[:_HEADER].hex()}"
            raise ValueError(message)
        number = int.from_bytes(payload[:4], "big")
        kind = first & 0xFFFF
        if kind == _SYN_STREAM:
            block = self._headers.decompress(payload[_BEFORE_HEADERS:])
            return Opened(stream=number, headers=_headers(block))
        if kind == _RST_STREAM:
            return Data(stream=number, payload=b"", last=True)
        if kind == _PING:
            return Ping(number=number)
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class SpdyWriter:
    """An encoder of the frames that a server sends on one connection."""

    _headers: Any = field(default_factory=_compressor)

    def accept(self, stream: int) -> bytes:
        """Return the reply to an opened stream, without headers."""
        block: bytes = self._headers.compress(struct.pack(">I", 0)) + self._headers.flush(zlib.Z_SYNC_FLUSH)
        return _control(_SYN_REPLY, struct.pack(">I", stream) + block)

    def data(self, stream: int, payload: bytes, *, last: bool = False) -> bytes:
        """Return a frame of bytes for a stream. The bytes must be fewer than 16 MiB."""
        return struct.pack(">II", stream, (_FIN if last else 0) << 24 | len(payload)) + payload

    def pong(self, number: int) -> bytes:
        """Return the reply to a ping."""
        return _control(_PING, struct.pack(">I", number))


def _control(kind: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", _VERSION, kind, len(payload)) + payload


def _headers(block: bytes) -> dict[str, str]:
    """Return the names and values of a decompressed header block."""
    (count,) = struct.unpack_from(">I", block)
    texts, at = [], 4
    for _ in range(2 * count):
        (size,) = struct.unpack_from(">I", block, at)
        texts.append(block[at + 4 : at + 4 + size].decode())
        at += 4 + size
    return dict(zip(texts[::2], texts[1::2], strict=True))
