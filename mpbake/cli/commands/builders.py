"""`mpbake builders`: the declared builders beside the real ones, and what makes them match."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO, TypeVar

from mpbake.base.errors import MpbakeError, UsageError, most_severe
from mpbake.base.text import did_you_mean
from mpbake.buildkit.builders.apply import reconcile, stop
from mpbake.buildkit.builders.inventory import inventory
from mpbake.buildkit.builders.removal import prune, remove
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.builders.workspace import BuilderWorkspace
from mpbake.buildkit.nodes.tools import open_services, side_by_side
from mpbake.buildkit.runner import buildx_version
from mpbake.cli.loading import load_plan
from mpbake.graph.preflight.buildx_versions import check_builders
from mpbake.report.builder_text import DEFAULT_BUILDER_TEXT, changes_summary, changes_text, inventory_text
from mpbake.report.pace import Pace
from mpbake.resolve import DEFAULT_BUILDER
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.run.state.directory import block_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mpbake.buildkit.builders.survey import BuilderState
    from mpbake.buildkit.nodes.records import Record
    from mpbake.buildkit.nodes.tools import NodeServices
    from mpbake.cli.options import Options, World
    from mpbake.model.plan import Builder, Plan
    from mpbake.run.executor import StopRequest

CHANGES = 2
"""Exit code of `--detailed-exitcode` when something is to be done."""
_NOTHING = "nothing to do\n"

Given = TypeVar("Given")
Result = TypeVar("Result")


_TAKING_AWAY = ("stop", "rm", "prune")


def main(options: Options, world: World) -> int:
    """Do what `options.action` asks of the builders that `options.names` mean; of all, without a name."""
    document, plan = load_plan(options, world)
    chosen = _chosen(plan, options.names)
    held_off = block_runs(plan.root) if options.action in _TAKING_AWAY else nullcontext()

    def work(request: StopRequest) -> int:
        with stopped_by_signals(request), held_off, _opened(plan, world, request) as site:
            if options.action in {"plan", "up"}:
                check_builders(document, chosen, lambda: buildx_version(site.tools.docker))
            return _act(site, plan, chosen, options, world)

    return stoppable(work)


def _act(site: BuilderWorkspace, plan: Plan, chosen: tuple[Builder, ...], options: Options, world: World) -> int:
    match options.action:
        case "plan":
            return _plan(site.tools, chosen, plan.file, options, world)
        case "up" | "stop" | "rm":
            return _change(site, _own(chosen, options), options, world)
        case "prune":
            return _prune(site, plan, options, world)
        case _:
            return _list(site.tools, chosen, plan.file, world)


def _change(site: BuilderWorkspace, own: tuple[Builder, ...], options: Options, world: World) -> int:
    if not own:
        world.stdout.write(_NOTHING)
    match options.action:
        case "up":
            return _up(site, own, world)
        case "stop":
            return _told(_each(lambda each: stop(site, each), own), world)
        case _:
            if own:
                _warn_of_unreadable_records(site, world)
            keep, forget = options.keep_state, options.forget
            return _told(_each(lambda each: remove(site, each, keep_state=keep, forget=forget), own), world)


def _list(tools: NodeServices, chosen: tuple[Builder, ...], plan: Path, world: World) -> int:
    """Print every node with what it says of itself. What is out of reach is in the table, and no failure."""
    found = _each(lambda builder: inventory(tools, builder, plan), chosen)
    world.stdout.write(inventory_text(found))
    return 0


def _plan(tools: NodeServices, chosen: tuple[Builder, ...], plan: Path, options: Options, world: World) -> int:
    found = _each(lambda builder: survey_builder(tools, builder, plan), chosen)
    for each in found:
        world.stdout.write(changes_text(each.builder, each.changes, each.unclear))
    changes = [change for each in found for change in each.changes]
    unclear = [what for each in found for what in each.unclear]
    world.stdout.write(f"{changes_summary(changes, unclear)}\n")
    return _told_all(found, world) or (CHANGES if changes and options.detailed_exitcode else 0)


def _up(site: BuilderWorkspace, chosen: tuple[Builder, ...], world: World) -> int:
    write = _whole(world.stdout)

    def tell(found: BuilderState) -> None:
        write(changes_text(found.builder, found.changes, found.unclear))

    return _told_all(_each(lambda builder: reconcile(site, builder, tell), chosen), world)


def _prune(site: BuilderWorkspace, plan: Plan, options: Options, world: World) -> int:
    """Records of this plan, of builders that are still declared or no longer."""
    _warn_of_unreadable_records(site, world)
    records = site.tools.records.of_plan(plan.file)
    stale = [each for each in records if _is_stale(each, each.declared_in(plan.builders))]
    if not stale:
        world.stdout.write(_NOTHING)
    return _told(_each(lambda record: prune(site, record, plan.builders, forget=options.forget), stale), world)


def _warn_of_unreadable_records(site: BuilderWorkspace, world: World) -> None:
    world.stderr.writelines(f"warning: {each}\n" for each in site.tools.records.unreadable())


def _is_stale(record: Record, builder: Builder | None) -> bool:
    """Whether something was made that is no longer declared; what is external by now is never changed."""
    return builder is None or (not builder.external and bool(record.gone(builder)))


def _each(do: Callable[[Given], Result], things: Iterable[Given]) -> list[Result]:
    """`do` for all of them, side by side; an error of one as a whole is raised when all have ended."""
    results = []
    for each in side_by_side(do, tuple(things)):
        if isinstance(each, MpbakeError):
            raise each
        results.append(each)
    return results


def _told_all(found: Iterable[BuilderState], world: World) -> int:
    """Tell warnings and errors; the exit code."""
    found = list(found)
    world.stderr.writelines(f"warning: {warning}\n" for each in found for warning in each.warnings)
    return _told([list(each.errors) for each in found], world)


def _told(errors: Iterable[list[MpbakeError]], world: World) -> int:
    """Tell errors; the exit code: what is wrong with the plan comes before what does not answer."""
    every = [error for each in errors for error in each]
    world.stderr.writelines(f"error: {error}\n" for error in every)
    return most_severe({error.exit_code for error in every})


def _chosen(plan: Plan, names: tuple[str, ...]) -> tuple[Builder, ...]:
    """The declared builders of these names; all of them when there are none. Raises UsageError."""
    declared = {name: each for name, each in plan.builders.items() if not each.driver.rules.is_automatic}
    unknown = [name for name in names if name not in declared]
    if unknown:
        hint = (
            DEFAULT_BUILDER_TEXT
            if unknown[0] == DEFAULT_BUILDER
            else did_you_mean(unknown[0], declared, kind="builders")
        )
        raise UsageError(f'no builder "{unknown[0]}" is declared', hint=hint)
    return tuple(declared[name] for name in dict.fromkeys(names or declared))


def _own(chosen: tuple[Builder, ...], options: Options) -> tuple[Builder, ...]:
    """Those that mpbake may change. Raises UsageError for an external one that was named."""
    external = [each.name for each in chosen if each.external]
    if external and options.names:
        raise UsageError(f'builder "{external[0]}" is external', hint="it is used as it is, and never changed")
    return tuple(each for each in chosen if not each.external)


@contextmanager
def _opened(plan: Plan, world: World, request: StopRequest) -> Iterator[BuilderWorkspace]:
    """Everything that works on builders; no process and no private folder of it is left when the block is left."""
    write, pace = _whole(world.stderr), Pace(world.clock)

    def progress(node: str, activity: str) -> None:
        if pace.is_due(node):
            write(f"{node}: {activity}\n")

    with open_services(world.environment, world.redactor.redact, world.now, request.then) as tools:
        yield BuilderWorkspace(
            tools=tools,
            plan=plan.file,
            say=lambda text: write(f"{text}\n"),
            progress=progress,
            cancelled=lambda: bool(request.signal),
        )


def _whole(stream: TextIO) -> Callable[[str], None]:
    """A function that several threads may call: what it is given appears on `stream` at once, and in one piece."""
    lock = threading.Lock()

    def write(text: str) -> None:
        with lock:
            stream.write(text)
            stream.flush()

    return write
