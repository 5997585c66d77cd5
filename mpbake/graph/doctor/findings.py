"""The results of checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    """A run works, but perhaps not as its user wants."""
    MISSING = "missing"
    """Something that the plan needs is missing: a run fails."""
    UNKNOWN = "unknown"
    """The check cannot get the facts."""
    NOT_NEEDED = "not needed"
    """The check does not apply: the plan does not need the checked feature."""


_WORST_FIRST = (Status.MISSING, Status.WARNING, Status.UNKNOWN, Status.OK, Status.NOT_NEEDED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One result of a check.

    - `message`: the fact, or the fault.
    - `remedy`: what the user can do; empty if no action is necessary.
    - `subject`: the node, repository, registry or folder that the finding is about; empty for this machine as a whole.
    """

    status: Status
    message: str
    remedy: str = ""
    subject: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """The findings of one check."""

    name: str
    group: str
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The worst status of the findings."""
        return worst(finding.status for finding in self.findings)


def worst(statuses: Iterable[Status]) -> Status:
    """Return the worst of `statuses`; NOT_NEEDED if `statuses` is empty."""
    known = set(statuses)
    return next((status for status in _WORST_FIRST if status in known), Status.NOT_NEEDED)


def ok(message: str, *, subject: str = "") -> Finding:
    """Return a finding about something that is as it should be."""
    return Finding(status=Status.OK, message=message, subject=subject)


def warning(message: str, remedy: str, *, subject: str = "") -> Finding:
    """Return a finding about something that a user should change."""
    return Finding(status=Status.WARNING, message=message, remedy=remedy, subject=subject)


def missing(message: str, remedy: str, *, subject: str = "") -> Finding:
    """Return a finding about something that the plan needs and that is missing."""
    return Finding(status=Status.MISSING, message=message, remedy=remedy, subject=subject)


def unknown(message: str, remedy: str = "", *, subject: str = "") -> Finding:
    """Return a finding without a result. The message says why the facts are unknown."""
    return Finding(status=Status.UNKNOWN, message=message, remedy=remedy, subject=subject)


def not_needed(message: str) -> Finding:
    """Return a finding about something that the plan does not need."""
    return Finding(status=Status.NOT_NEEDED, message=message)
