"""The work of `mpbake import`: read bake files, make a plan, and prove that both build the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.base.file_tree import FILE_SYSTEM
from mpbake.base.json_text import parse_json
from mpbake.base.limits import affordable_threads
from mpbake.base.text import printable
from mpbake.buildkit.bake.printing import BakePrinter, BakeRefused, NoBuildx, open_printer
from mpbake.conversion.comparison import Names, differences
from mpbake.conversion.evaluation import evaluated, evaluation_name, evaluation_text
from mpbake.conversion.plan import convert
from mpbake.conversion.proof import Comparison, Proof
from mpbake.conversion.syntax import Variable
from mpbake.conversion.variations import variations
from mpbake.model.reading import ReadAccess
from mpbake.report.importing.import_report import ImportReport
from mpbake.report.plan.bake_definition import bake_text
from mpbake.resolve import Inputs, given_secrets, resolve_partially
from mpbake.spec.files.loader import read_plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mpbake.base.errors import Diagnostic
    from mpbake.base.files import Kind
    from mpbake.base.redaction import Redactor
    from mpbake.cli.world import World
    from mpbake.conversion.comparison import Printed
    from mpbake.conversion.plan.conversion import Conversion, Frozen, FrozenKey
    from mpbake.conversion.syntax import BakeFile
    from mpbake.conversion.variations import Variation
    from mpbake.spec.files.plan_files import PlanFiles
    from mpbake.spec.tables.plan_tables import PlanSpec

_AT_ONCE = 4
"""The number of comparisons at the same time."""
_ROUNDS = 3
"""How often expressions are evaluated: a value may reveal another expression."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _TreeWithPlan:
    """The files of this machine and a plan that is not written yet."""

    path: Path
    text: str

    def kind(self, path: Path) -> Kind:
        return FILE_SYSTEM.kind(path)

    def access_error(self, path: Path) -> str:
        return FILE_SYSTEM.access_error(path)

    def read(self, path: Path) -> bytes:
        return self.text.encode() if path == self.path else FILE_SYSTEM.read(path)

    def sha256(self, path: Path) -> str:
        return FILE_SYSTEM.sha256(path)

    def real_path(self, path: Path) -> str:
        return str(path) if path == self.path else FILE_SYSTEM.real_path(path)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedPlan:
    """The plan that was made from bake files, read as mpbake reads it."""

    files: PlanFiles
    spec: PlanSpec
    machine: str
    redactor: Redactor

    def exported(self, environment: Mapping[str, str]) -> str:
        """Return the plan as a bake file, with values of `environment`. Raises PlanError, UsageError."""
        inputs = Inputs(environment=environment, machine=self.machine)
        self.redactor.add(given_secrets(self.spec, inputs))
        plan = resolve_partially(self.files, self.spec, inputs).plan_or_raise()
        return bake_text(plan, tuple(plan.targets.values()))


def read_imported(text: str, path: Path, world: World) -> ImportedPlan:
    """Read the text of a plan that is to be written as `path`. Raises PlanError."""
    access = ReadAccess(folder=path.parent, tree=_TreeWithPlan(path=path, text=text))
    files, spec = read_plan([path], show=lambda file: file.name, access=access)
    return ImportedPlan(files=replace(files, relative=True), spec=spec, machine=world.machine, redactor=world.redactor)


@dataclass(frozen=True, kw_only=True, slots=True)
class BakeInput:
    """Bake files: `files` as on the command line, relative to `folder`, and their merged content."""

    folder: Path
    files: tuple[str, ...]
    content: BakeFile

    def environment(self, world: World) -> dict[str, str]:
        """Return the values that the user's environment has for variables of the bake files.

        bake also takes a value as JSON, from the variable with `_JSON` at the end of its name.
        """
        names = [block.name for block in self.content.blocks if isinstance(block, Variable) and not block.constant]
        wanted = {*names, *(f"{name}_JSON" for name in names)}
        return {name: value for name, value in world.environment.items() if name in wanted}


def import_bake(
    source: BakeInput, plan: Path, world: World, when_stopped: Callable[[Callable[[], None]], None]
) -> ImportReport:
    """Make the plan that is to be written as `plan`, and prove that it builds the same as the bake files.

    `when_stopped` receives the function that ends running processes. Raises PlanError for bake files that cannot be
    converted, UsageError for expressions that cannot be evaluated, and Cancelled.
    """
    conversion = convert(source.content)
    try:
        with open_printer(world.environment, source.folder, world.redactor.redact, when_stopped) as printer:
            conversion = _with_values(source, conversion, printer)
            return _proved(source, conversion, plan, printer, world)
    except NoBuildx as error:
        if any(not entry.written for entry in conversion.frozen):
            raise _not_evaluated(conversion.frozen, error) from None
        problems = _problems(conversion, plan, world)
        proof = Proof(reason=error.message, hint=error.hint)
        return ImportReport(conversion=conversion, proof=proof, problems=problems)


# --- values of expressions --------------------------------------------------------------------------------------------


