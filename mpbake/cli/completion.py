"""What a shell may complete: names of the plan, or none where there is no plan that can be read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.cli.loading import load_plan

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.cli.options import Options, World
    from mpbake.model.plan import Plan


def targets(options: Options, world: World) -> list[str]:
    """The groups and targets that people may name."""
    plan = _plan(options, world)
    return _shown(dict.fromkeys([*plan.groups, *plan.targets]), world)


def builders(options: Options, world: World) -> list[str]:
    """The declared builders."""
    plan = _plan(options, world)
    return _shown((each.name for each in plan.builders.values() if not each.driver.rules.is_automatic), world)


def _plan(options: Options, world: World) -> Plan:
    """The plan, without a word: it would stand in the middle of the line that somebody types."""
    return load_plan(replace(options, quiet=True), world)[1]


def _shown(names: Iterable[str], world: World) -> list[str]:
    """Those in which nothing is hidden: what is shown otherwise would mean nothing on a command line."""
    return [name for name in names if world.redactor.redact(name) == name]
