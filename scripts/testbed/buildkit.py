"""The BuildKit behind each node of the testbed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from testbed.buildkitd import buildkitd_socket, named_buildkit, start_buildkitd
from testbed.dockerd import engine_socket, start_engine
from testbed.engine import BUILDKIT_IMAGE
from testbed.errors import TestbedError
from testbed.nodes import Upstream
from testbed.processes import succeeds, wait_until

if TYPE_CHECKING:
    from testbed.dockerd import EngineName
    from testbed.engine import Engine
    from testbed.place import Place

_SECONDS = 30


# Each version has 14 characters, as `state_version` needs. The second stands for the release in MPBAKE_TEST_BUILDKIT.
_DEBIAN_VERSION, _NAMED_VERSION = "v0.13.2+debian", "v0.32.0+newest"

Release = Literal["default", "engine", "named"]
"""The BuildKit of a node: the engine's own or that of MPBAKE_TEST_BUILDKIT. By default the latter, if it is set."""


def upstream(place: Place, engine: Engine, platform: str, release: Release = "default") -> Upstream:
    """Return the BuildKit for a node that represents a machine of that platform.

    If the testbed has its own engines, the arm64 machine gets a separate engine. Two nodes in front of one engine share
    its image store, and each sets the name of its exported image there. If both do so at the same time, one of them
    sometimes fails with "already exists". A BuildKit container has no such store.
    """
    if release == "named" or (release == "default" and named_buildkit(place.environ)):
        path = buildkitd_socket(place, "arm64" if platform == "linux/arm64" else "main")
        return Upstream(buildkit_socket=str(path), version=_NAMED_VERSION, env=engine.env)
    if engine.own:
        name: EngineName = "arm64" if platform == "linux/arm64" else "main"
        return Upstream(engine_socket=str(engine_socket(place, name)), version=_DEBIAN_VERSION, env=engine.env)
    if engine.buildkit:
        command = ("docker", "exec", "-i", _container(place), "buildctl", "dial-stdio")
        return Upstream(command=command, env=engine.env)
    if engine.socket is not None:
        return Upstream(engine_socket=str(engine.socket), env=engine.env)
    return Upstream(command=("docker", "buildx", "--builder", "default", "dial-stdio"), env=engine.env)


def start_buildkit(place: Place, engine: Engine) -> None:
    """Start the engine or buildkitd that nodes need in addition to the testbed's engine, unless it runs."""
    if named_buildkit(place.environ):
        for name in ("main", "arm64"):
            start_buildkitd(place, name)
    if engine.own:
        start_engine(place, "arm64")
    elif engine.buildkit:
        _start_container(place, engine)


def check_platforms(engine: Engine) -> None:
    """Raise TestbedError unless the engine builds for both platforms, natively or with emulation."""
    inspected = engine.docker("buildx", "inspect", "default")
    if missing := [name for name in ("linux/amd64", "linux/arm64") if name not in inspected]:
        message = (
            f"The engine at {engine.host} does not build for {', '.join(missing)}. To let it emulate:\n"
            "docker run --privileged --rm tonistiigi/binfmt --install amd64,arm64,arm"
        )
        raise TestbedError(message)


def _start_container(place: Place, engine: Engine) -> None:
    name = _container(place)
    if not succeeds(("docker", "container", "inspect", name), env=engine.env):
        place.note("container", name)
        engine.docker("create", "--privileged", "--network", "host", "--name", name, BUILDKIT_IMAGE)
    engine.docker("start", name)  # no effect if it runs already
    workers = ("docker", "exec", name, "buildctl", "debug", "workers")
    if not wait_until(lambda: succeeds(workers, env=engine.env), seconds=_SECONDS):
        message = f"{name} does not answer:\n{engine.docker('logs', name)}"
        raise TestbedError(message)


def _container(place: Place) -> str:
    return f"mpbake-{place.key}-buildkit"
