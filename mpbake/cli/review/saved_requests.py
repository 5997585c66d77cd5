"""Read a saved plan, and apply its request: `mpbake run` and `mpbake diff` resolve the plan again with its values."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.files import read_bounded
from mpbake.base.text import one_line, short_name
from mpbake.cli.folder import folder_of
from mpbake.cli.loading import allowances
from mpbake.cli.options import OverrideOptions
from mpbake.model.reading import ReadAccess
from mpbake.resolve import sensitive_variables
from mpbake.review.saved_plan import LARGEST_SAVED_PLAN

if TYPE_CHECKING:
    from mpbake.cli.loading import ReadPlan
    from mpbake.cli.options import SourceOptions
    from mpbake.cli.world import World
    from mpbake.review.saved_plan import Request


def saved_plan_path(name: str, source: SourceOptions, world: World) -> Path:
    """Return the path of a saved plan. A relative name starts in the working folder or the folder of `-C`."""
    return folder_of(source.directory, world) / name


def read_saved_plan(name: str, source: SourceOptions, world: World, *, note: str = "") -> bytes:
    """Return the content of the saved plan that the command line names. Raises UsageError.

    `note` is the end of the hint for a file that does not exist.
    """
    shown, path = short_name(name), saved_plan_path(name, source, world)
    folder = folder_of(source.directory, world)
    access = ReadAccess(folder=folder, allowances=allowances(source, folder))
    if not access.may_read_named(path):
        raise UsageError(f"{shown} is a link to a file outside of its folder", hint=access.remedy(path))
    try:
        return read_bounded(path, pipe=False, most=LARGEST_SAVED_PLAN)
    except FileNotFoundError:
        raise UsageError(
            f"there is no saved plan {shown}", hint=f"save it first: mpbake plan -o {shown}{note}"
        ) from None
    except (OSError, ValueError) as error:
        reason = one_line(getattr(error, "strerror", "") or "its name contains a NUL character")
        raise UsageError(f"{shown} cannot be read: {reason}", hint="name a plan that mpbake saved") from None


def variables_of(request: Request) -> tuple[str, ...]:
    """Return the variables of a request in the form of `--var`."""
    return tuple(f"{name}={text}" for name, text in request.variables.items())


def overrides_of(request: Request) -> OverrideOptions:
    """Return the options of a request that change every target."""
    return OverrideOptions(
        push=request.push,
        load=request.load,
        no_cache=request.no_cache,
        pull=request.pull,
        platforms=request.platforms,
        builder=request.builder,
        publish=request.publish or None,
    )


def plan_files_of(request: Request, path: Path) -> tuple[str, ...]:
    """Return the plan files that the saved plan in `path` names. Raises UsageError for a file outside of its folder."""
    folder = Path(os.path.realpath(path.parent))
    files = tuple(folder / name for name in request.files)
    for name, file in zip(request.files, files, strict=True):
        if not Path(os.path.realpath(file)).is_relative_to(folder):
            message = f"the saved plan names a plan file outside of its own folder: {one_line(name)}"
            raise UsageError(message, hint="name the plan file yourself: add -f FILE")
    return tuple(map(str, files))


def with_recorded_environment(read: ReadPlan, request: Request) -> ReadPlan:
    """Return a plan that takes the values of its environment variables from a request.

    Only sensitive variables take their values from the current environment, and with `--untrusted` not even these.
    """
    sensitive = sensitive_variables(read.spec)
    names = {variable.env for name, variable in read.spec.variables.items() if name in sensitive}
    inputs = read.inputs
    current = {name: value for name, value in inputs.environment.items() if name in names and not inputs.untrusted}
    return replace(read, inputs=replace(inputs, environment={**current, **request.environment}, untrusted=False))
