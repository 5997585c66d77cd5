"""Builders that somebody else made: their nodes are what buildx keeps of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpbake.codes import Code
from mpbake.plan import Builder, Driver, Emulation, Node
from mpbake.platforms import parse_platforms
from mpbake.spec import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.errors import KeyPath
    from mpbake.lifecycle import Entry
    from mpbake.spec import BuilderSpec

_KNOWN = (Driver.DOCKER_CONTAINER, Driver.KUBERNETES, Driver.REMOTE)
_OWN = ("external", "emulation", "slots")


def external_builder(name: str, table: BuilderSpec, entry: Entry | None) -> Builder:
    """The builder of that name as buildx keeps it.

    One that is not there, or whose driver is a hosted service's, is a single node, on which buildx itself places.
    """
    emulation, slots = Emulation(table.emulation or Emulation.WARN), table.slots or 0
    known = next((driver for driver in _KNOWN if entry is not None and driver == entry.driver), None)
    if entry is None or known is None or not entry.nodes:
        node = Node(builder=name, name=name.lower(), driver=Driver.EXTERNAL, slots=slots, external=True)
        return Builder(name=name, driver=Driver.EXTERNAL, nodes=(node,), emulation=emulation, external=True)
    nodes = tuple(
        Node(
            builder=name,
            name=each.name,
            driver=known,
            endpoint=each.endpoint,
            platforms=parse_platforms(each.platforms),
            slots=slots,
            external=True,
        )
        for each in entry.nodes
    )
    return Builder(name=name, driver=known, nodes=nodes, emulation=emulation, external=True)


def external_problems(key: KeyPath, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """What a plan says of a builder that is not its own."""
    for name in stated:
        if name not in _OWN:
            message, hint = f"an external builder has its own {name}", "take the key away, or take external away"
            yield Problem(code=Code.EXTERNAL_BUILDER, key=(*key, name), message=message, hint=hint, of_key=True)
