"""Ends the docker processes of a dead mpbake process. Runs as a script and uses only the standard library.

The first argument is the register: a file in which every child adds a line `+PID` when it starts and `-PID` when it has
ended. The second argument is a folder, which the watchdog removes after the last child has ended. Standard input is a
pipe from mpbake that no other process holds. The end of this pipe means that mpbake has died, for whatever reason.
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
"""Seconds in which a starting child may still write its process ID to the register."""

GRACE = 2.0
"""Seconds between the interrupt signal to a build and the kill signal."""


def alive(register: Path) -> set[int]:
    """Return the process IDs of children that have started and not ended."""
    children: set[int] = set()
    for line in register.read_text(encoding="ascii", errors="replace").split():
        if line[1:].isdecimal():
            (children.add if line[0] == "+" else children.discard)(int(line[1:]))
    return children


def end(children: set[int], with_signal: signal.Signals) -> None:
    """Send a signal to the process groups of `children`."""
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, with_signal)


def main() -> None:
    """Wait for the end of standard input, then end every child that still runs."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 4096):
        pass
    register = Path(sys.argv[1])
    with contextlib.suppress(OSError):
        interrupted: set[int] = set()
        for _ in range(int(LATE / 0.1)):
            end(alive(register) - interrupted, signal.SIGINT)
            interrupted |= alive(register)
            if not interrupted:
                break
            time.sleep(0.1)
        if interrupted:
            time.sleep(GRACE - LATE)
        end(alive(register), signal.SIGKILL)
        register.unlink()
    shutil.rmtree(sys.argv[2], ignore_errors=True)


if __name__ == "__main__":
    main()
