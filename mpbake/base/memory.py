"""Pause Python's garbage collector while mpbake creates objects that stay alive."""

from __future__ import annotations

import contextlib
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the garbage collector while modules are imported or a plan is read.

    The objects that are created meanwhile stay alive. Repeated scans of these objects would take a third of the time
    for a large plan.
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

    The objects (mostly modules) live until the process ends. A scan at exit would take a tenth of a second.
    """
    gc.freeze()
