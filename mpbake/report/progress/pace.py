"""Limits how often a line about the same subject is printed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS = 5.0


class Pace:
    """A rate limit for lines: the first line about a subject is due, then one line every 5 seconds. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def is_due(self, subject: str) -> bool:
        """Return whether a line about `subject` is due now. A line that is due counts as printed."""
        with self._lock:
            now = self._clock()
            if now - self._last.get(subject, now - _SECONDS) < _SECONDS:
                return False
            self._last[subject] = now
            return True
