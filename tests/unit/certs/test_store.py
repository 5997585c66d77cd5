"""Files of keys and certificates."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from mpbake.base.errors import UsageError
from mpbake.certs.store import keep_out_of_git, write_certificate, write_key

if TYPE_CHECKING:
    from pathlib import Path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_can_read_a_key(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_key(tmp_path / "certs/ca-key.pem", b"key")
        write_certificate(tmp_path / "certs/ca.pem", b"certificate")
    finally:
        os.umask(before)
    assert (tmp_path / "certs/ca-key.pem").read_bytes() == b"key"
    assert [mode(tmp_path / name) for name in ("certs", "certs/ca-key.pem", "certs/ca.pem")] == [0o700, 0o600, 0o644]


def test_no_file_is_replaced_unasked(tmp_path: Path) -> None:
    path = tmp_path / "ca-key.pem"
    write_key(path, b"first")
    with pytest.raises(UsageError) as caught:
        write_key(path, b"second")
    assert str(caught.value) == (
        f"{path} exists already\n  = mpbake does not overwrite it: move it away, or use --rekey for certificates"
    )
    assert path.read_bytes() == b"first"
    path.chmod(0o644)
    write_key(path, b"third", replace=True)
    assert (path.read_bytes(), mode(path)) == (b"third", 0o600)


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "key").symlink_to("elsewhere")
    with pytest.raises(UsageError):
        write_key(tmp_path / "key", b"key")
    write_key(tmp_path / "key", b"key", replace=True)
    assert not (tmp_path / "elsewhere").exists()


def test_keys_are_kept_out_of_git(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log")
    for _ in range(2):
        keep_out_of_git(tmp_path, [tmp_path / "ca-key.pem", tmp_path / "client-key.pem", tmp_path.parent / "other"])
    assert (tmp_path / ".gitignore").read_text() == "*.log\n/ca-key.pem\n/client-key.pem\n"


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="file"):
        write_key(tmp_path / "file/key", b"")
