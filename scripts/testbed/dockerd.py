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
    from collections.abc import Mapping, Sequence

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
    _start_dockerd(place, name, {**_dockerd_config(place, name), "bridge": bridge})
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


def engine_socket(place: Place, name: str) -> Path:
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


def start_engine_within(place: Place, name: str, within: Sequence[str], network: str) -> str:
    """Start an engine of that name by the command `within`, unless it runs; return its DOCKER_HOST.

    Registries in `network` need no TLS.

    The command enters a network namespace, in which the engine makes its own bridge and its own firewall, as it does on
    a machine of its own.
    """
    _note_leftovers(place)
    place.note("mounts", str(_folder(place, name)))
    place.note("mounts", str(place.sockets))
    place.note("cgroup", f"mpbake-{place.key}")
    _start_containerd(place, name, within)
    defaults: dict[str, Any] = {"bridge": "", "iptables": True, "ip-forward": True, "userland-proxy": True}
    defaults["insecure-registries"] = [network]
    _start_dockerd(place, name, {**_dockerd_config(place, name), **defaults}, within)
    place.note("containers", str(engine_socket(place, name)))
    return f"unix://{engine_socket(place, name)}"


def _start_containerd(place: Place, name: str, within: Sequence[str] = ()) -> None:
    """Start a separate containerd: otherwise dockerd would use the machine's, and store its images there."""
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
    argv = (*within, "containerd", "--config", str(config))
    place.daemon(daemon).start(argv, env=place.environ, ready=lambda: _connects(address))


def _start_dockerd(place: Place, name: str, settings: Mapping[str, Any], within: Sequence[str] = ()) -> None:
    config = _folder(place, name) / "daemon.json"
    config.write_text(json.dumps(settings, indent=2))
    daemon = f"dockerd-{name}"
    place.note("daemon", daemon)
    argv = (*within, "dockerd", "--config-file", str(config))
    path = engine_socket(place, name)
    place.daemon(daemon).start(argv, env=place.environ, ready=lambda: answers(path))


def _dockerd_config(place: Place, name: str) -> dict[str, Any]:
    """Return settings with which dockerd does not touch anything of a system's dockerd, nor the firewall."""
    return {
        "hosts": [f"unix://{engine_socket(place, name)}"],
        "data-root": f"{_folder(place, name)}/data",
        "exec-root": f"{place.sockets}/{name}-exec",
        "pidfile": f"{place.sockets}/{name}.pid",
        "containerd": str(_containerd_socket(place, name)),
        "cgroup-parent": f"/mpbake-{place.key}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "userland-proxy": False,
        "features": {"containerd-snapshotter": name != "classic"},
    }


def _folder(place: Place, name: str) -> Path:
    return place.folder(f"engine-{name}")


def _containerd_socket(place: Place, name: str) -> Path:
    return place.sockets / f"{name}-containerd.sock"


def _connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.connect(str(path))
        return True
    return False
