"""The result of `mpbake doctor`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.graph.doctor.findings import Status

if TYPE_CHECKING:
    from mpbake.graph.doctor.findings import CheckResult


@dataclass(frozen=True, kw_only=True, slots=True)
class DoctorReport:
    """The results of all checks.

    `plan` is the name of the plan file in messages; empty without a plan. `targets` are the names of the checked
    targets and their dependencies.
    """

    results: tuple[CheckResult, ...]
    plan: str = ""
    targets: tuple[str, ...] = ()
    colour: bool = False

    def number(self, status: Status) -> int:
        """Return the number of findings with this status."""
        return sum(finding.status is status for result in self.results for finding in result.findings)

    @property
    def is_missing_something(self) -> bool:
        """Whether something that the plan needs is missing."""
        return self.number(Status.MISSING) > 0
