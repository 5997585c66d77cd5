"""Remedies that several checks use. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.model.emulators import EMULATORS_IMAGE, install_command
from mpbake.model.node_resources import docker_command, has_engine

if TYPE_CHECKING:
    from mpbake.base.platforms import Platform
    from mpbake.model.plan import Builder, Node


def emulator_remedy(builder: Builder, node: Node, platform: Platform) -> str:
    """Return how to get an emulator for `platform` on the machine of `node`."""
    if builder.emulators:
        return f"run `mpbake builders up {builder.name}`, which installs emulators"
    if has_engine(node):
        command = install_command(docker_command(node), EMULATORS_IMAGE, [platform])
        is_declared = not (builder.external or builder.driver.rules.is_automatic)
        by_plan = f'set emulators = "install" in {builder.name} and run `mpbake builders up {builder.name}`; or '
        return f"{by_plan if is_declared else ''}run: {command}"
    if node.driver.rules.resource:
        return node.driver.rules.emulators_hint
    command = install_command("docker", EMULATORS_IMAGE, [platform])
    return f"run on the machine of {node.id}: {command}; then restart BuildKit there"
