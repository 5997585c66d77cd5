"""The addresses, files and programs of a cluster, known on both sides of its namespaces."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

API_PORT = 443
REGISTRY_PORT = 5000
ETCD_PORT = 2379
SERVICES = "10.96.0.0/16"
API_SERVICE = "10.96.0.1"
"""The address of the service `kubernetes`, at which pods find the API: the first one of the services."""
PODS = "10.100.0.0/16"
PODS_GATEWAY = "10.100.0.1"
NODE = "node1"
DEVICE = "eth0"
"""The network device that leads out of the namespaces."""
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
NAMESPACE_FOLDERS = ("/run", "/var/log", "/var/lib/cni", "/var/lib/kubelet")
"""Folders with a file system of their own in the mount namespace, since programs of the cluster write there."""
KERNEL_SETTINGS = {"kernel/panic": "10", "kernel/panic_on_oops": "1", "vm/overcommit_memory": "1"}
"""What kubelet writes to files below /proc/sys, unless it reads these values there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """A cluster at `address`/`prefix`, whose files are in `folder`; `program` is that of Kubernetes.

    `host` is the address of this machine in the same network. Containers are below the control group `cgroup`.
    """

    program: str
    folder: str
    address: str
    host: str
    prefix: int
    cgroup: str
    path: str

    @property
    def registry(self) -> str:
        """The registry, for this machine and for pods."""
        return f"{self.address}:{REGISTRY_PORT}"

    @property
    def api(self) -> str:
        """The URL of the API, for this machine."""
        return f"https://{self.address}:{API_PORT}"

    def file(self, name: str) -> Path:
        """Return the path of a file of the cluster; its folder exists."""
        path = Path(self.folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def save(self) -> Path:
        """Write the settings to a file, and return its path."""
        path = self.file("settings.json")
        path.write_text(json.dumps(asdict(self)))
        return path

    @classmethod
    def load(cls, path: Path) -> Settings:
        """Return the settings in a file."""
        return cls(**json.loads(path.read_text()))
