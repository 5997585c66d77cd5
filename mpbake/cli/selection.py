"""The selection of targets on the command line, the placement of their platforms, and the graph of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.errors import UsageError
from mpbake.base.memory import paused_collector
from mpbake.base.platforms import parse_platform
from mpbake.base.text import abbreviated, one_line
from mpbake.cli.options import SAVED_SUFFIX
from mpbake.graph.dag import BuildGraph, Selection, build_graph, select_with_dependencies
from mpbake.graph.links import linked_targets
from mpbake.graph.placement import place
from mpbake.graph.preflight.checks import PreflightInput
from mpbake.graph.preflight.platforms import check_platforms, platform_warnings
from mpbake.model.plan import PublishMode
from mpbake.resolve import excluded_targets, select_targets

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.cli.options import OverrideOptions
    from mpbake.cli.world import World
    from mpbake.graph.node_facts import NodeFacts
    from mpbake.graph.placement import Placement
    from mpbake.model.plan import Plan, Target
    from mpbake.spec.files.plan_files import PlanFiles

_MOST_USERS = 12
"""The maximum number of targets that a message lists."""


def chosen_platforms(overrides: OverrideOptions) -> tuple[Platform, ...]:
    """Return the platforms of `--platform`. Raises UsageError for a value that is not a platform."""
    names = (name for value in overrides.platforms for name in value.split(",") if name)
    return tuple(dict.fromkeys(map(_platform, names)))


def _platform(text: str) -> Platform:
    try:
        return parse_platform(text)
    except ValueError as error:
        raise UsageError(f"--platform: {error}") from None


def named_targets(
    plan: Plan, names: Sequence[str], overrides: OverrideOptions
) -> tuple[tuple[Target, ...], tuple[Platform, ...]]:
    """Return the targets that `names` select, and the platforms of `--platform`. Raises UsageError."""
    saved = next((name for name in names if name.endswith(SAVED_SUFFIX)), "")
    if saved:
        hint = f"use `mpbake run {one_line(saved)}` or `mpbake diff {one_line(saved)}`, or name targets"
        raise UsageError(f"this command does not support saved plans: {one_line(saved)}", hint=hint)
    targets, platforms = select_targets(plan, names), chosen_platforms(overrides)
    check_platforms(targets, platforms)
    return targets, platforms


def select_for(plan: Plan, names: Sequence[str], overrides: OverrideOptions) -> Selection:
    """Return the targets that `names` select, and all their dependencies. Raises UsageError."""
    targets, platforms = named_targets(plan, names, overrides)
    selection = select_with_dependencies(targets, platforms)
    _check_exclusions(excluded_targets(plan, names), targets, selection.targets)
    warnings = (*platform_warnings(platforms), *selection.warnings)
    return replace(selection, warnings=warnings, together=plan.publish is PublishMode.TOGETHER)


def _check_exclusions(excluded: Collection[Target], named: Iterable[Target], selected: Sequence[Target]) -> None:
    """Raise UsageError if a selected target needs a target that `!` excludes."""
    needed = frozenset(excluded).intersection(selected)
    if not needed:
        return
    built = tuple(dict.fromkeys((*selected, *linked_targets(*selected))))
    users = [target for target in built if not needed.isdisjoint(target.needs)]
    clauses = [
        f"{user.name} needs {abbreviated([need.name for need in user.needs if need in needed])}" for user in users
    ]
    more = "; …" if len(clauses) > _MOST_USERS else ""
    message = f"excluded targets are needed: {'; '.join(clauses[:_MOST_USERS])}{more}"
    kept = abbreviated([target.name for target in excluded if target in needed])
    dependents = _with_dependents(users, built)
    roots = abbreviated([target.name for target in named if target in dependents])
    raise UsageError(message, hint=f"exclude {roots} as well, or keep {kept}")


def _with_dependents(targets: Iterable[Target], candidates: Iterable[Target]) -> set[Target]:
    """Return `targets` and their direct and indirect dependents among `candidates`, found in one walk.

    A dependent of a target needs the target or links to the target.
    """
    users: dict[Target, list[Target]] = {}
    for user in candidates:
        for used in (*user.needs, *user.every_link):
            users.setdefault(used, []).append(user)
    dependents: set[Target] = set()
    waiting = list(targets)
    while waiting:
        target = waiting.pop()
        if target not in dependents:
            dependents.add(target)
            waiting += users.get(target, ())
    return dependents


@paused_collector()
def place_targets(
    selection: Selection, facts: Mapping[str, NodeFacts], before: Mapping[Target, Placement] | None = None
) -> dict[Target, Placement]:
    """Place the platforms of all selected targets by the known `facts` of nodes.

    `before` is the placement without any facts. If no facts of a target's nodes are known, the target's placement in
    `before` is kept.
    """
    return {
        target: before[target]
        if before and not any(node.id in facts for node in target.builder.nodes)
        else place(target, facts, selection.only.get(target, ()))
        for target in selection.targets
    }


@paused_collector()
def make_graph(selection: Selection, placements: Mapping[Target, Placement]) -> BuildGraph:
    """Return the graph of a run of the selected targets."""
    pieces = {target: placement.pieces for target, placement in placements.items()}
    return build_graph(selection.targets, pieces, together=selection.together)


def preflight_input(
    plan_files: PlanFiles, selection: Selection, placements: Iterable[Placement], world: World
) -> PreflightInput:
    """Return the input of the preflight checks for the selected targets."""
    placements = tuple(placements)
    pieces = (piece for placement in placements for piece in placement.pieces)
    return PreflightInput(
        plan_files=plan_files,
        targets={target.name: target for target in selection.targets},
        placements=placements,
        environment=world.environment,
        now=world.now(),
        nodes=tuple(dict.fromkeys(node for piece in pieces for node in piece.nodes)),
        only=selection.only,
        together=selection.together,
    )
