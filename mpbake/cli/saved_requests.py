"""Apply the request of a saved plan: `mpbake run` and `mpbake diff` read the plan again with its values and options."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.text import one_line
from mpbake.cli.options import OverrideOptions
from mpbake.resolve import sensitive_variables

if TYPE_CHECKING:
    from mpbake.cli.loading import ReadPlan
    from mpbake.review.saved_plan import Request


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

    Only sensitive variables take their values from the environment of now, and with `--untrusted` not even these.
    """
    sensitive = sensitive_variables(read.spec)
    names = {variable.env for name, variable in read.spec.variables.items() if name in sensitive}
    inputs = read.inputs
    current = {name: value for name, value in inputs.environment.items() if name in names and not inputs.untrusted}
    return replace(read, inputs=replace(inputs, environment={**current, **request.environment}, untrusted=False))
