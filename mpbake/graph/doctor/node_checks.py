"""Checks of the nodes of a plan, and of their platforms and emulators. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.platforms import can_execute, runs_natively
from mpbake.base.text import one_line
from mpbake.graph.candidates import equal_nodes
from mpbake.graph.doctor.certificate_checks import has_certificate_faults
from mpbake.graph.doctor.docker_checks import without_docker
from mpbake.graph.doctor.facts import Unanswered
from mpbake.graph.doctor.findings import missing, not_needed, ok, unknown, warning
from mpbake.graph.doctor.remedies import emulator_remedy
from mpbake.graph.emulators import wanted_platforms
from mpbake.graph.node_facts import declaration_conflicts
from mpbake.model.plan import Emulation
from mpbake.model.steps import Execution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.graph.doctor.facts import Facts, NodeReport
    from mpbake.graph.doctor.findings import Finding
    from mpbake.model.node_state import NodeRow
    from mpbake.model.plan import Builder, Node, Target

_HINT = "\n  = "
"""The text between the message of an error and its hint."""
_NOT_MADE = "missing"
"""The status of a node whose container or Deployment does not exist."""
_DRIFT_OF_ENTRY = ("entry", "no entry")
"""Differences of an entry in buildx's store, which runs do not use."""


# --- nodes ------------------------------------------------------------------------------------------------------------


def check_nodes(facts: Facts) -> Iterator[Finding]:
    """Check that every node answers, or that mpbake can make the node."""
    nodes = facts.subject.nodes
    blocked = without_docker(facts, "nodes") if nodes else None
    if blocked:
        yield blocked
        return
    if not nodes:
        yield not_needed("nodes: without a plan, there are no nodes to check")
    for builder in facts.subject.builders:
        for node in builder.nodes:
            yield from _check_node(facts, builder, node)


def _check_node(facts: Facts, builder: Builder, node: Node) -> Iterator[Finding]:
    answer = facts.nodes.get(node.id, Unanswered(reason="it was not asked"))
    if isinstance(answer, Unanswered):
        yield unknown(f"{node.id}: {answer.reason}", answer.remedy, subject=node.id)
    elif answer.row.trouble:
        yield _unusable(facts, builder, node, answer)
    elif _is_not_deployed(answer.row):
        message = f"{_name(answer.row.node)}: no BuildKit is deployed on {one_line(answer.row.node.engine)}"
        yield _lost(facts, builder, node, message, f"run `mpbake builders up {builder.name}`")
    elif not answer.row.reported:
        yield unknown(_absence(answer.row), _start_remedy(builder), subject=node.id)
    else:
        version = f"BuildKit {one_line(answer.row.version)}" if answer.row.version else "BuildKit of unknown version"
        yield ok(f"{_name(answer.row.node)}: {version}, native {answer.row.reported[0]}", subject=node.id)
    if not isinstance(answer, Unanswered):
        yield from _drift(builder, node, answer.row.drift)


def _unusable(facts: Facts, builder: Builder, node: Node, report: NodeReport) -> Finding:
    if has_certificate_faults(node, facts.now):
        return unknown(f"{node.id}: not asked, since its certificates cannot be used", subject=node.id)
    if isinstance(facts.engine, Unanswered) and facts.is_on_engine_in_use(node):
        return unknown(f"{node.id}: not asked, since the engine in use does not answer", subject=node.id)
    message, _, hint = report.row.trouble.partition(_HINT)
    if not report.row.silent:
        return missing(message, hint, subject=node.id)
    return _lost(facts, builder, node, message, hint)


def _lost(facts: Facts, builder: Builder, node: Node, message: str, hint: str) -> Finding:
    """Return the finding about a node that a run treats as lost: a warning if the run does not need the node."""
    if node.required or _is_indispensable(facts, builder, node):
        return missing(message, hint, subject=node.id)
    reason = "other nodes do its work" if _targets(facts, builder) else "no target uses its builder"
    return warning(f"{message} ({reason})", hint, subject=node.id)


