"""Engines of the testbed: containerd and dockerd, separate from those of the machine."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from testbed.clients import own_client
from testbed.engine import Engine
from testbed.network import ensure_bridge
from testbed.packages import ensure_tools
from testbed.processes import run

if TYPE_CHECKING:
    from testbed.place import Place

_CGROUPS = Path("/sys/fs/cgroup")
_RUN_FOLDERS = tuple(Path("/run") / name for name in ("containerd", "containerd/s", "docker", "docker/plugins", "runc"))

EngineName = Literal["main", "arm64", "classic"]


def start_engine(place: Place, name: EngineName) -> Engine:
    """Start the testbed's engine of that name unless it runs. The engine "classic" has the classic image store."""
    engine = own_engine(place, name)
    ensure_tools(place, "containerd", "dockerd", "docker", "docker-buildx", "ip")
    bridge = ensure_bridge(place, name[0])
    _note_leftovers(place)
    place.note("mounts", str(_folder(place, name)))
    place.note("mounts", str(place.sockets))
    place.note("cgroup", f"mpbake-{place.key}")
    _start_containerd(place, name)
    _start_dockerd(place, name, bridge)
    place.note("containers", str(engine_socket(place, name)))
    return engine


def own_engine(place: Place, name: EngineName) -> Engine:
    """Return the testbed's engine of that name. It may be stopped."""
    host = f"unix://{engine_socket(place, name)}"
    return Engine(
        host=host,
        store="classic" if name == "classic" else "containerd",
        own=True,
        local=True,
        buildkit=False,
        client=own_client(place, host),
        environ=place.environ,
    )


def engine_socket(place: Place, name: EngineName) -> Path:
    """Return the socket on which that engine listens."""
    return place.sockets / f"{name}.sock"


def answers(path: Path) -> bool:
    """Return whether a Docker engine answers on the unix socket."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return b" 200 " in client.recv(64)
    return False


def remove_containers(place: Place, path: str) -> None:
    """Remove every container of the testbed's engine on that socket, so that the engine stops quickly."""
    if not answers(Path(path)):
        return
    env = {**place.environ, **own_client(place, f"unix://{path}")}
    if containers := run(("docker", "ps", "--all", "--quiet"), env=env).decode().split():
        run(("docker", "rm", "--force", "--volumes", *containers), env=env)


def _note_leftovers(place: Place) -> None:
    """Note the folders outside the testbed that engines and buildx make and never remove."""
    groups = [folder for folder in (_CGROUPS, *_CGROUPS.glob("*")) if (folder / "cgroup.procs").exists()]
    for path in (*_RUN_FOLDERS, *(group / name for group in groups for name in ("docker", "docker/buildx"))):
        if not path.exists():
            place.note("leftover", str(path))


def _start_containerd(place: Place, name: EngineName) -> None:
    """Start a separate containerd. Otherwise dockerd would use the machine's containerd, and store its images there."""
    folder = _folder(place, name)
    config = folder / "containerd.toml"
    address = _containerd_socket(place, name)
    config.write_text(
        "version = 2\n"
        f'root = "{folder}/containerd"\n'
        f'state = "{place.sockets}/{name}-containerd"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{address}"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\npath = "{folder}/opt"\n'
    )
    daemon = f"containerd-{name}"
    place.note("daemon", daemon)
    argv = ("containerd", "--config", str(config))
    place.daemon(daemon).start(argv, env=place.environ, ready=lambda: _connects(address))


def _start_dockerd(place: Place, name: EngineName, bridge: str) -> None:
    config = _folder(place, name) / "daemon.json"
    config.write_text(json.dumps(_dockerd_config(place, name, bridge), indent=2))
    daemon = f"dockerd-{name}"
    place.note("daemon", daemon)
    argv = ("dockerd", "--config-file", str(config))
    path = engine_socket(place, name)
    place.daemon(daemon).start(argv, env=place.environ, ready=lambda: answers(path))


def _dockerd_config(place: Place, name: EngineName, bridge: str) -> dict[str, Any]:
    """Return settings with which dockerd changes neither the files of a system's dockerd nor the firewall."""
    return {
        "hosts": [f"unix://{engine_socket(place, name)}"],
        "data-root": f"{_folder(place, name)}/data",
        "exec-root": f"{place.sockets}/{name}-exec",
        "pidfile": f"{place.sockets}/{name}.pid",
        "containerd": str(_containerd_socket(place, name)),
        "bridge": bridge,
        "cgroup-parent": f"/mpbake-{place.key}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "userland-proxy": False,
        "features": {"containerd-snapshotter": name != "classic"},
    }


def _folder(place: Place, name: EngineName) -> Path:
    return place.folder(f"engine-{name}")


def _containerd_socket(place: Place, name: EngineName) -> Path:
    return place.sockets / f"{name}-containerd.sock"


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False
