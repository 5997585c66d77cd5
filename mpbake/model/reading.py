"""The files that mpbake may read for a plan. A plan may be hostile, and name or link to any file of the machine."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.file_tree import FILE_SYSTEM
from mpbake.base.files import is_descriptor
from mpbake.base.text import one_line
from mpbake.model.grants import Allowances, Grant, GrantKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.base.file_tree import FileTree

    MayRead = Callable[[Path], bool]
    """Returns whether mpbake may read a file that the plan names."""

_DISTANT = "../../../"


@dataclass(frozen=True, kw_only=True)
class ReadAccess:
    """The decision which files mpbake may read for the plan in `folder`, without looking into any file.

    mpbake may read a file whose real path is in the plan's folder, or that `allowances` grants. `tree` holds the files
    of the plan, and resolves the symlinks of a path.
    """

    folder: Path
    allowances: Allowances = field(default_factory=Allowances)
    tree: FileTree = FILE_SYSTEM

    def may_read(self, path: Path) -> bool:
        """Return whether the plan may have mpbake read `path`: a file, or the files of a folder.

        Return True also for a path that no file can have, such as one with a NUL character: reading it fails.
        """
        real = self._resolved(path)
        return real is None or real.is_relative_to(self._real_folder) or self._is_granted(path)

    def may_read_named(self, path: Path) -> bool:
        """Return whether mpbake may read `path`, which the command line names.

        A symlink may have come with a checkout, so it must not leave its own folder. A descriptor such as `/dev/stdin`
        comes from the shell.
        """
        return self.stays(path) or is_descriptor(path) or self.may_read(path)

    def stays(self, path: Path) -> bool:
        """Return whether `path` is no symlink that leaves its own folder."""
        real, own_folder = self._resolved(path), self._resolved(path.parent)
        return real is None or own_folder is None or real.is_relative_to(own_folder)

    def is_inside(self, path: Path) -> bool:
        """Return whether the real path of `path` is in the plan's folder."""
        real = self._resolved(path)
        return real is not None and real.is_relative_to(self._real_folder)

    def problem(self, path: Path, shown: str) -> str:
        """Return why mpbake does not read `path`, which messages call `shown`."""
        is_linked = Path(os.path.normpath(path)).is_relative_to(self.folder)
        where = f" is a link to {one_line(self.tree.real_path(path))}, outside" if is_linked else " is outside"
        return f"{one_line(shown)}{where} of the plan's folder"

    def remedy(self, path: Path) -> str:
        """Return the hint for a file that mpbake does not read: the option that grants it."""
        real = self.tree.real_path(path)
        relative = os.path.relpath(real, self.folder)
        shown = real if relative.startswith(_DISTANT) else relative
        option = shlex.quote(Grant(kind=GrantKind.READ, value=shown).text)
        return f"if you trust the plan with this file, add: --allow {one_line(option)}"

    def real(self, path: str) -> str:
        """Return an absolute path without symlinks and without `..`. Never raises: an impossible path stays."""
        try:
            return self.tree.real_path(Path(path))
        except (OSError, ValueError, RecursionError):
            return os.path.normpath(path)

    @cached_property
    def _real_folder(self) -> Path:
        return Path(self.tree.real_path(self.folder))

    def _is_granted(self, path: Path) -> bool:
        return self.allowances.covers(Grant(kind=GrantKind.READ, value=str(path)), self.real)

    def _resolved(self, path: Path) -> Path | None:
        """Return the real path; None if no file can have this path."""
        try:
            return Path(self.tree.real_path(path))
        except (OSError, ValueError, RecursionError):  # a NUL character, or more symlinks than the system follows
            return None
