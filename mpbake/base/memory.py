"""Control of Python's garbage collector while it has nothing to collect."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the garbage collector while modules are imported or a plan is read.

    All objects made then stay alive. Scanning them repeatedly would take a third of the time of a large plan.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def freeze_objects() -> None:
    """Exclude all existing objects from garbage collection, including the collection at exit.

    The objects (mostly modules) live until the end; scanning them at exit would take a tenth of a second.
    """
    gc.freeze()
