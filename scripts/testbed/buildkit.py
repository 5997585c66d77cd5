"""The BuildKit to which the testbed's nodes lead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.engine import BUILDKIT_IMAGE
from testbed.errors import TestbedError
from testbed.nodes import Upstream
from testbed.processes import succeeds, wait_until

if TYPE_CHECKING:
    from testbed.engine import Engine
    from testbed.place import Place

_SECONDS = 30


def upstream(place: Place, engine: Engine) -> Upstream:
    """The BuildKit inside the engine, or the one in a container where the engine's store is of no use."""
    if engine.store == "classic":
        command = ("docker", "exec", "-i", _container(place), "buildctl", "dial-stdio")
        return Upstream(command=command, env=engine.env)
    if engine.socket is not None:
        return Upstream(engine_socket=str(engine.socket), env=engine.env)
    dial = ("docker", "buildx", "--builder", "default", "dial-stdio")
    return Upstream(command=dial, env=engine.env)


def start_buildkit(place: Place, engine: Engine) -> None:
    """Start that container, if the engine is one that needs it, unless it runs."""
    if engine.store != "classic":
        return
    name = _container(place)
    if not succeeds(("docker", "container", "inspect", name), env=engine.env):
        place.note("container", name)
        create = ("create", "--privileged", "--network", "host", "--name", name, BUILDKIT_IMAGE)
        engine.docker(*create)
    engine.docker("start", name)  # of no effect on one that runs
    workers = ("docker", "exec", name, "buildctl", "debug", "workers")
    if not wait_until(lambda: succeeds(workers, env=engine.env), seconds=_SECONDS):
        message = f"{name} does not answer:\n{engine.docker('logs', name)}"
        raise TestbedError(message)


def check_platforms(engine: Engine) -> None:
    """TestbedError unless the engine builds for both platforms, natively or by emulation."""
    inspected = engine.docker("buildx", "inspect", "default")
    if missing := [name for name in ("linux/amd64", "linux/arm64") if name not in inspected]:
        message = (
            f"The engine at {engine.host} does not build for {', '.join(missing)}. To let it emulate:\n"
            "docker run --privileged --rm tonistiigi/binfmt --install amd64,arm64,arm"
        )
        raise TestbedError(message)


def _container(place: Place) -> str:
    return f"mpbake-{place.key}-buildkit"
