"""Asks Docker engines for their version and their clock."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpbake.buildkit.nodes.engines.engine import engine_info
from mpbake.graph.doctor.facts import Clock, Engine, Unanswered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.nodes.services import NodeServices
    from mpbake.graph.doctor.facts import Answer

_VIRTUAL_MACHINE = "Docker Desktop"
"""The operating system of an engine in a virtual machine, whose folders are not those of this machine."""


def engine_at(services: NodeServices, endpoint: str) -> Engine:
    """Return the report of the engine at `endpoint`; empty: the engine in use. Raises Unreachable."""
    before = services.now()
    facts, info = engine_info(services.docker, endpoint)
    clock = engine_clock(info, before, services.now())
    address = services.instances.endpoints.address(endpoint)
    url = address.url if address else endpoint
    root = Path(str(info.get("DockerRootDir") or ""))
    return Engine(
        address=url,
        facts=facts,
        version=str(info.get("ServerVersion") or "of unknown version"),
        root=root,
        is_local=_is_local(url, info, root),
        clock=clock,
    )


def engine_clock(info: Mapping[str, Any], before: datetime, after: datetime) -> Answer[Clock]:
    """Return how far the clock of an engine is ahead, from an answer of the engine between two points in time."""
    try:
        time = datetime.fromisoformat(str(info["SystemTime"]))
    except (KeyError, ValueError):
        return Unanswered(reason="the engine does not report its time")
    return clock_between(time if time.tzinfo else time.replace(tzinfo=UTC), before, after)


def clock_between(time: datetime, before: datetime, after: datetime) -> Clock:
    """Return how far another clock is ahead.

    The other clock showed `time` at some moment between `before` and `after`.
    """
    if time > after:
        return Clock(ahead=(time - after).total_seconds())
    return Clock(ahead=min((time - before).total_seconds(), 0.0))


def _is_local(url: str, info: Mapping[str, Any], root: Path) -> bool:
    """Whether the folder of an engine is on this machine.

    False for an engine in a virtual machine or outside of this container.
    """
    is_here = url.startswith("unix://") and info.get("Name") == socket.gethostname()
    return is_here and info.get("OperatingSystem") != _VIRTUAL_MACHINE and root.is_absolute() and root.is_dir()
