"""Builders that somebody else made: their nodes are what buildx keeps of them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.platforms import parse_platforms
from mpbake.base.text import one_line
from mpbake.model.plan import Builder, Driver, Emulation, Node
from mpbake.spec.spec import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.model.node_state import StoredBuilder
    from mpbake.spec.spec import BuilderSpec

_OWN = ("external", "emulation", "slots")
_OF_ENGINE = "default"
"""What buildx calls the engine's own builder, of which it keeps nothing."""
DOCKER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""What docker calls a context, and buildx a builder or a node."""


def external_builder(name: str, table: BuilderSpec, entry: StoredBuilder | None) -> Builder:
    """The builder of that name as buildx keeps it.

    Of one that is not there buildx makes that of a docker context's engine. One whose driver is a hosted service's is
    a single node, on which buildx itself places.
    """
    emulation, slots = Emulation(table.emulation or Emulation.WARN), table.slots or 0
    nodes = _nodes(name, slots, entry)
    return Builder(name=name, driver=nodes[0].driver, nodes=nodes, emulation=emulation, external=True)


def _nodes(name: str, slots: int, entry: StoredBuilder | None) -> tuple[Node, ...]:
    single = Node(builder=name, name=name.lower(), driver=Driver.EXTERNAL, slots=slots, external=True)
    if entry is None:
        context = "" if name.lower() == _OF_ENGINE else name
        return (replace(single, driver=Driver.DOCKER, endpoint=context, missing=bool(context)),)
    known = next((driver for driver in Driver if driver.rules.is_stored and driver == entry.driver), None)
    if known is None or not entry.nodes:
        return (single,)
    return tuple(
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


def external_problems(key: KeyPath, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with what a plan says of a builder that is not its own."""
    name = str(key[-1])
    if not DOCKER_NAME.fullmatch(name):
        message, hint = f'"{one_line(name)}" is no name of a builder', "docker buildx ls shows how yours is called"
        yield Problem(code=Code.BAD_NAME, key=key, message=message, hint=hint, of_key=True)
    for each in stated:
        if each not in _OWN:
            message, hint = f"an external builder has its own {each}", "take the key away, or take external away"
            yield Problem(code=Code.EXTERNAL_BUILDER, key=(*key, each), message=message, hint=hint, of_key=True)
