"""`mpbake doctor`: print the needs of the plan, and a remedy for each need that is not met. Changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, Unreachable
from mpbake.buildkit.doctor.survey import find_facts
from mpbake.buildkit.nodes.services import open_services
from mpbake.cli.loading import load_plan
from mpbake.cli.options import OverrideOptions, SourceOptions
from mpbake.cli.selection import chosen_platforms, select_for
from mpbake.graph.dag import select_with_dependencies
from mpbake.graph.doctor.checks import diagnose
from mpbake.graph.doctor.facts import Subject
from mpbake.graph.preflight.platforms import check_platforms
from mpbake.report.doctor.doctor_report import DoctorReport
from mpbake.report.formats import DOCTOR_FORMATS
from mpbake.run.signals import stoppable, stopped_by_signals

if TYPE_CHECKING:
    from mpbake.cli.options import DoctorOptions
    from mpbake.cli.world import World
    from mpbake.graph.dag import Selection
    from mpbake.model.plan import Builder, Plan
    from mpbake.run.executor import StopRequest


def main(options: DoctorOptions, world: World) -> int:
    """Print the findings of all checks. Return 5 if something that the plan needs is missing."""
    subject = _subject(options, world)

    def work(stop: StopRequest) -> int:
        with (
            stopped_by_signals(stop),
            open_services(world.environment, world.redactor.redact, world.now, stop.then) as services,
        ):
            facts = find_facts(services, subject)
        report = DoctorReport(
            results=diagnose(facts),
            plan=subject.plan_files.main.shown if subject.plan_files else "",
            targets=tuple(target.name for target in subject.targets),
            colour=_has_colours(options, world),
        )
        world.stdout.write(DOCTOR_FORMATS[options.format].load()(report))
        return Unreachable.exit_code if report.is_missing_something else 0

    return stoppable(work)


def _has_colours(options: DoctorOptions, world: World) -> bool:
    wanted = not options.no_color and not world.environment.get("NO_COLOR") and world.environment.get("TERM") != "dumb"
    return wanted and world.stdout.isatty()


def _subject(options: DoctorOptions, world: World) -> Subject:
    """Return the subject of the checks: the plan; only docker if there is no plan and the command line names none."""
    try:
        plan_files, plan = load_plan(options.source, world, options.overrides)
    except PlanError as error:
        is_absent = all(problem.code is Code.NO_PLAN for problem in error.diagnostics)
        if not is_absent or _needs_plan(options):
            raise
        return Subject()
    selection = select_for(plan, options.names, options.overrides) if options.names else _everything(plan, options)
    builders = _builders(plan, selection, everything=not options.names)
    return Subject(plan_files=plan_files, targets=selection.targets, builders=builders, only=selection.only)


def _needs_plan(options: DoctorOptions) -> bool:
    """Whether the command line contains anything that has no effect without a plan."""
    about_values = replace(options.source, directory="") != SourceOptions()
    return bool(options.names) or about_values or options.overrides != OverrideOptions()


def _everything(plan: Plan, options: DoctorOptions) -> Selection:
    """Select all targets of the plan. Raises UsageError if a target is not built for the platforms of `--platform`."""
    targets, platforms = tuple(plan.targets.values()), chosen_platforms(options.overrides)
    check_platforms(targets, platforms)
    return select_with_dependencies(targets, platforms)


def _builders(plan: Plan, selection: Selection, *, everything: bool) -> tuple[Builder, ...]:
    """Return the builders of the selected targets; with `everything`, all declared builders too."""
    used = {target.builder.name for target in selection.targets}
    return tuple(
        builder
        for name, builder in plan.builders.items()
        if name in used or (everything and not builder.driver.rules.is_automatic)
    )
