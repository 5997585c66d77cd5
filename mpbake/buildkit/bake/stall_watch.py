"""Decides whether a build without output may continue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpbake.buildkit.process.docker import Watch

if TYPE_CHECKING:
    from mpbake.base.errors import Unreachable
    from mpbake.buildkit.nodes.ready_nodes import ReadyNodes
    from mpbake.model.plan import Node


@dataclass(kw_only=True, slots=True)
class StallWatch:
    """A check that lets a build without output continue while its node answers.

    `loads` says that the build loads an image into the engine in use. The engine must then answer too. `half` is half
    of the stall-timeout in seconds. After this time without output, the node and the engine each have the same time to
    answer. If `half` is 0, nothing is checked. `daemons` are the BuildKits of the node that ran when the build started.
    If none of these daemons serves a client any more, the build is lost, even if another BuildKit of the node answers.
    """

    nodes: ReadyNodes
    node: Node
    half: float
    loads: bool
    daemons: frozenset[str] = frozenset()
    _is_disconnected: bool = False
    _engine_error: Unreachable | None = None

    @property
    def watch(self) -> Watch | None:
        """The check for the process of the build; None without a stall-timeout."""
        return Watch(seconds=self.half, alive=self._is_alive) if self.half else None

    def engine_error(self) -> Unreachable | None:
        """Return the error of the engine in use, if the engine is the reason for the stall."""
        return self._engine_error

    def is_disconnected(self) -> bool:
        """Whether the build was lost although its node answers."""
        return self._is_disconnected

    def _is_alive(self) -> bool:
        if not self.nodes.answers_at_last(self.node, self.half):
            return False
        self._is_disconnected = not self.nodes.serves(self.node, self.daemons)
        if self._is_disconnected:
            return False
        self._engine_error = self.nodes.engine_error(self.half) if self.loads else None
        return self._engine_error is None
