"""`mpbake import --builder`: write the tables of builders that were made by hand. No builder changes."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.base.files import whole_file, write_whole
from mpbake.base.text import count, one_line
from mpbake.base.toml_text import toml_value
from mpbake.buildkit.builders.existing import find_builder, is_engine_in_use, is_made_by_mpbake
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.nodes.ownership import adopt_command
from mpbake.buildkit.nodes.services import open_services
from mpbake.cli.folder import folder_of
from mpbake.cli.loading import load_plan
from mpbake.cli.options import STANDARD_OUTPUT, SourceOptions
from mpbake.model.grants import EVERYTHING
from mpbake.model.node_state import Action
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.spec.files.discovery import FILE_NAMES
from mpbake.spec.imported_builders import ImportPlace, builders_text, imported_builder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.cli.options import ImportBuildersOptions
    from mpbake.cli.world import World
    from mpbake.model.existing_builders import ExistingBuilder
    from mpbake.model.plan import Builder
    from mpbake.run.executor import StopRequest
    from mpbake.spec.imported_builders import ImportedBuilder

_PLAN_MODE = 0o644


@dataclass(frozen=True, kw_only=True, slots=True)
class _Output:
    """The file to write, and its name on the command line. Without a name, the tables are printed."""

    path: Path
    name: str

    @property
    def folder(self) -> Path:
        """The folder of the file, with its symlinks resolved: relative paths start there."""
        return Path(os.path.realpath(self.path.parent))


def main(options: ImportBuildersOptions, world: World) -> int:
    """Print or write the tables of the named builders, and warn about what they do not declare as it is."""
    output = _checked_output(options, world)

    def work(request: StopRequest) -> int:
        redact = world.redactor.redact
        with stopped_by_signals(request), open_services(world.environment, redact, world.now, request.then) as services:
            named = [find_builder(services, name) for name in options.builders]
            builders = list({builder.name: builder for builder in named}.values())
            imported = [imported_builder(builder, _place(services, world, output.folder)) for builder in builders]
            warnings = [warning for builder in imported for warning in builder.warnings]
            warnings += _differences(services, world, builders)
            _deliver(imported, output, options, world)
            world.stderr.writelines(f"warning: {warning}\n" for warning in dict.fromkeys(warnings))
            return 0

    return stoppable(work)


def _checked_output(options: ImportBuildersOptions, world: World) -> _Output:
    """Return the file to write. Raises UsageError if mpbake must not write it."""
    name = "" if options.dry_run or options.output == STANDARD_OUTPUT else options.output
    path = folder_of(options.directory, world) / (name or FILE_NAMES[0])
    if name and not path.parent.is_dir():
        raise UsageError(f"-o {one_line(name)}: its folder does not exist", hint="name a file in a folder that exists")
    if name and path.is_symlink():
        raise UsageError(f"-o {one_line(name)} is a symlink", hint="remove the symlink, or choose another name")
    if name and (path.is_dir() or (path.exists() and not options.force)):
        raise UsageError(
            f"-o {one_line(name)} exists", hint="choose another name, or add --force to overwrite the file"
        )
    return _Output(path=path, name=name)


def _place(services: NodeServices, world: World, folder: Path) -> ImportPlace:
    home = world.environment.get("HOME", "/")
    return ImportPlace(
        is_in_use=partial(is_engine_in_use, services),
        path=lambda path: _near(path, folder),
        kubeconfig=world.environment.get("KUBECONFIG") or str(Path(home, ".kube", "config")),
    )


def _near(path: str, folder: Path) -> str:
    """Return the path of a file for a plan in `folder`: relative if the file is in the folder, else unchanged."""
    real = os.path.realpath(path)
    return os.path.relpath(real, folder) if Path(real).is_relative_to(folder) else path


# --- what the tables do not show --------------------------------------------------------------------------------------


def _differences(services: NodeServices, world: World, existing: Sequence[ExistingBuilder]) -> Iterator[str]:
    """Yield warnings: the errors and changes of a plan with these builders, and what cannot be found out.

    A private folder holds this plan, with absolute paths, so nothing of the user is read or written.
    """
    with tempfile.TemporaryDirectory(dir=services.scratch) as folder:
        place = ImportPlace(is_in_use=partial(is_engine_in_use, services), path=str)
        builders = [imported_builder(builder, place) for builder in existing]
        _write_files(Path(folder), builders)
        plan_path = Path(folder, FILE_NAMES[0])
        plan_path.write_text(builders_text(builders), encoding="utf-8")
        try:
            _, plan = load_plan(SourceOptions(files=(str(plan_path),), allow=(EVERYTHING,)), world, quiet=True)
        except PlanError as error:
            for diagnostic in error.diagnostics:
                yield f"mpbake refuses the tables: {diagnostic.message}; correct the plan by hand"
            return
        for builder in existing:
            declared = plan.builders[builder.name]
            if not declared.external:
                yield from _differences_of(services, declared, plan_path)


def _differences_of(services: NodeServices, builder: Builder, plan: Path) -> Iterator[str]:
    if is_made_by_mpbake(services, builder.name):
        yield f"{builder.name}: mpbake has made or adopted it: its tables may be in another plan"
    state = survey_builder(services, builder, plan, adopt=True)
    for error in state.errors:
        yield f"{builder.name}: its actual state is not known: {one_line(error.message)}"
    for change in state.changes:
        if change.action is not Action.ADOPT:
            differences = "".join(f"; {difference}" for difference in change.differences)
            subject = f"{change.action} {change.kind.value} {change.name}"
            yield f"{builder.name}: `{adopt_command(builder.name)}` would {subject}: {change.reason}{differences}"


# --- the output -------------------------------------------------------------------------------------------------------


def _deliver(
    imported: Sequence[ImportedBuilder], output: _Output, options: ImportBuildersOptions, world: World
) -> None:
    """Write the tables and their files, or print the tables."""
    text = builders_text(imported)
    names = [name for builder in imported for name in builder.files]
    if not output.name:
        world.stdout.write(text)
        if names:
            files = f"the tables name certificates that only buildx's store has: {', '.join(names)}"
            world.stderr.write(f"warning: {files}; to write them too, add -o FILE\n")
        return
    taken = [name for name in names if (output.folder / name).exists() and not options.force]
    if taken:
        message = f"{one_line(taken[0])} exists, and mpbake would write a file of buildx's store there"
        raise UsageError(message, hint="remove it, or add --force to overwrite it")
    try:
        _write_files(output.folder, imported)
        write_whole(output.path, text)
        output.path.chmod(_PLAN_MODE)
    except OSError as error:
        raise MpbakeError(f"cannot write {one_line(str(error.filename or output.name))}: {error.strerror}") from None
    for line in _report(imported, output.name, names):
        world.stdout.write(f"{line}\n")


def _write_files(folder: Path, builders: Sequence[ImportedBuilder]) -> None:
    """Write the files of `builders` below `folder`, readable by their owner only: they may include keys."""
    files: Mapping[str, bytes] = {name: data for builder in builders for name, data in builder.files.items()}
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(data)


def _report(imported: Sequence[ImportedBuilder], name: str, files: Sequence[str]) -> Iterator[str]:
    counts = [f"builder {builder.name} ({count(builder.node_count, 'node')})" for builder in imported]
    yield f"wrote {one_line(name)}: {', '.join(counts)}"
    yield from (f"wrote {one_line(file)}" for file in files)
    includes = "" if Path(name).name in FILE_NAMES else f"add include = [{toml_value(name)}] to your plan, and run: "
    yield f"next: {includes}mpbake builders plan"
