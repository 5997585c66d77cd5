"""`mpbake builders`: compare declared builders with their actual state, and reconcile the differences."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO, TypeVar

from mpbake.base.errors import MpbakeError, UsageError, most_severe
from mpbake.buildkit.builders.apply import reconcile, stop
from mpbake.buildkit.builders.inventory import inventory
from mpbake.buildkit.builders.removal import prune, remove
from mpbake.buildkit.builders.survey import survey_builder
from mpbake.buildkit.builders.workspace import BuilderWorkspace
from mpbake.buildkit.nodes.services import open_services, side_by_side
from mpbake.buildkit.runner import buildx_version
from mpbake.cli.loading import load_plan
from mpbake.cli.named_builders import named_builders
from mpbake.cli.review.granting import grant_up
from mpbake.graph.emulators import wanted_platforms
from mpbake.graph.preflight.buildx_versions import check_builders
from mpbake.model.node_state import Action
from mpbake.report.plan.builder_text import changes_summary, changes_text, inventory_text
from mpbake.report.progress.pace import Pace
from mpbake.run.signals import stoppable, stopped_by_signals
from mpbake.run.state.directory import block_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.buildkit.builders.survey import BuilderState
    from mpbake.buildkit.nodes.records import Record
    from mpbake.cli.options import BuildersOptions
    from mpbake.cli.world import World
    from mpbake.model.node_state import Change
    from mpbake.model.plan import Builder, Plan
    from mpbake.run.executor import StopRequest

CHANGES = 2
"""Exit code of `--detailed-exitcode` when there are changes to make."""
_NOTHING = "nothing to do\n"
_REMOVING = ("stop", "rm", "prune")
"""Actions that stop or remove containers in which a run may be building."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def main(options: BuildersOptions, world: World) -> int:
    """Apply the action to the named builders; without names, to all builders."""
    plan_files, plan = load_plan(options.source, world)
    chosen = named_builders(plan, options.names)
    if options.action == "up":
        grant_up(plan_files, [builder for builder in chosen if not builder.external], world)
    runs_blocked = block_runs(plan.root) if options.action in _REMOVING else nullcontext()

    def work(request: StopRequest) -> int:
        with stopped_by_signals(request), runs_blocked, _open_workspace(plan, world, request) as workspace:
            if options.action in {"plan", "up"}:
                check_builders(plan_files, chosen, lambda: buildx_version(workspace.services.docker))
            return _act(workspace, plan, chosen, options, world)

    return stoppable(work)


def _act(
    workspace: BuilderWorkspace, plan: Plan, chosen: tuple[Builder, ...], options: BuildersOptions, world: World
) -> int:
    match options.action:
        case "plan":
            return _plan(workspace, chosen, options, world)
        case "up" | "stop" | "rm":
            return _change(workspace, _own(chosen, options), options, world)
        case "prune":
            return _prune(workspace, plan, options, world)
        case _:
            return _list(workspace, chosen, world)


def _change(workspace: BuilderWorkspace, own: tuple[Builder, ...], options: BuildersOptions, world: World) -> int:
    if not own:
        world.stdout.write(_NOTHING)
    match options.action:
        case "up":
            return _up(workspace, own, world, adopt=options.adopt)
        case "stop":
            return _report_errors(_for_each(lambda builder: stop(workspace, builder), own), world)
        case _:
            return _remove(workspace, own, options, world)


def _remove(workspace: BuilderWorkspace, own: tuple[Builder, ...], options: BuildersOptions, world: World) -> int:
    if own:
        _warn_of_unreadable_records(workspace, world)
    keep, forget = options.keep_state, options.forget
    errors = _for_each(lambda builder: remove(workspace, builder, keep_state=keep, forget=forget), own)
    return _report_errors(errors, world)


def _list(workspace: BuilderWorkspace, chosen: tuple[Builder, ...], world: World) -> int:
    """Print every node with its actual state. An unreachable node is a row of the table, not a failure."""
    services, plan = workspace.services, workspace.plan
    states = _for_each(lambda builder: inventory(services, builder, plan, _platforms(workspace, builder)), chosen)
    world.stdout.write(inventory_text(states))
    warnings = (warning for rows in states for row in rows for warning in row.warnings)
    world.stderr.writelines(f"warning: {warning}\n" for warning in dict.fromkeys(warnings))
    return 0


