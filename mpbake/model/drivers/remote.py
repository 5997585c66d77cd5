"""The rules of the remote driver: a running BuildKit at an address, which mpbake does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.model.drivers.rules import CHECK_ONLY, Abilities, Ability, DriverRules, EndpointRules

if TYPE_CHECKING:
    from mpbake.model.plan import Node


def tls_options(node: Node) -> dict[str, str]:
    """Return the driver options that name the certificates of a node."""
    names = {"ca": "cacert"}
    options = {names.get(name, name): str(path) for name, path in node.tls.files.items()}
    return options | ({"servername": node.tls.servername} if node.tls.servername else {})


REMOTE = DriverRules(
    name="remote",
    abilities=Abilities(configuration=Ability.ELSEWHERE),
    endpoint=EndpointRules(
        schemes=("tcp", "unix", "docker-container", "kube-pod"),
        is_required=True,
        takes_tls=True,
        takes_servername=True,
    ),
    deployed_as="deployed",
    connects_on_create=True,
    start_text=CHECK_ONLY,
    external_start_text=CHECK_ONLY,
    tls_options=tls_options,
    emulators_hint="install them on the machine of the node: `mpbake doctor` prints the command; or add `deploy` to "
    "the node",
)
