"""`mpbake init`: write a first plan for the Dockerfiles of a folder. Prompts for nothing, and overwrites nothing."""

from __future__ import annotations

import contextlib
import os
import shlex
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TextIO

from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.base.files import is_file, read_bounded
from mpbake.base.text import columns, count, one_line
from mpbake.cli.folder import folder_of
from mpbake.model.dockerfiles import images_from
from mpbake.spec.files.discovery import FILE_NAMES, find_plan
from mpbake.spec.schema import schema_text
from mpbake.spec.starter import SCHEMA, is_dockerfile, is_searched, links_among, starter_text, target_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.cli.options import InitOptions
    from mpbake.cli.world import World

DEPTH = 6
MOST_FOLDERS = 20_000
MOST_DOCKERFILES = 500
_ELSEWHERE = "mpbake init -C DIR"
_BAKE_FILES = ("docker-bake.hcl", "docker-bake.json")
_DRY_RUN = "run `mpbake init --dry-run` to print the plan instead"


def main(options: InitOptions, world: World) -> int:
    """Write a plan for the Dockerfiles in the folder, and next to the plan the schema for editors."""
    folder = folder_of(options.directory, world)
    _mention_bake_files(folder, world.stderr)
    name = "" if options.dry_run else _free_name(folder)
    project = folder.name
    targets = target_names(project, find_dockerfiles(folder, world.stderr))
    text = starter_text(project, targets, links_among({name: _images(folder / path) for name, path in targets.items()}))
    if options.dry_run:
        world.stdout.write(text)
        return 0
    schema = _add_schema(folder)
    _create(folder / name, text)
    for line in _report(options.directory, name, targets, schema):
        world.stdout.write(f"{one_line(line)}\n")
    return 0


def _mention_bake_files(folder: Path, stderr: TextIO) -> None:
    """Say that there is a better start if the folder has files of bake."""
    files = [name for name in _BAKE_FILES if is_file(folder / name)]
    if files:
        stderr.write(f"note: {' and '.join(files)}: run `mpbake import` instead for a plan that builds the same\n")


def find_dockerfiles(root: Path, stderr: TextIO) -> list[PurePosixPath]:
    """Return the Dockerfiles in `root` and its subfolders, sorted by path. Symlinks are not followed.

    Warns about folders that cannot be read. Raises UsageError if `root` cannot be read, if there is no Dockerfile, or
    if there are too many folders or Dockerfiles.
    """

    def warn(error: OSError) -> None:
        place = os.path.relpath(error.filename, root)
        if place == os.curdir:
            raise UsageError(f"{root} cannot be read: {error.strerror}")
        stderr.write(f"warning: {one_line(place)} cannot be read: {error.strerror}: its Dockerfiles are ignored\n")

    dockerfiles: list[PurePosixPath] = []
    for seen, (place, folders, files) in enumerate(os.walk(root, onerror=warn)):
        here = PurePosixPath(os.path.relpath(place, root))
        folders[:] = sorted(filter(is_searched, folders)) if len(here.parts) < DEPTH else []
        dockerfiles += [here / name for name in sorted(filter(is_dockerfile, files)) if _is_own(Path(place, name))]
        if seen >= MOST_FOLDERS or len(dockerfiles) > MOST_DOCKERFILES:
            most = f"more than {MOST_FOLDERS} folders or {MOST_DOCKERFILES} Dockerfiles"
            raise UsageError(f"{root} holds {most}", hint=f"run it in the folder of one project: {_ELSEWHERE}")
    if not dockerfiles:
        message = f"no Dockerfile, Dockerfile.NAME, NAME.Dockerfile or Containerfile in {root} or below it"
        raise UsageError(message, hint=f"write one first, or run it in their folder: {_ELSEWHERE}")
    return dockerfiles


def _images(path: Path) -> tuple[str, ...]:
    """Return the base images of a Dockerfile; none if the file cannot be read."""
    try:
        return images_from(read_bounded(path, pipe=False, link=False).decode())
    except (OSError, ValueError):
        return ()


def _is_own(path: Path) -> bool:
    """Return whether `path` is a file, and not a symlink to a file."""
    return is_file(path) and not path.is_symlink()


def _free_name(folder: Path) -> str:
    """Return the name of the new plan. If `build.toml` belongs to another tool, return the second possible name.

    Raises UsageError.
    """
    with contextlib.suppress(PlanError):  # PlanError: no plan in this folder or above
        plan = find_plan(folder).path
        if plan.parent == folder:
            raise _exists_already(plan)
    free = [name for name in FILE_NAMES if not os.path.lexists(folder / name)]
    if not free:
        raise _exists_already(folder / FILE_NAMES[-1])
    return free[0]


def _exists_already(path: Path) -> UsageError:
    return UsageError(f"{path.parent} already has a {path.name}, which mpbake does not overwrite", hint=_DRY_RUN)


def _add_schema(folder: Path) -> str:
    """Write the schema into `folder` unless the file exists; return a line for the report."""
    if os.path.lexists(folder / SCHEMA):
        return f"kept {SCHEMA}; to renew it: mpbake schema > {SCHEMA}"
    _create(folder / SCHEMA, schema_text())
    return f"wrote {SCHEMA}: with it, editors complete and check the plan"


def _create(path: Path, text: str) -> None:
    """Write a new file, whole or not at all. Raises UsageError if the file exists, MpbakeError if writing fails."""
    try:
        with path.open("x", encoding="utf-8") as file:
            try:
                file.write(text)
                file.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise _exists_already(path) from None
    except OSError as error:
        raise MpbakeError(f"cannot write {path}: {error.strerror}", hint=_DRY_RUN) from None


def _report(directory: str, name: str, targets: Mapping[str, PurePosixPath], schema: str) -> list[str]:
    """Return lines about the written files and the next steps."""
    rows = [(target, str(path)) for target, path in targets.items()]
    command = shlex.join(["mpbake", "plan", *(["-C", directory] if directory else [])])
    return [
        f"wrote {Path(directory, name)}: {count(len(rows), 'target')}",
        *columns(rows, indent="  "),
        schema,
        f"next: {command}",
    ]
