"""The back end of external builders whose driver mpbake does not know. buildx itself connects to such nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpbake.buildkit.nodes.causes import NEAR, PAUSED, cause
from mpbake.buildkit.nodes.drivers.back_end import BackEnd, ask_instance, ask_nothing, boot_instance, no_manager

if TYPE_CHECKING:
    from mpbake.buildkit.nodes.causes import Cause
    from mpbake.model.plan import Node

_NO_BUILDER = cause(
    r"no builder \S+ found",
    "",
    "run `docker buildx ls` to see its name; without external = true, mpbake makes a builder",
)


def external_causes(_: Node, __: str) -> tuple[Cause, ...]:
    """Return the causes for which buildx cannot use an external builder, which buildx's store may not contain."""
    return (_NO_BUILDER, PAUSED, *NEAR)


EXTERNAL_BACK_END = BackEnd(
    causes=external_causes, manager=no_manager, survey=ask_nothing, ask=ask_instance, connect=boot_instance
)
