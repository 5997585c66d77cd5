"""The folder in which a command works, and the paths of the plan files that it reads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.files import access_error, is_folder
from mpbake.base.text import one_line

if TYPE_CHECKING:
    from mpbake.cli.world import World


def folder_of(directory: str, world: World) -> Path:
    """Return the real path of the working folder, or of `directory`, the value of `-C`. Raises UsageError.

    As with `cd`, symlinks are resolved: the parent of a symlinked folder is the parent of the link's target.
    """
    folder = world.folder / directory
    if refused := access_error(folder):
        raise UsageError(f"{one_line(directory)} cannot be read: {refused}")
    if not is_folder(folder):
        raise UsageError(f"there is no folder {directory}")
    return folder.resolve()


def plan_file(folder: Path, name: str) -> Path:
    """Return the path of the plan file that `-f` names, with symlinks in the path of its folder resolved.

    mpbake finds the records of a plan by this path, so any path to the same plan must give the same result. If the plan
    file itself is a symlink, the link is not resolved: relative paths in the plan start at the folder of the link.
    Raises UsageError for a name that cannot be a file.
    """
    if name == "-":
        raise UsageError("-f -: a plan cannot be read from standard input", hint="write it to a file")
    if "://" in name:
        raise UsageError(f"-f {one_line(name)}: a plan must be a local file", hint="download it first")
    path = folder / name
    return Path(os.path.realpath(path.parent), path.name)
