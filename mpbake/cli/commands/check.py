"""`mpbake check`: all that is wrong with a plan, and what is probably not meant. Asks no node and no registry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mpbake.base.codes import Severity
from mpbake.base.errors import PlanError, sorted_by_location
from mpbake.base.text import count
from mpbake.cli.loading import load_partially
from mpbake.graph.placement import place
from mpbake.graph.preflight.base_images import foreign_bases, unlinked_bases
from mpbake.graph.preflight.deletions import deletion_problems
from mpbake.graph.preflight.lint import lint_warnings
from mpbake.graph.preflight.paths import missing_paths
from mpbake.graph.preflight.shared_tags import dependencies_on_shared_tags
from mpbake.graph.preflight.tls import certificate_problems
from mpbake.model.plan import PublishMode
from mpbake.report.diagnostics import diagnostics_github, diagnostics_json, diagnostics_text
from mpbake.spec.drivers import node_warnings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from mpbake.base.errors import Diagnostic
    from mpbake.cli.options import Options, World
    from mpbake.model.plan import Plan, Target
    from mpbake.resolve import PartialPlan
    from mpbake.spec.plan_files import PlanFiles
    from mpbake.spec.problem import Problem


def main(options: Options, world: World) -> int:
    """Print what is found. Returns 3 where the plan is wrong; with `--strict`, warnings make it so."""
    try:
        document, loaded = load_partially(options, world)
        found = _diagnostics(document, loaded, world)
        is_whole = not loaded.problems
        checked = f"{document.main.shown}: {count(len(loaded.plan.targets), 'target')}, " if is_whole else ""
    except PlanError as error:
        found, checked, is_whole = error.diagnostics, "", False
    match options.format:
        case "json":
            world.stdout.write(diagnostics_json(found))
        case "github":
            world.stdout.write(diagnostics_github(found))
        case _:
            world.stdout.write(f"{diagnostics_text(found)}{checked}{_verdict(found)}{'' if is_whole else _NOT_ALL}\n")
    wrong = any(options.strict or each.severity is Severity.ERROR for each in found)
    return PlanError.exit_code if wrong else 0


_NOT_ALL = "; more may be found once this is mended"
"""Said where what is wrong was found before all was looked at."""


def _diagnostics(document: PlanFiles, found: PartialPlan, world: World) -> tuple[Diagnostic, ...]:
    """What is to be said of a plan, in order of place; where something is wrong with it, of its sound targets only."""
    if found.problems:
        later = (document.diagnose(each) for each in _problems_of(found.valid_targets, found.plan.root, world))
        return sorted_by_location((*found.problems, *found.clashes, *later))
    problems = (document.diagnose(each) for each in _problems(found.plan, world))
    return sorted_by_location((*found.clashes, *problems, *lint_warnings(document, found.plan)))


def _problems(plan: Plan, world: World) -> Iterator[Problem]:
    """What a run of all targets would end with or warn of, as far as that is known without one."""
    targets = plan.targets.values()
    yield from _problems_of(targets, plan.root, world)
    if plan.publish is PublishMode.TOGETHER:
        yield from dependencies_on_shared_tags(targets)
    yield from unlinked_bases(plan.targets)
    yield from node_warnings(node for builder in plan.builders.values() for node in builder.nodes)


def _problems_of(targets: Collection[Target], root: Path, world: World) -> Iterator[Problem]:
    """The same of some targets, as far as each is by itself."""
    for target in targets:
        placement = place(target, {})
        yield from (*placement.problems, *placement.warnings)
        yield from deletion_problems([target], root, os.path.realpath)
    yield from missing_paths(targets, root, world.environment)
    yield from foreign_bases(targets)
    yield from certificate_problems(targets, {}, world.now())


def _verdict(found: Sequence[Diagnostic]) -> str:
    """`no problems`, `1 error`, `2 errors, 1 warning`."""
    counted = {each: sum(one.severity is each for one in found) for each in Severity}
    return ", ".join(count(number, severity) for severity, number in counted.items() if number) or "no problems"
