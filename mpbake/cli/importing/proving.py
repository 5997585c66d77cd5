"""The proof of `mpbake import`: compare bake files with their plan, also with each variable changed."""

from __future__ import annotations

import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.errors import MpbakeError, PlanError, UsageError
from mpbake.base.json_text import parse_json
from mpbake.base.limits import affordable_threads
from mpbake.base.platforms import ARCHITECTURES, split_platforms
from mpbake.buildkit.bake.printing import BakeRefused, BakeTimedOut
from mpbake.conversion.bake_errors import VALIDATION
from mpbake.conversion.comparison import Names, differences
from mpbake.conversion.proof import Comparison, Proof
from mpbake.conversion.syntax import Target, Variable
from mpbake.conversion.variations import Variation, is_settable, needed_values, variations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mpbake.buildkit.bake.printing import BakePrinter
    from mpbake.cli.importing.imported_plan import ImportedPlan
    from mpbake.cli.world import World
    from mpbake.conversion.comparison import Difference, Place, Printed
    from mpbake.conversion.plan.conversion import Conversion
    from mpbake.conversion.syntax import BakeFile

_AT_ONCE = 4
"""The number of comparisons at the same time."""
_EPOCH = "SOURCE_DATE_EPOCH"
_TRIES = 5
"""How often mpbake tries to print bake files twice within one second."""
_NO_TARGET = re.compile(r"failed to find target (\S+)")
_MOST_ABSENT = 50
_MOST_SECONDS = 10
_MOST_LEFT_OUT = 20
"""The number of invented values of which mpbake leaves out each, to find those that bake needs."""
_REFUSAL = re.compile(rf"([^\s:]+):(\d+),\d+-[\d,]+: {VALIDATION}")
"""The place of a condition that does not hold, as bake prints it: `docker-bake.hcl:26,17-35`."""
_HOOKS = frozenset({"docker-metadata-action", "ghaction-docker-meta", "meta-helper"})
_TAG = "registry.example.com/mpbake/import:1.2.3"
_LABEL = "org.opencontainers.image.version"
_REFUSALS: tuple[type[MpbakeError], ...] = (BakeRefused, UsageError)
_REFUSED_BY_BUILDS = frozenset(
    {Code.BAD_FIELDS, Code.BAD_IMAGE_NAME, Code.BAD_PLATFORM, Code.BAD_SIZE, Code.BAD_VALUE, Code.PUSH_WITHOUT_TAGS}
)
"""Errors of a plan about values that bake prints, and that its builds refuse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class BakeInput:
    """Bake files: `files` as on the command line, relative to `folder`, and their merged content."""

    folder: Path
    files: tuple[str, ...]
    content: BakeFile

    def environment(self, world: World) -> dict[str, str]:
        """Return the values that the user's environment has for variables of the bake files, also those of containers.

        bake also takes a value as JSON, from the variable with `_JSON` at the end of its name.
        """
        names = [block.name for block in self.content.blocks if isinstance(block, Variable) and is_settable(block)]
        wanted = {*names, *self.content.required, *self.content.mentioned, *(f"{name}_JSON" for name in names)}
        return {name: value for name, value in world.environment.items() if name in wanted}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Values:
    """The values of one comparison: of variables, and of targets that a further file sets, by their names.

    `absent` are members of groups that no file defines. With such a member, bake refuses only the group.
    """

    environment: Mapping[str, str]
    targets: Mapping[str, Mapping[str, Any]]
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Run:
    """A comparison, its values, and what bake printed for the bake files if it accepted these values."""

    values: _Values
    result: Comparison
    original: Printed | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prover:
    """Compares bake files with their plan. `environment` has the present values of variables.

    `read` reads the plan, with further values of images. `exports` are the exported plans that buildx has printed.
    """

    source: BakeInput
    conversion: Conversion
    read: Callable[[Mapping[str, Any]], ImportedPlan]
    machine: str
    printer: BakePrinter
    environment: Mapping[str, str]
    exports: dict[str, Printed] = field(default_factory=dict)

    def proof(self, progress: Callable[[int, int], None] = lambda *_: None) -> Proof:
        """Compare with the present values, and then with each variation. Raises PlanError for a plan with errors.

        `progress` receives the number of finished comparisons, and the number of all.
        """
        base = _Values(environment=self.environment, targets={name: {} for name in self._undefined()})
        progress(0, 1 + len(self._changes(base)))
        first, needed = self._compare(self._with_absent(base)), tuple[Variation, ...]()
        if first.result.bake_error and (accepted := self._filled(first.values)):
            first, needed = accepted
        runs, varying = self._settled([first, *self._changed(first.values, progress)])
        printed = next((run.original for run in runs if run.original), None)
        return Proof(
            comparisons=tuple(run.result.without(varying) for run in runs),
            buildx=self.printer.version,
            targets=tuple(printed.targets) if printed else (),
            needed=needed,
            unset=self._unset() if first.result.bake_error else (),
            varying=varying,
        )

    def _undefined(self) -> list[str]:
        """Return the targets that others inherit and no file defines: in CI, a further file defines them."""
        defined = {block.name for block in self.source.content.blocks if isinstance(block, Target)}
        return [name for name in self.conversion.templates if name not in defined]

    def _hooks(self) -> dict[str, dict[str, Any]]:
        """Return values, as docker/metadata-action writes them, for the targets that it fills."""
        names = [name for name in self.conversion.templates if name in _HOOKS or name in self._undefined()]
        return {name: {"tags": [_TAG], "labels": {_LABEL: "1.2.3"}} for name in names}

    def _filled(self, base: _Values) -> tuple[_Run, tuple[Variation, ...]] | None:
        """Return a comparison with values that bake accepts, and those among them that it needs; None without success.

        bake may need values that the environment lacks.
        """
        needed = needed_values(self.source.content, self.environment)
        required = tuple(change for change in needed if change.variable in self.source.content.required)
        hooks = (Variation(),) if self._hooks() else ()
        for changes in (required, (*needed, *hooks)):
            accepted = self._accepted(base, changes) if changes else None
            if accepted:
                return self._fewest(replace(base, absent=accepted.values.absent), accepted, changes)
        return None

    def _fewest(
        self, base: _Values, accepted: _Run, changes: tuple[Variation, ...]
    ) -> tuple[_Run, tuple[Variation, ...]]:
        """Return a comparison without the `changes` that bake does not need, and the other changes."""
        for change in changes if len(changes) <= _MOST_LEFT_OUT else ():
            fewer = tuple(kept for kept in changes if kept != change)
            run = self._accepted(base, fewer) if fewer else None
            if run:
                accepted, changes = run, fewer
        return accepted, changes

    def _accepted(self, base: _Values, changes: Sequence[Variation]) -> _Run | None:
        """Return the comparison with the values in `base` and with `changes`, or None if bake refuses them."""
        for change in changes:
            base = self._with(base, change)
        run = self._compare(self._with_absent(base))
        return None if run.result.bake_error else run

    def _with(self, values: _Values, change: Variation) -> _Values:
        """Return `values` with another value of a variable, or with values of the targets that CI fills."""
        if change.variable:
            return replace(values, environment={**values.environment, change.variable: change.value})
        return replace(values, targets={**values.targets, **self._hooks()})

    def _unset(self) -> tuple[str, ...]:
        """Return the variables that have no value."""
        return tuple(change.variable for change in needed_values(self.source.content, self.environment))

    def _changes(self, base: _Values) -> tuple[Variation, ...]:
        """Return the variations of the values in `base`."""
        return *variations(self.source.content, base.environment), *((Variation(),) if self._hooks() else ())

    def _changed(self, base: _Values, progress: Callable[[int, int], None]) -> list[_Run]:
        """Compare with each variation of the values in `base`."""
        changes = self._changes(base)
        done = itertools.count(2)
        progress(1, 1 + len(changes))

        def compared(change: Variation) -> _Run:
            run = self._compare(self._with(base, change), change)
            progress(next(done), 1 + len(changes))
            return run

        with ThreadPoolExecutor(max_workers=affordable_threads(_AT_ONCE)) as pool:
            return list(pool.map(compared, changes))

    def _compare(self, values: _Values, variation: Variation | None = None) -> _Run:
        """Compare both with `values`, which have one `variation`."""
        begin = int(time.time())
        # Without the present values nothing can be compared. One variation can be left out.
        refusals = (*_REFUSALS, BakeTimedOut) if variation else _REFUSALS
        theirs, bake_error = _outcome(partial(self._original, values), refusals)
        end = int(time.time())
        try:
            ours, plan_error = _outcome(partial(self._exported, values, begin), refusals)
        except PlanError as error:
            ours, plan_error = None, "; ".join(diagnostic.message for diagnostic in error.diagnostics)
            if all(diagnostic.code in _REFUSED_BY_BUILDS for diagnostic in error.diagnostics) and not (
                theirs and _has_architectures(theirs)
            ):
                bake_error = bake_error or "it prints this, and its build refuses it"
        if theirs is None or ours is None:
            is_lenient = variation is not None and ours is not None and VALIDATION not in bake_error
            result = Comparison(
                variation=variation,
                bake_error=bake_error,
                plan_error=plan_error,
                lenient=is_lenient,
                unchecked=variation is not None and ours is not None and self._is_unchecked(bake_error),
            )
            return _Run(values=values, result=result)
        found = self._differences(theirs, ours)
        for second in range(begin + 1, min(end, begin + _MOST_SECONDS) + 1):
            # bake may have read the clock in any of these seconds, also in several of them.
            if found:
                places = {entry.place for entry in self._differences(theirs, self._exported(values, second))}
                found = tuple(entry for entry in found if entry.place in places)
        return _Run(values=values, result=Comparison(variation=variation, differences=found), original=theirs)

    def _is_unchecked(self, bake_error: str) -> bool:
        """Whether bake only refuses what the conversion has noted: validations that the plan does not check."""
        refusals = {(PurePath(name).name, int(line)) for name, line in _REFUSAL.findall(bake_error)}
        noted = {(PurePath(place.file).name, place.line) for place in self.conversion.unchecked}
        return bool(refusals) and refusals <= noted

    def _differences(self, theirs: Printed, ours: Printed) -> tuple[Difference, ...]:
        names = Names(
            targets=self.conversion.targets,
            groups=self.conversion.groups,
            templates=frozenset(self.conversion.templates),
        )
        return tuple(differences(theirs, ours, names, self.machine))

    def _original(self, values: _Values) -> Printed:
        names = dict.fromkeys([*self.conversion.groups, *self.conversion.targets])
        targets = {**{name: {} for name in values.absent}, **values.targets}
        return self.printer.printed(self.source.files, names, values.environment, targets).without(values.absent)

    def _with_absent(self, values: _Values) -> _Values:
        """Return `values` with the members of groups that no file defines."""
        while True:
            _, error = _outcome(partial(self._original, values))
            match = _NO_TARGET.search(error)
            is_known = match is None or match[1] in {*values.targets, *values.absent}
            if match is None or is_known or len(values.absent) >= _MOST_ABSENT:
                return values
            values = replace(values, absent=values.absent | {match[1]})

    def _exported(self, values: _Values, now: int) -> Printed:
        # bake's timestamp() is the clock. A plan has the time of this variable, unless the bake files declare it.
        is_declared = any(isinstance(block, Variable) and block.name == _EPOCH for block in self.source.content.blocks)
        environment = {**({} if is_declared else {_EPOCH: str(now)}), **values.environment}
        text = self.read({name: target for name, target in values.targets.items() if target}).exported(environment)
        definition = parse_json(text)
        names = dict.fromkeys([*definition.get("group", {}), *definition.get("target", {})])
        if text not in self.exports:
            self.exports[text] = self.printer.printed_text(text, ".json", names, {})
        return self.exports[text]

    def _settled(self, runs: Sequence[_Run]) -> tuple[list[_Run], frozenset[Place]]:
        """Return the runs without differences by chance, and the places where bake prints random values.

        A run with a difference at a new place is repeated, since the clock may have moved within a print.
        """
        varying: frozenset[Place] = frozenset()
        examined: set[Place] = set()
        settled = []
        for run in runs:
            places = {difference.place for difference in run.result.differences} - varying
            if places - examined:
                varying |= self._random_places(run.values)
                again = self._compare(run.values, run.result.variation)
                is_better = len(again.result.differences) < len(run.result.differences)
                settled.append(again if is_better else run)
                examined |= places
            else:
                settled.append(run)
        return settled, varying

    def _random_places(self, values: _Values) -> frozenset[Place]:
        """Return the differences between two prints of the bake files, if possible within one second of the clock."""
        found: frozenset[Place] = frozenset()
        for _ in range(_TRIES):
            begin = int(time.time())
            first, _ = _outcome(partial(self._original, values))
            second, _ = _outcome(partial(self._original, values))
            if first is None or second is None:
                return frozenset()
            found = frozenset(entry.place for entry in differences(first, second, Names(), self.machine))
            if not found or int(time.time()) == begin:
                break
        return found


def _has_architectures(printed: Printed) -> bool:
    """Whether a platform is an architecture alone: builds accept it, and a plan does not."""
    entries = (entry for target in printed.targets.values() for entry in target.get("platforms") or ())
    return any(name in ARCHITECTURES for entry in entries for name in split_platforms(entry))


def _outcome(
    call: Callable[[], Printed], refusals: tuple[type[MpbakeError], ...] = _REFUSALS
) -> tuple[Printed | None, str]:
    """Return what was printed, or None and the reason why it was refused. Raises PlanError."""
    try:
        return call(), ""
    except refusals as error:
        return None, error.message
