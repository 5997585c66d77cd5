"""Queries Docker engines for facts, such as the platform and the image store."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from mpbake.base.errors import Unreachable
from mpbake.base.platforms import parse_platform
from mpbake.buildkit.nodes.failure_causes import explain_engine
from mpbake.graph.node_facts import EngineFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.process.docker import Docker

_TIMEOUT = 30.0
_MACHINES = {"armv6l": "arm/v6", "armv7l": "arm/v7", "armv8l": "arm/v7", "loongarch64": "loong64"}
"""Architectures whose name in the kernel differs from the name in images. An armv8l machine runs 32-bit code."""


class Engines:
    """The facts of engines. Each engine is queried once in a run. Thread-safe."""

    def __init__(self, docker: Docker) -> None:
        self._docker = docker
        self._facts: dict[str, EngineFacts] = {}
        self._locks: dict[str, threading.Lock] = {}

    def facts(self, endpoint: str = "", timeout: float = _TIMEOUT) -> EngineFacts:
        """Return the facts of the engine at `endpoint`, or of the engine in use. Raises Unreachable.

        After an error, the next call queries the engine again.
        """
        with self._locks.setdefault(endpoint, threading.Lock()):
            if endpoint not in self._facts:
                self._facts[endpoint] = ask_engine(self._docker, endpoint, timeout)
            return self._facts[endpoint]


def ask_engine(docker: Docker, endpoint: str = "", timeout: float = _TIMEOUT) -> EngineFacts:
    """Query the engine at `endpoint`, or the engine in use, for its facts.

    Raises Unreachable with the engine's own error.
    """
    return engine_info(docker, endpoint, timeout)[0]


def engine_info(docker: Docker, endpoint: str = "", timeout: float = _TIMEOUT) -> tuple[EngineFacts, Mapping[str, Any]]:
    """Return the facts of an engine, and its whole answer to `docker info`. Raises as `ask_engine` does."""
    completed = docker.run(["system", "info", "--format", "{{json .}}"], endpoint=endpoint, timeout=timeout)
    try:
        info: Mapping[str, Any] = json.loads(completed.stdout)
        store = str(info.get("DriverStatus") or "")
        machine = info["Architecture"]
        platform = parse_platform(f"{info['OSType']}/{_MACHINES.get(machine, machine)}")
    except (ValueError, KeyError, AttributeError):
        error = _engine_error(completed.stdout, completed.stderr)
        raise engine_unreachable("no answer in time" if completed.timed_out else error) from None
    cpus = info.get("NCPU")
    facts = EngineFacts(
        platform=platform,
        containerd_store="io.containerd.snapshotter" in store,
        cpus=cpus if isinstance(cpus, int) else 0,
    )
    return facts, info


def _engine_error(stdout: str, stderr: str) -> str:
    """Return docker's error.

    If the engine does not answer, docker still prints JSON, which contains a list of errors.
    """
    try:
        errors: Any = json.loads(stdout).get("ServerErrors")
    except (ValueError, AttributeError):
        errors = None
    return str(errors[0]) if isinstance(errors, list) and errors else stderr


def engine_unreachable(output: str) -> Unreachable:
    """Return the error for an engine that does not answer, with the last line of docker's `output`."""
    message, hint = explain_engine(output)
    return Unreachable(message, hint=hint)
