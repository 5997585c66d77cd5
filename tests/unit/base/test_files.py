"""Kinds of files, bounded reading and atomic writing."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mpbake.base.files import (
    Kind,
    access_error,
    cached_real_path,
    is_descriptor,
    is_file,
    is_folder,
    kind_of,
    read_bounded,
    real_path,
    whole_file,
    write_named,
    write_whole,
)
from tests.unit.worlds import deny_access


def test_what_stands_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    kinds = {path.name: kind_of(path) for path in tmp_path.iterdir()}
    assert kinds == {"file": Kind.FILE, "link": Kind.LOOSE_LINK, "pipe": Kind.PIPE}
    assert (kind_of(tmp_path), kind_of(Path(os.devnull))) == (Kind.FOLDER, Kind.DEVICE)
    assert is_file(tmp_path / "file")
    assert is_folder(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "a\0b", "x" * 300, "\ud800"])
def test_where_nothing_can_be_is_nothing(tmp_path: Path, name: str) -> None:
    assert kind_of(tmp_path / name) is Kind.NOTHING


def test_where_one_may_not_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deny_access(monkeypatch, tmp_path / "p")
    assert [access_error(tmp_path / name) for name in ("p/x", "nothing", "a\0b", ".")] == [
        "Permission denied",
        "",
        "",
        "",
    ]
    assert kind_of(tmp_path / "p/x") is Kind.NOTHING


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    writer = threading.Thread(target=path.write_bytes, args=(b"x" * 100_000,))
    writer.start()
    assert read_bounded(path) == b"x" * 100_000
    writer.join()


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="it is a device"):
        read_bounded(Path("/dev/zero"))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe"):
        read_bounded(tmp_path / "pipe", pipe=False)
    (tmp_path / "file").write_bytes(b"12345")
    with pytest.raises(OSError, match="it is larger than"):
        read_bounded(tmp_path / "file", most=4)


def test_a_link_is_followed_where_that_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (link := tmp_path / "link").symlink_to("file")
    assert read_bounded(link) == b"12345"
    with pytest.raises(OSError, match="symbolic links"):
        read_bounded(link, link=False)


# --- whole files ----------------------------------------------------------------------------------------------------


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "x" * 1_000_000 + "\ud800")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_off_half_way_leaves_nothing(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def write_half() -> None:
        with whole_file(tmp_path / "file", within=elsewhere) as file:
            file.write(b"half")
            assert [path.parent for path in elsewhere.iterdir()] == [elsewhere], "until it is whole it lies there"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list(tmp_path.rglob("*")) == [elsewhere]


def test_a_symlink_is_replaced_and_its_target_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to("precious")
    (tmp_path / "loose").symlink_to("new")
    (tmp_path / "device").symlink_to(os.devnull)
    for name in ("link", "loose", "device", "file"):
        write_named(tmp_path / name, "text")
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_text() == "text"
    assert (tmp_path / "precious").read_text() == "precious"
    assert not (tmp_path / "new").exists()


def test_a_pipe_and_a_device_stay_what_they_are(tmp_path: Path) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    reader = threading.Thread(target=pipe.read_text)
    reader.start()
    write_named(pipe, "text")
    reader.join()
    assert kind_of(pipe) is Kind.PIPE
    write_named(Path(os.devnull), "text")
    assert kind_of(Path(os.devnull)) is Kind.DEVICE


def test_a_descriptor_is_written_to_whatever_it_leads_to(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        file.write("before\n")
        file.flush()
        write_named(Path(f"/dev/fd/{file.fileno()}"), "text\n")
    assert (tmp_path / "file").read_text() == "before\ntext\n"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/dev/stdout", True),
        ("/dev/null", True),
        ("/proc/self/fd/1", True),
        ("/dev/../home/m.json", False),
        ("/dev/shm/m.json", False),  # noqa: S108 - the path under test
        ("/home/dev/m.json", False),
        ("/", False),
    ],
)
def test_which_paths_name_descriptors(path: str, *, expected: bool) -> None:
    assert is_descriptor(Path(path)) is expected


def test_cached_paths_are_resolved_as_others(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "link").symlink_to("a/b")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "broken").symlink_to("/nowhere/x")
    names = (
        "",
        "a",
        "a/b/",
        "link/x/y",
        "link/../z",
        "a/up/link/./q",
        "loop/x",
        "broken/y",
        "no/such/x",
        "..",
        "a//b",
        "\0",
    )
    resolve = cached_real_path()
    paths = [f"{tmp_path}/{name}" for name in (*names, "x/" * 1500, "y" * 300)] + [
        "/",
        "//etc",
        "relative",
        "/proc/self",
    ]
    assert {path: resolve(path) for path in paths} == {path: real_path(path) for path in paths}


def test_a_cached_path_stays_as_it_was_first_resolved(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/first")
    resolve = cached_real_path()
    assert resolve(f"{tmp_path}/link/x") == "/first/x"
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("/second")
    assert [resolve(f"{tmp_path}/link/{name}") for name in ("x", "y")] == ["/first/x", "/first/y"]
