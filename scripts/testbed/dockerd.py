"""Engines of the testbed's own: containerd and dockerd beside whatever the machine runs."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.clients import own_client
from testbed.engine import Engine
from testbed.network import ensure_bridge
from testbed.packages import ensure_tools
from testbed.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.engine import Store
    from testbed.place import Place

_CGROUPS = Path("/sys/fs/cgroup")
_RUN_FOLDERS = tuple(Path("/run") / name for name in ("containerd", "containerd/s", "docker", "docker/plugins", "runc"))
_BRIDGE_SUFFIXES: Mapping[Store, str] = {"containerd": "e", "classic": "c"}


def start_engine(place: Place, store: Store) -> Engine:
    """The testbed's own engine with that image store, started unless it runs."""
    engine = own_engine(place, store)
    name = _name(store)
    ensure_tools(place, "containerd", "dockerd", "docker", "docker-buildx", "ip")
    bridge = ensure_bridge(place, _BRIDGE_SUFFIXES[store])
    _note_leftovers(place)
    place.note("mounts", str(place.folder(name)))
    place.note("mounts", str(place.sockets))
    place.note("cgroup", f"mpbake-{place.key}")
    _start_containerd(place, name)
    _start_dockerd(place, name, _dockerd_config(place, store, bridge))
    place.note("containers", str(_socket(place, name)))
    return engine


def own_engine(place: Place, store: Store) -> Engine:
    """The testbed's own engine with that image store, whether it runs or not."""
    host = f"unix://{_socket(place, _name(store))}"
    return Engine(host=host, store=store, own=True, local=True, client=own_client(place, host), environ=place.environ)


def answers(path: Path) -> bool:
    """Whether a Docker engine answers on the unix socket."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        return b" 200 " in client.recv(64)
    return False


def remove_containers(place: Place, path: str) -> None:
    """Remove every container of the engine of one's own that listens there, so that it ends quickly."""
    if not answers(Path(path)):
        return
    env = {**place.environ, **own_client(place, f"unix://{path}")}
    if containers := run(("docker", "ps", "--all", "--quiet"), env=env).decode().split():
        run(("docker", "rm", "--force", "--volumes", *containers), env=env)


def _note_leftovers(place: Place) -> None:
    """Note the folders outside the testbed's that engines and buildx make and never remove."""
    groups = [folder for folder in (_CGROUPS, *_CGROUPS.glob("*")) if (folder / "cgroup.procs").exists()]
    for path in (*_RUN_FOLDERS, *(group / name for group in groups for name in ("docker", "docker/buildx"))):
        if not path.exists():
            place.note("leftover", str(path))


def _name(store: Store) -> str:
    return "dockerd" if store == "containerd" else "dockerd-classic"


def _socket(place: Place, name: str) -> Path:
    return place.sockets / f"{name}.sock"


def _start_containerd(place: Place, name: str) -> None:
    """An own containerd: dockerd would else use the machine's, and store its images there."""
    config = place.folder(name) / "containerd.toml"
    address = _containerd_socket(place, name)
    config.write_text(
        "version = 2\n"
        f'root = "{place.folder(f"{name}/containerd")}"\n'
        f'state = "{place.sockets / f"{name}-containerd"}"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{address}"\n'
        f'[plugins."io.containerd.internal.v1.opt"]\npath = "{place.folder(f"{name}/opt")}"\n'
    )
    daemon = f"{name}-containerd"
    place.note("daemon", daemon)
    argv = ("containerd", "--config", str(config))
    place.daemon(daemon).start(argv, env=place.environ, ready=lambda: _connects(address))


def _start_dockerd(place: Place, name: str, config: dict[str, Any]) -> None:
    file = place.folder(name) / "daemon.json"
    file.write_text(json.dumps(config, indent=2))
    place.note("daemon", name)
    argv = ("dockerd", "--config-file", str(file))
    path = _socket(place, name)
    place.daemon(name).start(argv, env=place.environ, ready=lambda: answers(path))


def _dockerd_config(place: Place, store: Store, bridge: str) -> dict[str, Any]:
    """Settings that keep it off everything a system's dockerd has, the machine's firewall included."""
    name = _name(store)
    return {
        "hosts": [f"unix://{_socket(place, name)}"],
        "data-root": str(place.folder(f"{name}/data")),
        "exec-root": str(place.sockets / f"{name}-exec"),
        "pidfile": str(place.sockets / f"{name}.pid"),
        "containerd": str(_containerd_socket(place, name)),
        "bridge": bridge,
        "cgroup-parent": f"/mpbake-{place.key}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "userland-proxy": False,
        "features": {"containerd-snapshotter": store == "containerd"},
    }


def _containerd_socket(place: Place, name: str) -> Path:
    return place.sockets / f"{name}-containerd.sock"


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False
