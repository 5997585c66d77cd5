"""Decides whether `mpbake builders up --adopt` may take over a builder that was made by hand.

The user's buildx store must have a builder of the declared name and driver, all of whose nodes the plan declares.
Otherwise a plan that only happens to use the name would take over a stranger.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import MpbakeError, UsageError
from mpbake.base.text import one_line
from mpbake.buildkit.nodes.instances.buildx_store import existing_builder
from mpbake.buildkit.nodes.ownership import adopt_command
from mpbake.resolve import DEFAULT_BUILDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.nodes.ownership import ForeignResource
    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.model.existing_builders import ExistingBuilder, ExistingNode
    from mpbake.model.plan import Builder, Node


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A builder in buildx's store that mpbake may adopt: its nodes by name.

    `obstacle` is the reason why there is no such builder; empty if nothing should be adopted.
    """

    nodes: Mapping[str, ExistingNode] = field(default_factory=dict)
    obstacle: str = ""

    @property
    def exists(self) -> bool:
        """Whether there is a builder to adopt."""
        return bool(self.nodes)

    def node(self, node: Node, error: ForeignResource) -> ExistingNode:
        """Return what buildx's store says about `node`. Raises `error` if mpbake may not adopt the node."""
        existing = self.nodes.get(node.buildx_name)
        if existing is not None:
            return existing
        if not self.obstacle and not self.exists:
            raise error
        reason = self.obstacle or f"buildx's store has no node {node.buildx_name} in this builder"
        raise UsageError(error.message, hint=f"--adopt cannot take it over: {reason}; rename the builder or the node")


NO_CANDIDATE = Candidate()
"""No builder: nothing should be adopted."""


def find_candidate(services: NodeServices, builder: Builder) -> Candidate:
    """Return the builder in the user's buildx store that has the name of `builder`, if mpbake may adopt it."""
    if not has_entry(builder):
        return Candidate(obstacle=_no_builder(builder))
    try:
        entry = services.store.read(builder.name)
        existing = existing_builder(builder.name, entry) if entry else None
    except MpbakeError as error:
        return Candidate(obstacle=one_line(error.message))
    obstacle = _obstacle(builder, existing)
    nodes = existing.nodes if existing and not obstacle else ()
    return Candidate(nodes={node.name: node for node in nodes}, obstacle=obstacle)


def _obstacle(builder: Builder, existing: ExistingBuilder | None) -> str:
    """Return why mpbake may not adopt a builder of buildx's store; empty if it may."""
    if existing is None or not existing.nodes:
        return _no_builder(builder)
    if existing.driver != builder.nodes[0].driver_name:
        return f"the driver of {builder.name.lower()} in buildx's store is {one_line(existing.driver)}"
    declared = {node.buildx_name for node in builder.nodes}
    undeclared = [node.name for node in existing.nodes if node.name not in declared]
    return f"the plan does not declare its node {one_line(undeclared[0])}" if undeclared else ""


def _no_builder(builder: Builder) -> str:
    return f"your buildx store has no builder {builder.name.lower()}"


def has_entry(builder: Builder) -> bool:
    """Whether mpbake adds `builder` to buildx's store.

    mpbake adds neither a builder with the `docker` driver nor a builder named `default`.
    """
    return not builder.external and builder.driver.rules.is_stored and builder.name.lower() != DEFAULT_BUILDER


def foreign_entry(builder: Builder, entry: Mapping[str, Any], candidate: Candidate) -> UsageError:
    """Return the error of an entry in buildx's store that mpbake did not make, and may not change.

    The hint says how to adopt the builder, or why mpbake may not adopt it.
    """
    name = builder.name.lower()
    obstacle = candidate.obstacle or _obstacle(builder, existing_builder(builder.name, entry))
    adopt = "" if obstacle else f", take it over ({adopt_command(builder.name)})"
    by_import = f"; to take it over, declare it as it is (mpbake import --builder {name}): {obstacle}"
    return UsageError(
        f"{builder.name}: mpbake did not make the builder {name} in buildx's store, and leaves it unchanged",
        hint=f"rename your builder, use the existing one (external = true){adopt}, or remove only its entry: "
        f"docker buildx rm --keep-daemon {name}{by_import if candidate.obstacle else ''}",
    )
