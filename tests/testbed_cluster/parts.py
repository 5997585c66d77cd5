"""The programs of a cluster: their command lines and configuration files, and when each one is ready."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.testbed_cluster.settings import (
    API_PORT,
    CONTAINERD_SOCKET,
    ETCD_PORT,
    NODE,
    PODS,
    PODS_GATEWAY,
    REGISTRY_PORT,
    SERVICES,
    Settings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAUSE = "docker.io/library/pause:1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A program; it is ready when it listens on its port or its unix socket, or at once without both."""

    name: str
    argv: tuple[str, ...]
    port: int = 0
    socket: str = ""

    def is_ready(self) -> bool:
        """Return whether it accepts connections."""
        if self.socket:
            return _connects(socket.AF_UNIX, self.socket)
        return not self.port or _connects(socket.AF_INET, ("127.0.0.1", self.port))


def write_configuration(settings: Settings) -> None:
    """Write the configuration files of all programs."""
    settings.file("containerd.toml").write_text(_containerd(settings))
    for registry in ("docker.io", settings.registry):
        settings.file(f"registries/{registry}/hosts.toml").write_text(f'[host."http://{settings.registry}"]\n')
    settings.file("resolv.conf").write_text(f"nameserver {settings.address}\n")
    documents = {
        "cni/10-pods.conflist": _cni(settings),
        "kubelet.json": _kubelet(settings),
        "registry.json": _registry(settings),
    }
    for name, content in documents.items():
        settings.file(name).write_text(json.dumps(content))  # kubelet and the registry read YAML, and JSON is YAML


def parts(settings: Settings) -> tuple[Part, ...]:
    """Return the programs in the order of their start."""
    etcd = f"http://127.0.0.1:{ETCD_PORT}"
    return (
        Part(
            name="registry",
            argv=("docker-registry", "serve", str(settings.file("registry.json"))),
            port=REGISTRY_PORT,
        ),
        Part(
            name="etcd",
            argv=(
                *("etcd", "--unsafe-no-fsync", f"--data-dir={settings.file('etcd')}", "--log-level=warn"),
                *(f"--listen-client-urls={etcd}", f"--advertise-client-urls={etcd}"),
                "--listen-peer-urls=http://127.0.0.1:2380",
            ),
            port=ETCD_PORT,
        ),
        Part(
            name="containerd",
            argv=("containerd", "--config", str(settings.file("containerd.toml"))),
            socket=CONTAINERD_SOCKET,
        ),
        Part(name="apiserver", argv=_kubernetes(settings, "apiserver", _apiserver(settings, etcd)), port=API_PORT),
        Part(name="cm", argv=_kubernetes(settings, "cm", _manager(settings))),
        Part(name="scheduler", argv=_kubernetes(settings, "scheduler", _client(settings))),
        Part(name="kubelet", argv=_kubernetes(settings, "kubelet", _kubelet_flags(settings))),
    )


def _connects(family: socket.AddressFamily, address: Any) -> bool:
    with socket.socket(family) as client, suppress(OSError):
        client.settimeout(5)
        client.connect(address)
        return True
    return False


def _kubernetes(settings: Settings, name: str, flags: Mapping[str, str]) -> tuple[str, ...]:
    return (settings.program, name, *(f"--{flag}={value}" for flag, value in flags.items()))


def _apiserver(settings: Settings, etcd: str) -> dict[str, str]:
    return {
        "etcd-servers": etcd,
        "bind-address": "0.0.0.0",  # noqa: S104 (of namespaces of its own)
        "advertise-address": settings.address,
        "secure-port": str(API_PORT),
        "service-cluster-ip-range": SERVICES,
        "authorization-mode": "Node,RBAC",
        "client-ca-file": str(settings.file("pki/ca.crt")),
        "tls-cert-file": str(settings.file("pki/apiserver.crt")),
        "tls-private-key-file": str(settings.file("pki/apiserver.key")),
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-signing-key-file": str(settings.file("pki/service-accounts.key")),
        "service-account-key-file": str(settings.file("pki/service-accounts.pub")),
        "allow-privileged": "true",
        "kubelet-client-certificate": str(settings.file("pki/admin.crt")),
        "kubelet-client-key": str(settings.file("pki/admin.key")),
        "kubelet-preferred-address-types": "InternalIP",
        "endpoint-reconciler-type": "none",
    }


def _client(settings: Settings) -> dict[str, str]:
    kubeconfig = str(settings.file("admin.kubeconfig"))
    return {"kubeconfig": kubeconfig, "leader-elect": "false", "bind-address": "127.0.0.1"}


def _manager(settings: Settings) -> dict[str, str]:
    return {
        **_client(settings),
        "service-account-private-key-file": str(settings.file("pki/service-accounts.key")),
        "root-ca-file": str(settings.file("pki/ca.crt")),
        "use-service-account-credentials": "false",
    }


def _kubelet_flags(settings: Settings) -> dict[str, str]:
    return {
        "kubeconfig": str(settings.file("node.kubeconfig")),
        "config": str(settings.file("kubelet.json")),
        "hostname-override": NODE,
        "node-ip": settings.address,
        "root-dir": str(settings.file("kubelet")),
        "cert-dir": str(settings.file("kubelet-pki")),
    }


def _kubelet(settings: Settings) -> dict[str, Any]:
    return {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": settings.address,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(settings.file("pki/ca.crt"))},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{settings.cgroup}",
        "clusterDNS": [settings.address],
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "healthzPort": 0,
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "readOnlyPort": 0,
        "registerNode": True,
        "syncFrequency": "10s",
    }


def _containerd(settings: Settings) -> str:
    folder = settings.folder
    return f"""\
version = 2
root = "{folder}/containerd"
state = "/run/containerd/state"
[grpc]
address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "{_PAUSE}"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{folder}/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{folder}/registries"
"""


def _cni(settings: Settings) -> dict[str, Any]:
    ranges = [[{"subnet": PODS, "gateway": PODS_GATEWAY}]]
    ipam = {
        "type": "host-local",
        "ranges": ranges,
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": f"{settings.folder}/pods",
    }
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True, "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge]}


def _registry(settings: Settings) -> dict[str, Any]:
    storage = {"filesystem": {"rootdirectory": str(settings.file("registry"))}, "delete": {"enabled": True}}
    return {"version": "0.1", "storage": storage, "http": {"addr": f":{REGISTRY_PORT}"}}
