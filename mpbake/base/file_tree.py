"""The files that mpbake reads a plan from: the file system, or a tree that another package provides."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Protocol

from mpbake.base.files import access_error, kind_of, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

    from mpbake.base.files import Kind


class FileTree(Protocol):
    """A tree of files with absolute paths. All methods but `sha256` follow symlinks."""

    def kind(self, path: Path) -> Kind:
        """Return the kind of file at `path`, like `kind_of`."""

    def access_error(self, path: Path) -> str:
        """Return the reason why `path` cannot be read; empty if `kind` can tell the kind."""

    def read(self, path: Path) -> bytes:
        """Return the content of a file, with a limit of its size. Raises OSError with a readable reason."""

    def sha256(self, path: Path) -> str:
        """Return the SHA-256 of a regular file, whose path has no symlinks, as hexadecimal digits. Raises OSError."""

    def real_path(self, path: Path) -> str:
        """Return `path` without symlinks."""


class _FileSystem:
    """The files of this machine."""

    def kind(self, path: Path) -> Kind:
        return kind_of(path)

    def access_error(self, path: Path) -> str:
        return access_error(path)

    def read(self, path: Path) -> bytes:
        return read_bounded(path)

    def sha256(self, path: Path) -> str:
        return hashlib.sha256(read_bounded(path, pipe=False, link=False)).hexdigest()

    def real_path(self, path: Path) -> str:
        return os.path.realpath(path)


FILE_SYSTEM: FileTree = _FileSystem()
