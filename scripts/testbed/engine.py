"""The Docker engine of a testbed."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from testbed.clients import users_client
from testbed.errors import TestbedError
from testbed.packages import tool_path
from testbed.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.place import Place

Store = Literal["containerd", "classic"]

BUILDKIT_IMAGE = "moby/buildkit:buildx-stable-1"
_PROBE_SECONDS = 20  # an engine behind ssh may be slow or never answer
_PULL_SECONDS = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """An engine that answers.

    `own` says whether this testbed started it. `local` says whether the engine and this process have the same ports on
    127.0.0.1; an engine in a virtual machine has other ports. `buildkit` says whether it has BuildKit's own image.
    `client` holds the variables with which a docker command uses this engine, in addition to `environ`.
    """

    host: str
    store: Store
    own: bool
    local: bool
    buildkit: bool
    client: Mapping[str, str]
    environ: Mapping[str, str]

    @property
    def env(self) -> dict[str, str]:
        """The complete environment of a docker command."""
        return {**self.environ, **self.client}

    @property
    def socket(self) -> Path | None:
        """The unix socket on which the engine listens. None for an engine on another machine."""
        scheme, _, path = self.host.partition("://")
        return Path(path) if scheme == "unix" else None

    def docker(self, *args: str, timeout: float = 120) -> str:
        """Run `docker ARGS` and return its output. Raise TestbedError if it fails."""
        return run(("docker", *args), env=self.env, timeout=timeout).decode().strip()

    def has_image(self, reference: str) -> bool:
        """Return whether the image is in the engine's store."""
        return bool(self.docker("image", "ls", "--quiet", reference))

    def save(self, file: Path) -> None:
        """Save the facts of this engine for the next process."""
        fields = {name: getattr(self, name) for name in ("host", "store", "own", "local", "buildkit", "client")}
        file.write_text(json.dumps(fields))

    @classmethod
    def load(cls, file: Path, environ: Mapping[str, str]) -> Engine | None:
        """Return the engine that was saved, or None."""
        return cls(environ=environ, **json.loads(file.read_text())) if file.exists() else None


def find_engine(place: Place) -> Engine | None:
    """Return the engine of the user's settings, with any image store. Return None if no engine answers.

    This does not check for BuildKit's image: see `obtains_buildkit`.
    """
    if tool_path("docker", place.environ) is None or tool_path("docker-buildx", place.environ) is None:
        return None
    client = users_client(place)
    env = {**place.environ, **client}
    context = ("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
    try:
        info = json.loads(run(("docker", "info", "--format", "{{json .}}"), env=env, timeout=_PROBE_SECONDS))
        host = run(context, env=env).decode().strip()
    except TestbedError:
        return None
    if not info.get("ServerVersion"):  # `docker info` succeeds even without an engine
        return None
    return Engine(
        host=host,
        store="containerd" if "io.containerd.snapshotter.v1" in str(info["DriverStatus"]) else "classic",
        own=False,
        local=info["Name"] == platform.node() and "rootless" not in str(info["SecurityOptions"]),
        buildkit=False,
        client=client,
        environ=place.environ,
    )


def obtains_buildkit(engine: Engine) -> bool:
    """Return whether the engine has BuildKit's image, or can pull it."""
    if engine.has_image(BUILDKIT_IMAGE):
        return True
    try:
        engine.docker("pull", "--quiet", BUILDKIT_IMAGE, timeout=_PULL_SECONDS)
    except TestbedError:
        return False
    return True


def is_root_on_linux() -> bool:
    """Return whether the testbed can start an engine on this machine."""
    return os.uname().sysname == "Linux" and os.getuid() == 0
