"""A cluster as tests and the command line see it: up, down, and how to reach it."""

from __future__ import annotations

import ipaddress
import json
import os
import shlex
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.cleanup import undo_all
from testbed.clients import own_client
from testbed.emulation import ensure_emulation
from testbed.engine import is_root_on_linux
from testbed.errors import TestbedError
from testbed.images import base_packages
from testbed.network import ensure_bridge
from testbed.packages import ensure_tools
from testbed.place import Place
from testbed.processes import run, succeeds, wait_until
from testbed.registry import answers
from testbed.registry_client import RegistryClient
from testbed.shared import Shared
from testbed.testbed import tell

from tests.checkout import CHECKOUT
from tests.testbed_cluster import register
from tests.testbed_cluster.certificates import kubeconfig, write_certificates
from tests.testbed_cluster.images import push_images
from tests.testbed_cluster.parts import write_configuration
from tests.testbed_cluster.settings import DEVICE, NAMESPACE_FOLDERS, NODE, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from testbed.processes import Daemon

VARIABLE = "MPBAKE_TEST_KUBERNETES"
_TOOLS = (
    *("containerd", "docker", "docker-buildx", "docker-registry", "etcd", "host-local", "ip", "kubectl", "mount"),
    *("runc", "setpriv", "unshare"),
)
_BRIDGE = "k"
_MARK = "mpbake-cluster"
_SECONDS = 120
_CGROUPS = Path("/sys/fs/cgroup")
# The kernel ends every process of the namespaces with `unshare`, and `unshare` with this shell, also after kill -9.
_IN_NAMESPACES = """\
setpriv --pdeathsig KILL unshare --mount --net --pid --fork --kill-child --mount-proc "$@" &
trap "kill -KILL $!" TERM
wait
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class RealCluster:
    """One cluster. Its whole state is in its folder, so several objects may represent the same cluster."""

    place: Place

    @classmethod
    def at(
        cls, root: Path, *, environ: Mapping[str, str] = os.environ, say: Callable[[str], None] = tell
    ) -> RealCluster:
        """Return the cluster in a folder, whether it runs or not."""
        return cls(place=Place(root=root.resolve(), environ=environ, say=say))

    def up(self, *, owned: bool = False) -> None:
        """Start it unless it runs; TestbedError says what is missing, or which program failed.

        If it is `owned`, it belongs to this process, and perhaps to others: once all have ended, the next start of any
        cluster here removes it.
        """
        program = _program(self.place.environ)
        for root in register.abandoned():
            self.place.say(f"removing the cluster in {root}, which a test run left behind")
            RealCluster.at(root, environ=self.place.environ).down()
        self._claim()
        register.enter(self.place.key, self.place.root, owned=owned)
        ensure_tools(self.place, *_TOOLS)
        with ThreadPoolExecutor() as pool:
            packages = pool.submit(base_packages, self.place)
            ensure_emulation(self.place)
            settings = self._prepare(program)
            self._start(settings)
            packages.result()
            push_images(self.place, self.registry, self.place.environ)
        if not wait_until(self._is_ready, seconds=_SECONDS):
            message = f"The cluster did not get ready in {_SECONDS} s: see {settings.folder}/logs"
            raise TestbedError(message)

    def down(self) -> None:
        """Stop it and undo every change of the machine; do nothing if there is no cluster."""
        if self.place.root.exists() or self.place.root in register.abandoned():
            self._claim()
            self._note_changes()  # even if the folder was emptied meanwhile
            self._end_processes()
            undo_all(self.place, None)
            for folder in _shared_folders():
                folder.leave(self.place.root)
            register.leave(self.place.key)

    def release(self) -> list[str]:
        """Give up this process's share of an owned cluster; the last owner stops it.

        Return what is then left on the machine.
        """
        if not register.release(self.place.key):
            return []
        self.down()
        devices = run(("ip", "-brief", "link"), env=self.place.environ).decode().split()
        mounts = Path("/proc/self/mountinfo").read_text().split()
        groups = [*_CGROUPS.glob(f"*/mpbake-{self.place.key}"), *_CGROUPS.glob(f"mpbake-{self.place.key}")]
        return [
            *(device for device in devices if device.startswith(self._bridge)),
            *(mount for mount in mounts if mount.startswith(str(self.place.root))),
            *map(str, [*groups, *_processes(self.place.root)]),
        ]

    def processes(self) -> list[int]:
        """Return the first process in the namespaces, and those that started it."""
        return list(_processes(self.place.root))

    def env(self) -> dict[str, str]:
        """Return the variables that point docker, buildx, kubectl and plans to the cluster."""
        registry = self.settings.registry
        return {
            **own_client(self.place, f"unix://{self.place.sockets}/no-engine.sock"),
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECACHEDIR": str(self.place.root / "kubectl-cache"),
            "REGISTRY": registry,
            "BASE_IMAGE": f"{registry}/base:1",
        }

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file of the administrator."""
        return kubeconfig(self.settings, "admin")

    @property
    def registry(self) -> RegistryClient:
        """A client of the registry that this machine and the pods reach."""
        return RegistryClient(host=self.settings.registry, login=None)

    @property
    def settings(self) -> Settings:
        """The addresses and files of the cluster."""
        file = self.place.root / "cluster" / "settings.json"
        if not file.exists():
            message = f"There is no cluster in {self.place.root}: start it first."
            raise TestbedError(message)
        return Settings.load(file)

    def kubectl(self, *args: str, stdin: str = "", timeout: float = 60) -> str:
        """Run `kubectl ARGS` as the administrator and return its output; TestbedError if it fails."""
        env = {**self.place.environ, **self.env()}
        return run(("kubectl", *args), env=env, stdin=stdin.encode(), timeout=timeout).decode()

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Create or change objects."""
        self.kubectl("apply", "--filename", "-", stdin="\n---\n".join(map(json.dumps, objects)))

    @property
    def _daemon(self) -> Daemon:
        return self.place.daemon("cluster")

    def _claim(self) -> None:
        """Mark the folder as a cluster's; refuse a folder with other contents, since `down` removes it."""
        root = self.place.root
        if root.exists() and any(root.iterdir()) and not (root / _MARK).exists():
            message = f"{root} holds something else than a cluster: choose another folder."
            raise TestbedError(message)
        self.place.prepare()
        (root / _MARK).touch()

    def _prepare(self, program: str) -> Settings:
        """Write the files of the cluster, unless they exist, and return its settings."""
        self._note_changes()
        bridge = ensure_bridge(self.place, _BRIDGE)
        for folder in _shared_folders():
            folder.join(self.place.root)
        settings = _settings(self.place, program, bridge)
        settings.save()
        write_certificates(settings)
        write_configuration(settings)
        _make_cgroup(settings.cgroup)
        return settings

    def _end_processes(self) -> None:
        """Kill every process of the cluster, and remove its network, which the kernel may do much later."""
        for pid in _processes(self.place.root):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        succeeds(("ip", "link", "del", self._device), env=self.place.environ)

    @property
    def _bridge(self) -> str:
        return f"mpb{self.place.key}{_BRIDGE}"

    @property
    def _device(self) -> str:
        """This machine's end of the connection to the namespaces."""
        return f"{self._bridge}v"

    def _note_changes(self) -> None:
        self.place.note("bridge", self._bridge)
        self.place.note("cgroup", f"mpbake-{self.place.key}")
        self.place.note("daemon", self._daemon.name)

    def _start(self, settings: Settings) -> None:
        if self._daemon.pid() is not None:
            return
        inside = (sys.executable, "-m", "tests.testbed_cluster.inside", str(settings.file("settings.json")))
        env = {**self.place.environ, "PYTHONPATH": f"{CHECKOUT}:{CHECKOUT / 'scripts'}"}
        self._daemon.start(
            ("sh", "-c", _IN_NAMESPACES, "sh", *inside), env=env, ready=lambda: self._namespaces() is not None
        )
        self._connect(settings)

    def _connect(self, settings: Settings) -> None:
        """Plug the namespaces into the bridge."""
        peer = ("peer", "name", DEVICE, "netns", str(self._namespaces()))
        make = ("ip", "link", "add", self._device, "type", "veth", *peer)
        for command in (make, ("ip", "link", "set", self._device, "master", self._bridge, "up")):
            run(command, env=self.place.environ)
        if not wait_until(lambda: answers(self.registry), seconds=_SECONDS):
            message = f"The registry {settings.registry} of the cluster does not answer:\n{self._daemon.log_end()}"
            raise TestbedError(message)

    def _namespaces(self) -> int | None:
        """Return the number of the process that has entered the new network namespace, None before."""
        shell = self._daemon.pid()
        for child in _children(shell) if shell else ():
            if _network(child) not in {None, _network(os.getpid())}:
                return child
        return None

    def _is_ready(self) -> bool:
        path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        try:
            self.kubectl("get", "serviceaccount", "default")
            return self.kubectl("get", "node", NODE, "--output", path) == "True"
        except TestbedError:
            return False


