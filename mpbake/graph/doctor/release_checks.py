"""Checks of the BuildKit releases of nodes that build parts of one image. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.text import one_line, shared_names
from mpbake.graph.doctor.findings import not_needed, ok, warning
from mpbake.graph.placement import place
from mpbake.graph.stated_form import states_form

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mpbake.graph.doctor.facts import Facts
    from mpbake.graph.doctor.findings import Finding
    from mpbake.model.plan import Builder, Target

_REMEDY = (
    "run the same BuildKit release on all nodes of {}, or remove version (attest), oci-artifact and oci-mediatypes "
    "(output): mpbake then states a form that all nodes can write"
)


def check_releases(facts: Facts) -> Iterator[Finding]:
    """Check that nodes with different BuildKit releases can write the parts of one image in the same form."""
    findings = [finding for builder in facts.subject.builders for finding in _check_builder(facts, builder)]
    yield from findings
    if not findings:
        yield not_needed("BuildKit releases: no image is built by two releases")


def _check_builder(facts: Facts, builder: Builder) -> Iterator[Finding]:
    split = {target: versions for target in facts.subject.targets if (versions := _versions(facts, builder, target))}
    if not split:
        return
    named = ", ".join(f"{name} {one_line(version)}" for name, version in next(iter(split.values())).items())
    message = f"{builder.name}: different BuildKit releases build parts of one image ({named})"
    stated = [target.name for target in split if states_form(target)]
    if stated:
        message += f", and the plan states the form of {shared_names(stated)}"
        yield warning(message, _REMEDY.format(builder.name), subject=builder.name)
    else:
        yield ok(f"{message}: mpbake lets them write the same form", subject=builder.name)


def _versions(facts: Facts, builder: Builder, target: Target) -> dict[str, str]:
    """Return the versions of the nodes that build parts of `target`, by name; empty if all versions are equal."""
    if target.builder.name != builder.name or len(target.platforms) < 2:
        return {}
    known = facts.node_facts
    nodes = [piece.node for piece in place(target, known, facts.subject.only.get(target, ())).pieces]
    versions = {node.name: known[node.id].version for node in nodes if node.id in known and known[node.id].version}
    return versions if len(set(versions.values())) > 1 else {}
