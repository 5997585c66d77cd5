"""The Docker engine in use: what it can do, and what it is called."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mpbake.errors import Unreachable
from mpbake.placement import EngineFacts
from mpbake.platforms import parse_platform
from mpbake.text import without_colour

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mpbake.buildkit.docker import Docker

_TIMEOUT = 30.0


def ask_engine(docker: Docker, endpoint: str = "") -> EngineFacts:
    """Ask the engine in use, or that of an endpoint, what it is. Raises Unreachable with the engine's own words."""
    found = docker.run(["system", "info", "--format", "{{json .}}"], endpoint=endpoint, timeout=_TIMEOUT)
    try:
        info = json.loads(found.stdout)
        store = str(info.get("DriverStatus") or "")
        platform = parse_platform(f"{info['OSType']}/{info['Architecture']}")
    except (ValueError, KeyError, AttributeError):
        raise no_engine("no answer in time" if found.timed_out else _complaint(found.stdout, found.stderr)) from None
    return EngineFacts(platform=platform, containerd_store="io.containerd.snapshotter" in store)


def _complaint(stdout: str, stderr: str) -> str:
    """Without an engine docker still prints JSON, with what went wrong in a list."""
    try:
        errors: Any = json.loads(stdout).get("ServerErrors")
    except (ValueError, AttributeError):
        errors = None
    return str(errors[0]) if isinstance(errors, list) and errors else stderr


def current_context(docker: Docker, environment: Mapping[str, str]) -> str:
    """The docker context in use, which names the engine's own builder too. Raises Unreachable."""
    if environment.get("DOCKER_HOST"):
        return "default"
    found = docker.run(["context", "show"], timeout=_TIMEOUT)
    if found.returncode:
        raise no_engine(found.stderr)
    return found.stdout.strip()


def no_engine(said: str) -> Unreachable:
    """The error of an engine that does not answer, with the last line of what was `said` instead."""
    lines = [line.removeprefix("ERROR: ") for line in without_colour(said).strip().splitlines()]
    return Unreachable(
        f"the Docker engine does not answer: {lines[-1] if lines else 'it says nothing'}",
        hint="start it (Docker Desktop, or: sudo systemctl start docker), or set DOCKER_HOST; try: docker info",
    )
