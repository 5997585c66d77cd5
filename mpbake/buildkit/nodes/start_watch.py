"""Gives up the start of a node that will not become ready, long before buildx does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.base.errors import Unreachable
from mpbake.buildkit.nodes.failure_causes import node_text
from mpbake.buildkit.nodes.node_errors import explain
from mpbake.buildkit.process.docker import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from mpbake.buildkit.nodes.drivers.back_end import Blockage, ResourceManager
    from mpbake.model.plan import Node

_INTERVAL = 5.0
"""Seconds between two queries about a node that is starting."""


@dataclass(kw_only=True, slots=True)
class StartWatch:
    """Queries the resource of a node that is starting, and ends the start if a blockage lasts too long."""

    manager: ResourceManager
    node: Node
    clock: Callable[[], float] = time.monotonic
    _since: float | None = None
    _blockage: Blockage | None = None

    @property
    def watch(self) -> Watch:
        """The check for the process of the start."""
        return Watch(seconds=_INTERVAL, alive=self.may_continue)

    def may_continue(self) -> bool:
        """Whether the node may still become ready."""
        self._blockage = self.manager.blockage(self.node)
        if self._blockage is None:
            self._since = None
            return True
        now = self.clock()
        self._since = now if self._since is None else self._since
        return now - self._since < self._blockage.patience

    @property
    def error(self) -> Unreachable | None:
        """The error of a start that the last query has ended; None if the query has not ended the start."""
        if self._blockage is None or self._since is None:
            return None
        if self.clock() - self._since < self._blockage.patience:
            return None
        reason = self._blockage.reason
        return Unreachable(f"{node_text(self.node)} cannot be used: {reason}", hint=explain(self.node, reason)[1])
