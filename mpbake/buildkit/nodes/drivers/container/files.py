"""The files of a container: archives that `docker cp` writes, and files that `docker cp` reads."""

from __future__ import annotations

import io
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.files import read_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def archive(files: Mapping[str, bytes], user: int) -> bytes:
    """Return a tar archive of `files`, which only `user` can read."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid, entry.gid = len(content), 0o600, user, user
            tar.addfile(entry, io.BytesIO(content))
    return data.getvalue()


def copied_files(copy: Callable[[Path], object]) -> dict[str, bytes]:
    """Return the regular files that `copy` puts into an empty folder, by their paths in it. Symlinks are ignored."""
    with tempfile.TemporaryDirectory(prefix="mpbake-") as folder:
        copy(Path(folder))
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(folder)): read_bounded(path, pipe=False, link=False) for path in paths}
