"""The work of `mpbake import`: read bake files, make a plan, and prove that both build the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.base.text import one_line, printable
from mpbake.buildkit.bake.printing import BakePrinter, BakeRefused, NoBuildx, open_printer
from mpbake.cli.imported_plan import cached_plans, read_imported
from mpbake.cli.proving import Prover
from mpbake.conversion.evaluation import evaluated, evaluation_name, evaluation_text
from mpbake.conversion.plan import convert
from mpbake.conversion.proof import Proof
from mpbake.conversion.secret_names import without_secrets
from mpbake.report.importing.import_report import ImportReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.errors import Diagnostic
    from mpbake.cli.proving import BakeInput
    from mpbake.cli.world import World
    from mpbake.conversion.plan.conversion import Conversion, Frozen, FrozenKey

_ROUNDS = 3
"""How often expressions are evaluated: a value may reveal another expression."""


def import_bake(
    source: BakeInput, plan: Path, world: World, when_stopped: Callable[[Callable[[], None]], None]
) -> ImportReport:
    """Make the plan that is to be written as `plan`, and prove that it builds the same as the bake files.

    `when_stopped` receives the function that ends running processes. Raises PlanError for bake files that cannot be
    converted, UsageError for expressions that cannot be evaluated, and Cancelled.
    """
    conversion = convert(source.content)
    if not conversion.targets:
        message = f"{', '.join(map(one_line, source.files))}: no target that bake could build"
        raise UsageError(message, hint="name all files that bake gets, in the same order")
    try:
        with open_printer(world.environment, source.folder, world.redactor.redact, when_stopped) as printer:
            conversion = _with_values(source, conversion, printer, source.environment(world))
            return _proved(source, conversion, plan, printer, world)
    except NoBuildx as error:
        if any(not entry.written for entry in conversion.frozen):
            raise _not_evaluated(conversion.frozen, error) from None
        problems = _problems(conversion, plan, world, source.environment(world))
        proof = Proof(reason=error.message, hint=error.hint)
        return ImportReport(conversion=conversion, proof=proof, problems=problems)


# --- values of expressions --------------------------------------------------------------------------------------------


def _with_values(
    source: BakeInput, conversion: Conversion, printer: BakePrinter, environment: Mapping[str, str]
) -> Conversion:
    """Have bake evaluate the expressions that the plan language cannot express, and convert the files again.

    A value must not depend on the user's environment, unless bake refuses the files without it. It never has a
    secret of the environment, since the plan is committed.
    """
    values: dict[FrozenKey, Any] = {}
    for _ in range(_ROUNDS):
        missing = [entry for entry in conversion.frozen if not entry.written and entry.key not in values]
        if not missing:
            break
        try:
            values |= _evaluate(source, missing, printer, {})
        except UsageError:
            values |= _evaluate(source, missing, printer, without_secrets(environment))
        conversion = convert(source.content, values)
    if any(not entry.written for entry in conversion.frozen):
        raise _not_evaluated(conversion.frozen)
    return conversion


def _evaluate(
    source: BakeInput, frozen: Sequence[Frozen], printer: BakePrinter, environment: Mapping[str, str]
) -> dict[FrozenKey, Any]:
    names = [evaluation_name(index) for index in range(len(frozen))]
    text = evaluation_text(frozen, source.content)
    try:
        return evaluated(frozen, printer.printed_with(source.files, text, names, environment).targets)
    except BakeRefused as error:
        if len(frozen) > 1:
            parts = (_evaluate(source, [entry], printer, environment) for entry in frozen)
            return {key: value for part in parts for key, value in part.items()}
        try:  # an expression that needs nothing from the files, such as the platform of the machine
            return evaluated(frozen, printer.printed_with((), text, names, {}).targets)
        except BakeRefused:
            raise _not_evaluated(frozen, error) from None
    except (ValueError, LookupError):
        raise _not_evaluated(frozen) from None


def _not_evaluated(frozen: Sequence[Frozen], error: MpbakeError | None = None) -> MpbakeError:
    entry = next(entry for entry in frozen if not entry.written)
    line = f":{entry.place.line}" if entry.place.line else ""
    where = f"{entry.place.file}{line}: " if entry.place.file else ""
    message = f"{where}a plan cannot express this ({entry.reason}), and bake cannot evaluate it"
    reason = f"\n{error.message}" if error else ""
    hint = (error.hint if error else "") or f"replace the expression by its value: {entry.expression.text.strip()}"
    return UsageError(printable(f"{message}{reason}"), hint=hint)


# --- the proof --------------------------------------------------------------------------------------------------------


def _problems(
    conversion: Conversion, plan: Path, world: World, environment: Mapping[str, str]
) -> tuple[Diagnostic, ...]:
    """Return the errors of the plan with the values in `environment`."""
    try:
        read_imported(conversion.text, plan, world).exported(environment)
    except PlanError as error:
        return error.diagnostics
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
    proof = prover.proof()
    is_refused = proof.first is not None and proof.first.plan_error and not proof.first.bake_error
    problems = _problems(conversion, plan, world, environment) if is_refused else ()
    return ImportReport(conversion=conversion, proof=proof, problems=problems)
