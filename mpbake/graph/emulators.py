"""The emulators that the platforms of a plan need on the machines of nodes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.platforms import can_execute, runs_natively
from mpbake.graph.links import linked_platforms
from mpbake.graph.node_facts import declares
from mpbake.model.emulators import EMULATED_SYSTEM

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Builder, Node, Target


def wanted_platforms(
    builder: Builder, targets: Iterable[Target], only: Mapping[Target, Sequence[Platform]] | None = None
) -> tuple[Platform, ...]:
    """Return the platforms that `builder` builds for `targets` and for the targets that they link to.

    `only` maps targets to platforms that replace their declared platforms.
    """
    platforms: dict[Platform, None] = {}
    for target in targets:
        if target.builder.name == builder.name:
            own = (only or {}).get(target) or target.platforms
            platforms |= dict.fromkeys(own)
            for linked in linked_platforms(target, own).values():
                platforms |= dict.fromkeys(linked)
    return tuple(platforms)


def missing_emulators(
    builder: Builder, platforms: Iterable[Platform], reported: Mapping[str, Sequence[Platform]]
) -> dict[Node, tuple[Platform, ...]]:
    """Return, for each node, the `platforms` for which the node lacks a necessary emulator.

    `reported` maps the IDs of nodes to the platforms that they report. Nodes that report nothing are left out. If no
    node of the builder runs a platform natively, every node may have to emulate the platform.
    """
    missing: dict[Node, list[Platform]] = {}
    for platform in platforms:
        if platform.os == EMULATED_SYSTEM:
            for node in _possible_emulators(builder, platform, reported):
                if node.id in reported and not _can_build(reported[node.id], platform):
                    missing.setdefault(node, []).append(platform)
    return {node: tuple(missing[node]) for node in builder.nodes if node in missing}


def _possible_emulators(builder: Builder, platform: Platform, reported: Mapping[str, Sequence[Platform]]) -> list[Node]:
    """Return the nodes that a run would choose for `platform`; empty if such a node runs the platform natively."""
    declared = [node for node in builder.nodes if declares(node, platform)]
    if declared:
        return declared
    native = [node for node in builder.nodes if runs_natively(reported.get(node.id, ()), platform)]
    return [] if native else list(builder.nodes)


def _can_build(reported: Sequence[Platform], platform: Platform) -> bool:
    """Whether a machine executes `platform`, or already has an emulator for the architecture of `platform`."""
    architectures = {own.architecture for own in reported if own.os == platform.os}
    return platform.architecture in architectures or any(can_execute(own, platform) for own in reported)
