"""Signals as stop requests."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

from mpbake.base.errors import MpbakeError
from mpbake.run.executor import StopRequest, exit_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


def stoppable(work: Callable[[StopRequest], int]) -> int:
    """Return the exit code of `work`, or the exit code of the signal that stopped `work`.

    `work` passes its stop request to `stopped_by_signals`.
    """
    stop = StopRequest()
    try:
        return work(stop)
    except MpbakeError:
        if stop.signal:  # every later error is a consequence of the signal
            return exit_code((), stop.signal)
        raise


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Call `stop` for each signal that asks this process to end: Ctrl-C, a terminated job, a closed terminal."""

    def request(number: int, _: FrameType | None) -> None:
        stop(number)

    previous = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup keeps its effect
            previous[number] = signal.signal(number, request)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
