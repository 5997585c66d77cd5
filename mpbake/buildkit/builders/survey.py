"""Finds the actual state of a declared builder without changes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError, Unreachable
from mpbake.buildkit.builders.candidates import NO_CANDIDATE, find_candidate, foreign_entry, has_entry
from mpbake.buildkit.builders.changes import Entries, builder_changes
from mpbake.buildkit.builders.emulation import emulator_changes
from mpbake.buildkit.nodes.drivers.table import back_end_of
from mpbake.buildkit.nodes.instances.buildx_store import declared_node, entry_of, stored_entry
from mpbake.buildkit.nodes.instances.declaration import declare, resource_mark, resource_settings
from mpbake.buildkit.nodes.ownership import ForeignResource
from mpbake.buildkit.nodes.services import side_by_side
from mpbake.model.node_resources import context_name
from mpbake.model.node_state import NodeState, StoredBuilder
from mpbake.resolve import DEFAULT_BUILDER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mpbake.base.platforms import Platform
    from mpbake.buildkit.builders.candidates import Candidate
    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.buildkit.nodes.engines.endpoints import Endpoints
    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.model.node_state import Change, StoredNode
    from mpbake.model.plan import Builder, Node


@dataclass(frozen=True, kw_only=True, slots=True)
class BuilderState:
    """The actual state of a declared builder, and the changes that lead to the declared state.

    `unclear` names the parts whose state is unknown; `errors` are the reasons.
    """

    builder: Builder
    nodes: tuple[NodeState, ...]
    changes: tuple[Change, ...] = ()
    unclear: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    errors: tuple[MpbakeError, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class _NodeSurvey:
    """The state of a node, and the error that prevented the survey."""

    state: NodeState
    error: MpbakeError | None = None


def survey_builder(
    services: NodeServices, builder: Builder, plan: Path, platforms: Sequence[Platform] = (), *, adopt: bool = False
) -> BuilderState:
    """Return the state of `builder`. `plan` is the file that declares the builder.

    With `adopt`, the changes include the adoption of a builder that was made by hand; otherwise the errors name such a
    builder. `platforms` are the platforms that the plan builds on the builder. A builder that installs emulators must
    be able to build all of these platforms. If there is an error in one part, the error is added to `errors`, and the
    survey of the other parts continues.
    """
    candidate = find_candidate(services, builder) if adopt else NO_CANDIDATE
    results = side_by_side(lambda node: _survey_node(services, node, candidate), builder.nodes)
    surveys = [
        result if isinstance(result, _NodeSurvey) else _failed_survey(node, result)
        for node, result in zip(builder.nodes, results, strict=True)
    ]
    errors = [survey.error for survey in surveys if survey.error is not None]
    unclear = [f"node {survey.state.node.id}" for survey in surveys if survey.error is not None]
    entries = Entries()
    try:
        entries = _entries(services, builder, plan, candidate)
    except MpbakeError as error:
        errors.append(error)
        unclear.append("its entry in buildx's store")
    nodes = tuple(survey.state for survey in surveys)
    emulators, open_emulators = emulator_changes(services, builder, nodes, platforms)
    return BuilderState(
        builder=builder,
        nodes=nodes,
        changes=(*builder_changes(builder, nodes, entries), *emulators),
        unclear=(*unclear, *open_emulators),
        warnings=tuple(warning for node in nodes for warning in node.warnings),
        errors=tuple(dict.fromkeys(errors)),
    )


def _failed_survey(node: Node, error: MpbakeError) -> _NodeSurvey:
    state = NodeState(node=node, trouble=str(error), silent=isinstance(error, Unreachable))
    return _NodeSurvey(state=state, error=error)


def _survey_node(services: NodeServices, node: Node, candidate: Candidate) -> _NodeSurvey:
    """Return the state of one node. Raises an error if the state is unknown."""
    if node.external:
        return _NodeSurvey(state=NodeState(node=node))
    warnings = back_end_of(node).check(node, services.now, services.environment)
    manager = services.manager(node)
    if manager is None:
        back_end_of(node).survey(services.instances, node)
        return _NodeSurvey(state=NodeState(node=node, warnings=warnings))
    return _NodeSurvey(state=replace(_survey_resource(services, node, manager, candidate), warnings=warnings))


def _survey_resource(services: NodeServices, node: Node, manager: ResourceManager, candidate: Candidate) -> NodeState:
    is_right = services.contexts.is_right(node) if context_name(node) else None
    made, foreign = None, False
    try:
        made = None if is_right is False else manager.own(node)
        if made is None and is_right is not False:
            manager.check_new(node)
    except ForeignResource as error:
        made, foreign = manager.foreign(node, candidate.node(node, error)), True
    return NodeState(
        node=node,
        mark=resource_mark(node),
        settings=tuple(sorted(resource_settings(node).items())),
        made=made,
        foreign=foreign,
        context=is_right,
    )


def _entries(services: NodeServices, builder: Builder, plan: Path, candidate: Candidate) -> Entries:
    """Return the entry of `builder` in the user's store, and the declared entry.

    Raises UsageError if the stored entry differs and mpbake neither created it nor can adopt it.
    """
    if not has_entry(builder):
        return Entries(stored=_leftover_entry(services, builder, plan))
    nodes = [declared_node(node, services.instances.endpoint(node), declare(node).options) for node in builder.nodes]
    declared = StoredBuilder(driver=str(builder.driver), nodes=tuple(nodes))
    entry = services.store.read(builder.name)
    if entry is None:
        return Entries(declared=declared)
    stored = entry_of(entry)
    declared = replace(declared, nodes=_with_stored_endpoints(services.instances.endpoints, declared, stored))
    foreign = not stored.is_ours and candidate.exists
    if stored != declared and not stored.is_ours and not foreign:
        raise foreign_entry(builder, entry, candidate)
    return Entries(stored=stored, declared=declared, foreign=foreign)


def _with_stored_endpoints(
    endpoints: Endpoints, declared: StoredBuilder, stored: StoredBuilder
) -> tuple[StoredNode, ...]:
    """Return the declared nodes. If a stored endpoint leads to the same engine, the node gets the stored endpoint."""
    before = {node.name: node.endpoint for node in stored.nodes}
    return tuple(
        replace(node, endpoint=before[node.name]) if endpoints.same(before.get(node.name, ""), node.endpoint) else node
        for node in declared.nodes
    )


def _leftover_entry(services: NodeServices, builder: Builder, plan: Path) -> StoredBuilder | None:
    """Return mpbake's entry of a builder whose driver is now `docker`, unless another plan may need the entry."""
    if builder.external or not builder.driver.rules.is_engine or builder.name.lower() == DEFAULT_BUILDER:
        return None
    stored = stored_entry(services.environment, builder.name)
    is_ours = stored is not None and stored.is_ours and not services.records.of_others(builder.name, plan)
    return stored if is_ours else None
