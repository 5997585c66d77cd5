"""Debian packages: installation of missing ones, and download of single ones."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import TestbedError
from testbed.processes import find_tool, run, succeeds
from testbed.shared import one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed.place import Place

# For each tool, the packages that may contain it. The first is the package of the newest Debian.
_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "catatonit": ("catatonit",),
    "containerd": ("containerd",),
    "docker": ("docker-cli", "docker.io"),
    "docker-buildx": ("docker-buildx",),
    "docker-registry": ("docker-registry",),
    "dockerd": ("docker.io",),
    "dockerd-rootless.sh": ("docker.io",),
    "etcd": ("etcd-server",),
    "host-local": ("containernetworking-plugins",),
    "ip": ("iproute2",),
    "iptables": ("iptables",),
    "kubectl": ("kubectl", "kubernetes-client"),
    "mount": ("mount",),
    "newuidmap": ("uidmap",),
    "nsenter": ("util-linux",),
    "pgrep": ("procps",),
    "podman": ("podman",),
    "runc": ("runc",),
    "qemu-aarch64": ("qemu-user-binfmt", "qemu-user-static"),
    "qemu-arm": ("qemu-user-binfmt", "qemu-user-static"),
    "qemu-x86_64": ("qemu-user-binfmt", "qemu-user-static"),
    "rootlesskit": ("rootlesskit",),
    "setpriv": ("util-linux",),
    "slirp4netns": ("slirp4netns",),
    "ssh": ("openssh-client",),
    "ssh-keygen": ("openssh-client",),
    "sshd": ("openssh-server",),
    "unshare": ("util-linux",),
}
# Debian starts these programs after their installation and at every boot. So the testbed does not install them on a
# machine with an init system.
_BRING_A_SERVICE = frozenset({"docker-registry", "etcd", "podman", "sshd"})
_PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_OTHER_FOLDERS = "/usr/share/docker.io/contrib:/usr/lib/cni"
_APT_TIMEOUT = 600


def tool_path(name: str, environ: Mapping[str, str]) -> str | None:
    """Return the path of the tool on this machine. The tool `docker-buildx` is a plugin of docker."""
    if name == "docker-buildx":
        return _buildx_path(environ)
    if name.startswith("qemu-"):
        registration = Path(f"/usr/lib/binfmt.d/{name}.conf")
        return str(registration) if registration.exists() else None
    return find_tool(name, f"{environ.get('PATH', '')}:{_OTHER_FOLDERS}")


def ensure_tools(place: Place, *names: str) -> None:
    """Install the packages of missing tools.

    If this is impossible or unwanted, TestbedError names the packages.
    """
    if not _missing(place, names):
        return
    with one_at_a_time():
        missing = _missing(place, names)  # another testbed may have installed them in the meantime
        if missing and (reason := _why_not_install(missing)):
            message = f"Missing: {', '.join(missing)}. {reason}\nInstall {_wanted(missing)}."
            raise TestbedError(message)
        if missing:
            _install(place, missing)
    if left := _missing(place, names):
        message = f"Still missing after the installation: {', '.join(left)}. Install it by hand."
        raise TestbedError(message)


def _missing(place: Place, names: Sequence[str]) -> list[str]:
    return [name for name in names if tool_path(name, place.environ) is None]


def fetch(place: Place, package: str, architectures: Sequence[str]) -> dict[str, Path]:
    """Download the package for each architecture, only once. The machine's own package lists do not change."""
    kept = place.folder("packages")
    if not all(_downloaded(kept, package, architecture) for architecture in architectures):
        with tempfile.TemporaryDirectory(dir=place.root) as folder:
            _download(Path(folder), kept, [f"{package}:{name}" for name in architectures], place.environ)
    return {architecture: _downloaded(kept, package, architecture)[0] for architecture in architectures}


def can_fetch(place: Place) -> bool:
    """Return whether this is Debian or a distribution based on it."""
    return all(tool_path(name, place.environ) for name in ("apt-get", "dpkg-deb"))


