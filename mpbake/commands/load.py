"""What every command begins with: the plan read and resolved, the targets selected, the graph made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.errors import PlanError, UsageError
from mpbake.graph import BuildGraph, Selection, build_graph, selection
from mpbake.loader import Document, find_plan, read_plan, read_values
from mpbake.memory import no_garbage
from mpbake.placement import place
from mpbake.platforms import parse_platform
from mpbake.resolve import Inputs, Overrides, resolve, select
from mpbake.spec import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mpbake.options import Options, World
    from mpbake.placement import NodeFacts
    from mpbake.plan import Plan
    from mpbake.platforms import Platform


@no_garbage()
def load(options: Options, world: World) -> tuple[Document, Plan]:
    """Find, read and resolve the plan that `options` mean. Raises PlanError, UsageError."""
    folder = (world.folder / options.directory).absolute()
    if not folder.is_dir():
        raise UsageError(f"there is no folder {options.directory}")
    path = (folder / options.file).absolute() if options.file else find_plan(folder)
    document, spec = read_plan(path, shown=_shown(path, world.folder))
    return document, resolve(document, spec, inputs(options, world))


def inputs(options: Options, world: World) -> Inputs:
    """The values and overrides of the command line. Raises UsageError."""
    return Inputs(
        variables=dict(_assignment(each) for each in options.variables),
        values=_values(options, world),
        environment=world.environment,
        overrides=Overrides(
            push=options.push,
            load=options.load,
            no_cache=options.no_cache,
            pull=options.pull,
            builder=options.builder,
        ),
    )


def _values(options: Options, world: World) -> dict[str, Any]:
    """What `--var-file` gives; a later file wins. Paths count from where the user is, or works with -C."""
    values: dict[str, Any] = {}
    for name in options.var_files:
        values |= read_values(world.folder / options.directory / name, shown=name)
    return values


def selected(plan: Plan, options: Options) -> Selection:
    """What `options` ask to build, and all that it needs. Raises UsageError."""
    names = (name for each in options.platforms for name in each.split(",") if name)
    platforms = tuple(dict.fromkeys(map(_platform, names)))
    return selection(select(plan, options.names), platforms)


@no_garbage()
def graph_of(
    document: Document, chosen: Selection, facts: Mapping[str, NodeFacts]
) -> tuple[BuildGraph, tuple[str, ...]]:
    """The graph of a run of what was `chosen`, and the warnings of that. Raises PlanError."""
    placements = {target: place(target, facts, chosen.only.get(target, ())) for target in chosen.targets}
    problems = [each for placement in placements.values() for each in placement.problems]
    if problems:
        raise PlanError(
            document.diagnose(
                Problem(
                    key=("targets", each.target.table, "platforms"),
                    message=f"{each.target.name}: {each.message}",
                    hint=each.hint,
                )
            )
            for each in problems
        )
    graph = build_graph(chosen.targets, {target: placement.pieces for target, placement in placements.items()})
    placing = (each for placement in placements.values() for each in placement.warnings)
    return graph, (*chosen.warnings, *placing)


def _shown(path: Path, folder: Path) -> str:
    """How messages call the plan: relative to where the user is, when it is below."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f'--var "{text}" is not NAME=VALUE')
    return name, value


def _platform(text: str) -> Platform:
    try:
        return parse_platform(text)
    except ValueError as error:
        raise UsageError(f"--platform: {error}") from None
