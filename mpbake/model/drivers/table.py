"""The table of all drivers: a driver is registered here by its rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.model.drivers.automatic import AUTOMATIC
from mpbake.model.drivers.deployed import DEPLOYED
from mpbake.model.drivers.docker import DOCKER
from mpbake.model.drivers.docker_container import DOCKER_CONTAINER
from mpbake.model.drivers.external import EXTERNAL
from mpbake.model.drivers.kubernetes import KUBERNETES
from mpbake.model.drivers.remote import REMOTE

if TYPE_CHECKING:
    from mpbake.model.drivers.rules import DriverRules

RULES: dict[str, DriverRules] = {
    rules.name: rules for rules in (DOCKER, DOCKER_CONTAINER, KUBERNETES, REMOTE, DEPLOYED, AUTOMATIC, EXTERNAL)
}
"""The rules of each driver by its name: a member of `mpbake.model.plan.Driver`."""
