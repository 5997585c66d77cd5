"""`mpbake check`: all that is wrong with a plan, and what is probably not meant. Asks no node and no registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.codes import Severity
from mpbake.commands.certificates import certificate_problems
from mpbake.commands.load import load
from mpbake.commands.paths import missing_paths, unlinked_bases
from mpbake.drivers import node_warnings
from mpbake.errors import PlanError, in_order
from mpbake.lint import warnings_of
from mpbake.placement import place
from mpbake.plan import Publishing
from mpbake.render_diagnostics import diagnostics_github, diagnostics_json, diagnostics_text
from mpbake.text import count
from mpbake.together import needs_of_pushed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mpbake.document import Document
    from mpbake.errors import Diagnostic
    from mpbake.options import Options, World
    from mpbake.plan import Plan
    from mpbake.spec import Problem


def main(options: Options, world: World) -> int:
    """Print what is found. Returns 3 where the plan is wrong; with `--strict`, warnings make it so."""
    try:
        document, plan = load(options, world)
        found = _diagnostics(document, plan, world.now())
        checked = f"{document.main.shown}: {count(len(plan.targets), 'target')}, "
    except PlanError as error:
        found, checked = error.diagnostics, ""
    match options.format:
        case "json":
            world.stdout.write(diagnostics_json(found))
        case "github":
            world.stdout.write(diagnostics_github(found))
        case _:
            world.stdout.write(f"{diagnostics_text(found)}{checked}{_verdict(found)}\n")
    wrong = any(options.strict or each.severity is Severity.ERROR for each in found)
    return PlanError.exit_code if wrong else 0


def _diagnostics(document: Document, plan: Plan, now: datetime) -> tuple[Diagnostic, ...]:
    """What is to be said of a plan that could be resolved, in order of place."""
    problems = (document.diagnose(each) for each in _problems(plan, now))
    return in_order((*problems, *warnings_of(document, plan)))


def _problems(plan: Plan, now: datetime) -> Iterator[Problem]:
    """What a run of all targets would end with or warn of, as far as that is known without one."""
    targets = plan.targets.values()
    for target in targets:
        placement = place(target, {})
        yield from (*placement.problems, *placement.warnings)
    if plan.publish is Publishing.TOGETHER:
        yield from needs_of_pushed(targets)
    yield from missing_paths(targets)
    yield from unlinked_bases(plan.targets)
    yield from certificate_problems(targets, {}, now)
    yield from node_warnings(node for builder in plan.builders.values() for node in builder.nodes)


def _verdict(found: Sequence[Diagnostic]) -> str:
    """`no problems`, `1 error`, `2 errors, 1 warning`."""
    counted = {each: sum(one.severity is each for one in found) for each in Severity}
    return ", ".join(count(number, severity) for severity, number in counted.items() if number) or "no problems"
