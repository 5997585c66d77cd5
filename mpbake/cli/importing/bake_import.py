"""The work of `mpbake import`: read bake files, make a plan, and prove that both build the same."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, UsageError, key_path_text
from mpbake.base.text import printable
from mpbake.buildkit.bake.printing import NoBuildx, open_printer
from mpbake.cli.importing.evaluating import Evaluator, not_evaluated
from mpbake.cli.importing.imported_plan import cached_plans, read_imported
from mpbake.cli.importing.progress_line import progress_line
from mpbake.cli.importing.proving import Prover
from mpbake.conversion.missing_targets import missing_targets
from mpbake.conversion.plan import convert
from mpbake.conversion.proof import Proof
from mpbake.report.importing.import_report import ImportReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from mpbake.base.errors import Diagnostic
    from mpbake.buildkit.bake.printing import BakePrinter
    from mpbake.cli.importing.proving import BakeInput
    from mpbake.cli.world import World
    from mpbake.conversion.plan.conversion import Conversion

_LIMITS = frozenset({Code.MATRIX_TOO_LARGE, Code.PLAN_TOO_LARGE, Code.TEMPLATE_TOO_LARGE, Code.TOO_DEEP})
"""Errors of a plan whose bake files would also keep buildx busy without end."""
_SMALLER = "make this value or matrix smaller in the bake files"


def import_bake(
    source: BakeInput, plan: Path, world: World, when_stopped: Callable[[Callable[[], None]], None]
) -> ImportReport:
    """Make the plan that is to be written as `plan`, and prove that it builds the same as the bake files.

    `when_stopped` receives the function that ends running processes. Raises PlanError for bake files that cannot be
    converted, UsageError for expressions that cannot be evaluated, and Cancelled.
    """
    conversion = convert(source.content)
    if not conversion.targets:
        message, hint = missing_targets(source.content)
        raise UsageError(printable(message), hint=hint)
    is_complete = all(entry.written for entry in conversion.frozen)
    if problems := _limits(conversion, plan, world, source.environment(world)):
        if not is_complete:
            raise _too_large(conversion, problems[0])
        proof = Proof(reason="bake files that exceed a limit of mpbake are not printed", hint=_SMALLER)
        return ImportReport(conversion=conversion, proof=proof, problems=problems)
    try:
        with open_printer(world.environment, source.folder, world.redactor.redact, when_stopped) as printer:
            evaluator = Evaluator(source=source, printer=printer, environment=source.environment(world))
            conversion = evaluator.with_values(conversion)
            return replace(_proved(source, conversion, plan, printer, world), invented=evaluator.invented)
    except NoBuildx as error:
        if any(not entry.written for entry in conversion.frozen):
            raise not_evaluated(conversion.frozen, error) from None
        problems = _problems(conversion, plan, world, source.environment(world))
        proof = Proof(reason=error.message, hint=error.hint)
        return ImportReport(conversion=conversion, proof=proof, problems=problems)


def _limits(conversion: Conversion, plan: Path, world: World, environment: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """Return the errors of a plan that exceeds a limit of mpbake, also of one that still lacks evaluated values."""
    problems = _problems(conversion, plan, world, environment)
    return problems if any(problem.code in _LIMITS for problem in problems) else ()


def _too_large(conversion: Conversion, problem: Diagnostic) -> UsageError:
    """Return the error of bake files that mpbake neither converts nor has bake evaluate."""
    frozen = next(entry for entry in conversion.frozen if not entry.written)
    key = f"{key_path_text(problem.location.key)}: " if problem.location else ""
    message = f"{frozen.place.file}: the plan would exceed a limit: {key}{problem.message}"
    return UsageError(printable(message), hint=_SMALLER)


# --- the proof --------------------------------------------------------------------------------------------------------


def _problems(
    conversion: Conversion, plan: Path, world: World, environment: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """Return the errors of the plan with the values in `environment`."""
    try:
        read_imported(conversion.text, plan, world).exported(environment)
    except PlanError as error:
        return error.diagnostics
    except UsageError:  # the comparison reports it
        return ()
    return ()


def _proved(source: BakeInput, conversion: Conversion, plan: Path, printer: BakePrinter, world: World) -> ImportReport:
    environment = source.environment(world)
    prover = Prover(
        source=source,
        conversion=conversion,
        read=cached_plans(conversion.text, plan, world),
        machine=world.machine,
        printer=printer,
        environment=environment,
    )
    try:
        prover.read({})
    except PlanError as error:
        proof = Proof(reason="the plan has errors")
        return ImportReport(conversion=conversion, proof=proof, problems=error.diagnostics)
    with progress_line("comparing", world) as progress:
        proof = prover.proof(progress)
    is_refused = proof.first is not None and proof.first.plan_error and not proof.first.bake_error
    problems = _problems(conversion, plan, world, environment) if is_refused else ()
    return ImportReport(conversion=conversion, proof=proof, problems=problems)
