"""What every command begins with: the plan read and resolved, the targets selected, the graph made."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import PlanError, UsageError
from mpbake.base.memory import paused_collector
from mpbake.base.platforms import check_platform, is_known, parse_platform
from mpbake.base.text import NOT_UTF_8, abbreviated, did_you_mean, is_unicode, one_line
from mpbake.cli.folder import folder_of, plan_file
from mpbake.graph.dag import BuildGraph, Selection, build_graph, select_with_dependencies
from mpbake.graph.links import linked_targets
from mpbake.graph.placement import place
from mpbake.graph.preflight.deletions import deletion_problems
from mpbake.graph.preflight.shared_tags import dependencies_on_shared_tags
from mpbake.model.plan import PublishMode
from mpbake.resolve import (
    Inputs,
    Overrides,
    PartialPlan,
    excluded_targets,
    given_secrets,
    parse_overrides,
    resolve_partially,
    select_targets,
    tags_pushed_twice,
)
from mpbake.resolve.git import Repository
from mpbake.spec.drivers import node_warnings
from mpbake.spec.loader import find_plan, read_plan, read_values

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.platforms import Platform
    from mpbake.cli.options import Options, World
    from mpbake.graph.placement import NodeFacts, Placement
    from mpbake.model.node_state import StoredBuilder
    from mpbake.model.plan import Plan, Target
    from mpbake.spec.plan_files import PlanFiles
    from mpbake.spec.spec import PlanSpec


_MOST_TOLD = 12
"""Targets that a message tells of."""


@paused_collector()
def load_plan(options: Options, world: World, *, relative: bool = False) -> tuple[PlanFiles, Plan]:
    """Find, read and resolve the plan that `options` mean. Raises PlanError, UsageError.

    With `relative`, relative paths of targets stay so, and count from the plan's folder.
    """
    document, found = load_partially(options, world, relative=relative)
    return document, found.settled()


@paused_collector()
def load_partially(options: Options, world: World, *, relative: bool = False) -> tuple[PlanFiles, PartialPlan]:
    """The same, as far as the plan can be resolved. Raises PlanError where it cannot be read, UsageError."""
    folder = folder_of(options, world)
    show = partial(_shown, folder=world.folder)
    paths = [plan_file(folder, each) for each in options.files] or _found(folder, show, options, world)
    document, spec = read_plan(paths, show=show, settings=options.settings)
    document = replace(document, relative=relative)
    found = resolve_partially(document, spec, inputs(options, world, document.root, spec))
    world.redactor.add(found.plan.sensitive)
    return document, found


def _found(folder: Path, show: Callable[[Path], str], options: Options, world: World) -> list[Path]:
    """The plan of `folder`. Tells what might be taken for it, also where there is more to be told of it later."""
    found = find_plan(folder)
    words = [f"the plan is {show(found.path)}, since {show(path)} {why}" for path, why in found.passed_over.items()]
    words += [f"the plan is {show(found.path)}, and not {show(path)} beside it" for path in found.beside]
    if not options.quiet:
        world.stderr.writelines(f"warning: {one_line(each)}\n" for each in words)
    return [found.path]


def inputs(options: Options, world: World, root: Path, spec: PlanSpec) -> Inputs:
    """The values and overrides of the command line, for a plan in the folder `root`. Raises UsageError, PlanError.

    The values come first: what is wrong with the rest is told without those that are sensitive.
    """
    given = dict(_assignment(*each) for each in enumerate(options.variables, 1))
    found = Inputs(variables=given, environment=world.environment)
    world.redactor.add(given_secrets(spec, found))
    values = _values(options, world)
    files = {each: name for name, given in values.items() for each in given}
    merged = {each: value for given in values.values() for each, value in given.items()}
    found = replace(found, values=merged, files=files)
    world.redactor.add(given_secrets(spec, found))
    return replace(
        found,
        stored=partial(_stored, world.environment),
        overrides=Overrides(
            push=options.push,
            load=options.load,
            no_cache=options.no_cache,
            pull=options.pull,
            builder=options.builder,
            publish=options.publish or "",
            platforms=chosen_platforms(options),
        ),
        settings=parse_overrides(options.settings),
        git=Repository(root, world.environment).fact,
    )


def _stored(environment: Mapping[str, str], name: str) -> StoredBuilder | None:
    """What the user's buildx keeps of a builder."""
    from mpbake.buildkit.nodes.buildx_store import stored_entry  # noqa: PLC0415 - Docker's part is slow, and few plans need this

    return stored_entry(environment, name)


def _values(options: Options, world: World) -> dict[str, dict[str, Any]]:
    """What each `--var-file` gives, the one that counts last. Paths count from where the user is, or works with -C."""
    names = dict.fromkeys(reversed(options.var_files))  # of one that is named twice the last counts
    return {name: read_values(world.folder / options.directory / name, shown=name) for name in reversed(names)}


def select_for(plan: Plan, options: Options) -> Selection:
    """What `options` ask to build, and all that it needs. Raises UsageError."""
    targets = select_targets(plan, options.names)
    check_platforms(targets, options)
    chosen = select_with_dependencies(targets, chosen_platforms(options))
    _check_left_out(excluded_targets(plan, options.names), targets, chosen.targets)
    warnings = (*_doubtful_platforms(options), *chosen.warnings)
    return replace(chosen, warnings=warnings, together=plan.publish is PublishMode.TOGETHER)


