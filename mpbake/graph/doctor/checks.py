"""The list of the checks of `mpbake doctor`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.graph.doctor.certificate_checks import check_node_certificates
from mpbake.graph.doctor.docker_checks import check_buildx, check_client, check_engine, check_store
from mpbake.graph.doctor.findings import CheckResult
from mpbake.graph.doctor.machine_checks import check_clocks, check_disks
from mpbake.graph.doctor.node_checks import check_emulators, check_nodes, check_platforms
from mpbake.graph.doctor.registry_checks import check_addresses, check_push
from mpbake.graph.doctor.release_checks import check_releases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mpbake.graph.doctor.facts import Facts
    from mpbake.graph.doctor.findings import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class DoctorCheck:
    """A check: its name, its group in the output, and the function that judges the facts.

    A check with `needs_plan` is left out without a plan.
    """

    name: str
    group: str
    judge: Callable[[Facts], Iterable[Finding]]
    needs_plan: bool = True


DOCTOR_CHECKS = (
    DoctorCheck(name="docker", group="docker", judge=check_client, needs_plan=False),
    DoctorCheck(name="buildx", group="docker", judge=check_buildx, needs_plan=False),
    DoctorCheck(name="engine", group="docker", judge=check_engine, needs_plan=False),
    DoctorCheck(name="image-store", group="docker", judge=check_store, needs_plan=False),
    DoctorCheck(name="nodes", group="nodes", judge=check_nodes),
    DoctorCheck(name="buildkit-releases", group="nodes", judge=check_releases),
    DoctorCheck(name="platforms", group="nodes", judge=check_platforms),
    DoctorCheck(name="emulators", group="nodes", judge=check_emulators, needs_plan=False),
    DoctorCheck(name="certificates", group="nodes", judge=check_node_certificates),
    DoctorCheck(name="registry-addresses", group="registries", judge=check_addresses),
    DoctorCheck(name="push", group="registries", judge=check_push),
    DoctorCheck(name="clocks", group="machines", judge=check_clocks, needs_plan=False),
    DoctorCheck(name="disks", group="machines", judge=check_disks, needs_plan=False),
)
"""Every check, in the order of the output. A new check of existing facts is one new entry."""


def diagnose(facts: Facts) -> tuple[CheckResult, ...]:
    """Return the results of all checks."""
    has_plan = facts.subject.plan_files is not None
    return tuple(
        CheckResult(name=check.name, group=check.group, findings=tuple(check.judge(facts)))
        for check in DOCTOR_CHECKS
        if has_plan or not check.needs_plan
    )
