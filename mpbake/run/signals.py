"""Signals as requests to stop."""

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
    """The exit code that `work` returns, or that of the signal which it was stopped by.

    It is given what `stopped_by_signals` sets while it runs.
    """
    stop = StopRequest()
    try:
        return work(stop)
    except MpbakeError:
        if stop.signal:  # whatever failed, failed because it was stopped
            return exit_code((), stop.signal)
        raise


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Hand what asks to end the process to `stop`: Ctrl-C, a terminated job, a closed terminal."""

    def request(number: int, _: FrameType | None) -> None:
        stop(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup stays nohup
            before[number] = signal.signal(number, request)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
