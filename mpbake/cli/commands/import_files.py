"""`mpbake import`: write a plan that builds the same as bake files, and prove it."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError, system_error
from mpbake.base.files import write_whole
from mpbake.base.text import one_line
from mpbake.buildkit.bake.printing import NoBuildx
from mpbake.cli.folder import folder_of
from mpbake.cli.importing.bake_import import import_bake
from mpbake.cli.importing.proving import BakeInput
from mpbake.cli.importing.reading_bake import bake_files, read_bake_files
from mpbake.cli.loading import shown_path
from mpbake.cli.options import STANDARD_OUTPUT
from mpbake.conversion.secret_names import looks_secret
from mpbake.report.formats import IMPORT_FORMATS
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.spec.files.discovery import FILE_NAMES

if TYPE_CHECKING:
    from mpbake.cli.options import ImportOptions
    from mpbake.cli.world import World
    from mpbake.report.importing.import_report import ImportReport
    from mpbake.run.executor import StopRequest

_DIFFERENT = 1
_NOW = "SOURCE_DATE_EPOCH=$(date +%s) "
_PLAN_MODE = 0o666
"""The permissions of a new file before the umask: a plan is shared, as other files of a checkout."""


def main(options: ImportOptions, world: World) -> int:
    """Write the plan, and print what the comparison with the bake files has shown.

    Return 1 if the plan has errors or builds anything else, and 5 if nothing could be compared without buildx.
    """
    if options.paths and options.files:
        raise UsageError("FILE and -f cannot be combined", hint="name all bake files in one of the two ways")
    folder = folder_of(options.directory, world)
    is_printed = options.dry_run or options.output == STANDARD_OUTPUT
    path = folder / FILE_NAMES[0] if is_printed else _plan_path(options, folder)
    names = bake_files(options.paths or options.files, folder)
    if not is_printed and any(_is_same(path, folder / name) for name in names):
        raise UsageError(f"-o {one_line(options.output)} is one of the bake files", hint="choose another name")
    source = BakeInput(folder=folder, files=names, content=read_bake_files(names, folder))
    world.redactor.add(_secrets(source, world))

    def work(stop: StopRequest) -> int:
        with stopped_by_signals(stop):
            report = import_bake(source, path, world, stop.then)
        _finish(report, options, world, None if is_printed else path)
        return _exit_code(report)

    return stoppable(work)


def _is_same(path: Path, other: Path) -> bool:
    """Whether two paths name the same file, also through a link."""
    return path.exists() and other.exists() and path.samefile(other)


def _secrets(source: BakeInput, world: World) -> set[str]:
    """Return the values in the environment of variables whose names look secret: the report must not print them."""
    return {value for name, value in source.environment(world).items() if looks_secret(name)}


def _plan_path(options: ImportOptions, folder: Path) -> Path:
    """Return the path of the plan. Raises UsageError if it must not be written.

    bake resolves the paths of a target in the folder where it runs, mpbake in the folder of the plan.
    """
    name = options.output or FILE_NAMES[0]
    path = folder / name
    shown = one_line(name)
    if Path(os.path.realpath(path.parent)) != folder:
        hint = "use -C DIR if you run bake in another folder, or print the plan: -o -"
        raise UsageError(f"-o {shown}: the plan must be in the folder in which you run bake", hint=hint)
    if path.is_dir() or path.is_symlink():
        raise UsageError(f"-o {shown} is a {'symlink' if path.is_symlink() else 'folder'}", hint="choose another name")
    if os.path.lexists(path) and not options.force:
        hint = "add --force to overwrite it, or run `mpbake import --dry-run` to print the plan instead"
        raise UsageError(f"{folder} already has a {shown}, which mpbake does not overwrite", hint=hint)
    return path


def _finish(report: ImportReport, options: ImportOptions, world: World, path: Path | None) -> None:
    """Write or print the plan, and print the report: beside a printed plan, to standard error."""
    text = report.conversion.text
    if path is not None:
        report = replace(report, plan=shown_path(path, world.folder), next=_next(report, options, world, path))
        try:
            write_whole(path, text)
            path.chmod(_PLAN_MODE & ~_umask())
        except OSError as error:
            raise system_error(error, f"-o {path}") from error
    is_text = options.format == "text"
    if path is None and is_text:
        world.stdout.write(text)
        world.stdout.flush()
    print_report = IMPORT_FORMATS[options.format].load()
    (world.stderr if path is None and is_text else world.stdout).write(print_report(report))


def _next(report: ImportReport, options: ImportOptions, world: World, path: Path) -> str:
    """Return the command that prints what a run of the plan would do."""
    where = ["-C", options.directory] if options.directory else []
    where += [] if path.name == FILE_NAMES[0] else ["-f", path.name]
    needs_time = report.conversion.uses_time and not world.environment.get("SOURCE_DATE_EPOCH")
    return f"{_NOW if needs_time else ''}{shlex.join(['mpbake', 'plan', *where])}"


def _umask() -> int:
    """Return the umask of this process, which can only be read by setting it."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _exit_code(report: ImportReport) -> int:
    if report.is_equal:
        return 0
    return _DIFFERENT if report.problems or report.proof.comparisons else NoBuildx.exit_code
