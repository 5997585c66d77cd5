"""The tools for changes of builders: services, the plan file, messages to the user, and locks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mpbake.base.errors import LockHeld
from mpbake.model.node_resources import resource_name
from mpbake.run.state.locks import WAITING, hold_lock, hold_node_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mpbake.base.platforms import Platform
    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

_IDLE_ATTEMPTS = 10
_IDLE_PAUSE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class BuilderWorkspace:
    """The services and reports that a change of builders needs.

    `plan` is the file that declares the builders; `say` reports a finished action. `progress` receives the ID of a node
    that is starting, and the node's current activity; calls may be frequent. `platforms` maps the name of each builder
    to the platforms that the plan builds on this builder.
    """

    services: NodeServices
    plan: Path
    say: Callable[[str], None]
    progress: Callable[[str, str], None]
    cancelled: Callable[[], bool] = lambda: False
    platforms: Mapping[str, Sequence[Platform]] = field(default_factory=dict)

    def locked(self, builder: str) -> AbstractContextManager[None]:
        """Prevent other processes from changing a builder during the block."""
        return hold_lock(
            self.services.environment,
            f"builder-{builder}",
            waiting=lambda: self.say(f"{builder}: another mpbake works on it, waiting"),
            cancelled=self.cancelled,
        )

    def node_locked(self, node: Node) -> AbstractContextManager[None]:
        """Prevent other processes, including runs, from creating or removing a node's resource during the block."""
        return hold_node_lock(
            self.services.environment,
            node,
            waiting=lambda: self.say(f"{node.id}: {WAITING}"),
            cancelled=self.cancelled,
        )


def idle_resource(node: Node, manager: ResourceManager) -> NodeResource | None:
    """Return the current resource of `node` once no client is connected to it; None if there is none.

    Wait a moment, since a client that only queries the node disconnects soon. Raises LockHeld if one stays connected.
    """
    for _ in range(_IDLE_ATTEMPTS):
        made = manager.own(node)
        if made is None or not manager.is_used(node, made):
            return made
        time.sleep(_IDLE_PAUSE)
    name = resource_name(node)
    # A connection to the port of a deployed node may be idle, and no build.
    use, end = (
        ("a client is connected to", "no client is connected") if node.deploy else ("a build runs in", "it is idle")
    )
    raise LockHeld(f"{node.id}: {use} {name}, so mpbake leaves it unchanged", hint=f"run again when {end}")
