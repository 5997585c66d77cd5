"""A line on a terminal that says how far a long comparison is."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mpbake.cli.world import World

_ERASE = "\r\x1b[K"


@contextmanager
def progress_line(label: str, world: World) -> Iterator[Callable[[int, int], None]]:
    """Yield a function that shows `label: 12 of 37` on standard error, if a person watches it.

    The function is thread-safe. The line is erased at the end of the block.
    """
    if not world.live:
        yield lambda *_: None
        return
    lock = threading.Lock()

    def show(done: int, total: int) -> None:
        with lock:
            world.stderr.write(f"{_ERASE}{label}: {done} of {total}")
            world.stderr.flush()

    try:
        yield show
    finally:
        world.stderr.write(_ERASE)
        world.stderr.flush()