def _with_values(source: BakeInput, conversion: Conversion, printer: BakePrinter) -> Conversion:
    """Have bake evaluate the expressions that the plan language cannot express, and convert the files again."""
    values: dict[FrozenKey, Any] = {}
    for _ in range(_ROUNDS):
        missing = [entry for entry in conversion.frozen if not entry.written and entry.key not in values]
        if not missing:
            break
        values |= _evaluate(source, missing, printer)
        conversion = convert(source.content, values)
    if any(not entry.written for entry in conversion.frozen):
        raise _not_evaluated(conversion.frozen)
    return conversion


def _evaluate(source: BakeInput, frozen: Sequence[Frozen], printer: BakePrinter) -> dict[FrozenKey, Any]:
    names = [evaluation_name(index) for index in range(len(frozen))]
    try:
        printed = printer.printed_with(source.files, evaluation_text(frozen, source.content), names)
        return evaluated(frozen, printed.targets)
    except BakeRefused as error:
        if len(frozen) > 1:
            parts = (_evaluate(source, [entry], printer) for entry in frozen)
            return {key: value for part in parts for key, value in part.items()}
        raise _not_evaluated(frozen, error) from None
    except (ValueError, LookupError):
        raise _not_evaluated(frozen) from None


def _not_evaluated(frozen: Sequence[Frozen], error: MpbakeError | None = None) -> MpbakeError:
    entry = next(entry for entry in frozen if not entry.written)
    line = f":{entry.place.line}" if entry.place.line else ""
    message = f"{entry.place.file}{line}: a plan cannot express this ({entry.reason}), and bake cannot evaluate it"
    reason = f"\n{error.message}" if error else ""
    hint = (error.hint if error else "") or f"replace the expression by its value: {entry.expression.text.strip()}"
    return UsageError(printable(f"{message}{reason}"), hint=hint)


# --- the proof --------------------------------------------------------------------------------------------------------


def _problems(conversion: Conversion, plan: Path, world: World) -> tuple[Diagnostic, ...]:
    """Return the errors of the plan with the defaults of its variables."""
    try:
        read_imported(conversion.text, plan, world).exported({})
    except PlanError as error:
        return error.diagnostics
    return ()


def _proved(source: BakeInput, conversion: Conversion, plan: Path, printer: BakePrinter, world: World) -> ImportReport:
    try:
        imported = read_imported(conversion.text, plan, world)
    except PlanError as error:
        proof = Proof(reason="the plan has errors")
        return ImportReport(conversion=conversion, proof=proof, problems=error.diagnostics)
    environment = source.environment(world)
    prover = _Prover(source=source, conversion=conversion, imported=imported, printer=printer, environment=environment)
    return ImportReport(conversion=conversion, proof=prover.proof(), problems=prover.problems())


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prover:
    """Compares bake files with their plan, with the present values and with each variation."""

    source: BakeInput
    conversion: Conversion
    imported: ImportedPlan
    printer: BakePrinter
    environment: Mapping[str, str]

    def proof(self) -> Proof:
        """Return all comparisons."""
        first, targets = self._compare(None)
        changes = variations(self.source.content, self.environment)
        with ThreadPoolExecutor(max_workers=affordable_threads(_AT_ONCE)) as pool:
            results = list(pool.map(self._compare, changes))
        comparisons = (first, *(comparison for comparison, _ in results))
        targets = targets or next((names for _, names in results if names), ())
        return Proof(comparisons=comparisons, buildx=self.printer.version, targets=targets)

    def problems(self) -> tuple[Diagnostic, ...]:
        """Return the errors that the plan has with the present values, if bake accepts these values."""
        try:
            self.imported.exported(self.environment)
        except PlanError as error:
            return error.diagnostics
        return ()

    def _compare(self, variation: Variation | None) -> tuple[Comparison, tuple[str, ...]]:
        """Compare both with the present values or a variation; return the result and the targets that bake printed."""
        environment = dict(self.environment)
        if variation:
            environment[variation.variable] = variation.value
        theirs, bake_error = _outcome(partial(self._original, environment))
        ours, plan_error = _outcome(partial(self._exported, environment))
        if theirs is None or ours is None:
            return Comparison(variation=variation, bake_error=bake_error, plan_error=plan_error), ()
        names = Names(
            targets=self.conversion.targets,
            groups=self.conversion.groups,
            templates=frozenset(self.conversion.templates),
        )
        found = tuple(differences(theirs, ours, names, self.imported.machine))
        return Comparison(variation=variation, differences=found), tuple(theirs.targets)

    def _original(self, environment: Mapping[str, str]) -> Printed:
        names = dict.fromkeys([*self.conversion.groups, *self.conversion.targets])
        return self.printer.printed(self.source.files, names, environment)

    def _exported(self, environment: Mapping[str, str]) -> Printed:
        text = self.imported.exported(environment)
        definition = parse_json(text)
        names = dict.fromkeys([*definition.get("group", {}), *definition.get("target", {})])
        return self.printer.printed_text(text, ".json", names, {})


def _outcome(call: Callable[[], Printed]) -> tuple[Printed | None, str]:
    """Return what was printed, or None and why it was refused."""
    try:
        return call(), ""
    except PlanError as error:
        return None, "; ".join(diagnostic.message for diagnostic in error.diagnostics)
    except (BakeRefused, UsageError) as error:
        return None, error.message
