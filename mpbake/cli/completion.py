"""Shell completion of names in the plan; there are none if the plan cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.cli.loading import load_plan
from mpbake.model.plan import Driver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.cli.options import SourceOptions
    from mpbake.cli.world import World


def targets(source: SourceOptions, world: World) -> list[str]:
    """Return the names of groups and targets."""
    _, plan = load_plan(source, world, quiet=True)  # a warning would appear in the middle of the typed line
    return _without_redacted(dict.fromkeys([*plan.groups, *plan.targets]), world)


def builders(source: SourceOptions, world: World) -> list[str]:
    """Return the names of declared builders."""
    _, plan = load_plan(source, world, quiet=True)
    declared = (builder.name for builder in plan.builders.values() if builder.driver is not Driver.AUTOMATIC)
    return _without_redacted(declared, world)


def _without_redacted(names: Iterable[str], world: World) -> list[str]:
    """Drop names that redaction would change: the changed name would mean nothing on a command line."""
    return [name for name in names if world.redactor.redact(name) == name]