def _is_indispensable(facts: Facts, builder: Builder, node: Node) -> bool:
    """Whether a platform of the plan has no candidate node that answers, besides `node` and other lost nodes.

    A target without platforms is built for the platform of the first node of its builder, on that node.
    """
    if node is builder.nodes[0] and any(not target.platforms for target in _targets(facts, builder)):
        return True
    known = facts.node_facts
    for platform, target in _wanted(facts, builder).items():
        _, nodes = equal_nodes(target, platform, known)
        if node in nodes and not any(_answers(facts, other) for other in nodes):
            return True
    return False


def _answers(facts: Facts, node: Node) -> bool:
    report = facts.reports.get(node.id)
    return report is not None and not report.row.trouble and not _is_not_deployed(report.row)


def _is_not_deployed(row: NodeRow) -> bool:
    """Whether the container of a node does not exist, and a run does not create it."""
    return row.node.deploy is not None and row.status == _NOT_MADE


def _drift(builder: Builder, node: Node, drift: Sequence[str]) -> Iterator[Finding]:
    differences = [name for name in drift if not name.startswith(_DRIFT_OF_ENTRY)]
    if differences:
        message = f"{node.id} differs from the plan: {', '.join(differences)}"
        yield warning(message, f"run `mpbake builders up {builder.name}`", subject=node.id)


def _name(node: Node) -> str:
    return f"{node.id} ({node.driver_name}, {one_line(node.endpoint) or node.driver.rules.endpoint.when_empty})"


def _absence(row: NodeRow) -> str:
    """Return why mpbake has not queried a node: its container or Deployment does not exist, or is stopped."""
    rules = row.node.driver.rules.resource
    resource = rules.kind(row.node).value if rules and not row.node.external else "BuildKit"
    state = "does not exist yet" if row.status == _NOT_MADE else f"is {row.status}"
    return f"{_name(row.node)}: its {resource} {state}"


def _start_remedy(builder: Builder) -> str:
    """Return how the user can start a stopped or missing node. A run creates the node of the default builder."""
    if builder.external:
        return f"start it: docker buildx inspect --bootstrap {builder.name}"
    if builder.driver.rules.is_automatic:
        return "nothing to do: a run creates and starts it"
    return f"run `mpbake builders up {builder.name}`, or let a run create and start it"


# --- platforms and emulators ------------------------------------------------------------------------------------------


def _targets(facts: Facts, builder: Builder) -> list[Target]:
    return [target for target in facts.subject.targets if target.builder.name == builder.name]


def _wanted(facts: Facts, builder: Builder) -> dict[Platform, Target]:
    """Return the platforms that a run builds on `builder`, each with a target of the builder."""
    by_platform: dict[Platform, Target] = {}
    for target in _targets(facts, builder):
        for platform in wanted_platforms(builder, [target], facts.subject.only):
            by_platform.setdefault(platform, target)
    return by_platform


def check_platforms(facts: Facts) -> Iterator[Finding]:
    """Check that each platform has a node that builds it, and report whether the build is native."""
    wanted = {builder.name: _wanted(facts, builder) for builder in facts.subject.builders}
    if not any(wanted.values()):
        yield not_needed("platforms: the plan names none, so each node builds its own")
        return
    blocked = without_docker(facts, "platforms")
    if blocked:
        yield blocked
        return
    for builder in facts.subject.builders:
        for platform, target in wanted[builder.name].items():
            yield _check_platform(facts, builder, platform, target)


