"""The BuildKit release in MPBAKE_TEST_BUILDKIT: a folder with the programs buildkitd and buildctl."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from testbed.errors import TestbedError
from testbed.packages import ensure_tools, tool_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.place import Place

VARIABLE = "MPBAKE_TEST_BUILDKIT"
PROGRAMS = ("buildctl", "buildkitd")

DaemonName = Literal["main", "arm64"]


def named_buildkit(environ: Mapping[str, str]) -> Path | None:
    """Return the folder in the variable, or None if the variable is not set.

    Raise TestbedError if a program is missing.
    """
    if not environ.get(VARIABLE):
        return None
    folder = Path(environ[VARIABLE])
    for name in PROGRAMS:
        if not os.access(folder / name, os.X_OK):
            message = f"{VARIABLE} names {folder}, which holds no program {name}."
            raise TestbedError(message)
    return folder


def require_buildkit(environ: Mapping[str, str]) -> Path:
    """Return the folder in the variable. Raise TestbedError if the variable is not set."""
    folder = named_buildkit(environ)
    if folder is None:
        message = f"This needs a BuildKit release: set {VARIABLE} to a folder with {' and '.join(PROGRAMS)}."
        raise TestbedError(message)
    return folder


def buildkitd_socket(place: Place, name: DaemonName) -> Path:
    """Return the unix socket of the testbed's buildkitd of that name."""
    return place.sockets / f"buildkitd-{name}.sock"


def start_buildkitd(place: Place, name: DaemonName) -> None:
    """Start this buildkitd on this machine unless it runs. Its builds use the host's network."""
    programs = require_buildkit(place.environ)
    ensure_tools(place, "runc")
    path = buildkitd_socket(place, name)
    folder = place.folder(f"buildkitd-{name}")
    config = folder / "buildkitd.toml"
    config.write_text(_config(place))
    daemon = f"buildkitd-{name}"
    place.note("mounts", str(folder))
    place.note("cgroup", f"mpbake-{place.key}")
    place.note("daemon", daemon)
    # by default --otel-socket-path is a path in /run, which two daemons cannot share
    paths = ("--config", str(config), "--root", str(folder / "state"), "--addr", f"unix://{path}")
    argv = (str(programs / "buildkitd"), *paths, "--otel-socket-path", str(path.with_suffix(".otel")))
    place.daemon(daemon).start(argv, env=place.environ, ready=lambda: _connects(path))


def _config(place: Place) -> str:
    runc = tool_path("runc", place.environ)
    return (
        "[worker.containerd]\nenabled = false\n"
        f'[worker.oci]\nbinary = "{runc}"\ndefaultCgroupParent = "/mpbake-{place.key}"\nnetworkMode = "host"\n'
    )


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False
