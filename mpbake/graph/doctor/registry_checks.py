"""Checks of the registries to which a plan pushes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.references import is_loopback, parse_reference
from mpbake.base.text import split_subject
from mpbake.graph.doctor.facts import Unanswered
from mpbake.graph.doctor.findings import missing, not_needed, ok, unknown, warning
from mpbake.graph.placement import place
from mpbake.graph.placement_problems import is_on_other_machine, unreachable_registries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.graph.doctor.facts import Facts, PushAccess
    from mpbake.graph.doctor.findings import Finding
    from mpbake.model.plan import Node
    from mpbake.model.steps import BuildPiece

_DENIED = (401, 403)
_NOT_FOUND = 404
_RATE_LIMITED = 429


def check_addresses(facts: Facts) -> Iterator[Finding]:
    """Check that every node that pushes to a registry at `localhost` is on the machine of the registry."""
    local = [name for name in _registries(facts) if is_loopback(f"//{name}")]
    if not local:
        yield not_needed("registry addresses: no target is pushed to localhost")
        return
    faults: dict[str, Finding] = {}
    for target in facts.subject.targets:
        pieces = place(target, facts.node_facts, facts.subject.only.get(target, ())).pieces
        for problem in unreachable_registries(target, pieces):
            message = split_subject(problem.message)[1]
            faults.setdefault(message, missing(message, problem.hint, subject=problem.culprit))
        faults |= {fault.message: fault for fault in _enclosed_nodes(facts, pieces)}
    yield from faults.values()
    if not faults:
        yield from (ok(f"{name}: the nodes that push there are on this machine", subject=name) for name in local)


def _enclosed_nodes(facts: Facts, pieces: tuple[BuildPiece, ...]) -> Iterator[Finding]:
    """Yield a warning for each node on this machine with its own network, in which `localhost` is the node itself."""
    for piece in pieces:
        registries = {parse_reference(tag).registry for tag in piece.target.tags if piece.target.push}
        for node in piece.nodes:
            for registry in sorted(registries):
                if is_loopback(f"//{registry}") and _has_own_network(facts, node):
                    message = f"{node.id} pushes to {registry}, which in its container is the container itself"
                    remedy = 'set network = "host" in the builder, or name the registry by another address'
                    yield warning(message, remedy, subject=registry)


def _has_own_network(facts: Facts, node: Node) -> bool:
    rules = facts.driver(node).rules
    is_ours = bool(rules.resource) and not node.external and not is_on_other_machine(node)
    return is_ours and dict(node.options).get("network") != "host"


def check_push(facts: Facts) -> Iterator[Finding]:
    """Check that this user may push to every repository to which the plan pushes."""
    if not facts.pushes:
        yield not_needed("push: no target is pushed; add --push to check the tags of all targets")
    for repository, answer in facts.pushes.items():
        if isinstance(answer, Unanswered):
            yield unknown(f"{repository}: {answer.reason}", answer.remedy, subject=repository)
        else:
            yield _push_finding(repository, answer)


def _push_finding(repository: str, access: PushAccess) -> Finding:
    registry = parse_reference(repository).registry
    if not access.message:
        return ok(f"{repository}: this user may push", subject=repository)
    login = f"run: docker login {registry}"
    if access.status in _DENIED and not access.has_login:
        return missing(f"{repository}: this user has no login for {registry}", login, subject=repository)
    if access.status in _DENIED:
        message = f"{repository}: the login of this user may not push there ({access.message})"
        remedy = f"ask for the right to push there, or log in as another user: docker login {registry}"
        return missing(message, remedy, subject=repository)
    if access.status == _NOT_FOUND:
        remedy = "create the repository, or correct its name"
        return missing(f"{repository}: {access.message}", remedy, subject=repository)
    if access.status == _RATE_LIMITED:
        return unknown(f"{repository}: {access.message}", access.hint, subject=repository)
    return missing(f"{repository}: {access.message}", access.hint, subject=repository)


def _registries(facts: Facts) -> list[str]:
    """Return the registries to which targets are pushed."""
    tags = (tag for target in facts.subject.targets if target.push for tag in target.tags)
    return list(dict.fromkeys(parse_reference(tag).registry for tag in tags))
