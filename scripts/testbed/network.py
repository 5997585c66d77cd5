"""Bridges for the testbed's engines. The network of each bridge is used by nothing else on the machine."""

from __future__ import annotations

import ipaddress
import json
from typing import TYPE_CHECKING

from testbed.errors import TestbedError
from testbed.processes import run, succeeds
from testbed.shared import one_at_a_time

if TYPE_CHECKING:
    from testbed.place import Place


def ensure_bridge(place: Place, suffix: str) -> str:
    """Return the name of the testbed's bridge with this (short) suffix. The bridge is up and has an address."""
    name = f"mpb{place.key}{suffix}"  # the name of a network device has at most 15 characters
    if succeeds(("ip", "link", "show", name), env=place.environ):
        return name
    place.note("bridge", name)
    with one_at_a_time():  # another testbed could take the same network until the bridge has an address
        network = _free_network(place)
        for command in (
            ("ip", "link", "add", name, "type", "bridge"),
            ("ip", "addr", "add", f"{network[1]}/{network.prefixlen}", "dev", name),
            ("ip", "link", "set", name, "up"),
        ):
            run(command, env=place.environ)
    return name


def remove_bridge(place: Place, name: str) -> None:
    """Remove the bridge if it exists."""
    if succeeds(("ip", "link", "show", name), env=place.environ):
        run(("ip", "link", "del", name), env=place.environ)


def bridge_address(place: Place, bridge: str) -> ipaddress.IPv4Interface:
    """Return the address of a bridge of the testbed, with its network."""
    (device,) = json.loads(run(("ip", "-j", "-4", "addr", "show", "dev", bridge), env=place.environ))
    (address,) = device["addr_info"]
    return ipaddress.IPv4Interface(f"{address['local']}/{address['prefixlen']}")


def ensure_namespace(place: Place, name: str, bridge: str, number: int) -> tuple[str, ipaddress.IPv4Address]:
    """Return the network namespace of that name on the testbed's bridge, and its address: that of the bridge + number.

    The bridge is its way to all other addresses.
    """
    space, gateway = f"mpb{place.key}{name}", bridge_address(place, bridge)
    address = gateway.ip + number
    if not succeeds(("ip", "netns", "exec", space, "true"), env=place.environ):
        place.note("namespace", space)
        inside = ("ip", "-n", space)
        for command in (
            ("ip", "netns", "add", space),
            ("ip", "link", "add", f"{space}v", "type", "veth", "peer", "name", "eth0", "netns", space),
            ("ip", "link", "set", f"{space}v", "master", bridge, "up"),
            (*inside, "addr", "add", f"{address}/{gateway.network.prefixlen}", "dev", "eth0"),
            (*inside, "link", "set", "eth0", "up"),
            (*inside, "link", "set", "lo", "up"),
            (*inside, "route", "add", "default", "via", str(gateway.ip)),
        ):
            run(command, env=place.environ)
    return space, address


def remove_namespace(place: Place, space: str) -> None:
    """Remove the network namespace if it exists; its devices go with it."""
    if succeeds(("ip", "netns", "exec", space, "true"), env=place.environ):
        # A process that still runs there, such as the server of an ssh connection, keeps the devices.
        if succeeds(("ip", "link", "show", f"{space}v"), env=place.environ):
            run(("ip", "link", "del", f"{space}v"), env=place.environ)
        run(("ip", "netns", "del", space), env=place.environ)


def _free_network(place: Place) -> ipaddress.IPv4Network:
    routes = json.loads(run(("ip", "-j", "-4", "route", "show", "table", "all"), env=place.environ))
    used = [ipaddress.IPv4Network(route["dst"], strict=False) for route in routes if route["dst"][0].isdigit()]
    for second in range(200, 250):
        network = ipaddress.IPv4Network(f"10.{second}.0.0/16")
        if not any(network.overlaps(other) for other in used):
            return network
    message = "Every network from 10.200.0.0/16 to 10.249.0.0/16 is in use on this machine."
    raise TestbedError(message)
