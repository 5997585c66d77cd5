"""Reports of nodes and engines about themselves, and how a node builds a platform by its report. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.platforms import can_execute, runs_natively
from mpbake.model.steps import Execution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Builder, Driver, Node


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFacts:
    """The report of a node about itself.

    `platforms` are in the node's own order: the first is the platform of the hardware. `slots` is the number of build
    pieces that the node builds at once; 0 if not reported. An `unreachable` node was probed and did not answer. For
    such a node, and for a node that does not run yet, only the driver is known.
    """

    driver: Driver
    platforms: tuple[Platform, ...] = ()
    version: str = ""
    slots: int = 0
    unreachable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineFacts:
    """The report of an engine about itself. The classic image store holds one platform of an image at a time.

    `cpus` is 0 if the engine does not report the number.
    """

    platform: Platform
    containerd_store: bool
    cpus: int = 0


def is_unreachable(node: Node, facts: Mapping[str, NodeFacts]) -> bool:
    """Whether `node` was probed and did not answer."""
    return node.id in facts and facts[node.id].unreachable


def declares(node: Node, platform: Platform) -> bool:
    """Whether the plan declares that `node` runs `platform`, directly or as part of another platform."""
    return any(can_execute(declared, platform) for declared in node.platforms)


def reported_platforms(node: Node, facts: Mapping[str, NodeFacts]) -> tuple[Platform, ...]:
    """Return the platforms that `node` reports, or none if `node` was not probed or is unreachable."""
    return facts[node.id].platforms if node.id in facts else ()


def driver_of(node: Node, facts: Mapping[str, NodeFacts]) -> Driver:
    """Return the driver of `node`: the driver that mpbake chooses for it, as far as the engine was asked."""
    return facts[node.id].driver if node.id in facts else node.driver


def own_platform(builder: Builder, facts: Mapping[str, NodeFacts]) -> tuple[Platform, ...]:
    """Return the native platform of a builder's first node; empty while the platform is not known."""
    first = builder.nodes[0]
    return first.platforms[:1] or reported_platforms(first, facts)[:1]


def execution_on(node: Node, platform: Platform, facts: Mapping[str, NodeFacts]) -> Execution | None:
    """Return how `node` builds `platform`, or None if the node cannot. A declared platform counts as native."""
    if declares(node, platform):
        return Execution.NATIVE
    reported = reported_platforms(node, facts)
    if not reported:
        return Execution.UNKNOWN
    if runs_natively(reported, platform):
        return Execution.NATIVE
    return Execution.EMULATED if any(can_execute(own, platform) for own in reported) else None


def declaration_conflicts(node: Node, platforms: Iterable[Platform], facts: NodeFacts) -> tuple[str, ...]:
    """Return a message if `node` declares some of `platforms` but, by its own report, does not run them natively."""
    if not node.platforms or not facts.platforms:
        return ()
    declared = [platform for platform in platforms if declares(node, platform)]
    wrong = [platform for platform in declared if not runs_natively(facts.platforms, platform)]
    if not wrong:
        return ()
    emulated = all(any(can_execute(own, platform) for own in facts.platforms) for platform in wrong)
    subject = "they are" if len(wrong) > 1 else "it is"
    consequence = f"{subject} emulated there, 5 to 10 times slower" if emulated else "such builds will fail there"
    return (f"{node.id} declares {', '.join(map(str, wrong))} but runs {facts.platforms[0]} natively: {consequence}",)
