"""Files: what stands at a path, told without raising, what it holds, within bounds; and writing them whole."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 64 * 1024 * 1024
"""Bytes that are read of a file; a plan has thousands, a large one millions."""
_DESCRIPTORS = frozenset({"dev", "proc"})
"""Folders of the system whose symlinks stand for open files: `/dev/stdout`, `/proc/self/fd/1`."""
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a disk like any other, to which every user may write


class Kind(StrEnum):
    """What stands at a path, as messages call it."""

    NOTHING = "nothing"
    FILE = "a file"
    FOLDER = "a folder"
    PIPE = "a pipe"
    DEVICE = "a device"
    SOCKET = "a socket"
    LOOSE_LINK = "a link that leads nowhere"


_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.FOLDER,
    stat.S_IFIFO: Kind.PIPE,
    stat.S_IFCHR: Kind.DEVICE,
    stat.S_IFBLK: Kind.DEVICE,
    stat.S_IFSOCK: Kind.SOCKET,
}


def kind_of(path: Path) -> Kind:
    """What stands at `path`, behind links. Never raises: where no file can be, and where one may not look, is nothing.

    Among those are paths with a NUL or with a name that is longer than the file system takes.
    """
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), Kind.DEVICE)
    except (OSError, ValueError):
        return Kind.LOOSE_LINK if os.path.lexists(path) else Kind.NOTHING


def access_error(path: Path) -> str:
    """Why this user may not look at `path`, in the system's words; empty where it can be told what stands there."""
    try:
        path.stat()
    except PermissionError as error:
        return error.strerror or ""
    except (OSError, ValueError):
        pass
    return ""


def is_file(path: Path) -> bool:
    """Whether a regular file stands at `path`."""
    return kind_of(path) is Kind.FILE


def is_folder(path: Path) -> bool:
    """Whether a folder stands at `path`."""
    return kind_of(path) is Kind.FOLDER


def read_bounded(path: Path, *, pipe: bool = True, link: bool = True) -> bytes:
    """What a regular file or a pipe holds, if that is no more than `LARGEST`. Raises OSError with a reason for people.

    A pipe is waited for, since somebody writes to it; a file that has nothing yet, as some of /proc, is not. Without
    `pipe` only a file will do, without `link` none that is reached by a symlink.
    """
    kind = kind_of(path)
    if kind is Kind.FOLDER:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if kind in {Kind.DEVICE, Kind.SOCKET} or (kind is Kind.PIPE and not pipe):
        raise OSError(errno.EINVAL, f"it is {kind}")
    patience = 0 if kind is Kind.PIPE else os.O_NONBLOCK
    following = 0 if link else os.O_NOFOLLOW
    flags = os.O_RDONLY | os.O_CLOEXEC | patience | following
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a descriptor
        content = file.read(LARGEST + 1)
    if content is None:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    if len(content) > LARGEST:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST // 1024**2} MB")
    return content


def write_whole(path: Path, text: str, *, within: Path | None = None) -> None:
    """Write a text as `whole_file` does."""
    with whole_file(path, within=within) as file:
        file.write(text.encode())


def is_descriptor(path: Path) -> bool:
    """Whether `path` names an open file of a process, such as `/dev/stdout`, or a device."""
    absolute = os.path.abspath(path)  # noqa: PTH100 - without `..`, and without following a symlink
    named = Path(absolute)
    return not _DESCRIPTORS.isdisjoint(named.parts[:2]) and not named.is_relative_to(_SHARED_MEMORY)


def write_named(path: Path, text: str) -> None:
    """Write a text to the path that a user named: replace a file as a whole, append to a device, pipe or descriptor.

    Replace a symlink instead of following it: it may have come with a checkout. Raises OSError.
    """
    replaced = path.is_symlink() or kind_of(path) in {Kind.NOTHING, Kind.FILE}
    if replaced and not is_descriptor(path):
        write_whole(path, text)
    else:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)


@contextlib.contextmanager
def whole_file(path: Path, *, within: Path | None = None) -> Iterator[IO[bytes]]:
    """A file that appears as `path` when the block is left, whole or not at all, whenever this process or machine ends.

    Until then it lies beside `path`, or in the folder `within` of the same disk. Raises OSError.
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
