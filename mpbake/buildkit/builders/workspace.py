"""Where builders are worked on: the tools, the plan that declares them, who is told, and one process at a time."""

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

    from mpbake.buildkit.nodes.drivers.back_end import Keeper
    from mpbake.buildkit.nodes.tools import NodeServices
    from mpbake.model.node_state import NodeResource
    from mpbake.model.plan import Node

_IDLE_TRIES = 10
_IDLE_PAUSE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class BuilderWorkspace:
    """What everybody needs who changes builders. `plan` is the file that declares them; `say` tells what was done.

    `progress` tells of a node, by its id, what is being done to start it; it may be called often.
    """

    tools: NodeServices
    plan: Path
    say: Callable[[str], None]
    progress: Callable[[str, str], None]
    cancelled: Callable[[], bool] = lambda: False

    def locked(self, builder: str) -> AbstractContextManager[None]:
        """Keep other processes from working on a builder meanwhile."""
        return hold_lock(
            self.tools.environment,
            f"builder-{builder}",
            waiting=lambda: self.say(f"{builder}: another mpbake works on it, waiting"),
            cancelled=self.cancelled,
        )

    def node_locked(self, node: Node) -> AbstractContextManager[None]:
        """Keep other processes, runs too, from making or removing what a node lives in meanwhile."""
        return hold_node_lock(
            self.tools.environment,
            node,
            waiting=lambda: self.say(f"{node.id}: {WAITING}"),
            cancelled=self.cancelled,
        )


def idle_resource(node: Node, keeper: Keeper) -> NodeResource | None:
    """What `node` lives in, looked at anew, once nobody is connected to it; a mere question is soon over.

    Raises LockHeld while something builds there.
    """
    for _ in range(_IDLE_TRIES):
        made = keeper.own(node)
        if made is None or not keeper.is_used(node, made):
            return made
        time.sleep(_IDLE_PAUSE)
    raise LockHeld(
        f"{node.id}: something builds in {resource_name(node)} just now; it is left as it is",
        hint="repeat this when it is idle",
    )
