"""What a shell may complete: names of the plan, or none where there is no plan that can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.commands.load import load
from mpbake.plan import Driver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mpbake.options import Options, World


def targets(options: Options, world: World) -> list[str]:
    """The groups and targets that people may name."""
    _, plan = load(options, world)
    return _shown(dict.fromkeys([*plan.groups, *plan.targets]), world)


def builders(options: Options, world: World) -> list[str]:
    """The declared builders."""
    _, plan = load(options, world)
    return _shown((each.name for each in plan.builders.values() if each.driver is not Driver.AUTOMATIC), world)


def _shown(names: Iterable[str], world: World) -> list[str]:
    """Those in which nothing is hidden: what is shown otherwise would mean nothing on a command line."""
    return [name for name in names if world.hiding.hide(name) == name]
