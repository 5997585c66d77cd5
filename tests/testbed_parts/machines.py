"""Machines of a team: each has a network namespace, a Docker engine and an ssh server of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.clients import own_client
from testbed.dockerd import start_engine_within
from testbed.network import bridge_address, ensure_bridge, ensure_namespace
from testbed.packages import ensure_tools
from testbed.processes import run
from testbed.registry import ProcessRegistry
from testbed.sshd import SshNode

if TYPE_CHECKING:
    from testbed.place import Place

_BRIDGE = "w"
"""The suffix of the bridge between the machines, which no engine of the testbed uses."""
_FIRST_ADDRESS = 10
"""The machines have the addresses of the bridge plus 11, 12 and so on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """A machine that runs. `address` is its address, `ssh` its ssh server, `docker_host` the socket of its engine."""

    place: Place
    name: str
    address: str
    docker_host: str
    ssh: SshNode

    def docker(self, *args: str) -> str:
        """Run `docker ARGS` on the machine and return its output; TestbedError if it fails."""
        env = {**self.place.environ, **own_client(self.place, self.docker_host)}
        return run(("docker", *args), env=env).decode().strip()


def start_machine(place: Place, number: int) -> Machine:
    """Start the machine with this number, unless it runs; ssh reaches it as `root@build1`, `root@build2` and so on."""
    ensure_tools(place, "containerd", "dockerd", "docker", "ip", "nsenter", "iptables", "sshd")
    name = f"build{number}"
    bridge = ensure_bridge(place, _BRIDGE)
    space, address = ensure_namespace(place, str(number), bridge, _FIRST_ADDRESS + number)
    within = ("nsenter", f"--net=/run/netns/{space}", "--")
    docker_host = start_engine_within(place, name, within, f"{bridge_address(place, bridge).ip}/32")
    client = own_client(place, docker_host)
    where = {"alias": name, "name": name, "address": str(address)}
    ssh = SshNode(place=place, client=client, within=within, shares_connections=True, **where)
    ssh.start()
    return Machine(place=place, name=name, address=str(address), docker_host=docker_host, ssh=ssh)


def machines_registry(place: Place) -> ProcessRegistry:
    """Return the testbed's registry as machines reach it: at the address of their bridge, without TLS."""
    address = bridge_address(place, ensure_bridge(place, _BRIDGE))
    return ProcessRegistry(place=place, name="machines-registry", storage="registry", address=str(address.ip))
