"""Engines other than Docker as root: rootless Docker, and podman with its Docker-compatible socket.

Each engine runs in its own mount namespace, so that the machine's /run and /etc do not change.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.dockerd import answers
from testbed.network import ensure_bridge
from testbed.packages import ensure_tools, tool_path
from testbed.processes import run, succeeds, wait_until

if TYPE_CHECKING:
    from testbed.place import Place
    from testbed.testbed import Testbed

_USER = 61234
"""A user number that no user of the machine has. Only a separate namespace has a name for it."""
_HOST = "10.0.2.2"
"""The address of the machine itself in slirp4netns."""
_SECONDS = 60

_ROOTLESS = f"""\
set -eu
cd "$1"
{{ cat /etc/passwd; echo "rootless:x:{_USER}:{_USER}::$1/home:/bin/sh"; }} >passwd
{{ cat /etc/group; echo "rootless:x:{_USER}:"; }} >group
echo "rootless:{_USER + 1}00:65536" >subids
[ -c tun ] || mknod -m 666 tun c 10 200
touch /etc/subuid /etc/subgid
mount --bind passwd /etc/passwd
mount --bind group /etc/group
mount --bind subids /etc/subuid
mount --bind subids /etc/subgid
mount --bind tun /dev/net/tun
exec setpriv --reuid {_USER} --regid {_USER} --clear-groups env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
  HOME="$1/home" XDG_RUNTIME_DIR="$1/run" DOCKERD_ROOTLESS_ROOTLESSKIT_NET=slirp4netns \\
  DOCKERD_ROOTLESS_ROOTLESSKIT_DISABLE_HOST_LOOPBACK=false \\
  sh "$2" --config-file "$1/daemon.json"
"""

_WITH_CHILDREN = """\
unshare --mount --pid --fork --kill-child --mount-proc sh -c "$@" &
trap "kill -KILL $!" TERM
wait
"""
"""The command that runs a script in new namespaces.

All its processes end with it, even those that podman leaves behind.
"""

_PODMAN = """\
set -eu
mount -t tmpfs tmpfs "$(readlink -f /run)"
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then  # crun does without the first version of control groups
    umount -R /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
fi
exec podman --root "$1/root" --runroot "$1/runroot" --cgroup-manager=cgroupfs system service --time=0 "unix://$2"
"""


def rootless_engine(testbed: Testbed) -> str:
    """Start Docker as a user without privileges, unless it runs. Return its DOCKER_HOST.

    This engine has its own image store and network. It also reaches the testbed's registry, and has the bridge of node
    containers.
    """
    with testbed.locked():
        return _start_rootless(testbed.place, int(testbed.registry.host.rpartition(":")[2]))


def podman(testbed: Testbed) -> str:
    """Start podman's service unless it runs. Return its DOCKER_HOST. podman uses the testbed's registry without TLS."""
    with testbed.locked():
        return _start_podman(testbed.place, testbed.registry.host)


def _start_rootless(place: Place, registry_port: int) -> str:
    ensure_tools(place, "dockerd", "docker", "rootlesskit", "slirp4netns", "newuidmap", "setpriv", "unshare", "ip")
    folder = _public_folder(place, "rootless")
    for name in ("home", "run", "data"):
        (folder / name).mkdir(exist_ok=True)
        os.chown(folder / name, _USER, _USER)
    settings = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "run/exec"),
        "pidfile": str(folder / "run/docker.pid"),
        "iptables": False,
        "ip6tables": False,
        "features": {"containerd-snapshotter": True},
    }
    (folder / "daemon.json").write_text(json.dumps(settings))
    place.note("daemon", "rootless")
    script = tool_path("dockerd-rootless.sh", place.environ) or "dockerd-rootless.sh"
    argv = ("unshare", "--mount", "sh", "-c", _ROOTLESS, "sh", str(folder), script)
    socket = folder / "run/docker.sock"
    place.daemon("rootless").start(argv, env=place.environ, ready=lambda: answers(socket), seconds=_SECONDS)
    place.note("containers", str(socket))
    _connect(place, int((folder / "run/dockerd-rootless/child_pid").read_text()), registry_port)
    return f"unix://{socket}"


def _start_podman(place: Place, registry: str) -> str:
    ensure_tools(place, "podman", "catatonit", "docker", "unshare")
    ensure_bridge(place, "n")  # node containers use this bridge
    folder = place.folder("podman")
    (folder / "containers.conf").write_text("[containers]\npids_limit = 0\n")
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    env = {
        **place.environ,
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
        "PODMAN_IGNORE_CGROUPSV1_WARNING": "1",
    }
    socket = place.sockets / "podman.sock"
    place.note("daemon", "podman")
    argv = ("sh", "-c", _WITH_CHILDREN, "sh", _PODMAN, "sh", str(folder), str(socket))
    place.daemon("podman").start(argv, env=env, ready=lambda: answers(socket), seconds=_SECONDS)
    place.note("containers", str(socket))
    return f"unix://{socket}"


def _public_folder(place: Place, name: str) -> Path:
    """Return a folder that another user may enter. Other users may have no access to the testbed's own folder."""
    folder = Path("/tmp") / f"mpbake-{place.key}-{name}"  # noqa: S108 (it must be root's)
    folder.mkdir(mode=0o755, exist_ok=True)
    place.note("folder", str(folder))
    return folder


def _connect(place: Place, child: int, registry_port: int) -> None:
    """Let the network of the process `child` reach the registry, and add the bridge that node containers expect."""
    inside = ("nsenter", "--target", str(child), "--net")
    bridge = ensure_bridge(place, "n")
    if not succeeds((*inside, "ip", "link", "show", bridge), env=place.environ):
        for command in (
            ("ip", "link", "add", bridge, "type", "bridge"),
            ("ip", "addr", "add", "10.99.0.1/16", "dev", bridge),
            ("ip", "link", "set", bridge, "up"),
        ):
            run((*inside, *command), env=place.environ)
    place.note("daemon", "rootless-registry")
    program = Path(__file__).parent / "forward.py"
    probe = f"import socket; socket.create_connection(('127.0.0.1', {registry_port}), 1)"
    place.daemon("rootless-registry").start(
        (*inside, sys.executable, str(program), str(registry_port), _HOST),
        env=place.environ,
        ready=lambda: wait_until(
            lambda: succeeds((*inside, sys.executable, "-c", probe), env=place.environ), seconds=5
        ),
    )
