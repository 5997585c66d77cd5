"""`mpbake show`: print resolved targets, and where each value was written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.errors import key_path_text
from mpbake.base.text import one_line
from mpbake.cli.loading import load_plan
from mpbake.cli.selection import named_targets
from mpbake.report.plan.target_text import target_text

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath
    from mpbake.cli.options import OverrideOptions, ShowOptions
    from mpbake.cli.world import World
    from mpbake.spec.files.plan_files import PlanFiles


def main(options: ShowOptions, world: World) -> int:
    """Print the named targets."""
    plan_files, plan = load_plan(options.source, world, options.overrides, relative=True)
    targets, platforms = named_targets(plan, options.names, options.overrides)
    texts = []
    for target in targets:
        table = ("targets", target.table)
        origin = partial(_origin, plan_files, options.overrides, table) if options.origin else None
        texts.append(target_text(target, origin, platforms))
    world.stdout.write("\n".join(texts))
    return 0


def _origin(plan_files: PlanFiles, overrides: OverrideOptions, table: KeyPath, key: KeyPath) -> str:
    """Return the origin of the value at `key`: an option, `default`, or a file and line.

    If the line is in a table other than `table`, the name of that table follows in parentheses.
    """
    if option := _origin_option(overrides, key):
        return option
    stated = plan_files.stated(key)
    if not stated:
        return "default"
    location = plan_files.locate(stated)
    place = f"{location.file}:{location.line}" if location.line else location.file
    is_inherited = location.line and stated[:2] != table
    return one_line(f"{place} ({key_path_text(stated[:2])})" if is_inherited else place)


def _origin_option(overrides: OverrideOptions, key: KeyPath) -> str:
    """Return the command-line option that sets the value at `key`; empty if there is none."""
    changed = {
        "builder": bool(overrides.builder),
        "push": overrides.push is not None,
        "load": overrides.load,
        "no-cache": overrides.no_cache,
        "pull": overrides.pull,
    }
    name = str(key[-1])
    if len(key) == 3 and changed.get(name):  # a longer key may end in the name of a label
        return f"--no-{name}" if name == "push" and not overrides.push else f"--{name}"
    return "--platform" if overrides.platforms and key[2:3] == ("platforms",) else ""
