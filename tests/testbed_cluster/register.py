"""The machine's list of clusters: a killed test run leaves its cluster behind, and the next one removes it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

_FOLDER = Path("/run/mpbake-clusters")
_held: dict[str, int] = {}
"""The locks of this process, by key."""


def enter(key: str, root: Path, *, owned: bool) -> None:
    """List a cluster.

    If it is `owned`, it belongs to this process, which shares a lock on the entry with other owners until it ends.
    """
    _FOLDER.mkdir(exist_ok=True)
    file = os.open(_FOLDER / key, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(file, str(root).encode())
    if owned:
        fcntl.flock(file, fcntl.LOCK_SH)
        _held[key] = file
        return
    os.close(file)
    _kept(key).touch()


def release(key: str) -> bool:
    """Give up this process's share of a cluster; return whether nobody else has one."""
    if (file := _held.pop(key, None)) is None:
        return False
    os.close(file)
    return _is_free(_FOLDER / key)


def leave(key: str) -> None:
    """Take a cluster off the list."""
    (_FOLDER / key).unlink(missing_ok=True)
    _kept(key).unlink(missing_ok=True)
    with suppress(OSError):  # other clusters are listed, or none ever was
        _FOLDER.rmdir()


def abandoned() -> list[Path]:
    """Return the folders of clusters whose owner has ended without removing them."""
    return [Path(entry.read_text()) for entry in _entries() if not _kept(entry.name).exists() and _is_free(entry)]


def _entries() -> list[Path]:
    return [entry for entry in _FOLDER.glob("*") if not entry.suffix]


def _kept(key: str) -> Path:
    """Return the mark of a cluster that nobody owns: somebody started it by hand."""
    return _FOLDER / f"{key}.kept"


def _is_free(entry: Path) -> bool:
    with entry.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
