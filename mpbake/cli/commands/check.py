"""`mpbake check`: print all errors and warnings of a plan. Contacts no node and no registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Severity
from mpbake.base.errors import PlanError, sorted_by_location
from mpbake.cli.loading import load_partially
from mpbake.graph.placement import place
from mpbake.graph.preflight.checks import PreflightInput, Stage, preflight_problems
from mpbake.graph.preflight.lint import lint_warnings
from mpbake.graph.preflight.secret_files import is_missing_secret
from mpbake.model.plan import PublishMode
from mpbake.report.diagnostics.check_report import CheckReport
from mpbake.report.formats import DIAGNOSTICS_FORMATS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from mpbake.base.errors import Diagnostic
    from mpbake.cli.options import CheckOptions
    from mpbake.cli.world import World
    from mpbake.model.plan import Plan, Target
    from mpbake.resolve import PartialPlan
    from mpbake.spec.files.plan_files import PlanFiles


def main(options: CheckOptions, world: World) -> int:
    """Print the diagnostics of the plan. Return 3 if there are errors; with `--strict`, also if there are warnings."""
    report = _check(options, world)
    print_report = DIAGNOSTICS_FORMATS[options.format].load()
    world.stdout.write(print_report(report))
    is_wrong = any(options.strict or diagnostic.severity is Severity.ERROR for diagnostic in report.diagnostics)
    return PlanError.exit_code if is_wrong else 0


def _check(options: CheckOptions, world: World) -> CheckReport:
    """Check the parts of a plan that can be read and resolved. Targets without errors are always checked."""
    try:
        plan_files, partial_plan = load_partially(options.source, world)
        if partial_plan.problems:
            targets = _check_sound_targets(plan_files, partial_plan, options, world)
            return CheckReport(diagnostics=targets)
        of_plan = _check_plan(plan_files, partial_plan.plan, options, world)
        diagnostics = sorted_by_location((*partial_plan.clashes, *of_plan))
    except PlanError as error:
        return CheckReport(diagnostics=error.diagnostics)
    number = len(partial_plan.plan.targets)
    return CheckReport(diagnostics=diagnostics, file=plan_files.main.shown, targets=number, complete=True)


def _check_sound_targets(
    plan_files: PlanFiles, partial_plan: PartialPlan, options: CheckOptions, world: World
) -> tuple[Diagnostic, ...]:
    subject = _preflight_input(plan_files, partial_plan.valid_targets, world)
    diagnostics = _preflight_diagnostics(subject, options, Stage.CHECK_TARGETS)
    return sorted_by_location((*partial_plan.problems, *partial_plan.clashes, *diagnostics))


def _check_plan(plan_files: PlanFiles, plan: Plan, options: CheckOptions, world: World) -> tuple[Diagnostic, ...]:
    """Return the errors and warnings of a run of all targets, and the warnings of the linter."""
    subject = _preflight_input(plan_files, plan.targets.values(), world, plan)
    diagnostics = _preflight_diagnostics(subject, options, Stage.CHECK_TARGETS, Stage.CHECK_PLAN)
    return (*diagnostics, *lint_warnings(plan_files, plan))


def _preflight_diagnostics(subject: PreflightInput, options: CheckOptions, *stages: Stage) -> Iterator[Diagnostic]:
    for problem in preflight_problems(subject, *stages):
        if not (options.without_secrets and is_missing_secret(problem)):
            yield subject.plan_files.diagnose(problem)


def _preflight_input(
    plan_files: PlanFiles, targets: Collection[Target], world: World, plan: Plan | None = None
) -> PreflightInput:
    """Return the input of the preflight checks. `plan` is given only if the plan has no errors."""
    builders = plan.builders.values() if plan else ()
    return PreflightInput(
        plan_files=plan_files,
        targets={target.name: target for target in targets},
        placements=tuple(place(target, {}) for target in targets),
        environment=world.environment,
        now=world.now(),
        nodes=tuple(node for builder in builders for node in builder.nodes),
        together=plan is not None and plan.publish is PublishMode.TOGETHER,
    )
