"""Facts for the checks of `mpbake doctor`: everything is fine, unless a test says otherwise."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.base.platforms import parse_platform, parse_platforms
from mpbake.base.references import parse_reference
from mpbake.graph.dag import select_with_dependencies
from mpbake.graph.delivery import repositories
from mpbake.graph.doctor.checks import diagnose
from mpbake.graph.doctor.facts import (
    Clock,
    Engine,
    Facts,
    NodeReport,
    Place,
    Purpose,
    PushAccess,
    Space,
    Subject,
)
from mpbake.graph.node_facts import EngineFacts
from mpbake.model.node_state import NodeRow
from mpbake.model.plan import Driver
from mpbake.report.doctor.doctor_report import DoctorReport
from mpbake.report.doctor.doctor_text import doctor_text
from mpbake.resolve import Inputs, resolve
from tests.unit.plans import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.model.plan import Node

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
GB = 1_000_000_000
AMD64 = parse_platforms(["linux/amd64", "linux/386"])
EMULATING = parse_platforms(["linux/amd64", "linux/arm64", "linux/386"])
SPACES = {
    Place(path=Path("/var/lib/docker"), purpose=Purpose.ENGINE): Space(free=80 * GB, files=5_000_000),
    Place(path=Path("/plan/.mpbake"), purpose=Purpose.STATE): Space(free=80 * GB),
    Place(path=Path("/tmp"), purpose=Purpose.TEMPORARY): Space(free=80 * GB),  # noqa: S108 - only a name
}


def engine_of(*, store: str = "containerd", ahead: float = 0.0, address: str = "unix:///run/docker.sock") -> Engine:
    """Return an engine on this machine, with the image store `store`, and a clock that is `ahead` seconds ahead."""
    return Engine(
        address=address,
        facts=EngineFacts(platform=parse_platform("linux/amd64"), containerd_store=store == "containerd"),
        version="28.3.0",
        root=Path("/var/lib/docker"),
        is_local=address.startswith("unix://"),
        clock=Clock(ahead=ahead),
    )


def subject_of(toml: str) -> Subject:
    """Return the subject of a whole plan."""
    plan_files, spec = read_text(toml)
    plan = resolve(plan_files, spec, Inputs())
    selection = select_with_dependencies(tuple(plan.targets.values()))
    used = {target.builder.name for target in selection.targets}
    builders = tuple(
        builder for name, builder in plan.builders.items() if name in used or not builder.driver.rules.is_automatic
    )
    return Subject(plan_files=plan_files, targets=selection.targets, builders=builders)


def report_of(node: Node, platforms: str = "", **row: Any) -> NodeReport:
    """Return a running node that reports `platforms`, or its declared platforms, or those of an Intel machine."""
    reported = parse_platforms(platforms.split()) if platforms else node.platforms or AMD64
    values = {"status": "running", "version": "v0.24.0", "reported": reported, **row}
    return NodeReport(row=NodeRow(node=node, **values))


def lost(node: Node, trouble: str) -> NodeReport:
    """Return a node that does not answer."""
    return NodeReport(row=NodeRow(node=node, status="unusable", trouble=trouble, silent=True))


def facts_of(toml: str, reported: Mapping[str, str] | None = None, **changes: Any) -> Facts:
    """Return the facts about a plan, in which everything is fine but for `changes`.

    `reported` maps IDs of nodes to the platforms that they report.
    """
    subject = subject_of(toml) if toml else Subject()
    pushed = [repository for target in subject.targets if target.push for repository in repositories(target)]
    facts = Facts(
        subject=subject,
        now=NOW,
        client="28.3.0",
        buildx=(0, 37),
        engine=engine_of(),
        engine_platforms=EMULATING,
        default=Driver.DOCKER,
        nodes={node.id: report_of(_settled(node), (reported or {}).get(node.id, "")) for node in subject.nodes},
        engines={node.id: engine_of() for node in subject.nodes if node.driver.rules.endpoint.is_engine},
        pushes=dict.fromkeys(pushed, PushAccess(has_login=True)),
        registry_clocks={parse_reference(name).registry: Clock(ahead=0.0) for name in pushed},
        spaces=SPACES,
    )
    return replace(facts, **changes)


def _settled(node: Node) -> Node:
    return replace(node, driver=Driver.DOCKER) if node.driver.rules.is_automatic else node


def text_of(facts: Facts) -> str:
    """Return what `mpbake doctor` prints."""
    subject = facts.subject
    plan = subject.plan_files.main.shown if subject.plan_files else ""
    names = tuple(target.name for target in subject.targets)
    return doctor_text(DoctorReport(results=diagnose(facts), plan=plan, targets=names))


def lines_of(facts: Facts, check: str) -> str:
    """Return the findings of one check: `STATUS MESSAGE = REMEDY` a line."""
    results = {result.name: result for result in diagnose(facts)}
    return "\n".join(
        f"{finding.status}: {finding.message}{f' = {finding.remedy}' if finding.remedy else ''}"
        for finding in results[check].findings
    )
