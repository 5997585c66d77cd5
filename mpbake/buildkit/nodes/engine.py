"""The Docker engine in use: what it can do."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Unreachable
from mpbake.base.platforms import parse_platform
from mpbake.buildkit.nodes.failure_causes import explain_engine
from mpbake.graph.node_facts import EngineFacts

if TYPE_CHECKING:
    from mpbake.buildkit.process.docker import Docker

_TIMEOUT = 30.0


_MACHINES = {"armv6l": "arm/v6", "armv7l": "arm/v7", "armv8l": "arm/v7", "loongarch64": "loong64"}
"""What an engine's kernel calls the machine, where no image says so. An armv8l runs 32-bit code."""


class Engines:
    """What engines say of themselves, each asked once in a run; safe to use from several threads."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._facts: dict[str, EngineFacts] = {}
        self._locks: dict[str, threading.Lock] = {}

    def facts(self, endpoint: str = "", timeout: float = _TIMEOUT) -> EngineFacts:
        """Those of the engine in use, or of that of an endpoint. Raises Unreachable, and asks again the next time."""
        with self._locks.setdefault(endpoint, threading.Lock()):
            if endpoint not in self._facts:
                self._facts[endpoint] = ask_engine(self._docker, endpoint, timeout)
            return self._facts[endpoint]


def ask_engine(docker: Docker, endpoint: str = "", timeout: float = _TIMEOUT) -> EngineFacts:
    """Ask the engine in use, or that of an endpoint, what it is. Raises Unreachable with the engine's own words."""
    found = docker.run(["system", "info", "--format", "{{json .}}"], endpoint=endpoint, timeout=timeout)
    try:
        info = json.loads(found.stdout)
        store = str(info.get("DriverStatus") or "")
        machine = info["Architecture"]
        platform = parse_platform(f"{info['OSType']}/{_MACHINES.get(machine, machine)}")
    except (ValueError, KeyError, AttributeError):
        raise no_engine("no answer in time" if found.timed_out else _complaint(found.stdout, found.stderr)) from None
    cpus = info.get("NCPU")
    return EngineFacts(
        platform=platform,
        containerd_store="io.containerd.snapshotter" in store,
        cpus=cpus if isinstance(cpus, int) else 0,
    )


def _complaint(stdout: str, stderr: str) -> str:
    """Without an engine docker still prints JSON, with what went wrong in a list."""
    try:
        errors: Any = json.loads(stdout).get("ServerErrors")
    except (ValueError, AttributeError):
        errors = None
    return str(errors[0]) if isinstance(errors, list) and errors else stderr


def no_engine(said: str) -> Unreachable:
    """The error of an engine that does not answer, with the last line of what was `said` instead."""
    message, hint = explain_engine(said)
    return Unreachable(message, hint=hint)
