"""The first stage of every command: find, read and resolve the plan."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.memory import paused_collector
from mpbake.base.text import NOT_UTF_8, is_unicode, one_line
from mpbake.cli.folder import folder_of, plan_file
from mpbake.cli.options import OverrideOptions
from mpbake.cli.selection import chosen_platforms
from mpbake.model.grants import Allowances, parse_allowances
from mpbake.model.reading import ReadAccess
from mpbake.resolve import Inputs, Overrides, PartialPlan, given_secrets, parse_overrides, resolve_partially
from mpbake.resolve.git import GitRepository
from mpbake.spec.files.discovery import find_plan
from mpbake.spec.files.json_values import read_variables
from mpbake.spec.files.loader import read_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mpbake.base.redaction import Redactor
    from mpbake.cli.options import SourceOptions
    from mpbake.cli.world import World
    from mpbake.model.node_state import StoredBuilder
    from mpbake.model.plan import Plan
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec

NO_OVERRIDES = OverrideOptions()


@paused_collector()
def load_plan(
    source: SourceOptions,
    world: World,
    overrides: OverrideOptions = NO_OVERRIDES,
    *,
    relative: bool = False,
    quiet: bool = False,
) -> tuple[PlanFiles, Plan]:
    """Find, read and resolve the plan that `source` selects. Raises PlanError, UsageError.

    With `relative`, relative paths of targets stay relative to the plan's folder. With `quiet`, no warnings about other
    possible plan files are printed.
    """
    return read_source(source, world, overrides, quiet=quiet).plan(relative=relative)


@paused_collector()
def load_partially(
    source: SourceOptions,
    world: World,
    overrides: OverrideOptions = NO_OVERRIDES,
    *,
    relative: bool = False,
    quiet: bool = False,
) -> tuple[PlanFiles, PartialPlan]:
    """Load a plan like `load_plan`, but if there are errors, resolve only the parts without errors.

    Raises UsageError, and PlanError if the plan cannot be read.
    """
    return read_source(source, world, overrides, quiet=quiet).resolve(relative=relative)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadPlan:
    """The files of a plan and all inputs of its resolution, read once. `paths` are the files that were asked for.

    Each resolution uses the same text of the files, the same values and the same facts of git, even if a file has
    changed in the meantime.
    """

    paths: tuple[Path, ...]
    files: PlanFiles
    spec: PlanSpec
    inputs: Inputs
    redactor: Redactor

    @paused_collector()
    def plan(self, *, relative: bool = False) -> tuple[PlanFiles, Plan]:
        """Resolve the plan, with absolute or with relative paths of targets. Raises PlanError."""
        plan_files, partial_plan = self.resolve(relative=relative)
        return plan_files, partial_plan.plan_or_raise()

    @paused_collector()
    def resolve(self, *, relative: bool = False) -> tuple[PlanFiles, PartialPlan]:
        """Resolve the parts of the plan that have no errors."""
        plan_files = replace(self.files, relative=relative)
        partial_plan = resolve_partially(plan_files, self.spec, self.inputs)
        self.redactor.add(partial_plan.plan.sensitive)
        return plan_files, partial_plan


@paused_collector()
def read_source(
    source: SourceOptions, world: World, overrides: OverrideOptions = NO_OVERRIDES, *, quiet: bool = False
) -> ReadPlan:
    """Find and read the plan that `source` selects, and the values on the command line.

    With `quiet`, no warnings about other possible plan files are printed. Raises UsageError, PlanError.
    """
    folder = folder_of(source.directory, world)
    show = partial(shown_path, folder=world.folder)
    named = [plan_file(folder, name) for name in source.files]
    paths = named or [_find(folder, show, world, quiet=quiet)]
    access = ReadAccess(folder=paths[0].parent, allowances=allowances(source, paths[0].parent))
    plan_files, spec = read_plan(paths, show=show, settings=source.settings, access=access)
    inputs = resolution_inputs(source, overrides, world, plan_files.access, spec)
    return ReadPlan(paths=tuple(paths), files=plan_files, spec=spec, inputs=inputs, redactor=world.redactor)


def allowances(source: SourceOptions, root: Path) -> Allowances:
    """Return the grants of `--allow` for the plan in `root`. Raises UsageError."""
    try:
        return parse_allowances(source.allow, str(root))
    except ValueError as error:
        message, _, hint = str(error).partition("\n")
        raise UsageError(f"--allow: {message}", hint=hint) from None


def _find(folder: Path, show: Callable[[Path], str], world: World, *, quiet: bool) -> Path:
    """Find the plan of `folder`, and warn about other possible plan files.

    The warnings appear even if the plan has errors.
    """
    discovery = find_plan(folder)
    warnings = [
        f"the plan is {show(discovery.path)}, since {show(path)} {why}" for path, why in discovery.passed_over.items()
    ]
    warnings += [f"the plan is {show(discovery.path)}, and not {show(path)} beside it" for path in discovery.beside]
    if not quiet:
        world.stderr.writelines(f"warning: {one_line(warning)}\n" for warning in warnings)
    return discovery.path


def resolution_inputs(
    source: SourceOptions, overrides: OverrideOptions, world: World, access: ReadAccess, spec: PlanSpec
) -> Inputs:
    """Return the values and overrides on the command line, for a plan in the folder of `access`.

    Values are read first, so that messages about all other options are redacted. Raises UsageError, PlanError.
    """
    variables = dict(_assignment(number, text) for number, text in enumerate(source.variables, 1))
    inputs = Inputs(variables=variables, environment=world.environment, untrusted=source.untrusted)
    world.redactor.add(given_secrets(spec, inputs))
    tables = _read_var_files(source, world, access)
    files = {variable: file for file, values in tables.items() for variable in values}
    merged = {variable: value for values in tables.values() for variable, value in values.items()}
    inputs = replace(inputs, values=merged, files=files)
    world.redactor.add(given_secrets(spec, inputs))
    return replace(
        inputs,
        machine=world.machine,
        stored=partial(_stored_builder, world.environment),
        overrides=Overrides(
            push=overrides.push,
            load=overrides.load,
            no_cache=overrides.no_cache,
            pull=overrides.pull,
            builder=overrides.builder,
            publish=overrides.publish or "",
            platforms=chosen_platforms(overrides),
        ),
        set_overrides=parse_overrides(source.settings),
        git=cache(GitRepository(access.folder, world.environment).fact),
    )


def _stored_builder(environment: Mapping[str, str], name: str) -> StoredBuilder | None:
    """Return the entry of a builder in the user's buildx store."""
    from mpbake.buildkit.nodes.instances.buildx_store import stored_entry  # noqa: PLC0415 - slow to import, and few plans need the store

    return stored_entry(environment, name)


