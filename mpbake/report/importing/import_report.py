"""The result of `mpbake import`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.base.errors import Diagnostic
    from mpbake.conversion.comparison import Difference
    from mpbake.conversion.plan.conversion import Conversion, Note, NoteKind
    from mpbake.conversion.proof import Comparison, Proof, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportReport:
    """A plan that was made from bake files, and the proof that both build the same.

    `plan` is the name of the written file, empty with `--dry-run`. `next` is the command that prints this plan.
    `problems` are the errors of the plan. `invented` are the secret variables that had another value when bake
    evaluated expressions.
    """

    conversion: Conversion
    proof: Proof
    plan: str = ""
    next: str = "mpbake plan"
    problems: tuple[Diagnostic, ...] = ()
    invented: tuple[str, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The targets of the bake files: each row of a matrix if bake printed it, else the tables."""
        return self.proof.targets or tuple(self.conversion.targets)

    @property
    def is_equal(self) -> bool:
        """Whether the plan has no errors, and every comparison found both to be the same."""
        return not self.problems and self.proof.is_complete

    def number(self, verdict: Verdict) -> int:
        """Return the number of targets with this verdict."""
        return sum(self.proof.target(name) is verdict for name in self.targets)

    def notes(self, kind: NoteKind) -> tuple[Note, ...]:
        """Return the notes of a kind, by their place."""
        notes = (note for note in self.conversion.notes if note.kind is kind)
        return tuple(sorted(notes, key=lambda note: (note.place.file, note.place.line, note.place.column)))

    def differences(self) -> Mapping[Difference, tuple[Comparison, ...]]:
        """Return each difference with the comparisons that found it.

        A difference that exists with the present values is not repeated with the values of each variation.
        """
        found: dict[Difference, list[Comparison]] = {}
        places = set()
        for comparison in self.proof.comparisons:
            for difference in comparison.differences:
                place = (difference.subject, difference.name, difference.attribute)
                if comparison.variation is None:
                    places.add(place)
                elif place in places:
                    continue
                found.setdefault(difference, []).append(comparison)
        return {difference: tuple(comparisons) for difference, comparisons in found.items()}
