"""Files: the kind of file at a path, reading with a size limit, and atomic writing."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
import tempfile
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST = 64 * 1024 * 1024
"""The maximum size in bytes of a file that mpbake reads. A plan has thousands of bytes, a large plan has millions."""
_DESCRIPTORS = frozenset({"dev", "proc"})
"""System folders whose symlinks stand for open files: `/dev/stdout`, `/proc/self/fd/1`."""
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - an ordinary file system to which every user may write
_NOT_NAMES = ("", ".", "..")
_LONGEST_CACHED = 1000


class Kind(StrEnum):
    """The kind of file at a path. The value is the word for the kind in messages."""

    NOTHING = "nothing"
    FILE = "a file"
    FOLDER = "a folder"
    PIPE = "a pipe"
    DEVICE = "a device"
    SOCKET = "a socket"
    LOOSE_LINK = "a broken symlink"


_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
    stat.S_IFSOCK: Kind.SOCKET,
}


def kind_of(path: Path) -> Kind:
    """Return the kind of file at `path`; follow symlinks. Never raises.

    Return `LOOSE_LINK` for a symlink without a target. Return `NOTHING` also if this user may not access the path, or
    if the path is impossible: with a NUL character, or with a name that is too long for the file system.
    """
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), Kind.DEVICE)
    except (OSError, ValueError):
        return Kind.LOOSE_LINK if os.path.lexists(path) else Kind.NOTHING


def access_error(path: Path) -> str:
    """Return the system's reason why this user cannot access `path`; empty if `kind_of` can tell the kind."""
    try:
        path.stat()
    except PermissionError as error:
        return error.strerror or ""
    except (OSError, ValueError):
        pass
    return ""


def real_path(path: str) -> str:
    """Return an absolute path without symlinks and without `..`. Never raises: an impossible path stays."""
    try:
        return os.path.realpath(path)
    except (OSError, ValueError, RecursionError):
        return os.path.normpath(path)


def cached_real_path() -> Callable[[str], str]:
    """Return a function like `real_path` that resolves each path and each folder only once."""

    @cache
    def resolve(path: str) -> str:
        folder, name = posixpath.split(path)
        if not folder.startswith("/") or name in _NOT_NAMES or len(path) > _LONGEST_CACHED or _is_link(path):
            return real_path(path)
        return posixpath.join(resolve(folder), name)

    return resolve


def _is_link(path: str) -> bool:
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """Whether `path` is a regular file."""
    return kind_of(path) is Kind.FILE


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder."""
    return kind_of(path) is Kind.FOLDER


def read_bounded(path: Path, *, pipe: bool = True, link: bool = True, most: int = LARGEST) -> bytes:
    """Return the content of a regular file or a pipe, at most `most` bytes. Raises OSError with a readable reason.

    Wait for the data of a pipe, since another process writes to the pipe. Do not wait for a file that has no data yet,
    such as some files in /proc. With `pipe=False` refuse a pipe; with `link=False` refuse a symlink.
    """
    kind = kind_of(path)
    if kind is Kind.FOLDER:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind in {Kind.DEVICE, Kind.SOCKET} or (kind is Kind.PIPE and not pipe):
        raise OSError(errno.EINVAL, f"it is {kind}")
    waiting = 0 if kind is Kind.PIPE else os.O_NONBLOCK
    following = 0 if link else os.O_NOFOLLOW
    flags = os.O_RDONLY | os.O_CLOEXEC | waiting | following
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a descriptor
        content = file.read(most + 1)
    if content is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 1024**2} MB")
    return content


def write_whole(path: Path, text: str, *, within: Path | None = None) -> None:
    """Write a text atomically, as `whole_file` does."""
    with whole_file(path, within=within) as file:
        file.write(text.encode())


def is_descriptor(path: Path) -> bool:
    """Whether `path` names an open file of a process, such as `/dev/stdout`, or a device."""
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - removes `..` without following a symlink
    return not _DESCRIPTORS.isdisjoint(absolute.parts[:2]) and not absolute.is_relative_to(_SHARED_MEMORY)


def write_named(path: Path, text: str) -> None:
    """Write a text to a path that a user named: replace a file atomically, append to a device, pipe or descriptor.

    A symlink may be part of a checkout: replace the symlink itself, not its target. Raises OSError.
    """
    replaced = path.is_symlink() or kind_of(path) in {Kind.NOTHING, Kind.FILE}
    if replaced and not is_descriptor(path):
        write_whole(path, text)
    else:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)


@contextlib.contextmanager
def whole_file(path: Path, *, within: Path | None = None) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces `path` when the block ends; return its binary stream. Raises OSError.

    If the block raises, or if the process or the machine crashes, `path` is unchanged. The temporary file is in the
    folder of `path`, or in the folder `within` on the same disk.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=within or path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
