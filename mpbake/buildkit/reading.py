"""Registries asked without any node: with this machine's own logins, and buildx's own settings."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from mpbake.buildkit.docker import Docker
from mpbake.buildkit.endpoints import Endpoints
from mpbake.buildkit.environment import child_environment
from mpbake.buildkit.instances import Ready
from mpbake.buildkit.registry import Registry
from mpbake.buildkit.runner import buildx_version
from mpbake.buildkit.verification import Verification
from mpbake.placement import NodeFacts
from mpbake.plan import Driver, Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@contextlib.contextmanager
def open_verification(
    environment: Mapping[str, str], hide: Callable[[str], str], on_stop: Callable[[Callable[[], None]], None]
) -> Iterator[Verification]:
    """A way to compare what registries serve; no process of it is left when the block is left.

    `on_stop` is told how to end it early: what is being asked then raises Cancelled.
    """
    with tempfile.TemporaryDirectory(prefix="mpb") as folder:
        docker = Docker(child_environment(environment, ()), Path(folder), hide)
        on_stop(docker.cancel)
        try:
            buildx_version(docker)
            node = Node(builder="engine", name="any", driver=Driver.REMOTE)
            through = Ready(
                node=node,
                facts=NodeFacts(driver=node.driver),
                builder=Endpoints(docker, environment).context_in_use(),
                store=docker.scratch,
            )
            yield Verification(registry=Registry(docker=docker, through=through))
        finally:
            docker.close()
