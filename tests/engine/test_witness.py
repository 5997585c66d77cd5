"""The witness of a node reads the traffic correctly, however it is divided into chunks."""

from __future__ import annotations

import pytest
from testbed.witness import FrameReader, MessageReader, pose, solve_attributes, state_version

pytestmark = pytest.mark.one_release

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def _bytes_field(number: int, value: bytes) -> bytes:
    assert len(value) < 128
    return bytes((number << 3 | 2, len(value))) + value


def _attribute(field: int, name: str, value: str) -> bytes:
    return _bytes_field(field, _bytes_field(1, name.encode()) + _bytes_field(2, value.encode()))


def _frame(stream: int, payload: bytes, *, kind: int = 0, flags: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _grpc(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


_SOLVE = _bytes_field(2, b"dockerfile.v0") + _attribute(3, "platform", "linux/arm64") + _attribute(3, "target", "web")


def test_solve_request_of_the_gateway() -> None:
    assert solve_attributes(_SOLVE) == {"platform": "linux/arm64", "target": "web"}


def test_solve_request_of_the_control_api() -> None:
    request = _bytes_field(1, b"ref") + _bytes_field(6, b"gateway.v0") + _attribute(7, "filename", "Dockerfile")
    assert solve_attributes(request) == {"filename": "Dockerfile"}


def test_other_messages_are_no_builds() -> None:
    for message in (b"", b"\x0a\x05hello", b"\xff\xff\xff\xff", b"dockerfile.v0", b"\x12\x7f"):
        assert solve_attributes(message) is None


def test_messages_survive_any_cut() -> None:
    half = len(_grpc(_SOLVE)) // 2
    sent = (
        _PREFACE
        + _frame(0, b"", kind=4)
        + _frame(1, _grpc(_SOLVE)[:half])
        + _frame(3, _grpc(b"other"))
        + _frame(1, _grpc(_SOLVE)[half:], flags=1)
    )
    for size in (1, 2, 7, 1000):
        reader = MessageReader()
        pieces = (sent[at : at + size] for at in range(0, len(sent), size))
        assert [message for piece in pieces for message in reader.feed(piece)] == [b"other", _SOLVE]


def test_padding_is_no_message() -> None:
    padded = bytes((4,)) + _grpc(b"message") + b"\0\0\0\0"
    assert list(MessageReader().feed(_PREFACE + _frame(1, padded, flags=8))) == [b"message"]


def test_frames_come_out_as_they_went_in() -> None:
    sent = _frame(1, b"one", flags=4) + _frame(2, b"", kind=9)
    assert b"".join(frame.raw for frame in FrameReader().feed(sent)) == sent


def _workers(*names: str) -> bytes:
    label = b"org.mobyproject.buildkit.worker.executor"
    listed = (_bytes_field(3, _bytes_field(1, name.encode()) + _bytes_field(2, b"linux")) for name in names)
    return _frame(1, _grpc(label + b"".join(listed)))


def test_pose_puts_a_platform_first() -> None:
    assert pose(_workers("amd64", "386", "arm64"), "linux/arm64") == _workers("arm64", "386", "amd64")
    assert pose(_workers("arm64", "amd64"), "linux/amd64") == _workers("amd64", "arm64")


def test_pose_changes_nothing_else() -> None:
    for frame, platform in (
        (_workers("amd64", "arm64"), "linux/amd64"),
        (_workers("amd64"), "linux/arm64"),
        (_frame(1, b"\x0e\x0a\x05amd64\x12\x05linux\x0e\x0a\x05arm64\x12\x05linux"), "linux/arm64"),
    ):
        assert pose(frame, platform) == frame


def test_a_build_without_a_version_states_one() -> None:
    listed = b"..\x0a\x18github.com/moby/buildkit\x12\x0ev0.0.0+unknown.."
    assert state_version(listed, "v0.13.2+debian") == listed.replace(b"v0.0.0+unknown", b"v0.13.2+debian")
    other = b"a log line of v0.0.0+unknown"
    assert state_version(other, "v0.13.2+debian") == other
    with pytest.raises(ValueError, match=r"v0\.13\.2 has not 14 characters"):
        state_version(listed, "v0.13.2")
