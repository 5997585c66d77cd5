"""The SPDY frames of the testbed's cluster, in any chunks."""

from __future__ import annotations

import struct
import zlib

import pytest

from tests.testbed_parts.kubernetes.spdy import DICTIONARY, Data, Opened, Ping, SpdyReader, SpdyWriter


def _control(kind: int, payload: bytes) -> bytes:
    return struct.pack(">HHI", 0x8003, kind, len(payload)) + payload


def _block(headers: dict[str, str]) -> bytes:
    texts = [text.encode() for pair in headers.items() for text in pair]
    return struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(text)) + text for text in texts)


def _sent() -> bytes:
    """Return the bytes of a client that opens two streams and ends the first."""
    compressor = zlib.compressobj(zdict=DICTIONARY)

    def opening(stream: int, name: str) -> bytes:
        block = compressor.compress(_block({"streamtype": name})) + compressor.flush(zlib.Z_SYNC_FLUSH)
        return _control(1, struct.pack(">IIH", stream, 0, 0) + block)

    return b"".join(
        (
            opening(1, "error"),
            opening(3, "stdin"),
            _control(4, struct.pack(">III", 1, 4, 100)),
            struct.pack(">II", 3, 5) + b"hello",
            struct.pack(">II", 1, 0x01000000),
            _control(9, struct.pack(">II", 3, 100)),
            _control(6, struct.pack(">I", 7)),
            _control(3, struct.pack(">II", 3, 5)),
        )
    )


_MEANT = [
    Opened(stream=1, headers={"streamtype": "error"}),
    Opened(stream=3, headers={"streamtype": "stdin"}),
    Data(stream=3, payload=b"hello", last=False),
    Data(stream=1, payload=b"", last=True),
    Ping(number=7),
    Data(stream=3, payload=b"", last=True),
]


def test_dictionary_is_the_one_of_spdy_3() -> None:
    assert zlib.adler32(DICTIONARY) == 0xE3C6A7C2  # a header block names this number as that of its dictionary


def test_frames_survive_any_cut() -> None:
    sent = _sent()
    for size in (1, 2, 7, 1000):
        reader = SpdyReader()
        pieces = (sent[at : at + size] for at in range(0, len(sent), size))
        assert [event for piece in pieces for event in reader.feed(piece)] == _MEANT


def test_other_versions_are_refused() -> None:
    with pytest.raises(ValueError, match="no frame of SPDY/3: 80020006"):
        list(SpdyReader().feed(bytes.fromhex("8002000600000000")))


def test_streams_are_accepted_by_one_compressor() -> None:
    writer, headers = SpdyWriter(), zlib.decompressobj(zdict=DICTIONARY)
    for stream in (1, 3):
        frame = writer.accept(stream)
        assert struct.unpack(">HHII", frame[:12]) == (0x8003, 2, len(frame) - 8, stream)
        assert headers.decompress(frame[12:]) == _block({})


def test_data_and_pings_are_read_as_they_were_written() -> None:
    writer = SpdyWriter()
    sent = writer.data(5, b"some") + writer.data(5, b"", last=True) + writer.pong(9)
    assert list(SpdyReader().feed(sent)) == [
        Data(stream=5, payload=b"some", last=False),
        Data(stream=5, payload=b"", last=True),
        Ping(number=9),
    ]