def _plan(workspace: BuilderWorkspace, chosen: tuple[Builder, ...], options: BuildersOptions, world: World) -> int:
    """Print the changes that `up` would make, and with `--adopt` would make. An adoption changes no node."""
    services, plan = workspace.services, workspace.plan
    states = _for_each(
        lambda builder: survey_builder(services, builder, plan, _platforms(workspace, builder), adopt=True), chosen
    )
    for state in states:
        world.stdout.write(changes_text(state.builder, state.changes, state.unclear))
    changes = [change for state in states for change in state.changes]
    unclear = [reason for state in states for reason in state.unclear]
    world.stdout.write(f"{changes_summary(changes, unclear)}\n")
    return _report_states(states, world) or (CHANGES if _are_needed(changes) and options.detailed_exitcode else 0)


def _are_needed(changes: Iterable[Change]) -> bool:
    return any(change.action is not Action.ADOPT for change in changes)


def _platforms(workspace: BuilderWorkspace, builder: Builder) -> Sequence[Platform]:
    return workspace.platforms.get(builder.name, ())


def _up(workspace: BuilderWorkspace, chosen: tuple[Builder, ...], world: World, *, adopt: bool) -> int:
    write = _synchronized(world.stdout)

    def print_changes(state: BuilderState) -> None:
        write(changes_text(state.builder, state.changes, state.unclear))

    states = _for_each(lambda builder: reconcile(workspace, builder, print_changes, adopt=adopt), chosen)
    return _report_states(states, world)


def _prune(workspace: BuilderWorkspace, plan: Plan, options: BuildersOptions, world: World) -> int:
    """Remove the nodes that are in the records of this plan but no longer declared in the plan."""
    _warn_of_unreadable_records(workspace, world)
    records = workspace.services.records.of_plan(plan.file)
    stale = [record for record in records if _is_stale(record, record.declared_in(plan.builders))]
    if not stale:
        world.stdout.write(_NOTHING)
    forget = options.forget
    errors = _for_each(lambda record: prune(workspace, record, plan.builders, forget=forget), stale)
    return _report_errors(errors, world)


def _warn_of_unreadable_records(workspace: BuilderWorkspace, world: World) -> None:
    world.stderr.writelines(f"warning: {warning}\n" for warning in workspace.services.records.unreadable())


def _is_stale(record: Record, builder: Builder | None) -> bool:
    """Return whether a record has a node that the plan no longer declares; always False for an external builder."""
    return builder is None or (not builder.external and bool(record.undeclared(builder)))


def _for_each(do: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Call `do` for all items in parallel. If a call raises an error, raise it after all calls have ended."""
    results = []
    for result in side_by_side(do, tuple(items)):
        if isinstance(result, MpbakeError):
            raise result
        results.append(result)
    return results


def _report_states(states: Iterable[BuilderState], world: World) -> int:
    """Print the warnings and errors of builders. Return the exit code."""
    states = list(states)
    world.stderr.writelines(f"warning: {warning}\n" for state in states for warning in state.warnings)
    return _report_errors([list(state.errors) for state in states], world)


def _report_errors(errors: Iterable[list[MpbakeError]], world: World) -> int:
    """Print errors. Return the exit code: a plan error takes precedence over an unreachable node."""
    every_error = [part for group in errors for error in group for part in error.separate]
    world.stderr.writelines(f"error: {error}\n" for error in every_error)
    return most_severe({error.exit_code for error in every_error})


def _own(chosen: tuple[Builder, ...], options: BuildersOptions) -> tuple[Builder, ...]:
    """Return the builders that mpbake may change. Raises UsageError if an external builder was named."""
    external = [builder.name for builder in chosen if builder.external]
    if external and options.names:
        raise UsageError(
            f'builder "{external[0]}" is external, and mpbake never changes it', hint="change it with docker buildx"
        )
    return tuple(builder for builder in chosen if not builder.external)


@contextmanager
def _open_workspace(plan: Plan, world: World, request: StopRequest) -> Iterator[BuilderWorkspace]:
    """Yield a workspace. When the block ends, its processes end and its private folder is removed."""
    write, pace = _synchronized(world.stderr), Pace(world.clock)

    def progress(node: str, activity: str) -> None:
        if pace.is_due(node):
            write(f"{node}: {activity}\n")

    with open_services(world.environment, world.redactor.redact, world.now, request.then) as services:
        yield BuilderWorkspace(
            services=services,
            plan=plan.file,
            say=lambda text: write(f"{text}\n"),
            progress=progress,
            cancelled=lambda: bool(request.signal),
            platforms={
                name: wanted_platforms(builder, plan.targets.values())
                for name, builder in plan.builders.items()
                if builder.emulators
            },
        )


def _synchronized(stream: TextIO) -> Callable[[str], None]:
    """Return a thread-safe function that writes to `stream`. Each text is written whole and appears at once."""
    lock = threading.Lock()

    def write(text: str) -> None:
        with lock:
            stream.write(text)
            stream.flush()

    return write
