"""Ends docker processes whose mpbake has died; run as a script, with standard library only.

Arguments: a file in which every child appears as a line `+PID` when it starts and `-PID` when it is over, and a folder
that is to go when all of them have ended. Standard
input is a pipe from mpbake that nobody else holds: its end means that mpbake is gone, however it went.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import time
from pathlib import Path

LATE = 1.0
"""Seconds in which a child that was just being started may still write itself down."""

GRACE = 2.0
"""Seconds between asking a build to cancel itself and killing it."""


def alive(register: Path) -> set[int]:
    """The children that have started and not ended."""
    children: set[int] = set()
    for line in register.read_text(encoding="ascii", errors="replace").split():
        if line[1:].isdecimal():
            (children.add if line[0] == "+" else children.discard)(int(line[1:]))
    return children


def end(children: set[int], with_signal: signal.Signals) -> None:
    """Signal the process groups of `children`."""
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, with_signal)


def main() -> None:
    """Wait for the end of standard input, then end every child that is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    register = Path(sys.argv[1])
    with contextlib.suppress(OSError):
        asked: set[int] = set()
        for _ in range(int(LATE / 0.1)):
            end(alive(register) - asked, signal.SIGINT)
            asked |= alive(register)
            if not asked:
                break
            time.sleep(0.1)
        if asked:
            time.sleep(GRACE - LATE)
        end(alive(register), signal.SIGKILL)
        register.unlink()
    shutil.rmtree(sys.argv[2], ignore_errors=True)


if __name__ == "__main__":
    main()
