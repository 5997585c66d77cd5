"""What every change of builders needs: services, the plan file, messages to the user, and locks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.errors import LockHeld
from mpbake.model.node_resources import resource_name
from mpbake.run.state.locks import WAITING, hold_lock, hold_node_lock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mpbake.buildkit.nodes.drivers.back_end import ResourceManager
    from mpbake.buildkit.nodes.tools import NodeServices
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

_IDLE_ATTEMPTS = 10
_IDLE_PAUSE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class BuilderWorkspace:
    """Everything that changes of builders share. `plan` is the file that declares them; `say` reports what was done.

    `progress` reports the current activity of a node that starts, by the id of the node; it may be called often.
    """

    tools: NodeServices
    plan: Path
    say: Callable[[str], None]
    progress: Callable[[str, str], None]
    cancelled: Callable[[], bool] = lambda: False

    def locked(self, builder: str) -> AbstractContextManager[None]:
        """Keep other processes from changing a builder within a block."""
        return hold_lock(
            self.tools.environment,
            f"builder-{builder}",
            waiting=lambda: self.say(f"{builder}: another mpbake works on it, waiting"),
            cancelled=self.cancelled,
        )

    def node_locked(self, node: Node) -> AbstractContextManager[None]:
        """Keep other processes, including runs, from making or removing the resource of a node within a block."""
        return hold_node_lock(
            self.tools.environment,
            node,
            waiting=lambda: self.say(f"{node.id}: {WAITING}"),
            cancelled=self.cancelled,
        )


def idle_resource(node: Node, manager: ResourceManager) -> NodeResource | None:
    """Return the current resource of `node` once no client is connected to it; None if there is none.

    Wait a moment, since a client that only asks the node is soon gone. Raises LockHeld while a build runs.
    """
    for _ in range(_IDLE_ATTEMPTS):
        made = manager.own(node)
        if made is None or not manager.is_used(node, made):
            return made
        time.sleep(_IDLE_PAUSE)
    raise LockHeld(
        f"{node.id}: a build runs in {resource_name(node)}, so mpbake leaves it as it is",
        hint="try again when it is idle",
    )
