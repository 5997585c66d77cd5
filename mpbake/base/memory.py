"""Python's garbage collector, told when it cannot find anything."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def paused_collector() -> Iterator[None]:
    """While modules are imported or a plan is read, all that is made stays.

    To look through it for garbage, again and again, takes a third of the time of a large plan.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def freeze_objects() -> None:
    """All that is there stays to the end, as modules do: it is not looked through again, not even at the very end.

    That would take a tenth of a second, after the last word has been said.
    """
    gc.freeze()
