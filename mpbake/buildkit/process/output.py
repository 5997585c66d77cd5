"""Reads the output of a process as it arrives, detects stalls, and captures output through a pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import select
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SCREEN_SECONDS = 1.0
"""Seconds to wait for the last output on the terminal after a command has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """A check for stalled commands.

    After every `seconds` without output, `alive` decides whether the command may continue.
    """

    seconds: float
    alive: Callable[[], bool]


def read_all(descriptor: int, take: Callable[[bytes], None], watch: Watch | None) -> bool:
    """Pass all output to `take`. Return whether `watch` stopped the reading during a silence."""
    while True:
        if watch is not None and _is_silent(descriptor, watch.seconds):
            if not watch.alive():
                return True
        elif chunk := os.read(descriptor, 65536):
            take(chunk)
        else:
            return False


@contextlib.contextmanager
def captured_stdout(on_terminal: Callable[[bytes], None] | None) -> Iterator[IO[bytes]]:
    """Yield a file for standard output.

    With `on_terminal`, the file is a terminal, and `on_terminal` receives the output until the block ends.
    """
    with contextlib.ExitStack() as ends:
        file: IO[bytes] = ends.enter_context(tempfile.TemporaryFile())
        if on_terminal is not None:
            with contextlib.suppress(OSError):  # on a machine without terminals, no progress is shown
                screen, terminal = os.openpty()
                file = os.fdopen(terminal, "wb", buffering=0)
                reader = threading.Thread(target=_read_screen, args=(screen, on_terminal), daemon=True)
                reader.start()
                ends.callback(reader.join, _SCREEN_SECONDS)
                ends.callback(
                    file.close
                )  # this callback runs first, because the reader ends when the last writer closes the terminal
        yield file


def captured_text(file: IO[bytes]) -> str:
    """Return the standard output of a command; an empty string if standard output was a terminal."""
    if file.isatty():
        return ""
    file.seek(0)
    return file.read().decode(errors="replace")


def _read_screen(screen: int, take: Callable[[bytes], None]) -> None:
    """Pass all output on a terminal to `take`. On Linux, the end of the output raises an error."""
    with os.fdopen(screen, "rb", buffering=0) as file, contextlib.suppress(OSError):
        read_all(file.fileno(), take, None)


def _is_silent(descriptor: int, seconds: float) -> bool:
    """Return whether neither output nor the end of the output arrives within `seconds`.

    `select` would reject descriptors above 1023.
    """
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return not poll.poll(seconds * 1000)