def _check_platform(facts: Facts, builder: Builder, platform: Platform, target: Target) -> Finding:
    known = facts.node_facts
    execution, nodes = equal_nodes(target, platform, known)
    subject = f"{builder.name}: {platform}"
    if not nodes:
        return _no_emulator(facts, builder, platform)
    live = [node for node in nodes if node.id in known and not known[node.id].unreachable]
    names = ", ".join(node.id for node in live)
    if not live or execution is Execution.UNKNOWN:
        waiting = ", ".join(node.id for node in nodes)
        return unknown(f"{subject}: native or emulated? no report from {waiting}", subject=builder.name)
    conflicts = [message for node in live for message in declaration_conflicts(node, [platform], known[node.id])]
    if conflicts and not any(can_execute(own, platform) for node in live for own in known[node.id].platforms):
        return missing(conflicts[0], emulator_remedy(builder, live[0], platform), subject=builder.name)
    if execution is Execution.NATIVE and not conflicts:
        return ok(f"{subject} native on {names}", subject=builder.name)
    return _emulated(builder, conflicts[0] if conflicts else f"{subject} emulated on {names}")


def _emulated(builder: Builder, message: str) -> Finding:
    match builder.emulation:
        case Emulation.ALLOW:
            return ok(message, subject=builder.name)
        case Emulation.WARN:
            remedy = 'add a native node, or accept emulation with emulation = "allow"'
            slower = "" if "slower" in message else ", 5 to 10 times slower"
            return warning(f"{message}{slower}", remedy, subject=builder.name)
        case Emulation.FORBID:
            remedy = 'add a native node, or set emulation = "warn"'
            return missing(f"{message}, and the builder forbids emulation", remedy, subject=builder.name)


def _no_emulator(facts: Facts, builder: Builder, platform: Platform) -> Finding:
    message = f"{builder.name}: no node builds {platform}, neither natively nor by an emulator"
    if builder.emulation is Emulation.FORBID:
        return missing(f"{builder.name}: no node builds {platform} natively", "add a native node", subject=builder.name)
    node = next((node for node in builder.nodes if _answers(facts, node)), builder.nodes[0])
    return missing(message, emulator_remedy(builder, node, platform), subject=builder.name)


def check_emulators(facts: Facts) -> Iterator[Finding]:
    """Report which emulators are registered on the nodes that emulate, or should emulate, a platform of the plan."""
    if facts.subject.plan_files is None:
        yield _emulators_of_engine(facts)
        return
    blocked = without_docker(facts, "emulators") if facts.subject.nodes else None
    if blocked:
        yield blocked
        return
    emulating = dict.fromkeys(node for builder in facts.subject.builders for node in _emulating(facts, builder))
    for node in emulating:
        if emulated := _emulated_on(facts.reports[node.id].platforms):  # the check `platforms` reports the rest
            yield ok(f"{node.id} emulates {_names(emulated)}", subject=node.id)
    reports = facts.reports
    open_nodes = [node.id for node in facts.subject.nodes if node.id not in reports or not reports[node.id].platforms]
    if not emulating and open_nodes:
        yield unknown(f"emulators: no report from {', '.join(open_nodes)}")
    elif not emulating:
        yield not_needed("emulators: no node has to emulate a platform of the plan")


def _emulating(facts: Facts, builder: Builder) -> list[Node]:
    """Return the nodes of `builder` that report to emulate a platform of the plan; without such nodes, all nodes."""
    known = facts.node_facts
    emulating: dict[Node, None] = {}
    for platform, target in _wanted(facts, builder).items():
        _, nodes = equal_nodes(target, platform, known)
        for node in nodes or builder.nodes:
            reported = known[node.id].platforms if node.id in known else ()
            if reported and not runs_natively(reported, platform):
                emulating[node] = None
    return list(emulating)


def _emulators_of_engine(facts: Facts) -> Finding:
    blocked = without_docker(facts, "emulators")
    if blocked:
        return blocked
    if isinstance(facts.engine_platforms, Unanswered):
        return unknown("emulators: not known, since the BuildKit of the engine in use does not answer")
    emulated = _emulated_on(facts.engine_platforms)
    return ok(f"the engine in use emulates {_names(emulated)}") if emulated else not_needed("emulators: none")


def _emulated_on(reported: Sequence[Platform]) -> list[Platform]:
    return [platform for platform in reported if not runs_natively(reported, platform)]


def _names(platforms: Sequence[Platform]) -> str:
    return ", ".join(map(str, platforms))
