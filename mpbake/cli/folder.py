"""The folder in which a command works, and the plans that it is told to read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.files import access_error, is_folder
from mpbake.base.text import one_line

if TYPE_CHECKING:
    from mpbake.cli.options import Options, World


def folder_of(options: Options, world: World) -> Path:
    """Where the user is, or what `-C` names, as if the user had gone there: by its real path. Raises UsageError.

    The folders above `b/../x`, or above a symlink, are not those that the words say.
    """
    folder = world.folder / options.directory
    if refused := access_error(folder):
        raise UsageError(f"{one_line(options.directory)} cannot be read: {refused}")
    if not is_folder(folder):
        raise UsageError(f"there is no folder {options.directory}")
    return folder.resolve()


def plan_file(folder: Path, name: str) -> Path:
    """What `-f` names, in the real path of its folder: however a plan is reached, its notes are found again.

    A plan that is itself a symlink stays where that lies: there its paths count from. Raises UsageError for what is
    no file by its very name.
    """
    if name == "-":
        raise UsageError("-f -: a plan is a file, and standard input is not read", hint="write it to a file")
    if "://" in name:
        raise UsageError(f"-f {one_line(name)}: a plan is a file of this machine", hint="fetch it first")
    path = folder / name
    return Path(os.path.realpath(path.parent), path.name)