def _check_left_out(left: Collection[Target], chosen: Iterable[Target], everything: Sequence[Target]) -> None:
    """That nothing which was `left` out goes with what is `chosen` all the same, because it is needed."""
    missed = frozenset(left).intersection(everything)
    if not missed:
        return
    within = tuple(dict.fromkeys((*everything, *linked_targets(*everything))))
    users = [each for each in within if not missed.isdisjoint(each.needs)]
    told = [f"{user.name} needs {abbreviated([each.name for each in user.needs if each in missed])}" for user in users]
    message = f"what is left out is needed: {'; '.join(told[:_MOST_TOLD])}{'; …' if len(told) > _MOST_TOLD else ''}"
    kept = abbreviated([target.name for target in left if target in missed])
    all_users = _with_users(users, within)
    roots = abbreviated([target.name for target in chosen if target in all_users])
    raise UsageError(message, hint=f"leave out {roots}, too, or keep {kept}")


def _with_users(targets: Iterable[Target], everything: Iterable[Target]) -> set[Target]:
    """`targets` and those of `everything` that need or link to one of them, however far: one walk finds all."""
    users: dict[Target, list[Target]] = {}
    for user in everything:
        for each in (*user.needs, *user.every_link):
            users.setdefault(each, []).append(user)
    found: set[Target] = set()
    waiting = list(targets)
    while waiting:
        target = waiting.pop()
        if target not in found:
            found.add(target)
            waiting += users.get(target, ())
    return found


def check_platforms(targets: Iterable[Target], options: Options) -> None:
    """That `targets` are built for the platforms that are asked for, if they say for which. Raises UsageError."""
    for target in targets:
        known = [str(each) for each in target.platforms]
        for platform in chosen_platforms(options) if known else ():
            if platform not in target.platforms:
                message = f"--platform {platform}: {target.name} is built for {', '.join(known)} only"
                # Which others there are is told already.
                hint = "" if is_known(platform) else did_you_mean(str(platform), known, kind="platforms")
                raise UsageError(message, hint=hint)


def _doubtful_platforms(options: Options) -> Iterator[str]:
    """A word on each platform that is asked for and looks misspelt. A later BuildKit may know it."""
    for platform in chosen_platforms(options):
        try:
            check_platform(str(platform))
        except ValueError as error:
            yield f"--platform {platform}: {', '.join(str(error).splitlines())}"


def chosen_platforms(options: Options) -> tuple[Platform, ...]:
    """The platforms that `options` ask for instead of a target's own. Raises UsageError for what is none."""
    names = (name for each in options.platforms for name in each.split(",") if name)
    return tuple(dict.fromkeys(map(_platform, names)))


@paused_collector()
def place_targets(
    chosen: Selection, facts: Mapping[str, NodeFacts], before: Mapping[Target, Placement] | None = None
) -> dict[Target, Placement]:
    """Where what was `chosen` is built, as far as `facts` tell. `before` is what could be said without any."""
    return {
        target: before[target]
        if before and not any(node.id in facts for node in target.builder.nodes)
        else place(target, facts, chosen.only.get(target, ()))
        for target in chosen.targets
    }


def check_tags(document: PlanFiles, chosen: Selection) -> None:
    """Check that no two of the `chosen` targets push the same tag. Raises PlanError."""
    if problems := tuple(document.diagnose(each) for each in tags_pushed_twice(chosen.targets)):
        raise PlanError(problems)


def check_placements(document: PlanFiles, chosen: Selection, placements: Iterable[Placement]) -> None:
    """That everything can be built where it is placed, and published in that order. Raises PlanError."""
    problems = [each for placement in placements for each in placement.problems]
    problems += dependencies_on_shared_tags(chosen.targets) if chosen.together else ()
    problems += deletion_problems(chosen.targets, document.root)
    if problems:
        raise PlanError(document.diagnose(each) for each in problems)


@paused_collector()
def run_graph(
    document: PlanFiles, chosen: Selection, placements: Mapping[Target, Placement]
) -> tuple[BuildGraph, tuple[str, ...]]:
    """The graph of a run of what was `chosen`, and the warnings of that. Raises PlanError."""
    check_placements(document, chosen, placements.values())
    pieces = {target: placement.pieces for target, placement in placements.items()}
    graph = build_graph(chosen.targets, pieces, together=chosen.together)
    nodes = dict.fromkeys(node for each in placements.values() for piece in each.pieces for node in piece.nodes)
    warnings = [*(each for placement in placements.values() for each in placement.warnings), *node_warnings(nodes)]
    return graph, tuple(dict.fromkeys([*chosen.warnings, *(each.message for each in warnings)]))


_FAR = "../../../"


def _shown(path: Path, folder: Path) -> str:
    """How messages call a file: relative to where the user is, unless that is far away."""
    relative = os.path.relpath(path, folder)
    return str(path) if relative.startswith(_FAR) else relative


def _assignment(number: int, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        hint = "what it is instead is not shown, since it may be a secret"
        raise UsageError(f"--var number {number} is not NAME=VALUE", hint=hint)
    if not is_unicode(value):
        hint = "a variable holds text; the value is not shown, since it may be a secret"
        raise UsageError(f"--var {one_line(name)}: {NOT_UTF_8}", hint=hint)
    return name, value


def _platform(text: str) -> Platform:
    try:
        return parse_platform(text)
    except ValueError as error:
        raise UsageError(f"--platform: {error}") from None
