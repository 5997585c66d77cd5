"""The emulators of a builder: the image that installs emulators, and the builders for which mpbake installs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.base.codes import Code
from mpbake.model.emulators import EMULATORS_IMAGE
from mpbake.model.plan import Emulation, EmulatorsMode
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from mpbake.base.errors import KeyPath
    from mpbake.model.plan import Driver
    from mpbake.spec.tables.builder_tables import BuilderSpec


def emulators_image(table: BuilderSpec, driver: Driver) -> str:
    """Return the image that installs emulators for a builder; empty if mpbake installs none."""
    if not _is_wanted(table) or not _has_engine(table, driver) or table.emulation == Emulation.FORBID:
        return ""
    return table.emulators_image or EMULATORS_IMAGE


def emulator_problems(key: KeyPath, driver: Driver, table: BuilderSpec, own: Container[str]) -> Iterator[Problem]:
    """Yield the problems of the emulators of the builder at `key`.

    `own` are the keys of the builder's own table: a default that does not fit this builder is ignored.
    """
    at = (*key, "emulators")
    if "emulators-image" in own and not _is_wanted(table):
        message, hint = "has no effect without emulators", 'add emulators = "install", or remove it'
        yield Problem(code=Code.BAD_OPTION, key=(*key, "emulators-image"), message=message, hint=hint)
    if "emulators" not in own or not _is_wanted(table):
        return
    if not _has_engine(table, driver):
        message = f"the {driver} driver has no engine on which mpbake could install emulators"
        if driver.rules.deployed_as:
            message = "no node has an engine on which mpbake could install emulators: none has `deploy`"
        hint = driver.rules.emulators_hint
        yield Problem(code=Code.OPTION_OF_OTHER_DRIVER, key=at, message=message, hint=hint)
    elif table.emulation == Emulation.FORBID:
        message, hint = "the builder forbids emulation, so it needs no emulators", "remove emulators or emulation"
        yield Problem(code=Code.BAD_OPTION, key=at, message=message, hint=hint)


def _is_wanted(table: BuilderSpec) -> bool:
    return table.emulators == EmulatorsMode.INSTALL


def _has_engine(table: BuilderSpec, driver: Driver) -> bool:
    """Whether a node of the builder has an engine, at the node's endpoint or on the host of its deployment."""
    return driver.rules.endpoint.is_engine or any(node.deploy.written() for node in table.nodes.values())
