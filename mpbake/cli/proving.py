"""The proof of `mpbake import`: compare bake files with their plan, also with each variable changed."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.base.errors import PlanError, UsageError
from mpbake.base.json_text import parse_json
from mpbake.base.limits import affordable_threads
from mpbake.buildkit.bake.printing import BakeRefused
from mpbake.conversion.comparison import Names, differences
from mpbake.conversion.proof import Comparison, Proof
from mpbake.conversion.syntax import Variable
from mpbake.conversion.variations import needed_values, variations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mpbake.buildkit.bake.printing import BakePrinter
    from mpbake.cli.imported_plan import ImportedPlan
    from mpbake.cli.world import World
    from mpbake.conversion.comparison import Place, Printed
    from mpbake.conversion.plan.conversion import Conversion
    from mpbake.conversion.syntax import BakeFile
    from mpbake.conversion.variations import Variation

_AT_ONCE = 4
"""The number of comparisons at the same time."""
_SECOND = 1.1
"""How many seconds lie between two prints that find values of the clock."""
_REFUSED_BY_BUILDS = frozenset({Code.BAD_IMAGE_NAME, Code.BAD_PLATFORM})
"""Errors of a plan about values that bake prints, and that its builds refuse."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """A comparison, and what bake printed for the bake files if it accepted the values."""

    result: Comparison
    original: Printed | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prover:
    """Compares bake files with their plan. `environment` has the present values of variables."""

    source: BakeInput
    conversion: Conversion
    imported: ImportedPlan
    printer: BakePrinter
    environment: Mapping[str, str]

    def proof(self) -> Proof:
        """Compare with the present values, and then with each variation."""
        start = time.monotonic()
        first = self._compare(self.environment)
        base = dict(self.environment)
        needed: tuple[Variation, ...] = ()
        if first.result.both_refuse:
            needed = needed_values(self.source.content, self.environment)
            base |= {change.variable: change.value for change in needed}
            filled = self._compare(base)
            first, needed = (first, ()) if filled.result.both_refuse else (filled, needed)
        runs = [first, *self._changed(base)]
        varying = self._varying(runs, base, start)
        printed = next((run.original for run in runs if run.original), None)
        return Proof(
            comparisons=tuple(run.result.without(varying) for run in runs),
            buildx=self.printer.version,
            targets=tuple(printed.targets) if printed else (),
            needed=needed,
            varying=varying,
        )

    def _changed(self, base: Mapping[str, str]) -> list[_Run]:
        """Compare with each variation of the values in `base`."""
        changes = variations(self.source.content, base)
        with ThreadPoolExecutor(max_workers=affordable_threads(_AT_ONCE)) as pool:
            environments = [{**base, change.variable: change.value} for change in changes]
            return list(pool.map(self._compare, environments, changes))

    def _compare(self, environment: Mapping[str, str], variation: Variation | None = None) -> _Run:
        """Compare both with the values in `environment`, which have one `variation`."""
        theirs, bake_error = _outcome(lambda: self._original(environment))
        try:
            ours, plan_error = _outcome(lambda: self._exported(environment))
        except PlanError as error:
            ours, plan_error = None, "; ".join(diagnostic.message for diagnostic in error.diagnostics)
            if all(diagnostic.code in _REFUSED_BY_BUILDS for diagnostic in error.diagnostics):
                bake_error = bake_error or "it prints this, and its build refuses it"
        if theirs is None or ours is None:
            return _Run(result=Comparison(variation=variation, bake_error=bake_error, plan_error=plan_error))
        names = Names(
            targets=self.conversion.targets,
            groups=self.conversion.groups,
            templates=frozenset(self.conversion.templates),
        )
        found = tuple(differences(theirs, ours, names, self.imported.machine))
        return _Run(result=Comparison(variation=variation, differences=found), original=theirs)

    def _original(self, environment: Mapping[str, str]) -> Printed:
        names = dict.fromkeys([*self.conversion.groups, *self.conversion.targets])
        return self.printer.printed(self.source.files, names, environment)

    def _exported(self, environment: Mapping[str, str]) -> Printed:
        text = self.imported.exported(environment)
        definition = parse_json(text)
        names = dict.fromkeys([*definition.get("group", {}), *definition.get("target", {})])
        return self.printer.printed_text(text, ".json", names, {})

    def _varying(self, runs: Sequence[_Run], base: Mapping[str, str], start: float) -> frozenset[Place]:
        """Return the differences between two prints of the bake files: random values, and times of the clock.

        Only if the first comparison found a difference, the files are printed again, a second later.
        """
        first = runs[0]
        if first.original is None or not first.result.differences:
            return frozenset()
        self.printer.docker.pause(max(start + _SECOND - time.monotonic(), 0))
        again, _ = _outcome(lambda: self._original(base))
        found = differences(first.original, again, Names(), self.imported.machine) if again else ()
        return frozenset(difference.place for difference in found)


def _outcome(call: Callable[[], Printed]) -> tuple[Printed | None, str]:
    """Return what was printed, or None and the reason why it was refused. Raises PlanError."""
    try:
        return call(), ""
    except (BakeRefused, UsageError) as error:
        return None, error.message