def _read_var_files(source: SourceOptions, world: World, access: ReadAccess) -> dict[str, dict[str, Any]]:
    """Return the values of each `--var-file` by file name. The last file has the highest precedence.

    Relative paths start at the working folder, or at the folder of `-C`. Raises UsageError for a symlink that leaves
    its folder, and PlanError.
    """
    names = dict.fromkeys(reversed(source.var_files))  # a file that is named twice has the position of its last mention
    paths = {name: world.folder / source.directory / name for name in reversed(names)}
    for name, path in paths.items():
        if not access.may_read_named(path):
            message = f"--var-file {one_line(name)} is a link to {one_line(os.path.realpath(path))}"
            raise UsageError(f"{message}, outside of its folder", hint=access.remedy(path))
    return {name: read_variables(path, shown=name) for name, path in paths.items()}


_DISTANT = "../../../"


def shown_path(path: Path, folder: Path) -> str:
    """Return the path of a file for messages: relative to the working folder if the file is near, else absolute."""
    relative = os.path.relpath(path, folder)
    return str(path) if relative.startswith(_DISTANT) else relative


def _assignment(number: int, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        hint = "write --var NAME=VALUE; the text is not shown, since it may be a secret"
        raise UsageError(f"--var number {number} is not NAME=VALUE", hint=hint)
    if not is_unicode(value):
        hint = "pass UTF-8 text; the value is not shown, since it may be a secret"
        raise UsageError(f"--var {one_line(name)}: {NOT_UTF_8}", hint=hint)
    return name, value