def exports(variables: Mapping[str, str]) -> str:
    """Return the variables as `export` lines for a shell."""
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _shared_folders() -> list[Shared]:
    """Return the folders over which each cluster lays a file system of its own.

    The last cluster removes them: the kernel would take the file system away from a cluster that still runs.
    """
    return [
        Shared(name=str(folder), exists=folder.is_dir, make=partial(folder.mkdir, parents=True), undo=folder.rmdir)
        for folder in map(Path, NAMESPACE_FOLDERS)
    ]


def _program(environ: Mapping[str, str]) -> str:
    if not is_root_on_linux():
        message = "The cluster needs root on Linux."
        raise TestbedError(message)
    program = environ.get(VARIABLE, "")
    if not program:
        message = f"This needs the Kubernetes program: set {VARIABLE} to its path."
        raise TestbedError(message)
    if not os.access(program, os.X_OK) or not Path(program).is_file():
        message = f"{VARIABLE} names {program}, which is not a program."
        raise TestbedError(message)
    return str(Path(program).resolve())


def _settings(place: Place, program: str, bridge: str) -> Settings:
    listed = run(("ip", "-j", "-4", "addr", "show", "dev", bridge), env=place.environ)
    (address,) = json.loads(listed)[0]["addr_info"]
    host = ipaddress.IPv4Address(address["local"])
    return Settings(
        program=program,
        folder=str(place.folder("cluster")),
        address=str(host + 1),
        host=str(host),
        prefix=address["prefixlen"],
        cgroup=f"mpbake-{place.key}",
        path=place.environ.get("PATH", ""),
    )


def _make_cgroup(name: str) -> None:
    """Make the group in every hierarchy of control groups; kubelet expects it to exist."""
    for top in (_CGROUPS, *_CGROUPS.glob("*")):
        if (top / "cgroup.procs").exists():
            (top / name).mkdir(exist_ok=True)


def _processes(root: Path) -> Iterator[int]:
    """Yield the first process in the namespaces, and those that started it: the kernel ends all others with them."""
    ours = f"tests.testbed_cluster.inside\0{root}/".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # the process may end meanwhile
            if ours in (folder / "cmdline").read_bytes():
                yield int(folder.name)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []


def _network(pid: int) -> str | None:
    try:
        return str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return None
