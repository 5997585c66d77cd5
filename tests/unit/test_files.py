"""Files that others name."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from mpbake import files
from mpbake.files import Kind, is_file, is_folder, kind_of, read_bounded


def test_what_stands_at_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    found = {each.name: kind_of(each) for each in tmp_path.iterdir()}
    assert found == {"file": Kind.FILE, "link": Kind.LOOSE_LINK, "pipe": Kind.PIPE}
    assert (kind_of(tmp_path), kind_of(Path(os.devnull))) == (Kind.FOLDER, Kind.DEVICE)
    assert is_file(tmp_path / "file")
    assert is_folder(tmp_path)


@pytest.mark.parametrize("name", ["nothing", "a\0b", "x" * 300, "\ud800"])
def test_where_nothing_can_be_is_nothing(tmp_path: Path, name: str) -> None:
    assert kind_of(tmp_path / name) is Kind.NOTHING


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    os.mkfifo(path := tmp_path / "pipe")
    writer = threading.Thread(target=path.write_bytes, args=(b"x" * 100_000,))
    writer.start()
    assert read_bounded(path) == b"x" * 100_000
    writer.join()


def test_what_has_no_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="it is a device"):
        read_bounded(Path("/dev/zero"))
    (tmp_path / "file").write_bytes(b"12345")
    monkeypatch.setattr(files, "LARGEST", 4)
    with pytest.raises(OSError, match="it is larger than"):
        read_bounded(tmp_path / "file")
