"""External builders, which mpbake does not manage: their nodes come from buildx's store."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mpbake.base.codes import Code
from mpbake.base.platforms import parse_platforms
from mpbake.base.text import one_line
from mpbake.model.plan import ENGINE_DRIVER, Builder, Driver, Emulation, Node
from mpbake.spec.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mpbake.base.errors import KeyPath
    from mpbake.model.node_state import StoredBuilder
    from mpbake.spec.tables.builder_tables import BuilderSpec

_ALLOWED_KEYS = ("external", "emulation", "slots")
_ENGINE_BUILDER = "default"
"""buildx's name for the builder of the Docker engine in use, which has no entry in buildx's store."""
DOCKER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
"""A valid name of a docker context, and of a builder or a node in buildx."""


def external_builder(name: str, table: BuilderSpec, entry: StoredBuilder | None) -> Builder:
    """Return the builder `name` from its entry in buildx's store.

    Without an entry, buildx uses the engine of the docker context of that name. A builder with the driver of a hosted
    service has a single node, on which buildx itself places the builds.
    """
    emulation, slots = Emulation(table.emulation or Emulation.WARN), table.slots or 0
    nodes = _nodes(name, slots, entry)
    return Builder(name=name, driver=nodes[0].driver, nodes=nodes, emulation=emulation, external=True)


def _nodes(name: str, slots: int, entry: StoredBuilder | None) -> tuple[Node, ...]:
    single = Node(builder=name, name=name.lower(), driver=Driver.EXTERNAL, slots=slots, external=True)
    if entry is None:
        context = "" if name.lower() == _ENGINE_BUILDER else name
        return (replace(single, driver=ENGINE_DRIVER, endpoint=context, missing=bool(context)),)
    known = next((driver for driver in Driver if driver.rules.is_stored and driver == entry.driver), None)
    if known is None or not entry.nodes:
        return (single,)
    return tuple(
        Node(
            builder=name,
            name=node.name,
            driver=known,
            endpoint=node.endpoint,
            platforms=parse_platforms(node.platforms),
            slots=slots,
            external=True,
        )
        for node in entry.nodes
    )


def external_problems(key: KeyPath, stated: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield the problems of the table of an external builder; `stated` are its keys and values."""
    name = str(key[-1])
    if not DOCKER_NAME.fullmatch(name):
        message, hint = f'"{one_line(name)}" is not a valid builder name', "run `docker buildx ls` to see its name"
        yield Problem(code=Code.BAD_NAME, key=key, message=message, hint=hint, of_key=True)
    for option in stated:
        if option not in _ALLOWED_KEYS:
            message, hint = f"`{option}` cannot be set for an external builder", f"remove `{option}` or `external`"
            yield Problem(code=Code.EXTERNAL_BUILDER, key=(*key, option), message=message, hint=hint, of_key=True)
