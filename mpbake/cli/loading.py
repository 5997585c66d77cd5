"""The first stage of every command: find, read and resolve the plan."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import UsageError
from mpbake.base.memory import paused_collector
from mpbake.base.text import NOT_UTF_8, is_unicode, one_line
from mpbake.cli.folder import folder_of, plan_file
from mpbake.cli.options import OverrideOptions
from mpbake.cli.selection import chosen_platforms
from mpbake.resolve import Inputs, Overrides, PartialPlan, given_secrets, parse_overrides, resolve_partially
from mpbake.resolve.git import GitRepository
from mpbake.spec.files.discovery import find_plan
from mpbake.spec.files.json_values import read_variables
from mpbake.spec.files.loader import read_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

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
    plan_files, partial_plan = load_partially(source, world, overrides, relative=relative, quiet=quiet)
    return plan_files, partial_plan.plan_or_raise()


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
    folder = folder_of(source.directory, world)
    show = partial(shown_path, folder=world.folder)
    named = [plan_file(folder, name) for name in source.files]
    paths = named or [_find(folder, show, world, quiet=quiet)]
    plan_files, spec = read_plan(paths, show=show, settings=source.settings)
    plan_files = replace(plan_files, relative=relative)
    partial_plan = resolve_partially(
        plan_files, spec, resolution_inputs(source, overrides, world, plan_files.root, spec)
    )
    world.redactor.add(partial_plan.plan.sensitive)
    return plan_files, partial_plan


def _find(folder: Path, show: Callable[[Path], str], world: World, *, quiet: bool) -> Path:
    """Find the plan of `folder`, and warn about other possible plan files.

    The warnings appear even if the plan has errors.
    """
    found = find_plan(folder)
    warnings = [f"the plan is {show(found.path)}, since {show(path)} {why}" for path, why in found.passed_over.items()]
    warnings += [f"the plan is {show(found.path)}, and not {show(path)} beside it" for path in found.beside]
    if not quiet:
        world.stderr.writelines(f"warning: {one_line(warning)}\n" for warning in warnings)
    return found.path


def resolution_inputs(
    source: SourceOptions, overrides: OverrideOptions, world: World, root: Path, spec: PlanSpec
) -> Inputs:
    """Return the values and overrides on the command line, for a plan in the folder `root`.

    Values are read first, so that messages about all other options are redacted. Raises UsageError, PlanError.
    """
    variables = dict(_assignment(number, text) for number, text in enumerate(source.variables, 1))
    inputs = Inputs(variables=variables, environment=world.environment)
    world.redactor.add(given_secrets(spec, inputs))
    tables = _read_var_files(source, world)
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
        git=GitRepository(root, world.environment).fact,
    )


def _stored_builder(environment: Mapping[str, str], name: str) -> StoredBuilder | None:
    """Return the entry of a builder in the user's buildx store."""
    from mpbake.buildkit.nodes.instances.buildx_store import stored_entry  # noqa: PLC0415 - slow to import, and few plans need the store

    return stored_entry(environment, name)


def _read_var_files(source: SourceOptions, world: World) -> dict[str, dict[str, Any]]:
    """Return the values of each `--var-file` by file name. The last file has the highest precedence.

    Relative paths start at the working folder, or at the folder of `-C`.
    """
    names = dict.fromkeys(reversed(source.var_files))  # a file that is named twice has the position of its last mention
    return {name: read_variables(world.folder / source.directory / name, shown=name) for name in reversed(names)}


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
