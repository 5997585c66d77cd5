"""What the comparison of a bake file with its plan has shown: for each target, group and variable. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING

from mpbake.conversion.comparison import Subject

if TYPE_CHECKING:
    from collections.abc import Container

    from mpbake.conversion.comparison import Difference, Place
    from mpbake.conversion.variations import Variation


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One comparison of a bake file with its plan: with the present values, or with one `variation` of them.

    `bake_error` says why bake refuses the values, `plan_error` why mpbake refuses them, or bake the export. `lenient`:
    bake cannot evaluate an expression with the values, and the plan has a result; no validation forbids the values.
    `unchecked`: only validations that the plan does not check forbid the values.
    """

    variation: Variation | None = None
    differences: tuple[Difference, ...] = ()
    bake_error: str = ""
    plan_error: str = ""
    lenient: bool = False
    unchecked: bool = False

    @property
    def reason(self) -> tuple[str, str]:
        """Why bake and mpbake refuse the values; empty texts if they do not."""
        return self.bake_error, self.plan_error

    @property
    def both_refuse(self) -> bool:
        """Whether neither bake nor mpbake accepts the values, such as those that a validation excludes."""
        return bool(self.bake_error and self.plan_error)

    @property
    def is_equal(self) -> bool:
        """Whether both give the same images, or refuse the values."""
        is_known = self.lenient or self.unchecked
        return not self.differences and (is_known or bool(self.bake_error) == bool(self.plan_error))

    @property
    def is_informative(self) -> bool:
        """Whether targets were compared, or one of both sides refused the values."""
        return not self.both_refuse and not self.lenient and not self.unchecked

    def without(self, places: Container[Place]) -> Comparison:
        """Return this comparison without differences at `places`."""
        kept = tuple(difference for difference in self.differences if difference.place not in places)
        return self if kept == self.differences else replace(self, differences=kept)


class Verdict(StrEnum):
    """What the comparisons have shown about a target, a group or a variable."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "not compared"


@dataclass(frozen=True, kw_only=True)
class Proof:
    """All comparisons of a bake file with its plan. `buildx` is the version that printed both.

    Without any comparison, `reason` says why there is none. `targets` are the targets that bake printed. `needed` are
    the values without which bake refuses the file: all comparisons use them. `unset` are the variables without a value
    if bake refuses the file all the same. `varying` are the places where bake itself prints another value each time.
    """

    comparisons: tuple[Comparison, ...] = ()
    buildx: str = ""
    reason: str = ""
    hint: str = ""
    targets: tuple[str, ...] = ()
    needed: tuple[Variation, ...] = ()
    unset: tuple[str, ...] = ()
    varying: frozenset[Place] = frozenset()

    @property
    def is_complete(self) -> bool:
        """Whether the files were compared with the present values, and everything was equal each time."""
        return self.first is not None and self.first.is_informative and not self.failed

    @property
    def first(self) -> Comparison | None:
        """The comparison with the present values."""
        return self.comparisons[0] if self.comparisons else None

    @cached_property
    def failed(self) -> tuple[Comparison, ...]:
        """The comparisons that are not equal."""
        return tuple(comparison for comparison in self.comparisons if not comparison.is_equal)

    def repeats_first(self, comparison: Comparison) -> bool:
        """Whether a variation was refused for the reason for which the present values were refused."""
        return (
            self.first is not None
            and comparison is not self.first
            and any(comparison.reason)
            and comparison.reason == self.first.reason
        )

    def _shows_change(self, comparison: Comparison) -> bool:
        """Whether a comparison shows if the plan follows a change."""
        return comparison.is_informative and not self.repeats_first(comparison)

    def _follows(self, comparison: Comparison) -> bool:
        """Whether a variation shows nothing that the present values do not show as well."""
        if comparison.is_equal or self.repeats_first(comparison):
            return True
        known = self.first.differences if self.first else ()
        return not any(comparison.reason) and {*comparison.differences} <= {*known}

    @cached_property
    def different_targets(self) -> frozenset[str]:
        """The targets with a difference in any comparison."""
        return frozenset(
            difference.name
            for comparison in self.comparisons
            for difference in comparison.differences
            if difference.subject is Subject.TARGET
        )

    def target(self, name: str) -> Verdict:
        """Return the verdict about a target."""
        if name in self.different_targets:
            return Verdict.DIFFERENT
        return Verdict.EQUAL if self.targets else Verdict.UNKNOWN

    def variable(self, name: str) -> Verdict:
        """Return the verdict about a variable: whether the plan follows its changes."""
        changes = [run for run in self.comparisons if run.variation and run.variation.variable == name]
        if not any(map(self._shows_change, changes)):
            return Verdict.UNKNOWN
        return Verdict.EQUAL if all(map(self._follows, changes)) else Verdict.DIFFERENT

    @cached_property
    def changed_variables(self) -> tuple[str, ...]:
        """The variables that were changed at least once with a value that bake accepts."""
        variations = (run.variation for run in self.comparisons if run.variation and self._shows_change(run))
        return tuple(dict.fromkeys(change.variable for change in variations if change.variable))
