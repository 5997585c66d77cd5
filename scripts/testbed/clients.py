"""Settings with which docker and buildx use a testbed's engine without changing the user's files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed.packages import tool_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.place import Place

# These variables would point a client to another engine or builder.
_MISLEADING = ("BUILDX_BUILDER", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY")


def own_client(place: Place, host: str) -> dict[str, str]:
    """Return the variables for an engine of the testbed."""
    config = _docker_config(place, inherit=False)
    misleading = {name: "" for name in _MISLEADING if name in place.environ}
    return misleading | {
        "DOCKER_HOST": host,
        "DOCKER_CONFIG": str(config),
        "BUILDX_CONFIG": str(place.folder("buildx")),
    }


def users_client(place: Place) -> dict[str, str]:
    """Return the variables for the engine that the user's own settings point to."""
    client = {"BUILDX_CONFIG": str(place.folder("buildx"))}
    if "BUILDX_BUILDER" in place.environ:
        client["BUILDX_BUILDER"] = ""
    if "MPBAKE_TEST_BUILDX" in place.environ:
        client["DOCKER_CONFIG"] = str(_docker_config(place, inherit=True))
    return client


def _docker_config(place: Place, *, inherit: bool) -> Path:
    """Return a DOCKER_CONFIG with the requested buildx plugin. With `inherit` it also has the user's other settings."""
    folder = place.folder("docker-config")
    _link(folder / "cli-plugins" / "docker-buildx", tool_path("docker-buildx", place.environ))
    if inherit:
        users = _users_config(place.environ)
        for name in ("config.json", "contexts"):
            _link(folder / name, str(users / name) if (users / name).exists() else None)
    return folder


def _users_config(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("DOCKER_CONFIG") or Path(environ.get("HOME", "/")) / ".docker")


def _link(link: Path, target: str | None) -> None:
    file = Path(target).resolve() if target is not None else None  # the path may lead through this link
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    if file is not None:
        link.symlink_to(file)
