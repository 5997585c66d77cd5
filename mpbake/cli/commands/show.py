"""`mpbake show`: targets as resolved, and where each of their values was written."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mpbake.base.errors import key_path_text
from mpbake.base.text import one_line
from mpbake.cli.loading import check_platforms, chosen_platforms, load_plan
from mpbake.report.target_text import target_text
from mpbake.resolve import select_targets

if TYPE_CHECKING:
    from mpbake.base.errors import KeyPath
    from mpbake.cli.options import Options, World
    from mpbake.spec.plan_files import PlanFiles


def main(options: Options, world: World) -> int:
    """Print the targets that `options.names` mean."""
    document, plan = load_plan(options, world, relative=True)
    texts = []
    targets = select_targets(plan, options.names)
    check_platforms(targets, options)
    for target in targets:
        origin = partial(_origin, document, options, ("targets", target.table)) if options.origin else None
        texts.append(target_text(target, origin, chosen_platforms(options)))
    world.stdout.write("\n".join(texts))
    return 0


def _origin(document: PlanFiles, options: Options, table: KeyPath, key: KeyPath) -> str:
    """The file and line that state `key`, and the table if it is not `table`; else the option, or that nothing does."""
    given = {"push": options.push is not None, "load": options.load, "no-cache": options.no_cache, "pull": options.pull}
    given["builder"] = bool(options.builder)
    name = str(key[-1])
    if len(key) == 3 and given.get(name):  # and not the key of a label, say
        return f"--no-{name}" if name == "push" and not options.push else f"--{name}"
    if options.platforms and key[2:3] == ("platforms",):
        return "--platform"
    stated = document.stated(key)
    if not stated:
        return "default"
    location = document.locate(stated)
    place = f"{location.file}:{location.line}" if location.line else location.file
    foreign = location.line and stated[:2] != table
    return one_line(f"{place} ({key_path_text(stated[:2])})" if foreign else place)