def _buildx_path(environ: Mapping[str, str]) -> str | None:
    if named := environ.get("MPBAKE_TEST_BUILDX"):
        if not os.access(named, os.X_OK):
            message = f"MPBAKE_TEST_BUILDX names {named}, which is not a program."
            raise TestbedError(message)
        return named
    own = environ.get("DOCKER_CONFIG", f"{environ.get('HOME', '')}/.docker")
    files = (Path(folder) / "docker-buildx" for folder in (f"{own}/cli-plugins", *_PLUGIN_FOLDERS))
    return next((str(file) for file in files if os.access(file, os.X_OK)), None)


def _why_not_install(missing: Sequence[str]) -> str:
    """Return why the testbed does not install these tools itself. Return an empty text if it does."""
    if tool_path("apt-get", {}) is None:
        return "They are installed without asking on Debian only."
    if os.getuid() != 0:
        return "Only root can install them."
    if Path("/run/systemd/system").is_dir() and (services := _BRING_A_SERVICE.intersection(missing)):
        return f"Installing {', '.join(sorted(services))} would start a service on this machine."
    return ""


def _wanted(missing: Sequence[str]) -> str:
    names = dict.fromkeys(_PACKAGES[tool][0] for tool in missing)
    return f"the packages {', '.join(names)} (so Debian names them)"


def _install(place: Place, missing: Sequence[str]) -> None:
    env = {**place.environ, "DEBIAN_FRONTEND": "noninteractive"}
    updated = place.root / "apt-updated"
    if not updated.exists():
        place.say("apt-get update")
        run(("apt-get", "-q", "update"), env=env, timeout=_APT_TIMEOUT)
        updated.touch()
    names = tuple(dict.fromkeys(_available(tool, env) for tool in missing))
    place.say(f"apt-get install {' '.join(names)}")
    install = ("apt-get", "install", "-q", "-y", "--no-install-recommends")
    run((*install, *names), env=env, timeout=_APT_TIMEOUT)


def _available(tool: str, env: Mapping[str, str]) -> str:
    for package in _PACKAGES[tool]:
        if succeeds(("apt-cache", "show", package), env=env):
            return package
    message = f"No package source of this machine has {' or '.join(_PACKAGES[tool])}, needed for {tool}."
    raise TestbedError(message)


def _downloaded(folder: Path, package: str, architecture: str) -> list[Path]:
    return sorted(folder.glob(f"{package}_*_{architecture}.deb"))


def _download(scratch: Path, target: Path, packages: Sequence[str], environ: Mapping[str, str]) -> None:
    """Download packages into the target. Each name has the form PACKAGE:ARCHITECTURE."""
    for name in ("lists/partial", "archives/partial", "state"):
        (scratch / name).mkdir(parents=True)
    (scratch / "status").touch()
    config = scratch / "apt.conf"
    config.write_text(_private_apt(scratch, [name.partition(":")[2] for name in packages]))
    env = {**environ, "APT_CONFIG": str(config)}
    run(("apt-get", "-q", "update"), env=env, timeout=_APT_TIMEOUT)
    # apt-get always downloads into the current folder
    download = 'cd "$1" && shift && exec apt-get -q download "$@"'
    run(("sh", "-c", download, "sh", str(target), *packages), env=env, timeout=_APT_TIMEOUT)


def _private_apt(folder: Path, architectures: Sequence[str]) -> str:
    """Return an apt configuration whose package lists, cache and list of installed packages are in the folder."""
    listed = "".join(f' "{name}";' for name in architectures)
    return (
        f'Dir::State "{folder}/state";\n'
        f'Dir::State::lists "{folder}/lists";\n'
        f'Dir::State::status "{folder}/status";\n'
        f'Dir::Cache "{folder}";\n'
        f"APT::Architectures {{{listed} }};\n"
        'Acquire::Languages "none";\n'
        'APT::Sandbox::User "root";\n'
    )
