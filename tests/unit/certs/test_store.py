"""Files of keys and certificates."""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mpbake.base.errors import MpbakeError, UsageError
from mpbake.certs.authority import KeyPair
from mpbake.certs.store import (
    create_certificate,
    create_pair,
    keep_out_of_git,
    locked,
    replace_certificate,
    replace_pair,
)

PAIR = KeyPair(certificate=b"certificate", key=b"key")
NEW = KeyPair(certificate=b"new certificate", key=b"new key")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_only_the_owner_can_read_a_key(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        create_pair(PAIR, tmp_path / "certs/ca.pem", tmp_path / "certs/ca-key.pem")
        replace_pair(NEW, tmp_path / "certs/ca.pem", tmp_path / "certs/ca-key.pem")
    finally:
        os.umask(before)
    assert (tmp_path / "certs/ca-key.pem").read_bytes() == b"new key"
    assert [mode(tmp_path / name) for name in ("certs/ca-key.pem", "certs/ca.pem")] == [0o600, 0o644]
    assert mode(tmp_path / "certs") == 0o777 & ~umask, "certificates are public"
    assert names(tmp_path / "certs") == ["ca-key.pem", "ca.pem"]


@pytest.mark.parametrize("existing", ["ca.pem", "ca-key.pem"])
def test_no_file_is_overwritten_and_none_is_left_alone(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).write_bytes(b"first")
    with pytest.raises(UsageError) as caught:
        create_pair(PAIR, tmp_path / "ca.pem", tmp_path / "ca-key.pem")
    assert str(caught.value) == (
        f"{tmp_path / existing} exists already, and mpbake does not overwrite it\n"
        "  = move it away, or set another path in the plan"
    )
    assert (tmp_path / existing).read_bytes() == b"first"
    assert names(tmp_path) == [existing]


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    with pytest.raises(UsageError):
        create_certificate(tmp_path / "link", b"x")
    replace_certificate(tmp_path / "link", b"x")
    assert names(tmp_path) == ["link"]
    assert not (tmp_path / "link").is_symlink()


def test_only_one_of_several_commands_at_once_makes_an_authority(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def make(number: int) -> int:
        pair = KeyPair(certificate=b"certificate %d" % number, key=b"key %d" % number)
        barrier.wait()
        try:
            create_pair(pair, tmp_path / "ca.pem", tmp_path / "ca-key.pem")
        except UsageError:
            return -1
        return number

    with ThreadPoolExecutor(8) as pool:
        winners = [number for number in pool.map(make, range(8)) if number >= 0]
    assert len(winners) == 1
    assert (tmp_path / "ca.pem").read_bytes() == b"certificate %d" % winners[0]
    assert (tmp_path / "ca-key.pem").read_bytes() == b"key %d" % winners[0]


def test_the_old_files_stay_if_the_new_ones_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "ca-key.pem"
    create_pair(PAIR, certificate, key)
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:  # the key is complete, the certificate is not
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(MpbakeError, match=r"ca\.pem: No space left on device"):
        replace_pair(NEW, certificate, key)
    assert (certificate.read_bytes(), key.read_bytes()) == (b"certificate", b"key")
    assert names(tmp_path) == ["ca-key.pem", "ca.pem"]


def test_there_is_never_a_moment_without_a_file(tmp_path: Path) -> None:
    certificate, key = tmp_path / "ca.pem", tmp_path / "ca-key.pem"
    create_pair(PAIR, certificate, key)
    done = threading.Event()
    missing: list[Path] = []

    def watch() -> None:
        while not done.is_set():
            missing.extend(path for path in (certificate, key) if not path.exists())

    thread = threading.Thread(target=watch)
    thread.start()
    for _ in range(50):
        replace_pair(NEW, certificate, key)
    done.set()
    thread.join()
    assert missing == []


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    create_pair(PAIR, tmp_path / "ca.pem", tmp_path / "ca-key.pem")
    assert mode(tmp_path / "ca-key.pem") == 0o600
    with pytest.raises(UsageError):
        create_pair(NEW, tmp_path / "ca.pem", tmp_path / "ca-key.pem")
    assert (tmp_path / "ca-key.pem").read_bytes() == b"key"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for write in (create_certificate, replace_certificate):
        with pytest.raises(UsageError, match="file is not a folder\n  = move it away"):
            write(tmp_path / "file/ca.pem", b"")


def test_the_lock_of_a_folder_makes_another_command_wait(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with locked(tmp_path):
            order.append("second")

    with locked(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.1)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert names(tmp_path) == []


# --- .gitignore -------------------------------------------------------------------------------------------------------


def test_keys_are_kept_out_of_git(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log")
    keys = [tmp_path / "ca-key.pem", tmp_path / "my [key]*.pem", tmp_path.parent / "other"]
    assert [keep_out_of_git(tmp_path, keys) for _ in range(2)] == [True, False]
    lines = (tmp_path / ".gitignore").read_text()
    assert lines == "*.log\n/.mpbake-*\n/ca-key.pem\n/my\\ \\[key\\]\\*.pem\n"


def test_a_gitignore_that_is_a_symlink(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / ".gitignore").symlink_to("elsewhere")
    with pytest.raises(UsageError, match=r"\.gitignore is a symlink, which git does not follow\n  = replace it"):
        keep_out_of_git(tmp_path, [tmp_path / "ca-key.pem"])
    assert (tmp_path / "elsewhere").read_text() == ""
